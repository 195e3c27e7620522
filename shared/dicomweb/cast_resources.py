"""The rows and the documentation of DICOMcast (dicomcast §5.2, §5.6)."""

from typing import Any, Final

from shared.dicom.media_types import JSON
from shared.dicomweb.documentation import OPERATION_REFERENCE, Documentation, Parameter, Schema, failures
from shared.dicomweb.resource import READ, Resource

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_WHOLE: Final[dict[str, Any]] = {"type": "integer"}


def _object(name: str, example: Any = None, **properties: Any) -> Schema:
    return Schema(name, {"type": "object", "properties": properties}, example)


def _list(name: str, of: Schema) -> Schema:
    return Schema(name, {"type": "array", "items": of.reference}, parts=(of,))


def _query(name: str, text: str, schema: dict[str, Any], example: Any = None) -> Parameter:
    return Parameter(name, "query", text, schema, example)


_PARTITION = _query("partition", "Data partition of the study, where there are several", _TEXT, "Microsoft.Default")
_ERROR: Final = _object(
    "CastError",
    id=_TEXT,
    studyUid=_TEXT,
    partition=_TEXT,
    sequenceFrom=_WHOLE,
    sequenceTo=_WHOLE,
    httpStatus=_WHOLE,
    exception=_TEXT,
    outcome={"type": "object"},
    attempts=_WHOLE,
    createdAt={"type": "string", "format": "date-time"},
    resolvedAt={"type": "string", "format": "date-time"},
    **{"class": {"enum": ["FhirError", "DicomError", "TransientFailure", "note", "TransientRetry"]}},
)
_UNMATCHED: Final = _object(
    "UnmatchedStudy",
    studyUid=_TEXT,
    partition=_TEXT,
    patientId=_TEXT,
    issuer=_TEXT,
    since={"type": "string", "format": "date-time"},
    candidates={"type": "array", "items": {"type": "object"}},
)
_CHOICE: Final = Schema(
    "PatientChoice",
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {"create": {"type": "boolean"}, "reference": {"type": "string"}},
    },
    {"reference": "Patient/x"},
)
_NEW_VERIFICATION: Final = Schema(
    "NewVerification",
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {"repair": {"type": "boolean"}, "since": {"type": "string"}},
    },
    {"repair": False},
)
_CHECKPOINT: Final = Schema(
    "CastCheckpoint",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["sequence"],
        "properties": {"sequence": {"type": "integer", "minimum": 0}},
    },
    {"sequence": 0},
)
_FAILURES: Final = failures(404, 406, 424)


def _told(description: str, schema: Schema | None, *parameters: Parameter, **more: Any) -> Documentation:
    return Documentation(
        description, produces=(JSON,), schema=schema, parameters=parameters, **{"failures": _FAILURES, **more}
    )


STATUS: Final = _told("Checkpoint, lag, studies that wait or are parked, open errors, the circuit.", None)
CHECK: Final = _told("Token, version, transactions and searches of the FHIR server.", None)
RESET: Final = _told(
    "Changes behind that sequence are read again; studies that were written since are left alone.",
    _object("CastReset", {"checkpoint": 0}, checkpoint=_WHOLE),
    consumes=(JSON,),
    body=_CHECKPOINT,
    successes=(202,),
    failures=(*_FAILURES, 413, 415),
)
BACKFILL: Final = _told(
    "Every study that DICOM has is reconciled again. The results of the operation tell how many there are.",
    OPERATION_REFERENCE,
    successes=(202,),
    failures=(*_FAILURES, 409),
)
ERRORS: Final = _told(
    "At most a thousand. May hold patient data.",
    _list("CastErrors", _ERROR),
    _query("class", "Class of the rows", _ERROR.definition["properties"]["class"], "FhirError"),
    _query("since", "Not older than that", {"type": "string", "format": "date-time"}),
    _query("study", "StudyInstanceUID", _TEXT),
)
UNMATCHED: Final = _told("Studies that wait until people choose their Patient.", _list("UnmatchedStudies", _UNMATCHED))
PREVIEW: Final = _told("The transaction that would be sent now. Nothing is written.", None, _PARTITION)
REPLAY_ONE: Final = Documentation("The study is reconciled again.", successes=(202,), failures=_FAILURES)
REPLAY_STUDY: Final = Documentation(
    "The study is reconciled again.", successes=(202,), failures=_FAILURES, parameters=(_PARTITION,)
)
REPLAY: Final = _told(
    "What is parked is tried again.",
    _object("CastReplay", {"studies": 3}, studies=_WHOLE),
    _query("class", "Class of what is parked", {"enum": ["FhirError", "DicomError", "TransientFailure"]}),
    successes=(202,),
)
CONNECT: Final = _told(
    "The choice holds for later studies of the same PatientID too.",
    _object("PatientLink", {"patientLink": "0123456789abcdef"}, patientLink=_TEXT),
    _PARTITION,
    consumes=(JSON,),
    body=_CHOICE,
    successes=(202,),
    failures=(*_FAILURES, 409, 413, 415),
)
DISCONNECT: Final = Documentation("Later studies are searched for again.", successes=(204,), failures=_FAILURES)
VERIFY: Final = _told(
    "FHIR is compared with DICOM, study by study.",
    OPERATION_REFERENCE,
    consumes=(JSON,),
    body=_NEW_VERIFICATION,
    successes=(202,),
    failures=(*_FAILURES, 413, 415),
)
VERIFICATION: Final = _told(
    "The differences that were found.",
    _object("CastDifferences", {"differences": []}, differences={"type": "array", "items": {"type": "object"}}),
)


def _row(name: str, request: str, summary: str, documentation: Documentation) -> Resource:
    method, _, path = request.partition(" ")
    methods, action = (READ, "read") if method == "GET" else ((method,), "write")
    return Resource(name, methods, path, action, f"cast-{action}", summary, documentation, partitioned=False)


ROWS: Final = (
    _row("cast_status", "GET cast/status", "How far DICOMcast is", STATUS),
    _row("cast_check", "GET cast/check", "Whether DICOMcast can use the FHIR server", CHECK),
    _row("cast_reset", "POST cast/reset", "Move the checkpoint of DICOMcast", RESET),
    _row("cast_backfill", "POST cast/backfill", "Reconcile every study", BACKFILL),
    _row("cast_errors", "GET cast/errors", "What DICOMcast could not write", ERRORS),
    _row("cast_unmatched", "GET cast/unmatched", "Studies without a Patient", UNMATCHED),
    _row("cast_preview", "GET cast/studies/{study}/preview", "What DICOMcast would send for a study", PREVIEW),
    _row("cast_replay_error", "POST cast/errors/{error}/replay", "Try the study of an error again", REPLAY_ONE),
    _row("cast_replay_study", "POST cast/studies/{study}/replay", "Reconcile a study again", REPLAY_STUDY),
    _row("cast_replay", "POST cast/replay", "Try everything that is parked again", REPLAY),
    _row("cast_connect", "POST cast/studies/{study}/patient", "Choose the Patient of a study", CONNECT),
    _row("cast_disconnect", "DELETE cast/patient-links/{link}", "Take such a choice back", DISCONNECT),
    _row("cast_verify", "POST cast/verify", "Compare FHIR with DICOM", VERIFY),
    _row("cast_verification", "GET cast/verify/{operation}", "The result of a comparison", VERIFICATION),
)
"""The rows of the table of resources: DICOMcast is of the service as a whole."""
