"""azure-apis §5 Operations as clients see them. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Response
from shared.operations.model import Operation, OperationStatus

_HEADERS = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"))


def operation_state(operation: Operation, version: ApiVersion, urls: Urls) -> Response:
    """The state of an operation: 202 and its own URL while it is active, else 200 (OP-1)."""
    body = orjson.dumps(_document(operation, version, urls))
    if operation.status.active:
        return Response(202, (*_HEADERS, ("Location", urls.operation(operation.id))), body)
    return Response(200, _HEADERS, body)


def operation_list(operations: Sequence[Operation], version: ApiVersion, urls: Urls) -> Response:
    """200 with the states of operations, each with its URL and its data partition (B-21)."""
    documents = [
        {
            **_document(each, version, urls),
            "href": urls.operation(each.id),
            **({"partitionName": each.partition} if each.partition is not None else {}),
        }
        for each in operations
    ]
    return Response(200, _HEADERS, orjson.dumps(documents))


def _document(operation: Operation, version: ApiVersion, urls: Urls) -> dict[str, Any]:
    succeeded = operation.status is OperationStatus.SUCCEEDED
    document = {
        "operationId": operation.id,
        "type": operation.type,
        "createdTime": _time(operation.created),
        "lastUpdatedTime": _time(operation.updated),
        "status": version.success_word if succeeded else operation.status,
        "percentComplete": 100 if succeeded and operation.percent is not None else operation.percent,
        "resources": [f"{urls.within(None).root}/{path}" for path in operation.resources],
        "results": operation.results,
    }
    return {name: value for name, value in document.items() if value is not None}


def _time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
