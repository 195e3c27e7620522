"""The function of the chores."""

from typing import Final

import azure.functions as func

from shared.housekeeping.chores import Housekeeping

_EVERY_MINUTE: Final = "30 * * * * *"


def blueprint(housekeeping: Housekeeping) -> func.Blueprint:
    """The timer, which any number of instances may have: the host runs it in one of them."""
    functions = func.Blueprint()

    async def housekeeping_run(timer: func.TimerRequest) -> None:
        await housekeeping.run()

    timer = functions.timer_trigger(arg_name="timer", schedule=_EVERY_MINUTE)
    functions.function_name("housekeeping")(timer(housekeeping_run))
    return functions
