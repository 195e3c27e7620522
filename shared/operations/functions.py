"""The functions of operations: the resource of one, and the list for operators."""

import azure.functions as func

from shared.dicomweb.query_parameters import Window, window
from shared.errors import Forbidden, NotFound
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.roles import Scope
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.operations.model import Operation
from shared.operations.request import operation_id as operation_id_of
from shared.operations.response import operation_list, operation_state
from shared.operations.store import Operations


def blueprint(boundary: Boundary, operations: Operations) -> func.Blueprint:
    """The functions of operations."""
    functions = func.Blueprint()

    async def retrieve_operation(operation_id: str, _accepted: str, context: Context) -> Response:
        operation = await operations.get(operation_id)
        if operation is None or not _is_visible(operation, context.visible):
            raise NotFound("The operation does not exist.")
        return operation_state(operation, context.version, context.urls)

    async def list_operations(part: Window, _accepted: str, context: Context) -> Response:
        if not context.caller.permissions.all_in(None):
            raise Forbidden("Authorization failed.")
        return operation_list(await operations.recent(part.limit, part.offset), context.version, context.urls)

    mount(
        functions,
        boundary,
        "retrieve_operation",
        Transaction(lambda request, _version: operation_id_of(request), accepted_plain_json, retrieve_operation),
    )
    mount(
        functions,
        boundary,
        "list_operations",
        Transaction(lambda request, _version: window(request.query), accepted_plain_json, list_operations),
    )
    return functions


def _is_visible(operation: Operation, visible: Scope) -> bool:
    """AUTH-22."""
    return visible.whole_service if operation.partition is None else operation.partition in visible
