"""Requests about feedback (cohorts §8.6, COH-33 to COH-36). Pure, but for the bodies that are received."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, cast

from shared.cohorts.feedback.documents import AGREEMENTS, Agreement, Assessment
from shared.dicom.media_types import ANY, ANY_APPLICATION, CSV, FHIR_JSON, JSON, NDJSON
from shared.dicomweb.content_negotiation import Accept
from shared.dicomweb.query_parameters import invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotAcceptable
from shared.http.json_body import WHERE, JsonBody, invalid_field, json_body
from shared.http.messages import Request

_LARGEST_BODY: Final = 64 * 1024
"""Bytes: references and a comment."""
_LONGEST_COMMENT: Final = 4000
_LONGEST_NAME: Final = 200
_LONGEST_TOKEN: Final = 1000
_REFERENCE: Final = re.compile(r"(?:[A-Z][A-Za-z]{1,63}/)?[A-Za-z0-9.\-]{1,64}")
_ASSESSMENT: Final = ("report", "outcome", "agreement", "comment")
_OUTCOMES: Final = ("DiagnosticReport", "Procedure", "Condition", "Observation")


@dataclass(frozen=True, slots=True)
class ReaderRequest:
    """A request for the cases of a reader."""

    practitioner: str
    """`Type/id`."""
    since: date | None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request for the predictions of a model."""

    device: str
    since: date | None
    after: str
    """A token of an earlier answer; empty at the beginning."""


def parse_reader(request: Request, _version: ApiVersion) -> ReaderRequest:
    """Raises InvalidRequest."""
    given = _parameters(request)
    return ReaderRequest(_practitioner(given.get("practitioner", "")), _since(given.get("since")))


def parse_model(request: Request, _version: ApiVersion) -> ModelRequest:
    """Raises InvalidRequest."""
    given = _parameters(request)
    device = given.get("device", "").strip()
    if not device or len(device) > _LONGEST_NAME:
        raise invalid_parameter("device", "It must be the device name of a model.")
    if len(given.get("after", "")) > _LONGEST_TOKEN:
        raise invalid_parameter("after", "It must be the token of an earlier answer.")
    return ModelRequest(device, _since(given.get("since")), given.get("after", ""))


def parse_body(request: Request, _version: ApiVersion) -> JsonBody:
    """Raises UnsupportedMedia."""
    return json_body(request, most=_LARGEST_BODY)


def accept_cases(request: Request, _version: ApiVersion) -> str:
    """JSON, CSV or FHIR JSON. Raises NotAcceptable."""
    return _accepted(request, (JSON, CSV, FHIR_JSON))


def accept_predictions(request: Request, _version: ApiVersion) -> str:
    """NDJSON, CSV or FHIR JSON. Raises NotAcceptable."""
    return _accepted(request, (NDJSON, CSV, FHIR_JSON))


def reader_of(document: Any) -> ReaderRequest:
    """The reader of a body of `deliver`. Raises InvalidRequest."""
    members = _members(document, ("practitioner", "since"))
    practitioner, since = members.get("practitioner"), members.get("since")
    if not isinstance(practitioner, str) or not _REFERENCE.fullmatch(practitioner):
        raise invalid_field("practitioner", "It must be the id of a Practitioner, or a reference.")
    if since is not None and (not isinstance(since, str) or _day(since) is None):
        raise invalid_field("since", "It must be an existing day as YYYY-MM-DD.")
    return ReaderRequest(_as_reference(practitioner), _day(since) if since else None)


def assessment_of(document: Any) -> Assessment:
    """The assessment of a body (COH-36). Raises InvalidRequest."""
    members = _members(document, _ASSESSMENT)
    for name in _ASSESSMENT:
        if not isinstance(members.get(name), str):
            raise invalid_field(name, "It is required, as a text.")
    report, outcome = members["report"], members["outcome"]
    report = report if "/" in report else f"DiagnosticReport/{report}"
    if not _REFERENCE.fullmatch(report) or not report.startswith("DiagnosticReport/"):
        raise invalid_field("report", "It must be a reference to a DiagnosticReport.")
    if not _REFERENCE.fullmatch(outcome) or outcome.partition("/")[0] not in _OUTCOMES:
        raise invalid_field("outcome", f"It must be a reference to one of: {', '.join(_OUTCOMES)}.")
    if members["agreement"] not in AGREEMENTS:
        raise invalid_field("agreement", f"It must be one of: {', '.join(AGREEMENTS)}.")
    if len(members["comment"]) > _LONGEST_COMMENT:
        raise invalid_field("comment", f"It must have {_LONGEST_COMMENT} characters at most.")
    return Assessment(report, outcome, cast("Agreement", members["agreement"]), members["comment"].strip())


def _members(document: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be an object.", where=WHERE)
    for name in document:
        if name not in known:
            raise invalid_field(str(name)[:64], "there is no such member.")
    return document


def reader_reference(text: str) -> str | None:
    """`Type/id` of a reader who is named by an id or a reference; None for what is neither."""
    return _as_reference(text) if _REFERENCE.fullmatch(text) else None


def _practitioner(text: str) -> str:
    found = reader_reference(text)
    if found is None:
        raise invalid_parameter("practitioner", "It must be the id of a Practitioner, or a reference.")
    return found


def _as_reference(text: str) -> str:
    return text if "/" in text else f"Practitioner/{text}"


def _since(text: str | None) -> date | None:
    if not text:
        return None
    found = _day(text)
    if found is None:
        raise invalid_parameter("since", "It must be an existing day as YYYY-MM-DD.")
    return found


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.isoformat() == text else None


def _parameters(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs(request.query)}


def _accepted(request: Request, offered: tuple[str, ...]) -> str:
    for value in Accept(tuple(request.headers.all("accept")), request.query).types():
        if value.type in offered and value.quality > 0:
            return value.type
        if value.type in (ANY, ANY_APPLICATION) and value.quality > 0:
            return offered[0]
    raise NotAcceptable(f"The answer is {', '.join(offered[:-1])} or {offered[-1]}.")
