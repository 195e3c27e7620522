"""azure-apis §5 The answers to a request that starts an operation. Pure."""

from typing import Final

import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.dicomweb.urls import Urls
from shared.errors import Conflict, InvalidRequest
from shared.http.messages import Response
from shared.operations.model import Operation, OperationActive

_DISABLED: Final = "Asynchronous operations are temporarily disabled. Please try again later."


def check_enabled(*, enabled: bool) -> None:
    """Raises InvalidRequest while operations are switched off (EQT-1, UPD-2)."""
    if not enabled:
        raise InvalidRequest(_DISABLED)


def busy(error: OperationActive, urls: Urls, remedy: str) -> Conflict:
    """409, with the URL of the operation that is under way (OP-8)."""
    return Conflict(str(error), remedy=remedy, fields=(("Location", urls.operation(error.operation_id)),))


def operation_started(operation: Operation, urls: Urls) -> Response:
    """202, with the id of the operation and its URL (OP-4)."""
    href = urls.operation(operation.id)
    body = orjson.dumps({"id": operation.id, "href": href})
    headers = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"), ("Location", href))
    return Response(202, headers, body)
