"""An app with every trigger but HTTP. What runs is written, one JSON line each, to the file NOTES."""

import asyncio
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import azure.functions as func
from azurefunctions.extensions.base import InConverter, SdkType

logging.getLogger("azure.functions").setLevel(logging.WARNING)
app = func.FunctionApp()


def _first_time(what: str) -> bool:
    """Whether `what` has not happened yet, in any worker process."""
    try:
        Path(f"{os.environ['NOTES']}.{what}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _note(function: str, **what: Any) -> None:
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps({"function": function, "pid": os.getpid(), **what}) + "\n")


class BlobName(SdkType):
    """A blob by name: its content never crosses from the host to the worker."""

    def __init__(self, *, data: Any) -> None:
        self.name = json.loads(data.content)["BlobName"]

    def get_sdk_type(self) -> "BlobName":
        return self


class _BlobNameConverter(InConverter, binding="blob", trigger="blobTrigger"):
    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        return issubclass(pytype, BlobName)

    @classmethod
    def decode(cls, data: Any, *, trigger_metadata: Any, pytype: type) -> BlobName:
        return BlobName(data=data.value)

    @classmethod
    def has_implicit_output(cls) -> bool:
        return False


@app.blob_trigger(
    arg_name="blob", path="inbox/{name}", connection="AzureWebJobsStorage", source=func.BlobSource.EVENT_GRID
)
async def on_blob(blob: func.InputStream) -> None:
    name = str(blob.name)
    content = blob.read()
    _note("on_blob", name=name, content=content.decode(), length=blob.length)
    if content == b"bad":
        raise ValueError("bad blob")
    if content == b"once" and _first_time("once"):
        raise ValueError("not yet")
    if content == b"crash" and _first_time("crash"):
        os._exit(9)
    if content == b"hold" and _first_time("hold"):
        await asyncio.sleep(3600)


@app.blob_trigger(
    arg_name="blob",
    path="named/{folder}/{file}.dcm",
    connection="AzureWebJobsStorage",
    source=func.BlobSource.EVENT_GRID,
)
async def on_name(blob: BlobName) -> None:
    _note("on_name", name=blob.name)


@app.event_grid_trigger(arg_name="event")
async def append_changes(event: func.CloudEvent) -> None:
    _note("append_changes", id=event.id, type=event.type, data=event.get_json())


@app.event_grid_trigger(arg_name="event")
async def on_event(event: func.EventGridEvent) -> None:
    _note("on_event", id=event.id, subject=event.subject, data=event.get_json())
    if event.get_json().get("fail"):
        raise ValueError("bad event")


@app.queue_trigger(arg_name="message", queue_name="%QUEUE_NAME%", connection="AzureWebJobsStorage")
async def on_queue(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    _note("on_queue", text=text, count=message.dequeue_count)
    if text == "bad":
        raise ValueError("bad message")
    if text == "slow" and _first_time("slow"):
        await asyncio.sleep(3600)
    if text == "settings":
        names = ("QUEUE_NAME", "FROM_THE_SAMPLE", "DICOM_EVENTS_TOPIC", "DICOM_EVENTS_TOPIC_KEY")
        _note("settings", **{name: os.environ.get(name) for name in names})


@app.queue_trigger(arg_name="message", queue_name="imports", connection="AzureWebJobsStorage")
async def import_instance(message: func.QueueMessage) -> None:
    _note("import_instance", event=message.get_json())


@app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
async def on_timer(timer: func.TimerRequest) -> None:
    _note("on_timer", at=time.time(), past_due=timer.past_due)
    raise ValueError("a failure does not end the schedule")


@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *")
async def nightly(timer: func.TimerRequest) -> None:
    _note("nightly", past_due=timer.past_due)


@app.timer_trigger(arg_name="timer", schedule="0 0 4 * * *")
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
async def retried(timer: func.TimerRequest, context: func.Context) -> None:
    _note("retried", retry=context.retry_context.retry_count)
    raise ValueError("again")
