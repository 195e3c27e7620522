"""The rows and the documentation of labels (exchange §5)."""

from typing import Final

from shared.dicom.media_types import JSON
from shared.dicomweb.documentation import UID, Documentation, Schema, accept, failures, query
from shared.dicomweb.query_parameters import MAX_LIMIT
from shared.dicomweb.resource import READ, Resource
from shared.dicomweb.versions import ApiVersion

_LABEL: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "description": "Letters, digits, space and -_.: without regard to case",
}
_LIST: Final = {"type": "array", "maxItems": 50, "items": _LABEL}
_OF_STUDY: Final = "studies/{study}/labels"

CHANGE: Final = Schema(
    "LabelChange",
    {"type": "object", "additionalProperties": False, "properties": {"add": _LIST, "remove": _LIST}},
    {"add": ["tumour board"], "remove": ["to read"]},
)
STUDY_LABELS: Final = Schema(
    "StudyLabels",
    {"type": "object", "required": ["labels"], "properties": {"labels": _LIST}},
    {"labels": ["tumour board"]},
)
LABELS: Final = Schema(
    "Labels",
    {
        "type": "array",
        "items": {
            "anyOf": [
                {
                    "type": "object",
                    "required": ["label", "studies"],
                    "properties": {
                        "label": _LABEL,
                        "studies": {"type": "integer", "minimum": 1},
                        "more": {"const": True, "description": "More studies have it than were counted"},
                    },
                },
                {
                    "type": "object",
                    "required": ["studyInstanceUid", "labels"],
                    "properties": {"studyInstanceUid": UID.reference, "labels": _LIST},
                },
            ]
        },
    },
    [{"label": "tumour board", "studies": 12}],
    (UID,),
)

UPDATE: Final = Documentation(
    "Adding a label that the study has, and removing one that it has not, are no errors. No file, no metadata and no "
    "watermark change, and there is no entry in the change feed.",
    produces=(JSON,),
    consumes=(JSON,),
    body=CHANGE,
    failures=failures(404, 406, 413, 415),
    parameters=(accept(JSON),),
    schema=STUDY_LABELS,
)
RETRIEVE: Final = Documentation(
    "In the order in which the study got them.",
    produces=(JSON,),
    failures=failures(404, 406),
    parameters=(accept(JSON),),
    schema=STUDY_LABELS,
)
LIST: Final = Documentation(
    "The labels in use, with the number of studies; or, with `StudyInstanceUID`, those of these studies.",
    produces=(JSON,),
    failures=failures(406, 414),
    parameters=(
        query(
            "StudyInstanceUID",
            "Studies whose labels are asked for, separated by commas or repeated",
            {"type": "array", "maxItems": MAX_LIMIT, "items": UID.definition},
            ["1.2.826.0.1.3680043.8.498.1"],
        ),
        accept(JSON),
    ),
    schema=LABELS,
)


def _labels(name: str, request: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """`request` is method and path."""
    method, _, path = request.partition(" ")
    methods, action = (READ, "read") if method == "GET" else ((method,), "write")
    since = dict.fromkeys(methods, ApiVersion.V2)
    return Resource(name, methods, path, action, audit, summary, documentation, since=since)


ROWS: Final = (
    _labels("update_study_labels", f"PATCH {_OF_STUDY}", "update-labels", "Add and remove labels of a study", UPDATE),
    _labels("retrieve_study_labels", f"GET {_OF_STUDY}", "retrieve-labels", "The labels of a study", RETRIEVE),
    _labels("list_labels", "GET labels", "list-labels", "The labels in use, or those of studies", LIST),
)
