"""azure-apis §5 The answer to a request that starts an operation. Pure."""

import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.dicomweb.urls import Urls
from shared.http.messages import Response
from shared.operations.model import Operation


def operation_started(operation: Operation, urls: Urls) -> Response:
    """202, with the id of the operation and its URL (OP-4)."""
    href = urls.operation(operation.id)
    body = orjson.dumps({"id": operation.id, "href": href})
    headers = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"), ("Location", href))
    return Response(202, headers, body)
