"""azure-apis §5 Operations as clients see them. Pure."""

from datetime import datetime

import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Response
from shared.operations.model import Operation, OperationStatus

_JSON = ("Content-Type", JSON_UTF_8)


def operation_state(operation: Operation, version: ApiVersion, urls: Urls) -> Response:
    """The state of an operation: 202 and its own URL while it is active, else 200 (OP-1)."""
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
    body = orjson.dumps({name: value for name, value in document.items() if value is not None})
    headers = (_JSON, ("Cache-Control", "no-store"))
    if operation.status.active:
        return Response(202, (*headers, ("Location", urls.operation(operation.id))), body)
    return Response(200, headers, body)


def _time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
