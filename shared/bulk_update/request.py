"""azure-apis §6.1 Requests to update studies. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.dicom.identifiers import is_uid, trim_uid
from shared.dicomweb.json_input import with_tags
from shared.errors import InvalidRequest, InvalidUid
from shared.http.json_body import MALFORMED, WHERE, lower_members
from shared.study_updates.allowed_attributes import objection
from shared.study_updates.refusal import InvalidAttributes

MOST_STUDIES: Final = 50
_REMEDY: Final = 'Send {"studyInstanceUids": [UID], "changeDataset": {"00100010": {"vr": "PN", "Value": […]}}}.'


@dataclass(frozen=True, slots=True)
class BulkUpdateRequest:
    """The studies that are to be updated, and their new values."""

    studies: Sequence[str]
    values: Mapping[str, Sequence[object]]
    """New values by tag (8 hex digits), in the DICOM JSON model."""


def bulk_update(document: Any) -> BulkUpdateRequest | InvalidAttributes:
    """The request in a body. Raises InvalidRequest (UPD-4 to UPD-6, UPD-10)."""
    if not isinstance(document, dict):
        raise InvalidRequest(MALFORMED, where=WHERE, remedy=_REMEDY)
    fields = lower_members(document)
    studies = _studies(fields.get("studyinstanceuids"))
    data_set = fields.get("changedataset")
    if not isinstance(data_set, dict) or not data_set:
        raise InvalidRequest("The required field 'ChangeDataset' is missing or empty.", where=WHERE, remedy=_REMEDY)
    elements = with_tags(data_set)
    objections = {key: objection(key, element) for key, element in elements.items()}
    reasons = {key: reason for key, reason in objections.items() if reason is not None}
    if reasons:
        return InvalidAttributes(reasons)
    return BulkUpdateRequest(studies, {key: element.get("Value", []) for key, element in elements.items()})


def _studies(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise InvalidRequest("The required field 'StudyInstanceUids' is missing or empty.", where=WHERE, remedy=_REMEDY)
    if len(value) > MOST_STUDIES:
        raise InvalidRequest(
            f"StudyInstanceUids count exceeded maximum length '{MOST_STUDIES}'",
            where=WHERE,
            remedy="Send several requests, each when the operation before has ended.",
        )
    if not all(isinstance(uid, str) and is_uid(uid) for uid in value):
        raise InvalidUid("A StudyInstanceUID of the request is not a valid UID.", where=f"{WHERE}, studyInstanceUids")
    return list(dict.fromkeys(map(trim_uid, value)))
