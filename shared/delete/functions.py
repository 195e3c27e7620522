"""The functions of Delete, and the timers that erase what was deleted and delete what has expired (dicomweb §9)."""

from collections.abc import Awaitable, Callable
from typing import Final

import azure.functions as func

from shared import telemetry
from shared.delete.transaction import delete_instances
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, nothing
from shared.index.instances import InstanceIndex

_ERASE: Final = "0 */3 * * * *"
"""Every three minutes (DEL-11)."""
_EXPIRE: Final = "30 * * * * *"
_ROUNDS: Final = 20
"""Of work in one run of a timer; what is left waits for the next."""

type Work = Callable[[], Awaitable[int]]
"""Does some of what is due and returns how much that was."""


def blueprint(boundary: Boundary, index: InstanceIndex, erase_due: Work) -> func.Blueprint:
    """The functions of Delete. `erase_due` erases files of deleted instances whose retention is over (S-3)."""

    async def delete(_parsed: None, _accepted: None, context: Context) -> Response:
        await delete_instances(index, context.partition, context.scope)
        return Response(204)

    async def erase_deleted(timer: func.TimerRequest) -> None:
        with telemetry.trigger("erase_deleted"):
            await _work_off(erase_due)

    async def expire_studies(timer: func.TimerRequest) -> None:
        with telemetry.trigger("expire_studies"):
            await _work_off(index.expire)

    functions = func.Blueprint()
    for name in ("delete_study", "delete_series", "delete_instance"):
        mount(functions, boundary, name, Transaction(nothing, nothing, delete))
    for schedule, run in ((_ERASE, erase_deleted), (_EXPIRE, expire_studies)):
        timer = functions.timer_trigger(arg_name="timer", schedule=schedule)
        functions.function_name(run.__name__)(timer(run))
    return functions


async def _work_off(work: Work) -> None:
    for _ in range(_ROUNDS):
        if not await work():
            return
