"""The functions of DICOMcast: its messages, and the events of another service."""

from collections.abc import Awaitable, Callable

import azure.functions as func

from shared import metrics, telemetry
from shared.cast.image_events import host_of, is_change
from shared.cast.queueing import Message, read_message

QUEUE = "dicom-cast"
"""Of the messages; the host puts what it has given up into `dicom-cast-poison`."""


def add_events(functions: func.Blueprint, changed: Callable[[], Awaitable[None]], hosts: frozenset[str]) -> None:
    """The function that hears of changes of another service. `changed` asks for a sweep; `hosts`: names of that service
    (CAST-EV-1, CAST-EV-2).
    """

    async def cast_event(event: func.CloudEvent) -> None:
        # Of a subscription with the schema of Event Grid, azure.functions makes an EventGridEvent all the same.
        kind = event.type if isinstance(event, func.CloudEvent) else event.event_type
        with telemetry.trigger("cast_event"):
            if not is_change(kind):
                return
            if host_of(event.get_json()) in hosts:
                await changed()
            else:
                metrics.add(metrics.CAST_FOREIGN_EVENTS)
                telemetry.event("cast-foreign-event")

    functions.function_name("cast_event")(functions.event_grid_trigger(arg_name="event")(cast_event))


def blueprint(handle: Callable[[Message], Awaitable[None]], connection: str) -> func.Blueprint:
    """The functions. `handle` does what a message asks for; `connection`: setting that names the queue's account."""

    async def cast_message(message: func.QueueMessage) -> None:
        with telemetry.trigger("cast_message"):
            asked = read_message(message.get_body())
            if asked is None:
                telemetry.event("cast-message-not-understood")
            else:
                await handle(asked)

    async def cast_message_given_up(message: func.QueueMessage) -> None:
        # The row of the study is still dirty: it is hinted at again (CAST-EV-10).
        with telemetry.trigger("cast_message_given_up"):
            asked = read_message(message.get_body())
            telemetry.event("cast-message-given-up", kind=asked.kind if asked else None)

    functions = func.Blueprint()
    for queue, run in ((QUEUE, cast_message), (f"{QUEUE}-poison", cast_message_given_up)):
        trigger = functions.queue_trigger(arg_name="message", queue_name=queue, connection=connection)
        functions.function_name(run.__name__)(trigger(run))
    return functions
