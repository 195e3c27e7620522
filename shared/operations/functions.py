"""The functions of operations: their resource, the timer that runs them, and the one that removes old ones."""

import re
from collections.abc import Awaitable, Callable

import azure.functions as func

from shared import telemetry
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotFound
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.operations.response import operation_state
from shared.operations.runner import Runner
from shared.operations.store import Operations

_EVERY_30_SECONDS = "15,45 * * * * *"
_DAILY = "0 40 3 * * *"
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def blueprint(
    boundary: Boundary, operations: Operations, runner: Runner, start: Callable[[], Awaitable[None]] | None = None
) -> func.Blueprint:
    """The functions of operations. `start` creates those that the service needs of its own accord."""
    functions = func.Blueprint()

    async def retrieve_operation(operation_id: str, _accepted: str, context: Context) -> Response:
        operation = await operations.get(operation_id)
        if operation is None:
            raise NotFound("The operation does not exist.")
        return operation_state(operation, context.version, context.urls)

    async def run_operations(timer: func.TimerRequest) -> None:
        with telemetry.trigger("run_operations"):
            if start is not None:
                await start()
            await runner.run()

    async def purge_operations(timer: func.TimerRequest) -> None:
        with telemetry.trigger("purge_operations"):
            await operations.purge()

    mount(
        functions,
        boundary,
        "retrieve_operation",
        Transaction(_operation_id, accepted_plain_json, retrieve_operation),
    )
    functions.function_name("purge_operations")(
        functions.timer_trigger(arg_name="timer", schedule=_DAILY)(purge_operations)
    )
    if not runner.idle:
        functions.function_name("run_operations")(
            functions.timer_trigger(arg_name="timer", schedule=_EVERY_30_SECONDS)(run_operations)
        )
    return functions


def _operation_id(request: Request, _version: ApiVersion) -> str:
    """The id in the path, as it is stored (GEN-21, OP-2). Raises InvalidRequest."""
    text = request.route["operation"]
    if not _ID.fullmatch(text):
        raise InvalidRequest("The operation id is not a GUID.")
    return text.replace("-", "").lower()
