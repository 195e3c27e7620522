"""The documentation of a transaction: the values that the OpenAPI, WADL and conformance documents are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shared.dicom.media_types import ANY
from shared.dicomweb.query_parameters import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET
from shared.dicomweb.versions import ApiVersion


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A variable segment of a route template."""

    text: str
    schema: Mapping[str, Any]
    example: str
    uid: str = ""
    """Keyword of the UID that the segment holds: the boundary checks and trims it. Empty: it is no UID."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or request header. `schema` is its JSON Schema."""

    name: str
    place: Literal["query", "header"]
    text: str
    schema: Mapping[str, Any]
    example: Any = None
    required: bool = False
    only: ApiVersion | None = None
    """The only version that has the parameter; None: every version has it."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A named JSON Schema of bodies, with an example. What its `$ref`s name is in `parts`."""

    name: str
    definition: Mapping[str, Any]
    example: Any = None
    parts: tuple["Schema", ...] = ()

    @property
    def reference(self) -> dict[str, str]:
        """The schema as a part of another one."""
        return {"$ref": f"#/components/schemas/{self.name}"}


@dataclass(frozen=True, slots=True)
class Documentation:
    """The input and the output of a transaction."""

    description: str
    produces: tuple[str, ...] = ()
    """Media types of successful answers."""
    consumes: tuple[str, ...] = ()
    """Media types of request bodies."""
    body: Schema | None = None
    """Of JSON request bodies; None: bytes."""
    successes: tuple[int, ...] = (200,)
    failures: tuple[int, ...] = ()
    failure_bodies: tuple[tuple[int, str, Schema], ...] = ()
    """Those that have another body than a text: status, media type, schema."""
    parameters: tuple[Parameter, ...] = ()
    schema: Schema | None = None
    """Of JSON bodies of successful answers; None: any object."""

    def parameters_in(self, version: ApiVersion) -> tuple[Parameter, ...]:
        """The parameters that `version` has."""
        return tuple(each for each in self.parameters if each.only in {None, version})


# -------------------------------------------------------------------------------------------------------- parameters


def query(name: str, text: str, schema: Mapping[str, Any], example: Any = None, **more: Any) -> Parameter:
    """A query parameter."""
    return Parameter(name, "query", text, schema, example, **more)


def accept(*media_types: str) -> Parameter:
    """The query parameter that stands for the Accept header (ACC-6)."""
    schema = {"type": "string", "enum": [*media_types, ANY]}
    return query("accept", "The media type of the answer, instead of the Accept header", schema, media_types[0])


def failures(*own: int) -> tuple[int, ...]:
    """The failures of a transaction that needs a data action, with its own."""
    return tuple(sorted({400, 401, 403, 429, 503, *own}))


PRINTABLE = "^[^\\x00-\\x1f\\x7f<]*$"
WHOLE = {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}
FLAG = {"type": "boolean", "default": False}
MATCHING: tuple[Parameter, ...] = (
    query(
        "limit",
        "The number of results",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        25,
    ),
    query("offset", "The number of results to skip", WHOLE),
    query("fuzzymatching", "Person names are matched by the beginnings of their words", FLAG),
)
"""The parameters of a search that do not match."""


# ----------------------------------------------------------------------------------------------------------- schemas

UID = Schema("Uid", {"type": "string", "pattern": "^[0-9.]{0,63}[0-9]$"})
PROBLEM = Schema(
    "Problem",
    {
        "type": "object",
        "description": "Problem details (RFC 9457), for clients that accept application/problem+json",
        "required": ["type", "title", "status", "detail", "where", "remedy", "requestId"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong"},
            "where": {"type": "string", "description": "The part of the request that it is about"},
            "remedy": {"type": "string", "description": "What to do"},
            "requestId": {"type": "string", "description": "That of the header X-Request-Id"},
        },
    },
    {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200.",
        "where": "query parameter Limit",
        "remedy": "Correct the parameter or leave it out.",
        "requestId": "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
    },
)
PROBLEM_TEXT = (
    "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200.\n"
    "Where: query parameter Limit\n"
    "What to do: Correct the parameter or leave it out.\n"
    "Request id: 9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e\n"
)
"""The same as text."""
DATA_SET = Schema(
    "DataSet",
    {
        "type": "object",
        "description": "A data set as DICOM JSON (PS3.18 Annex F)",
        "patternProperties": {"^[0-9A-F]{8}$": {"type": "object", "required": ["vr"]}},
        "additionalProperties": False,
    },
    {"0020000D": {"vr": "UI", "Value": ["1.2.826.0.1.3680043.8.498.1"]}},
)
DATA_SETS = Schema(
    "DataSets",
    {"type": "array", "items": DATA_SET.reference},
    [
        {
            "00080020": {"vr": "DA", "Value": ["20260131"]},
            "00100020": {"vr": "LO", "Value": ["4711"]},
            "0020000D": {"vr": "UI", "Value": ["1.2.826.0.1.3680043.8.498.1"]},
        }
    ],
    (DATA_SET,),
)
STORED = Schema(
    "StoreInstancesResponse",
    {"allOf": [DATA_SET.reference], "description": "Store Instances Response (PS3.18 Annex I.2)"},
    {
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
                    "00081155": {"vr": "UI", "Value": ["1.2.826.0.1.3680043.8.498.3"]},
                }
            ],
        }
    },
    (DATA_SET,),
)
HEALTH = Schema(
    "Health",
    {
        "type": "object",
        "required": ["overallStatus", "details"],
        "properties": {
            "overallStatus": {"enum": ["Healthy", "Degraded", "Unhealthy"]},
            "details": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "status", "description"],
                    "properties": {
                        "name": {"type": "string"},
                        "status": {"enum": ["Healthy", "Degraded", "Unhealthy"]},
                        "description": {"type": "string"},
                    },
                },
            },
        },
    },
    {"overallStatus": "Healthy", "details": [{"name": "index", "status": "Healthy", "description": ""}]},
)
CHANGE = Schema(
    "ChangeFeedEntry",
    {
        "type": "object",
        "required": [
            "sequence",
            "partitionName",
            "studyInstanceUid",
            "seriesInstanceUid",
            "sopInstanceUid",
            "action",
            "timestamp",
            "state",
        ],
        "properties": {
            "sequence": {"type": "integer", "format": "int64", "minimum": 1},
            "partitionName": {"type": "string"},
            "studyInstanceUid": UID.reference,
            "seriesInstanceUid": UID.reference,
            "sopInstanceUid": UID.reference,
            "action": {"enum": ["Create", "Update", "Delete"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "state": {"enum": ["Current", "Replaced", "Deleted"]},
            "metadata": DATA_SET.reference,
        },
    },
    {
        "sequence": 17,
        "partitionName": "Microsoft.Default",
        "studyInstanceUid": "1.2.826.0.1.3680043.8.498.1",
        "seriesInstanceUid": "1.2.826.0.1.3680043.8.498.2",
        "sopInstanceUid": "1.2.826.0.1.3680043.8.498.3",
        "action": "Create",
        "timestamp": "2026-01-31T12:00:00.000000+00:00",
        "state": "Current",
    },
    (UID, DATA_SET),
)
CHANGES = Schema("ChangeFeed", {"type": "array", "items": CHANGE.reference}, [CHANGE.example], (CHANGE,))
OPERATION = Schema(
    "Operation",
    {
        "type": "object",
        "required": ["operationId", "type", "createdTime", "lastUpdatedTime", "status", "resources"],
        "properties": {
            "operationId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "type": {
                "enum": [
                    "reindex",
                    "export",
                    "update",
                    "merge",
                    "move",
                    "erase",
                    "cohort",
                    "cast-verify",
                    "cast-backfill",
                    "rebuild",
                ]
            },
            "createdTime": {"type": "string", "format": "date-time"},
            "lastUpdatedTime": {"type": "string", "format": "date-time"},
            "status": {
                "enum": ["notStarted", "running", "completed", "succeeded", "failed", "canceled", "paused", "unknown"]
            },
            "percentComplete": {"type": "integer", "minimum": 0, "maximum": 100},
            "resources": {"type": "array", "items": {"type": "string", "format": "uri"}},
            "results": {"type": "object"},
        },
    },
    {
        "operationId": "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
        "type": "reindex",
        "createdTime": "2026-01-31T12:00:00Z",
        "lastUpdatedTime": "2026-01-31T12:05:00Z",
        "status": "running",
        "percentComplete": 40,
        "resources": [],
    },
)
OPERATIONS = Schema("Operations", {"type": "array", "items": OPERATION.reference}, parts=(OPERATION,))
PARTITIONS = Schema(
    "Partitions",
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["partitionKey", "partitionName", "createdDate"],
            "properties": {
                "partitionKey": {"type": "integer"},
                "partitionName": {"type": "string"},
                "createdDate": {"type": "string", "format": "date-time"},
            },
        },
    },
    [{"partitionKey": 1, "partitionName": "Microsoft.Default", "createdDate": "2026-01-31T12:00:00Z"}],
)

REFERENCE = {
    "type": "object",
    "required": ["id", "href"],
    "properties": {"id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}, "href": {"type": "string", "format": "uri"}},
}
OPERATION_REFERENCE = Schema(
    "OperationReference",
    REFERENCE,
    {
        "id": "9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
        "href": "https://dicom.example.org/v2/operations/9b1c0d5e8f2a4b6c8d0e1f2a3b4c5d6e",
    },
)
