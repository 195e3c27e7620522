"""data-safety §6 Requests for access reports. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from shared.dicom.media_types import ANY, ANY_APPLICATION, CSV, JSON
from shared.dicomweb.content_negotiation import Accept
from shared.dicomweb.query_parameters import invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotAcceptable
from shared.http.messages import Request
from shared.study_updates.patients import Patient
from shared.study_updates.request_fields import long_string

_PARAMETERS: Final = ("PatientID", "issuer", "from", "to")
_DAYS: Final = 90
"""Without `from`."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """The patient who is asked about, and the days, both included."""

    patient: Patient
    first: date
    last: date


def parse(request: Request, _version: ApiVersion) -> ReportRequest:
    """Raises InvalidRequest."""
    given: dict[str, str] = {}
    for name, value in pairs(request.query):
        known = next((each for each in _PARAMETERS if each.lower() == name.lower()), "")
        if not known:
            raise invalid_parameter(name[:64], "It is not known.")
        if known in given:
            raise invalid_parameter(known, "It is given more than once.")
        given[known] = value
    patient = Patient(_name(given, "PatientID"), _name(given, "issuer") if "issuer" in given else "")
    last = _day(given.get("to"), "to") or datetime.now(UTC).date()
    first = _day(given.get("from"), "from") or last - timedelta(days=_DAYS)
    if first > last:
        raise invalid_parameter("from", "It is behind the end.")
    return ReportRequest(patient, first, last)


def accept(request: Request, _version: ApiVersion) -> str:
    """JSON or CSV. Raises NotAcceptable."""
    for value in Accept(tuple(request.headers.all("accept")), request.query).types():
        if value.type in (JSON, CSV) and value.quality > 0:
            return value.type
        if value.type in (ANY, ANY_APPLICATION) and value.quality > 0:
            return JSON
    raise NotAcceptable(f"An access report is {JSON} or {CSV}.")


def _name(given: Mapping[str, str], parameter: str) -> str:
    try:
        return long_string(given.get(parameter), parameter)
    except InvalidRequest:
        raise invalid_parameter(parameter, "It is no value of VR LO, or missing.") from None


def _day(text: str | None, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise invalid_parameter(name, "It is no date as 2026-03-31.") from None
