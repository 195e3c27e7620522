"""The function of operations: their resource."""

import re

import azure.functions as func

from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotFound
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.roles import Scope
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.operations.model import Operation
from shared.operations.response import operation_state
from shared.operations.store import Operations

_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def blueprint(boundary: Boundary, operations: Operations) -> func.Blueprint:
    """The function of operations."""
    functions = func.Blueprint()

    async def retrieve_operation(operation_id: str, _accepted: str, context: Context) -> Response:
        operation = await operations.get(operation_id)
        if operation is None or not _is_visible(operation, context.visible):
            raise NotFound("The operation does not exist.")
        return operation_state(operation, context.version, context.urls)

    mount(
        functions,
        boundary,
        "retrieve_operation",
        Transaction(_operation_id, accepted_plain_json, retrieve_operation),
    )
    return functions


def _is_visible(operation: Operation, visible: Scope) -> bool:
    """AUTH-22."""
    return visible.whole_service if operation.partition is None else operation.partition in visible


def _operation_id(request: Request, _version: ApiVersion) -> str:
    """The id in the path, as it is stored (GEN-21, OP-2). Raises InvalidRequest."""
    text = request.route["operation"]
    if not _ID.fullmatch(text):
        raise InvalidRequest("The operation id is not a GUID.", where="path")
    return text.replace("-", "").lower()
