"""data-safety §8 Requests to merge patients and to move studies. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.dicom.identifiers import is_uid, trim_uid
from shared.dicomweb.json_input import with_tags
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, InvalidUid
from shared.http.json_body import MALFORMED, WHERE, invalid_field, lower_members
from shared.http.messages import Request
from shared.index_schema.indexed_attributes import PATIENT_ID
from shared.study_updates.allowed_attributes import NOT_SUPPORTED, objection
from shared.study_updates.patients import ISSUER, Patient
from shared.study_updates.refusal import InvalidAttributes
from shared.study_updates.request_fields import PatientRequest, long_string, patient_request, reason_of

_LARGEST_BODY: Final = 256 * 1024
_MOST_SERIES: Final = 200
"""Series of one request."""
_PATIENT_GROUP: Final = "0010"


@dataclass(frozen=True, slots=True)
class Target:
    """The patient that studies are given to."""

    patient: Patient
    values: Mapping[str, Sequence[object]]
    """The attributes that the request names, by tag."""


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """All studies of one patient are given to another one."""

    source: Patient
    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """One study is given to another patient."""

    study: str
    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class SeriesMoveRequest:
    """Series of one study move into another one of the same patient."""

    study: str
    series: Sequence[str]
    target: str
    reason: str


def parse(request: Request, _version: ApiVersion) -> PatientRequest:
    """Raises InvalidRequest, UnsupportedMedia."""
    return patient_request(request, most=_LARGEST_BODY)


def merge_request(document: Any) -> MergeRequest | InvalidAttributes:
    """The request in a body (MRG-1, MRG-8). Raises InvalidRequest."""
    members = _members(document, ("source", "target", "reason"))
    source = _patient(members.get("source"), "source", ("patientId", "issuer"))
    target = _target(members.get("target"), "target")
    reason = reason_of(members.get("reason"))
    if isinstance(target, InvalidAttributes):
        return target
    if source == target.patient:
        raise InvalidRequest("Source and target are the same patient.", where=WHERE)
    return MergeRequest(source, target, reason)


def move_request(document: Any) -> MoveRequest | SeriesMoveRequest | InvalidAttributes:
    """The request in a body (MRG-2, MRG-3). Raises InvalidRequest."""
    if isinstance(document, dict) and any(str(name).lower() == "seriesinstanceuids" for name in document):
        return _series_move_request(document)
    members = _members(document, ("studyInstanceUid", "patient", "reason"))
    study = _uid(members, "studyInstanceUid")
    target = _target(members.get("patient"), "patient")
    reason = reason_of(members.get("reason"))
    return target if isinstance(target, InvalidAttributes) else MoveRequest(study, target, reason)


def _series_move_request(document: Any) -> SeriesMoveRequest:
    members = _members(document, ("studyInstanceUid", "seriesInstanceUids", "targetStudyInstanceUid", "reason"))
    series = members["seriesinstanceuids"]
    if not isinstance(series, list) or not 1 <= len(series) <= _MOST_SERIES:
        raise invalid_field("seriesInstanceUids", f"It is required, as a list of 1 to {_MOST_SERIES} UIDs.")
    uids = [_uid({"seriesinstanceuids": each}, "seriesInstanceUids") for each in series]
    if len(set(uids)) < len(uids):
        raise invalid_field("seriesInstanceUids", "It names a series twice.")
    study, target = _uid(members, "studyInstanceUid"), _uid(members, "targetStudyInstanceUid")
    if study == target:
        raise InvalidRequest("The series are in the target study already.", where=WHERE)
    return SeriesMoveRequest(study, uids, target, reason_of(members.get("reason")))


def _uid(members: Mapping[str, Any], name: str) -> str:
    uid = members.get(name.lower())
    if not isinstance(uid, str) or not is_uid(uid):
        raise InvalidUid(f"{name} of the request has no valid UID.", where=f"{WHERE}, {name}")
    return trim_uid(uid)


def _members(value: Any, names: Sequence[str], path: str = "") -> dict[str, Any]:
    """The members of an object, by their names in lower case. One that is not known is refused."""
    if not isinstance(value, dict):
        raise invalid_field(path, "It is required, as an object.") if path else InvalidRequest(MALFORMED, where=WHERE)
    members = lower_members(value, path)
    if unknown := members.keys() - {name.lower() for name in names}:
        raise invalid_field(f"{path}.{min(unknown)[:64]}".strip("."), "It is not known.")
    return members


def _patient(value: Any, path: str, names: Sequence[str]) -> Patient:
    members = _members(value, names, path)
    identifier = long_string(members.get("patientid"), f"{path}.patientId")
    issuer = members.get("issuer")
    return Patient(identifier, "" if issuer is None else long_string(issuer, f"{path}.issuer"))


def _target(value: Any, path: str) -> Target | InvalidAttributes:
    patient = _patient(value, path, ("patientId", "issuer", "attributes"))
    attributes = lower_members(value, path).get("attributes") or {}
    if not isinstance(attributes, dict):
        raise invalid_field(f"{path}.attributes", "It must be a data set.")
    elements = with_tags(attributes)
    reasons = {key: reason for key, element in elements.items() if (reason := _objection(key, element))}
    if reasons:
        return InvalidAttributes(reasons)
    return Target(patient, {key: element.get("Value", []) for key, element in elements.items()})


def _objection(key: str, element: Any) -> str | None:
    """Those of a study cannot be given, and the identifier has a place of its own."""
    if not key.startswith(_PATIENT_GROUP) or key in {PATIENT_ID, ISSUER}:
        return NOT_SUPPORTED
    return objection(key, element)
