"""The rows and the documentation of cohorts, timelines and similar patients (cohorts §8)."""

from typing import Final

from shared.dicom.media_types import ANY, FHIR_JSON, HTML, JSON, YAML
from shared.dicomweb.documentation import (
    OPERATION_REFERENCE,
    Documentation,
    Parameter,
    Schema,
    failures,
)
from shared.dicomweb.resource import READ, Resource
from shared.dicomweb.versions import ApiVersion

_ACCEPT: Final = Parameter(
    "accept",
    "query",
    "The media type of the answer, instead of the Accept header",
    {"type": "string", "enum": [JSON, ANY]},
    JSON,
)
_DAY: Final = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
_FAILURES: Final = failures(404, 406, 413, 415, 424)
_READ_FAILURES: Final = failures(404, 406, 424)

DEFINITION: Final = Schema(
    "CohortDefinition",
    {
        "type": "object",
        "description": "A cohort definition; its whole schema is shipped as cohort-definition.schema.json",
        "required": ["version"],
        "properties": {"version": {"const": 1}, "asOf": _DAY},
    },
    {
        "version": 1,
        "patient": {"age": {"gt": 45}},
        "conditions": [{"code": {"valueSet": "osteosarcoma"}, "when": {"within": "P2Y"}}],
        "imaging": {"modality": ["CT"]},
        "collect": {"studies": "matching", "reports": {}, "medications": {}},
    },
)
QUESTION: Final = Schema(
    "Question",
    {
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 2000}, "asOf": _DAY},
    },
    {"text": "CT scans of women over 60 with osteosarcoma"},
)
AS_OF: Final = Schema("DayOfComparison", {"type": "object", "properties": {"asOf": _DAY}}, {"asOf": "2026-06-30"})

RUN: Final = Documentation(
    "The patients whom a definition describes are found on the FHIR server; the operation tells how far it is, and the "
    "cohort has its id. With `explain=true` nothing is run, and the searches are answered.",
    produces=(JSON,),
    consumes=(JSON, YAML),
    body=DEFINITION,
    successes=(202, 200),
    failures=_FAILURES,
    parameters=(
        _ACCEPT,
        Parameter("explain", "query", "Answer the searches, and run none", {"type": "boolean"}, True),
    ),
    schema=OPERATION_REFERENCE,
)
LIST: Final = Documentation(
    "Every cohort, the newest first.", produces=(JSON,), failures=failures(404, 406), parameters=(_ACCEPT,)
)
RETRIEVE: Final = Documentation(
    "A cohort: its definition, its state and its counts.",
    produces=(JSON,),
    failures=failures(404, 406),
    parameters=(_ACCEPT,),
)
MANIFEST: Final = Documentation(
    "The members with their evidence, studies, reports and medications, and who could not be decided. A caller without "
    "the data action cohortIdentified sees pseudonyms, and no dates, UIDs and addresses.",
    produces=(JSON,),
    failures=failures(404, 406, 409, 424),
    parameters=(
        _ACCEPT,
        Parameter("files", "query", "List the instances of each study", {"type": "boolean"}, True),
    ),
)
EXPORT: Final = Documentation(
    "The files of the studies of a cohort, its manifest, tables and FHIR resources are copied into a container, "
    "de-identified unless the body says `identified`, which needs the data action cohortIdentified.",
    produces=(JSON,),
    consumes=(JSON,),
    body=Schema(
        "CohortExport",
        {
            "type": "object",
            "required": ["destination"],
            "additionalProperties": False,
            "properties": {
                "destination": {"type": "object", "description": "As in an export of instances"},
                "identified": {"type": "boolean"},
                "files": {"type": "boolean", "description": "List the files in manifest.json"},
                "freeText": {"enum": ["drop", "keep"]},
            },
        },
        {
            "destination": {
                "type": "azureBlob",
                "settings": {
                    "blobContainerUri": "https://research.blob.core.windows.net/trial-7",
                    "useManagedIdentity": True,
                },
            },
            "files": True,
        },
    ),
    successes=(202,),
    failures=failures(404, 406, 409, 413, 415, 424),
    parameters=(_ACCEPT,),
    schema=OPERATION_REFERENCE,
)
DELETE: Final = Documentation("A cohort and its manifest are removed.", successes=(204,), failures=failures(404))
TRANSLATE: Final = Documentation(
    "A question in natural language becomes a definition: 200 with the definition, or with the words that were not "
    "understood; 409 with every reading where there are several. Nothing is run.",
    produces=(JSON,),
    consumes=(JSON,),
    body=QUESTION,
    failures=_FAILURES,
    failure_bodies=((409, JSON, Schema("Readings", {"type": "object", "required": ["readings"]})),),
    parameters=(_ACCEPT,),
)
TIMELINE: Final = Documentation(
    "What happened to a patient, newest first, with links to images and reports.",
    produces=(JSON, FHIR_JSON, HTML),
    failures=_READ_FAILURES,
    parameters=(
        Parameter("asOf", "query", "Leave out what is later than that day", _DAY, "2026-06-30"),
        Parameter(
            "forStudy",
            "query",
            "StudyInstanceUID of the study whose priors come first",
            {"type": "string", "pattern": "^[0-9.]{1,64}$"},
            "1.2.826.0.1.3680043.8.498.1",
        ),
    ),
)
SIMILAR: Final = Documentation(
    "Patients who have a diagnosis in common with a patient, by a score whose parts are answered. A caller without the "
    "data action cohortIdentified sees pseudonyms, and of fewer than five patients only their number.",
    produces=(JSON,),
    consumes=(JSON,),
    body=AS_OF,
    failures=_FAILURES,
    parameters=(_ACCEPT,),
)


def cohort_row(
    name: str, request: str, access: tuple[str, str], summary: str, documentation: Documentation
) -> Resource:
    """A resource from version 2 on, of no partition, and with what a caller may see. `access` is the data action and
    the operation of the audit records.
    """
    method, _, path = request.partition(" ")
    methods = READ if method == "GET" else (method,)
    return Resource(
        name,
        methods,
        path,
        *access,
        summary,
        documentation,
        partitioned=False,
        shows_own_part=True,
        since=dict.fromkeys(methods, ApiVersion.V2),
    )


_COHORT: Final = ("cohort", "cohort")
ROWS: Final = (
    cohort_row("run_cohort", "POST cohorts", _COHORT, "Find the patients of a definition", RUN),
    cohort_row("list_cohorts", "GET cohorts", _COHORT, "List the cohorts", LIST),
    cohort_row("retrieve_cohort", "GET cohorts/{cohort}", _COHORT, "The state of a cohort", RETRIEVE),
    cohort_row(
        "retrieve_cohort_manifest", "GET cohorts/{cohort}/manifest", _COHORT, "The members of a cohort", MANIFEST
    ),
    cohort_row("export_cohort", "POST cohorts/{cohort}/export", ("cohort", "cohort-export"), "Export a cohort", EXPORT),
    cohort_row("delete_cohort", "DELETE cohorts/{cohort}", _COHORT, "Delete a cohort", DELETE),
    cohort_row("translate_question", "POST cohorts/translate", _COHORT, "Translate a question", TRANSLATE),
    cohort_row(
        "retrieve_timeline",
        "GET fhir-patients/{patient}/timeline",
        ("cohortIdentified", "timeline"),
        "What happened to a patient",
        TIMELINE,
    ),
    cohort_row(
        "find_similar_patients",
        "POST fhir-patients/{patient}/similar",
        ("cohort", "similar-patients"),
        "Patients who are like a patient",
        SIMILAR,
    ),
)
