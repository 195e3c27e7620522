"""The rows and the documentation of the transactions that update studies (azure-apis §6)."""

from typing import Any, Final

from shared.dicom.media_types import DICOM_JSON, JSON
from shared.dicomweb.documentation import DATA_SET, OPERATION_REFERENCE, UID, Documentation, Parameter, Schema, failures
from shared.dicomweb.resource import Resource
from shared.dicomweb.versions import ApiVersion

_UPDATE: Final = Schema(
    "BulkUpdate",
    {
        "type": "object",
        "required": ["studyInstanceUids", "changeDataset"],
        "properties": {
            "studyInstanceUids": {"type": "array", "minItems": 1, "maxItems": 50, "items": UID.reference},
            "changeDataset": {
                "type": "object",
                "minProperties": 1,
                "description": "DICOM JSON; keys are tags or keywords of attributes that can be updated",
                "additionalProperties": {
                    "type": "object",
                    "properties": {"vr": {"type": "string"}, "Value": {"type": "array"}},
                },
            },
        },
    },
    {
        "studyInstanceUids": ["1.2.826.0.1.3680043.8.498.1"],
        "changeDataset": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}},
    },
    (UID,),
)
_FAILED_ATTRIBUTES: Final = Schema(
    "FailedAttributes",
    {"allOf": [DATA_SET.reference], "description": "FailedAttributesSequence, an item for each attribute"},
    {
        "00741048": {
            "vr": "SQ",
            "Value": [
                {
                    "00000902": {
                        "vr": "LO",
                        "Value": ["DICOM100: (0020,000d) - Updating the tag is not supported"],
                    }
                }
            ],
        }
    },
    (DATA_SET,),
)

_BULK_UPDATE: Final = Documentation(
    "Gives every instance of the studies a new version with the attributes changed; all else stays as it is. The "
    "version that was stored is kept and sent to who asks for it with msdicom-request-original.",
    produces=(JSON,),
    consumes=(JSON,),
    body=_UPDATE,
    successes=(202,),
    failures=failures(404, 406, 409, 413, 415),
    failure_bodies=((400, DICOM_JSON, _FAILED_ATTRIBUTES),),
    schema=OPERATION_REFERENCE,
)

_PATIENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["patientId"],
    "properties": {
        "patientId": {"type": "string", "minLength": 1, "maxLength": 64},
        "issuer": {"type": "string", "maxLength": 64},
    },
}
_TARGET: Final[dict[str, Any]] = {
    **_PATIENT,
    "properties": {
        **_PATIENT["properties"],
        "attributes": {"type": "object", "description": "DICOM JSON: attributes of the patient"},
    },
}
_REASON = {"type": "string", "minLength": 1, "maxLength": 1024}
_JANE = {"patientId": "4712", "attributes": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}}
_DRY_RUN: Final = Parameter("dryRun", "query", "Only say what would be done", {"type": "boolean"}, True)


def _merging(description: str, body: Schema) -> Documentation:
    return Documentation(
        f"{description} The version that was stored is kept. With dryRun, 200 says what would be done.",
        produces=(JSON,),
        consumes=(JSON,),
        body=body,
        successes=(200, 202),
        failures=failures(406, 409, 413, 415),
        failure_bodies=((400, DICOM_JSON, _FAILED_ATTRIBUTES),),
        parameters=(_DRY_RUN,),
    )


MERGE: Final = _merging(
    "Gives all studies of one patient in the partition to another one.",
    Schema(
        "PatientMerge",
        {
            "type": "object",
            "required": ["source", "target", "reason"],
            "properties": {"source": _PATIENT, "target": _TARGET, "reason": _REASON},
            "additionalProperties": False,
        },
        {"source": {"patientId": "4711"}, "target": _JANE, "reason": "Registered twice"},
    ),
)
MOVE: Final = _merging(
    "Gives a study to another patient, or series of a study to another study of the same patient. Series, and their "
    "instances, get new UIDs then; what they were is deleted.",
    Schema(
        "StudyMove",
        {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["studyInstanceUid", "patient", "reason"],
                    "properties": {"studyInstanceUid": UID.reference, "patient": _TARGET, "reason": _REASON},
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "required": ["studyInstanceUid", "seriesInstanceUids", "targetStudyInstanceUid", "reason"],
                    "properties": {
                        "studyInstanceUid": UID.reference,
                        "seriesInstanceUids": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 200,
                            "uniqueItems": True,
                            "items": UID.reference,
                        },
                        "targetStudyInstanceUid": UID.reference,
                        "reason": _REASON,
                    },
                    "additionalProperties": False,
                },
            ]
        },
        {"studyInstanceUid": "1.2.826.0.1.3680043.8.498.1", "patient": _JANE, "reason": "Wrong patient chosen"},
        (UID,),
    ),
)

_REVERT: Final = Documentation(
    "Undoes what the operation has done: every instance whose current version it has written goes back to what it was "
    "before, as a new version. The results list those that do not.",
    produces=(JSON,),
    successes=(202,),
    failures=failures(400, 404, 406, 409),
    schema=OPERATION_REFERENCE,
)


def _update(name: str, template: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """Operations that give instances new versions (azure-apis §6, data-safety §8)."""
    return Resource(name, ("POST",), template, "write", audit, summary, documentation, since={"POST": ApiVersion.V2})


BULK_UPDATE: Final = _update(
    "bulk_update_studies", "studies/$bulkUpdate", "update-study", "Change attributes of studies", _BULK_UPDATE
)
ROWS: Final = (
    BULK_UPDATE,
    _update("merge_patients", "patients/$merge", "merge-patients", "Merge patients", MERGE),
    _update("move_study", "studies/$move", "move-study", "Move a study to another patient, or series", MOVE),
    _update("revert_merge", "patients/$merge/{operation}/$revert", "revert-merge", "Undo a patient merge", _REVERT),
    _update("revert_move", "studies/$move/{operation}/$revert", "revert-move", "Undo a move", _REVERT),
)
