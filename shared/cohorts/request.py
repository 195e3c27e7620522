"""Requests about cohorts and patients (cohorts §8.6). Pure, but for the bodies that are received."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from shared.cohorts.language.translation import LONGEST_QUESTION
from shared.dicom.media_types import ANY, ANY_APPLICATION, FHIR_JSON, HTML, JSON
from shared.dicomweb.content_negotiation import Accept
from shared.dicomweb.query_parameters import boolean, invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotAcceptable
from shared.http.json_body import WHERE, JsonBody, invalid_field, json_body
from shared.http.messages import Request

_LARGEST_BODY: Final = 1024**2
"""Bytes: a definition of a hundred entries with a thousand codes each would be more, and nobody's."""
_ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_COHORT: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """A request to run a definition, or to explain it."""

    body: JsonBody
    explain: bool


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """A request for a manifest."""

    cohort_id: str
    with_files: bool


@dataclass(frozen=True, slots=True)
class ExportBody:
    """A request to export a cohort."""

    cohort_id: str
    body: JsonBody


@dataclass(frozen=True, slots=True)
class TimelineRequest:
    """A request for a timeline."""

    patient_id: str
    as_of: date | None
    for_study: str


@dataclass(frozen=True, slots=True)
class SimilarRequest:
    """A request for similar patients."""

    patient_id: str
    body: JsonBody


def parse_run(request: Request, _version: ApiVersion) -> Run:
    """Raises InvalidRequest, UnsupportedMedia."""
    explain = boolean(_parameters(request).get("explain"), "explain", default=False)
    return Run(json_body(request, most=_LARGEST_BODY, or_yaml=True), explain)


def parse_body(request: Request, _version: ApiVersion) -> JsonBody:
    """Raises UnsupportedMedia."""
    return json_body(request, most=_LARGEST_BODY)


def parse_cohort_id(request: Request, _version: ApiVersion) -> str:
    """The id in the path, as it is stored. Raises InvalidRequest."""
    text = request.route["cohort"]
    if not _COHORT.fullmatch(text):
        raise InvalidRequest("The cohort id is not a GUID.", where="path")
    return text.replace("-", "").lower()


def parse_manifest(request: Request, version: ApiVersion) -> ManifestRequest:
    """Raises InvalidRequest."""
    with_files = boolean(_parameters(request).get("files"), "files", default=False)
    return ManifestRequest(parse_cohort_id(request, version), with_files)


def parse_export(request: Request, version: ApiVersion) -> ExportBody:
    """Raises InvalidRequest, UnsupportedMedia."""
    return ExportBody(parse_cohort_id(request, version), json_body(request, most=_LARGEST_BODY))


def parse_timeline(request: Request, _version: ApiVersion) -> TimelineRequest:
    """Raises InvalidRequest."""
    given = _parameters(request)
    as_of = given.get("asof")
    study = given.get("forstudy", given.get("for-study", ""))
    if study and not re.fullmatch(r"[0-9.]{1,64}", study):
        raise invalid_parameter("forStudy", "It must be a Study Instance UID.")
    try:
        day = date.fromisoformat(as_of) if as_of else None
    except ValueError:
        raise invalid_parameter("asOf", "It must be a day as YYYY-MM-DD.") from None
    return TimelineRequest(_patient_id(request), day, study)


def parse_similar(request: Request, _version: ApiVersion) -> SimilarRequest:
    """Raises InvalidRequest, UnsupportedMedia."""
    return SimilarRequest(_patient_id(request), json_body(request, most=_LARGEST_BODY))


def accept_timeline(request: Request, _version: ApiVersion) -> str:
    """JSON, FHIR JSON or a page (COH-31). Raises NotAcceptable."""
    for value in Accept(tuple(request.headers.all("accept")), request.query).types():
        if value.type in (JSON, FHIR_JSON, HTML) and value.quality > 0:
            return value.type
        if value.type in (ANY, ANY_APPLICATION) and value.quality > 0:
            return JSON
    raise NotAcceptable(f"A timeline is {JSON}, {FHIR_JSON} or {HTML}.")


def question_of(document: Any) -> tuple[str, str | None]:
    """The question and the day of a body of `translate` (NL-10). Raises InvalidRequest."""
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be an object with text, and asOf if it is not today.", where=WHERE)
    for name in document:
        if name not in ("text", "asOf"):
            raise invalid_field(str(name)[:64], "there is no such member.")
    text = document.get("text")
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_QUESTION:
        raise invalid_field("text", f"It must be a text of 1 to {LONGEST_QUESTION} characters.")
    return text, as_of_member(document)


def as_of_member(document: Any) -> str | None:
    """`asOf` of a body; None where it is absent. Raises InvalidRequest."""
    if document is None:
        return None
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be an object.", where=WHERE)
    value = document.get("asOf")
    if value is None:
        return None
    try:
        if isinstance(value, str) and date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise invalid_field("asOf", "It must be an existing day as YYYY-MM-DD.")


def _patient_id(request: Request) -> str:
    found = request.route["patient"]
    if not _ID.fullmatch(found):
        raise InvalidRequest("The path must hold the id of a FHIR Patient.", where="path")
    return found


def _parameters(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs(request.query)}
