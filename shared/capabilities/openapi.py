"""The OpenAPI 3.1 description of the service, generated from the resource table (URL-8)."""

from typing import Any

from shared.capabilities.descriptions import (
    TEXT,
    Operation,
    Parameter,
    documented,
    operation,
    path_parameters,
    reason,
)
from shared.dicomweb.media_types import DICOM_JSON, JSON
from shared.dicomweb.resources import Resource
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion

_PARAMETERS: dict[str, dict[str, Any]] = {
    "operation": {
        "description": "Operation id, a GUID",
        "schema": {"type": "string", "pattern": "^[0-9A-Fa-f-]{32,36}$"},
    },
    "study": {"description": "StudyInstanceUID", "schema": {"$ref": "#/components/schemas/Uid"}},
    "series": {"description": "SeriesInstanceUID", "schema": {"$ref": "#/components/schemas/Uid"}},
    "instance": {"description": "SOPInstanceUID", "schema": {"$ref": "#/components/schemas/Uid"}},
    "frames": {
        "description": "Frame numbers, separated by commas; the first one is 1",
        "schema": {"type": "string", "pattern": "^[0-9]+(,[0-9]+)*$"},
    },
    "path": {
        "description": "Where a value is in the data set, as in BulkDataURI: tags, with item numbers in between",
        "schema": {"type": "string", "pattern": "^[0-9A-F]{8}(/[1-9][0-9]*/[0-9A-F]{8})*$"},
    },
    "partition": {
        "description": "Data partition",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9.\\-_]{1,64}$"},
    },
}
_SCHEMAS: dict[str, Any] = {
    "Uid": {"type": "string", "pattern": "^[0-9.]{0,63}[0-9]$"},
    "DataSet": {
        "type": "object",
        "description": "A data set as DICOM JSON (PS3.18 Annex F)",
        "patternProperties": {"^[0-9A-F]{8}$": {"type": "object", "required": ["vr"]}},
        "additionalProperties": False,
    },
    "DataSets": {"type": "array", "items": {"$ref": "#/components/schemas/DataSet"}},
    "ChangeFeed": {"type": "array", "items": {"$ref": "#/components/schemas/ChangeFeedEntry"}},
    "ChangeFeedEntry": {
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
            "studyInstanceUid": {"$ref": "#/components/schemas/Uid"},
            "seriesInstanceUid": {"$ref": "#/components/schemas/Uid"},
            "sopInstanceUid": {"$ref": "#/components/schemas/Uid"},
            "action": {"enum": ["Create", "Update", "Delete"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "state": {"enum": ["Current", "Replaced", "Deleted"]},
            "metadata": {"$ref": "#/components/schemas/DataSet"},
        },
    },
    "Operation": {
        "type": "object",
        "required": ["operationId", "type", "createdTime", "lastUpdatedTime", "status", "resources"],
        "properties": {
            "operationId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "type": {"enum": ["reindex", "export", "update"]},
            "createdTime": {"type": "string", "format": "date-time"},
            "lastUpdatedTime": {"type": "string", "format": "date-time"},
            "status": {
                "enum": [
                    "notStarted",
                    "running",
                    "completed",
                    "succeeded",
                    "failed",
                    "canceled",
                    "paused",
                    "unknown",
                ]
            },
            "percentComplete": {"type": "integer", "minimum": 0, "maximum": 100},
            "resources": {"type": "array", "items": {"type": "string", "format": "uri"}},
            "results": {"type": "object"},
        },
    },
    "Partitions": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "partitionKey": {"type": "integer"},
                "partitionName": {"type": "string"},
                "createdDate": {"type": "string", "format": "date-time"},
            },
        },
    },
}
_RESULTS = {
    "list_partitions": "Partitions",
    "change_feed": "ChangeFeed",
    "change_feed_latest": "ChangeFeedEntry",
    "retrieve_operation": "Operation",
}
"""Name of a row to the schema of its answer."""
_BINARY: dict[str, Any] = {}


def document(version: ApiVersion, urls: Urls, *, data_partitions: bool) -> dict[str, Any]:
    """The description of `version`, with `urls` of a resource that has no partition."""
    paths: dict[str, Any] = {}
    for row, methods in documented(version):
        template = row.path(data_partitions=data_partitions).removeprefix("{version}").replace("{*", "{")
        path = "/" + template.removeprefix("/")
        item = paths.setdefault(path, {})
        if names := path_parameters(template):
            item["parameters"] = [{"name": name, "in": "path", "required": True, **_PARAMETERS[name]} for name in names]
        if not row.versioned:
            item["servers"] = [{"url": urls.base}]
        for method in methods:
            item[method.lower()] = _operation(row, version, method, unique=len(methods) == 1)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DICOMweb service",
            "summary": "STOW-RS, WADO-RS, QIDO-RS and delete (DICOM PS3.18)",
            "version": f"v{version.value}",
        },
        "servers": [{"url": urls.root}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": _SCHEMAS,
        },
    }


def _operation(row: Resource, version: ApiVersion, method: str, *, unique: bool) -> dict[str, Any]:
    facts = operation(row, version)
    described: dict[str, Any] = {
        "operationId": row.name if unique else f"{row.name}_{method.lower()}",
        "summary": row.summary,
        "responses": {
            **{str(status): _success(facts, row, status, method) for status in facts.successes},
            **{str(status): _failure(row, status, method) for status in facts.failures},
        },
    }
    if row.audit:
        described["tags"] = [row.audit]
    if row.action is None:
        described["security"] = []
    if facts.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in facts.parameters]
    if facts.consumes:
        described["requestBody"] = {
            "required": True,
            "content": {media_type: {"schema": _BINARY} for media_type in facts.consumes},
        }
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described = {"name": parameter.name, "in": parameter.place, "description": parameter.text}
    return {**described, "schema": dict(parameter.schema)}


def _success(facts: Operation, row: Resource, status: int, method: str) -> dict[str, Any]:
    if method == "HEAD" or status in {204, 304} or not facts.produces:
        return {"description": reason(status)}
    return {
        "description": reason(status),
        "content": {media_type: {"schema": _schema(media_type, row)} for media_type in facts.produces},
    }


def _failure(row: Resource, status: int, method: str) -> dict[str, Any]:
    described: dict[str, Any] = {"description": reason(status)}
    if row.audit == "store" and status == 409:
        described["content"] = {DICOM_JSON: {"schema": {"$ref": "#/components/schemas/DataSet"}}}
    elif row.name == "health_check":
        described["content"] = {JSON: {"schema": {"type": "object"}}}
    elif method != "HEAD" and status != 401:
        described["content"] = {TEXT: {"schema": {"type": "string"}}}
    return described


def _schema(media_type: str, row: Resource) -> dict[str, Any]:
    if row.name in _RESULTS:
        return {"$ref": f"#/components/schemas/{_RESULTS[row.name]}"}
    if media_type == DICOM_JSON and row.action is not None:
        return {"$ref": f"#/components/schemas/{'DataSet' if row.audit == 'store' else 'DataSets'}"}
    return {"type": "object"} if media_type == JSON else _BINARY
