"""The functions that number changes: on an event, and by timer as the guarantee (S-6, storage §7)."""

import azure.functions as func

from shared import telemetry
from shared.index.sequencer import Sequencer
from shared.storage import keys

_EVERY_30_SECONDS = "*/30 * * * * *"
_SWEEPS = 50
"""What one run of the timer takes at most; the next one goes on."""


def blueprint(sequencer: Sequencer, *, shards: int) -> func.Blueprint:
    """The functions of the change feed. `shards` is the number of shards of the store."""
    functions = func.Blueprint()

    async def append_changes(event: func.CloudEvent) -> None:
        # The event is a wake-up: what it names is looked at first, and it may be late, double or wrong.
        data = event.get_json()
        names = data.get("places", []) if isinstance(data, dict) else []
        with telemetry.trigger("append_changes"):
            await sequencer.catch_up([keys.named_place(name, shards) for name in names if isinstance(name, str)])

    async def sweep_changes(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's parameter
        with telemetry.trigger("sweep_changes"):
            for _ in range(_SWEEPS):
                if await sequencer.catch_up():
                    return

    functions.function_name("append_changes")(functions.event_grid_trigger(arg_name="event")(append_changes))
    functions.function_name("sweep_changes")(
        functions.timer_trigger(arg_name="timer", schedule=_EVERY_30_SECONDS)(sweep_changes)
    )
    return functions
