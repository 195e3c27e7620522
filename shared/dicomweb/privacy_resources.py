"""The rows and the documentation of the transactions about one patient's data (data-safety §6)."""

from typing import Any, Final

from shared.dicom.media_types import CSV, JSON
from shared.dicomweb.documentation import OPERATION_REFERENCE, Documentation, Parameter, Schema, failures
from shared.dicomweb.resource import READ, Resource
from shared.dicomweb.versions import ApiVersion

_LONG_STRING: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 64}
_ERASURE: Final = Schema(
    "PatientErasure",
    {
        "type": "object",
        "required": ["patientId", "reason"],
        "properties": {
            "patientId": _LONG_STRING,
            "issuer": _LONG_STRING,
            "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
        },
        "additionalProperties": False,
    },
    {"patientId": "4711", "issuer": "Hospital", "reason": "Request of 3 March"},
)
_DRY_RUN: Final = Parameter("dryRun", "query", "Only say what would be erased", {"type": "boolean"}, True)
_ERASE: Final = Documentation(
    "Erases all that is stored of a patient in the partition: studies with every version and their files, workitems, "
    "files that wait to be imported or were refused, and what other parts of the service keep of these studies. A "
    "study with instances of somebody else is not touched. It waits until another caller confirms it, unless the "
    "deployment does without. It needs the data actions delete and manageRetention. With dryRun, 200 says what would "
    "be erased.",
    produces=(JSON,),
    consumes=(JSON,),
    body=_ERASURE,
    successes=(200, 202),
    failures=failures(404, 406, 409, 413, 415),
    parameters=(_DRY_RUN,),
)
_CONFIRM: Final = Documentation(
    "Confirms an erasure that somebody else has asked for within seven days: it begins.",
    produces=(JSON,),
    successes=(202,),
    failures=failures(404, 406, 409),
    schema=OPERATION_REFERENCE,
)


def _erasing(name: str, template: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    return Resource(name, ("POST",), template, "delete", audit, summary, documentation, since={"POST": ApiVersion.V2})


_ONE_VALUE: Final[dict[str, Any]] = {"type": "string", "pattern": "^[^\\\\]{1,64}$"}
_DAY: Final[dict[str, Any]] = {"type": "string", "format": "date"}
_REPORT: Final = Documentation(
    "Who did what with which study of a patient, when, and with which outcome, as far as the audit trail tells. It "
    "needs every data action. 404 where the trail is kept in a log that the service does not read.",
    produces=(JSON, CSV),
    failures=failures(404, 406),
    parameters=(
        Parameter("PatientID", "query", "Compared exactly", _ONE_VALUE, "4711", required=True),
        Parameter("issuer", "query", "IssuerOfPatientID", _ONE_VALUE, "Hospital"),
        Parameter("from", "query", "First day; without it 90 days before the last one", _DAY, "2026-01-01"),
        Parameter("to", "query", "Last day; without it today", _DAY, "2026-03-31"),
    ),
)

ROWS: Final = (
    Resource(
        "report_accesses",
        READ,
        "patients/$access-report",
        "manageRetention",
        "access-report",
        "Who did what with the data of a patient",
        _REPORT,
    ),
    _erasing("erase_patient", "patients/$erase", "erase-patient", "Erase a patient", _ERASE),
    _erasing(
        "confirm_erasure",
        "patients/$erase/{operation}/confirm",
        "confirm-erasure",
        "Confirm the erasure of a patient",
        _CONFIRM,
    ),
)
