"""The resources of feedback (cohorts §8.6, §8.9, §8.10)."""

from typing import Final

from shared.dicom.media_types import CSV, FHIR_JSON, JSON, NDJSON
from shared.dicomweb.cohort_resources import cohort_row
from shared.dicomweb.documentation import Documentation, Parameter, Schema, failures

_DAY: Final = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
_REFERENCE: Final = {"type": "string", "pattern": "^([A-Z][A-Za-z]{1,63}/)?[A-Za-z0-9.\\-]{1,64}$"}
_SINCE: Final = Parameter("since", "query", "Leave out what is earlier than that day", _DAY, "2026-01-01")
_READ_FAILURES: Final = failures(404, 406, 424)
_FAILURES: Final = failures(404, 406, 413, 415, 424)
_COUNT: Final = {"type": "integer", "minimum": 0}

READER_BODY: Final = Schema(
    "ReaderOfFeedback",
    {
        "type": "object",
        "required": ["practitioner"],
        "additionalProperties": False,
        "properties": {"practitioner": _REFERENCE, "since": _DAY},
    },
    {"practitioner": "Practitioner/tele-1", "since": "2026-01-01"},
)
DELIVERY: Final = Schema(
    "DeliveredFeedback",
    {
        "type": "object",
        "required": ["delivered", "existing"],
        "properties": {"delivered": _COUNT, "existing": _COUNT},
    },
    {"delivered": 2, "existing": 0},
)
ASSESSMENT: Final = Schema(
    "Assessment",
    {
        "type": "object",
        "required": ["report", "outcome", "agreement", "comment"],
        "additionalProperties": False,
        "properties": {
            "report": _REFERENCE,
            "outcome": _REFERENCE,
            "agreement": {"enum": ["concordant", "minor", "major", "unknown"]},
            "comment": {"type": "string", "maxLength": 4000},
        },
    },
    {
        "report": "DiagnosticReport/rep-1",
        "outcome": "Procedure/biopsy-1",
        "agreement": "concordant",
        "comment": "Seen and named.",
    },
)
KEPT: Final = Schema(
    "KeptAssessment",
    {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
    {"id": "Observation/4711"},
)

READER: Final = Documentation(
    "The reports of a reader, each with what is known of the patient afterwards: pathology, procedures, diagnoses that "
    "were confirmed or refuted, later reports of the same region; linked by reference, by body site or by time.",
    produces=(JSON, CSV, FHIR_JSON),
    failures=_READ_FAILURES,
    parameters=(
        Parameter("practitioner", "query", "Id of a Practitioner, or a reference", _REFERENCE, "tele-1", required=True),
        _SINCE,
    ),
)
DELIVER: Final = Documentation(
    "Each outcome of a reader's reports becomes one FHIR Communication to the reader; one that is there already stays.",
    produces=(JSON,),
    consumes=(JSON,),
    body=READER_BODY,
    failures=_FAILURES,
    schema=DELIVERY,
)
ASSESS: Final = Documentation(
    "How well a report and an outcome agree is kept as a FHIR Observation about the report.",
    produces=(JSON,),
    consumes=(JSON,),
    body=ASSESSMENT,
    successes=(201,),
    failures=_FAILURES,
    schema=KEPT,
)
MODEL: Final = Documentation(
    "The predictions of a model, each with the outcome that the settings pair it with: one JSON document on each line, "
    "at last a summary for each version. `next` of the last one is the token for what follows.",
    produces=(NDJSON, CSV, FHIR_JSON),
    failures=_READ_FAILURES,
    parameters=(
        Parameter(
            "device",
            "query",
            "Device name of the model",
            {"type": "string", "minLength": 1},
            "StentPlanner",
            required=True,
        ),
        _SINCE,
        Parameter("after", "query", "Token of an earlier answer", {"type": "string"}, "WyIyMDI2LTAzLTA1IiwicCJd"),
    ),
)

_FEEDBACK: Final = ("feedback", "feedback")
ROWS: Final = (
    cohort_row(
        "retrieve_reader_feedback",
        "GET feedback/reader",
        _FEEDBACK,
        "What became of the reads of a reader",
        READER,
    ),
    cohort_row(
        "deliver_reader_feedback",
        "POST feedback/reader/deliver",
        _FEEDBACK,
        "Tell a reader what became of the reads",
        DELIVER,
    ),
    cohort_row("store_feedback", "POST feedback", _FEEDBACK, "Keep how a report and an outcome agree", ASSESS),
    cohort_row(
        "retrieve_model_feedback",
        "GET feedback/model",
        _FEEDBACK,
        "The predictions of a model with their outcomes",
        MODEL,
    ),
)
