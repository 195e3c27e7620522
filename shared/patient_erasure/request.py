"""data-safety §6 Requests to erase a patient. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.http.json_body import MALFORMED, WHERE, invalid_field, lower_members
from shared.http.messages import Request
from shared.operations.request import operation_id
from shared.study_updates.patients import Patient
from shared.study_updates.request_fields import PatientRequest, long_string, patient_request, reason_of

_LARGEST_BODY: Final = 16 * 1024
_MEMBERS: Final = ("patientid", "issuer", "reason")
_DESPITE_RETENTION: Final = "despiteretention"


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """Everything that is stored of a patient is to be erased."""

    patient: Patient
    reason: str


def parse(request: Request, _version: ApiVersion) -> PatientRequest:
    """Raises InvalidRequest, UnsupportedMedia."""
    return patient_request(request, most=_LARGEST_BODY)


def parse_confirmation(request: Request, _version: ApiVersion) -> str:
    """The id of the erasure that is confirmed. Raises InvalidRequest."""
    return operation_id(request)


def erasure_request(document: Any) -> ErasureRequest:
    """The request in a body (PHI-1). Raises InvalidRequest."""
    if not isinstance(document, dict):
        raise InvalidRequest(MALFORMED, where=WHERE)
    members = lower_members(document)
    if unknown := members.keys() - set(_MEMBERS):
        if _DESPITE_RETENTION in unknown:
            raise invalid_field("despiteRetention", "The service keeps no retention of studies: leave it out.")
        raise invalid_field(min(unknown)[:64], "It is not known.")
    issuer, identifier = members.get("issuer"), long_string(members.get("patientid"), "patientId")
    reason = reason_of(members.get("reason"))
    if identifier in reason:
        raise invalid_field("reason", "It names the patient: audit records keep it.")
    return ErasureRequest(Patient(identifier, "" if issuer is None else long_string(issuer, "issuer")), reason)
