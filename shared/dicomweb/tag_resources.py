"""The rows and the documentation of extended query tags (azure-apis §3)."""

from typing import Final

from shared.dicom.media_types import JSON
from shared.dicomweb.documentation import (
    OPERATION_REFERENCE,
    REFERENCE,
    UID,
    WHOLE,
    Documentation,
    Schema,
    accept,
    failures,
    query,
)
from shared.dicomweb.query_parameters import MAX_LIMIT
from shared.dicomweb.resource import READ, Resource

_TAG_PATH = {"type": "string", "pattern": "^[0-9A-F]{8}(\\.[0-9A-F]{8})?$"}
_VR = {"type": "string", "pattern": "^[A-Z]{2}$"}
_QUERY_STATUS = {"enum": ["enabled", "disabled"]}
TAG_ENTRY = Schema(
    "ExtendedQueryTag",
    {
        "type": "object",
        "required": ["path", "vr", "level", "status", "queryStatus"],
        "properties": {
            "path": _TAG_PATH,
            "vr": _VR,
            "privateCreator": {"type": "string"},
            "level": {"enum": ["study", "series", "instance"]},
            "status": {"enum": ["adding", "ready"]},
            "queryStatus": _QUERY_STATUS,
            "errors": {
                "type": "object",
                "required": ["count", "href"],
                "properties": {
                    "count": {"type": "integer", "minimum": 1},
                    "href": {"type": "string", "format": "uri"},
                },
            },
            "operation": REFERENCE,
        },
    },
    {"path": "00101010", "vr": "AS", "level": "study", "status": "ready", "queryStatus": "enabled"},
)
TAGS = Schema("ExtendedQueryTags", {"type": "array", "items": TAG_ENTRY.reference}, [TAG_ENTRY.example], (TAG_ENTRY,))
TAG_ERROR = Schema(
    "ExtendedQueryTagError",
    {
        "type": "object",
        "required": ["studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "createdTime", "errorMessage"],
        "properties": {
            "partitionName": {"type": "string"},
            "studyInstanceUid": UID.reference,
            "seriesInstanceUid": UID.reference,
            "sopInstanceUid": UID.reference,
            "createdTime": {"type": "string", "format": "date-time"},
            "errorMessage": {"type": "string", "description": "What is wrong, without the value"},
        },
    },
    {
        "partitionName": "Microsoft.Default",
        "studyInstanceUid": "1.2.826.0.1.3680043.8.498.1",
        "seriesInstanceUid": "1.2.826.0.1.3680043.8.498.2",
        "sopInstanceUid": "1.2.826.0.1.3680043.8.498.3",
        "createdTime": "2026-01-31T09:15:00.123Z",
        "errorMessage": "Not 4 characters long.",
    },
    (UID,),
)
TAG_ERROR_LIST = Schema(
    "ExtendedQueryTagErrors", {"type": "array", "items": TAG_ERROR.reference}, [TAG_ERROR.example], (TAG_ERROR,)
)
NEW_TAGS = Schema(
    "NewExtendedQueryTags",
    {
        "type": "array",
        "minItems": 1,
        "maxItems": 128,
        "items": {
            "type": "object",
            "required": ["path", "level"],
            "properties": {
                "path": {"type": "string"},
                "vr": _VR,
                "privateCreator": {"type": "string", "maxLength": 64},
                "level": {"enum": ["Study", "Series", "Instance"]},
            },
        },
    },
    [{"path": "PatientAge", "level": "Study"}],
)
TAG_CHANGE = Schema(
    "ExtendedQueryTagChange",
    {
        "type": "object",
        "required": ["queryStatus"],
        "properties": {"queryStatus": {"enum": ["Enabled", "Disabled"]}},
        "additionalProperties": False,
    },
    {"queryStatus": "Disabled"},
)

_JSON_WINDOW: Final = (
    query("limit", "The most that are returned", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}, 100),
    query("offset", "The number that are skipped", WHOLE, 0),
    accept(JSON),
)
ADD_TAGS: Final = Documentation(
    "Attributes that searches may use once all that is stored has been indexed by them, which the operation does. All "
    "or none are added.",
    produces=(JSON,),
    consumes=(JSON,),
    body=NEW_TAGS,
    successes=(202,),
    failures=failures(406, 409, 413, 415),
    parameters=(accept(JSON),),
    schema=OPERATION_REFERENCE,
)
TAG_LIST: Final = Documentation(
    "The oldest first.",
    produces=(JSON,),
    failures=failures(406),
    parameters=_JSON_WINDOW,
    schema=TAGS,
)
TAG_ERRORS: Final = Documentation(
    "In the order in which they were found, of instances that are still there. The message does not quote the value.",
    produces=(JSON,),
    failures=failures(404, 406, 413),
    parameters=_JSON_WINDOW,
    schema=TAG_ERROR_LIST,
)
TAG: Final = Documentation(
    "What it is and whether searches may use it.",
    produces=(JSON,),
    failures=failures(404, 406),
    parameters=(accept(JSON),),
    schema=TAG_ENTRY,
)
UPDATE_TAG: Final = Documentation(
    "Searches by a disabled tag are refused.",
    produces=(JSON,),
    consumes=(JSON,),
    body=TAG_CHANGE,
    failures=failures(404, 406, 413, 415),
    parameters=(accept(JSON),),
    schema=TAG_ENTRY,
)
DELETE_TAG: Final = Documentation(
    "The tag is gone at once; what the index holds of it is removed in the background.",
    successes=(204,),
    failures=failures(404),
)


def _tags(name: str, method: str, audit: str, summary: str, documentation: Documentation) -> Resource:
    """The resources of extended query tags (azure-apis §3): all of them, or the one that the path names."""
    methods = READ if method == "GET" else (method,)
    action = "read" if method == "GET" else "manageExtendedQueryTags"
    path = "extendedquerytags" if name.endswith("tags") else "extendedquerytags/{tag}"
    operation = f"{audit}-extended-query-tag"
    if name.endswith("errors"):
        path, operation = f"{path}/errors", f"{operation}-errors"
    return Resource(name, methods, path, action, operation, summary, documentation, partitioned=False)


ROWS: Final = (
    _tags("add_extended_query_tags", "POST", "add", "Add extended query tags", ADD_TAGS),
    _tags("list_extended_query_tags", "GET", "get-all", "List the extended query tags", TAG_LIST),
    _tags("retrieve_extended_query_tag", "GET", "get", "Retrieve an extended query tag", TAG),
    _tags(
        "update_extended_query_tag",
        "PATCH",
        "update",
        "Let searches use an extended query tag, or not",
        UPDATE_TAG,
    ),
    _tags(
        "list_extended_query_tag_errors",
        "GET",
        "get",
        "The values that could not be indexed for an extended query tag",
        TAG_ERRORS,
    ),
    _tags("delete_extended_query_tag", "DELETE", "remove", "Delete an extended query tag", DELETE_TAG),
)
