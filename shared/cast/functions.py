"""The functions of DICOMcast: its messages, and events of another DICOM service."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import azure.functions as func

from shared import telemetry
from shared.cast.queueing import Message, read_message

QUEUE = "dicom-cast"
"""Of the messages; the host puts what it has given up into `dicom-cast-poison`."""
_EVENTS = (
    "microsoft.healthcareapis.dicomimagecreated",
    "microsoft.healthcareapis.dicomimageupdated",
    "microsoft.healthcareapis.dicomimagedeleted",
)


@dataclass(frozen=True, slots=True)
class Triggered:
    """What the functions do."""

    handle: Callable[[Message], Awaitable[None]]
    ask_for_sweep: Callable[[], Awaitable[None]]
    host: str
    """Host name of the DICOM service whose events count (CAST-EV-2)."""


def blueprint(triggered: Triggered, connection: str) -> func.Blueprint:
    """The functions. `connection` is the setting that names the account of the queue."""

    async def cast_message(message: func.QueueMessage) -> None:
        with telemetry.trigger("cast_message"):
            asked = read_message(message.get_body())
            if asked is None:
                telemetry.event("cast-message-not-understood")
            else:
                await triggered.handle(asked)

    async def cast_message_given_up(message: func.QueueMessage) -> None:
        # The row of the study is still dirty: it is hinted at again (CAST-EV-10).
        with telemetry.trigger("cast_message_given_up"):
            asked = read_message(message.get_body())
            telemetry.event("cast-message-given-up", kind=asked.kind if asked else None)

    async def cast_event(event: func.EventGridEvent) -> None:
        with telemetry.trigger("cast_event"):
            data = event.get_json()
            named = data.get("serviceHostName") if isinstance(data, dict) else None
            if (event.event_type or "").lower() not in _EVENTS:
                return
            if named and str(named).lower() != triggered.host:
                telemetry.event("cast-event-of-another-service")
                return
            await triggered.ask_for_sweep()

    functions = func.Blueprint()
    for queue, run in ((QUEUE, cast_message), (f"{QUEUE}-poison", cast_message_given_up)):
        trigger = functions.queue_trigger(arg_name="message", queue_name=queue, connection=connection)
        functions.function_name(run.__name__)(trigger(run))
    functions.function_name(cast_event.__name__)(functions.event_grid_trigger(arg_name="event")(cast_event))
    return functions
