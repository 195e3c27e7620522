"""Requests about DICOMcast. Pure, but for bodies that are received."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.dicomweb.query_parameters import invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.http.json_body import JsonBody, invalid_field, json_body
from shared.http.messages import Request

CLASSES: Final = ("FhirError", "DicomError", "TransientFailure", "note", "TransientRetry")
REPLAYED: Final = ("FhirError", "DicomError", "TransientFailure")
_BODY: Final = 16 * 1024
_MOST_SEQUENCE: Final = 2**53
"""Greater ones are no exact numbers in JSON."""
_OPERATION: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ErrorFilter:
    """The rows that are asked for."""

    kind: str = ""
    since: float = 0.0
    """Seconds since 1970."""
    study: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which Patient a study is of."""

    create: bool
    reference: str = ""


@dataclass(frozen=True, slots=True)
class NewVerification:
    """The scope of a verification."""

    repair: bool


def new_checkpoint(document: Any) -> int:
    """`{"sequence": 41}`. Raises InvalidRequest."""
    sequence = _members(document, ("sequence",)).get("sequence")
    if isinstance(sequence, bool) or not isinstance(sequence, int) or not 0 <= sequence < _MOST_SEQUENCE:
        raise invalid_field("sequence", "It is the sequence of a change, or 0.")
    return sequence


def parse_errors(request: Request, _version: ApiVersion) -> ErrorFilter:
    """The filter of a list of errors. Raises InvalidRequest."""
    given = _given(request, ("class", "since", "study"))
    kind, since = given.get("class", ""), given.get("since", "")
    if kind and kind not in CLASSES:
        raise invalid_parameter("class", f"It is one of {', '.join(CLASSES)}.")
    return ErrorFilter(kind, _moment(since) if since else 0.0, given.get("study", ""))


def parse_class(request: Request, _version: ApiVersion) -> str:
    """The class of what is to be tried again; empty: every class. Raises InvalidRequest."""
    kind = _given(request, ("class",)).get("class", "")
    if kind and kind not in REPLAYED:
        raise invalid_parameter("class", f"It is one of {', '.join(REPLAYED)}.")
    return kind


def parse_partition(request: Request, _version: ApiVersion) -> str:
    """The data partition of the study in the path; empty: the only one. Raises InvalidRequest."""
    return _given(request, ("partition",)).get("partition", "")


def parse_segment(name: str) -> Any:
    """The `parse` of a request that names something by one segment of its path."""

    def parse(request: Request, _version: ApiVersion) -> str:
        return request.route[name]

    return parse


def parse_operation(request: Request, _version: ApiVersion) -> str:
    """The id of an operation, as it is stored. Raises InvalidRequest."""
    text = request.route["operation"]
    if not _OPERATION.fullmatch(text):
        raise InvalidRequest("The operation id is not a GUID.", where="path")
    return text.replace("-", "").lower()


def parse_choice(request: Request, version: ApiVersion) -> tuple[str, JsonBody]:
    """Partition and body of a choice. Raises InvalidRequest, UnsupportedMedia."""
    return parse_partition(request, version), json_body(request, most=_BODY)


def parse_body(request: Request, _version: ApiVersion) -> JsonBody:
    """A body. Raises UnsupportedMedia."""
    return json_body(request, most=_BODY)


def choice(document: Any) -> Choice:
    """`{"create": true}` or `{"reference": "Patient/x"}`. Raises InvalidRequest."""
    members = _members(document, ("create", "reference"))
    create, reference = members.get("create", False), members.get("reference", "")
    if not isinstance(create, bool):
        raise invalid_field("create", "It is true or false.")
    if not isinstance(reference, str) or bool(reference) == create:
        raise invalid_field("reference", "Either a Patient is named, or create is true.")
    return Choice(create, reference)


def new_verification(document: Any) -> NewVerification:
    """`{"repair": true}`, or `{}`. Raises InvalidRequest."""
    members = _members(document, ("repair", "since"))
    repair = members.get("repair", False)
    if not isinstance(repair, bool):
        raise invalid_field("repair", "It is true or false.")
    return NewVerification(repair)


def _members(document: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise invalid_field("", "It is an object.")
    for name in document:
        if name not in known:
            raise invalid_field(name, "It is not known.")
    return document


def _given(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in pairs(request.query):
        if name in known:
            if name in given:
                raise invalid_parameter(name, "It is given more than once.")
            given[name] = value
    return given


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_parameter("since", "It is a date and time with offset, such as 2026-06-30T08:00:00Z.") from None
    if moment.tzinfo is None:
        raise invalid_parameter("since", "It needs an offset, such as Z.")
    return moment.timestamp()
