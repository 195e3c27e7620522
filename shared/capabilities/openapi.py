"""The OpenAPI 3.1 description of the service, generated from the resource table (URL-8)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.capabilities.descriptions import documented, reason
from shared.dicom.media_types import DICOM_JSON, JSON, PROBLEM_JSON, TEXT
from shared.dicomweb.documentation import PROBLEM, PROBLEM_TEXT, UID, Documentation, Parameter, Schema
from shared.dicomweb.path_parameters import PATH_PARAMETERS, path_parameters
from shared.dicomweb.resource import Resource
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion

_BINARY: dict[str, Any] = {}
_PROBLEM: dict[str, Any] = {
    TEXT: {"schema": {"type": "string"}, "example": PROBLEM_TEXT},
    PROBLEM_JSON: {"schema": PROBLEM.reference, "example": PROBLEM.example},
}


def document(version: ApiVersion, urls: Urls, *, data_partitions: bool, sign_in: bool) -> dict[str, Any]:
    """The description of `version`, with `urls` of a resource that has no partition.

    `sign_in`: callers need a token, except for what anybody may ask for.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for row, told, methods in documented(version, data_partitions=data_partitions):
        template = row.path(data_partitions=data_partitions).removeprefix("{version}").replace("{*", "{")
        item = paths.setdefault("/" + template.removeprefix("/"), {})
        if names := path_parameters(template):
            item["parameters"] = [_path_parameter(name) for name in names]
        for method in methods:
            described = _operation(row, told, version, method, unique=len(methods) == 1)
            if sign_in and row.action is None:
                described["security"] = []
            item[method.lower()] = described
        bodies = (told.schema, told.body, *(schema for _, _, schema in told.failure_bodies))
        _collect(schemas, [UID, PROBLEM, *(schema for schema in bodies if schema is not None)])
    bearer = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DICOMweb service",
            "summary": "STOW-RS, WADO-RS, QIDO-RS and delete (DICOM PS3.18)",
            "version": f"v{version.value}",
        },
        "servers": [{"url": urls.root}],
        **({"security": [{"bearer": []}]} if sign_in else {}),
        "paths": paths,
        "components": {**({"securitySchemes": bearer} if sign_in else {}), "schemas": schemas},
    }


def _collect(schemas: dict[str, Any], named: Iterable[Schema]) -> None:
    for schema in named:
        schemas[schema.name] = schema.definition
        _collect(schemas, schema.parts)


_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds (THR-1)", "schema": {"type": "integer", "minimum": 1, "maximum": 300}}
}


def _path_parameter(name: str) -> dict[str, Any]:
    parameter = PATH_PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": parameter.text,
        "schema": parameter.schema,
        "example": parameter.example,
    }


def _operation(row: Resource, told: Documentation, version: ApiVersion, method: str, *, unique: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": row.name if unique else f"{row.name}_{method.lower()}",
        "summary": row.summary,
        "description": told.description,
        "tags": [row.audit or "service"],
        "responses": {
            **{str(status): _success(told, status, method) for status in told.successes},
            **{str(status): _failure(told, status, method) for status in told.failures},
        },
    }
    if parameters := told.parameters_in(version):
        described["parameters"] = [_parameter(parameter) for parameter in parameters]
    if told.consumes:
        described["requestBody"] = {
            "required": True,
            "content": {media_type: _sent(media_type, told.body) for media_type in told.consumes},
        }
    return described


def _sent(media_type: str, schema: Schema | None) -> Mapping[str, Any]:
    return {"schema": _BINARY} if schema is None else _body(media_type, schema)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.text,
        "schema": parameter.schema,
    }
    if parameter.required:
        described["required"] = True
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _success(told: Documentation, status: int, method: str) -> dict[str, Any]:
    described: dict[str, Any] = {"description": reason(status)}
    if method != "HEAD" and status not in {201, 204, 304} and told.produces:
        described["content"] = {media_type: _body(media_type, told.schema) for media_type in told.produces}
    return described


def _failure(told: Documentation, status: int, method: str) -> dict[str, Any]:
    described: dict[str, Any] = {"description": reason(status)}
    if status in {429, 503}:
        described["headers"] = _RETRY_AFTER
    if method == "HEAD":
        return described
    own = {media_type: _body(media_type, schema) for code, media_type, schema in told.failure_bodies if code == status}
    if status == 400:  # what fails before its transaction has begun is a problem in any case
        own |= _PROBLEM
    return {**described, "content": own or _PROBLEM}


def _body(media_type: str, schema: Schema | None) -> Mapping[str, Any]:
    if media_type not in {JSON, DICOM_JSON}:
        return {"schema": _BINARY}
    if schema is None:
        return {"schema": {"type": "object"}}
    return {"schema": schema.reference, **({"example": schema.example} if schema.example is not None else {})}
