"""The functions of DICOMcast: its messages."""

from collections.abc import Awaitable, Callable

import azure.functions as func

from shared import telemetry
from shared.cast.queueing import Message, read_message

QUEUE = "dicom-cast"
"""Of the messages; the host puts what it has given up into `dicom-cast-poison`."""


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
