"""The functions of bulk import: a file that has been announced, and one that the host has given up."""

import azure.functions as func

from shared import telemetry
from shared.bulk_import.request import read_message
from shared.bulk_import.transaction import BulkImport, ImportPlaces


def blueprint(bulk_import: BulkImport, places: ImportPlaces, connection: str) -> func.Blueprint:
    """The functions of bulk import. `connection` is the setting that names the account of the import queue."""

    async def import_instance(message: func.QueueMessage) -> None:
        with telemetry.trigger("import_instance"):
            request = read_message(_text(message), places.container)
            if request is None:
                telemetry.event("import-message-not-understood")
            else:
                await bulk_import.run(request)

    async def import_given_up(message: func.QueueMessage) -> None:
        with telemetry.trigger("import_given_up"):
            request = read_message(_text(message), places.container)
            if request is not None:
                await bulk_import.give_up(request)

    functions = func.Blueprint()
    for queue, run in ((places.queue, import_instance), (f"{places.queue}-poison", import_given_up)):
        trigger = functions.queue_trigger(arg_name="message", queue_name=queue, connection=connection)
        functions.function_name(run.__name__)(trigger(run))
    return functions


def _text(message: func.QueueMessage) -> str:
    body: bytes = message.get_body()
    return body.decode(errors="replace")
