"""The triggers of the devhost on the emulator: what runs, what is tried again, what ends as poison."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueClient

from devhost.testing import RunningService, running_azurite, running_service
from tests.integration.devhost.waiting import eventually, until

APP = Path(__file__).parents[1] / "apps" / "triggers"


@dataclass
class TriggerApp:
    """The running app, its storage and what its functions have noted."""

    service: RunningService
    notes_file: Path
    client: ClientSession
    blobs: BlobServiceClient

    def notes(self, function: str, **what: Any) -> list[dict[str, Any]]:
        """The notes of a function that hold all of `what`."""
        if not self.notes_file.exists():
            return []
        notes = [json.loads(line) for line in self.notes_file.read_text().splitlines()]
        return [note for note in notes if note["function"] == function and what.items() <= note.items()]

    async def noted(self, function: str, times: int = 1, **what: Any) -> list[dict[str, Any]]:
        """The notes, once there are so many."""
        return await until(lambda: len(found := self.notes(function, **what)) >= times and found)

    def queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self.service.connection_string, name)

    async def send(self, text: str) -> None:
        async with self.queue("work") as queue:
            await queue.send_message(text)

    async def messages(self, name: str) -> list[str]:
        """The messages in a queue as they are stored; none when the queue does not exist."""
        async with self.queue(name) as queue:
            try:
                return [message.content for message in await queue.peek_messages(max_messages=32)]
            except ResourceNotFoundError:
                return []

    async def put(self, container: str, blob: str, content: bytes) -> None:
        await self.blobs.get_blob_client(container, blob).upload_blob(content, overwrite=True)


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TriggerApp]:
    notes = tmp_path_factory.mktemp("triggers") / "notes"
    async with (
        running_azurite() as azurite,
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
        QueueClient.from_connection_string(azurite.connection_string, "work") as queue,
        ClientSession() as client,
    ):
        await queue.create_queue()
        await blobs.create_container("inbox")
        await _write_status(blobs, "nightly", due="2026-01-02T03:00:00+00:00")
        await _write_status(blobs, "retried", due="2999-01-01T04:00:00+00:00")
        settings = {"NOTES": str(notes), "AzureWebJobsStorage": azurite.connection_string, "DEVHOST_LOG_LEVEL": "INFO"}
        async with running_service(APP, settings, options=["--event-retry-scale", "0.02"]) as service:
            yield TriggerApp(service, notes, client, blobs)


async def _write_status(blobs: BlobServiceClient, function: str, *, due: str) -> None:
    """Leave what a host would have left that ran the timer on New Year's Day and was then down."""
    if not await blobs.get_container_client("azure-webjobs-hosts").exists():
        await blobs.create_container("azure-webjobs-hosts")
    status = {"Last": "2026-01-01T03:00:00+00:00", "Next": due, "LastUpdated": "2026-01-01T03:00:00+00:00"}
    blob = blobs.get_blob_client("azure-webjobs-hosts", f"timers/devhost/Host.Functions.{function}/status")
    await blob.upload_blob(json.dumps(status).encode())


def _stored(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_a_new_blob_runs_its_function_once_with_its_name_and_content(app: TriggerApp) -> None:
    await app.put("inbox", "a/b c%.dcm", b"good")
    (note,) = await app.noted("on_blob", name="inbox/a/b c%.dcm")
    assert (note["content"], note["length"]) == ("good", 4)
    await app.put("inbox", "later", b"good")
    await app.noted("on_blob", name="inbox/later")
    assert len(app.notes("on_blob", name="inbox/a/b c%.dcm")) == 1


async def test_a_blob_that_is_overwritten_runs_its_function_again(app: TriggerApp) -> None:
    await app.put("inbox", "twice", b"first")
    await app.noted("on_blob", name="inbox/twice", content="first")
    await app.put("inbox", "twice", b"second")
    await app.noted("on_blob", name="inbox/twice", content="second")


async def test_a_container_may_be_created_later_and_a_blob_may_be_bound_by_name(app: TriggerApp) -> None:
    await app.blobs.create_container("named")
    await app.put("named", "folder/file.dcm", b"")
    await app.put("named", "not-of-the-pattern", b"")
    await app.noted("on_name", name="folder/file.dcm")
    assert not app.notes("on_name", name="not-of-the-pattern")


async def test_a_blob_is_tried_again_after_a_failure(app: TriggerApp) -> None:
    await app.put("inbox", "once", b"once")
    await app.noted("on_blob", times=2, name="inbox/once")


async def test_a_blob_survives_the_death_of_the_worker_that_handles_it(app: TriggerApp) -> None:
    await app.put("inbox", "crash", b"crash")
    first, second = await app.noted("on_blob", times=2, name="inbox/crash")
    assert first["pid"] != second["pid"]


async def test_a_blob_that_keeps_failing_becomes_a_poison_message(app: TriggerApp) -> None:
    await app.put("inbox", "bad", b"bad")
    await app.noted("on_blob", times=3, name="inbox/bad")
    (stored,) = await eventually(lambda: app.messages("webjobs-blobtrigger-poison"))
    message = json.loads(base64.b64decode(stored))
    assert (message["ContainerName"], message["BlobName"]) == ("inbox", "bad")
    assert message["FunctionId"] == "Host.Functions.on_blob"
    assert len(app.notes("on_blob", name="inbox/bad")) == 3


async def test_new_blobs_of_the_import_container_become_messages_in_the_queue_of_its_function(app: TriggerApp) -> None:
    await app.blobs.create_container("import-container")
    await app.put("import-container", "folder/a ü#.dcm", b"1234")
    (note,) = await app.noted("import_instance")
    event = note["event"]
    assert event["eventType"] == "Microsoft.Storage.BlobCreated"
    assert event["subject"] == "/blobServices/default/containers/import-container/blobs/folder/a ü#.dcm"
    assert event["data"]["url"].endswith("/import-container/folder/a%20%C3%BC%23.dcm")
    assert event["data"]["contentLength"] == 4
    await app.put("import-container", "folder/a ü#.dcm", b"another")
    await app.noted("import_instance", times=2)


async def test_an_event_that_is_posted_by_hand_runs_the_blob_function(app: TriggerApp) -> None:
    await app.blobs.get_blob_client("inbox", "posted").upload_blob(b"posted")
    await app.noted("on_blob", name="inbox/posted")
    event = {
        "id": "1",
        "eventType": "Microsoft.Storage.BlobCreated",
        "subject": "",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {"url": app.blobs.get_blob_client("inbox", "posted").url},
        "dataVersion": "1",
    }
    async with app.client.post(
        f"{app.service.url}/runtime/webhooks/blobs?functionName=Host.Functions.on_blob",
        json=[event],
        headers={"aeg-event-type": "Notification"},
    ) as response:
        assert response.status == 202
    await app.noted("on_blob", times=2, name="inbox/posted")


async def test_a_message_runs_its_function_and_is_deleted(app: TriggerApp) -> None:
    await app.send(_stored("good"))
    await app.noted("on_queue", text="good", count=1)
    await eventually(lambda: _without(app, _stored("good")))


async def test_a_message_that_keeps_failing_moves_to_the_poison_queue(app: TriggerApp) -> None:
    await app.send(_stored("bad"))
    counts = [note["count"] for note in await app.noted("on_queue", times=3, text="bad")]
    assert counts == [1, 2, 3]
    await _poison(app, _stored("bad"))
    assert len(app.notes("on_queue", text="bad")) == 3


async def test_a_message_that_is_not_base64_moves_to_the_poison_queue(app: TriggerApp) -> None:
    await app.send("not base64!")
    await _poison(app, "not base64!")


async def _without(app: TriggerApp, message: str) -> bool:
    """Whether `message` is neither visible in the queue nor held by the host."""
    async with app.queue("work") as queue:
        count = (await queue.get_queue_properties()).approximate_message_count
    return count == 0 and message not in await app.messages("work")


async def _poison(app: TriggerApp, content: str) -> None:
    async def arrived() -> bool:
        return content in await app.messages("work-poison")

    await eventually(arrived)


async def test_a_message_whose_worker_dies_comes_again(app: TriggerApp) -> None:
    await app.send(_stored("slow"))
    await app.noted("on_queue", text="slow", count=1)
    killed = await app.service.kill_worker()
    second = (await app.noted("on_queue", times=2, text="slow"))[1]
    assert second["count"] == 2
    assert second["pid"] != killed


async def test_bindings_name_settings_and_the_sample_fills_what_nothing_else_sets(app: TriggerApp) -> None:
    await app.send(_stored("settings"))
    (note,) = await app.noted("settings")
    assert (note["QUEUE_NAME"], note["FROM_THE_SAMPLE"]) == ("work", "sample")


async def test_a_timer_runs_at_the_start_and_on_every_second_whatever_its_failures(app: TriggerApp) -> None:
    notes = await app.noted("on_timer", times=4)
    assert not notes[0]["past_due"]
    fractions = [note["at"] % 1 for note in notes[1:]]
    assert len({int(note["at"]) for note in notes[1:]}) == len(notes) - 1, "no second twice"
    assert all(fraction >= 0 for fraction in fractions)


async def test_a_timer_is_started_by_hand_and_tried_again_as_its_policy_says(app: TriggerApp) -> None:
    async with app.client.post(f"{app.service.url}/admin/functions/retried", json={"input": ""}) as response:
        assert response.status == 202
    notes = await app.noted("retried", times=3)
    assert [note["retry"] for note in notes] == [0, 1, 2]
    assert len(app.notes("retried")) == 3


async def test_a_run_that_was_missed_is_made_up_for_at_the_start(app: TriggerApp) -> None:
    (note,) = await app.noted("nightly")
    assert note["past_due"]
    status = app.blobs.get_blob_client("azure-webjobs-hosts", "timers/devhost/Host.Functions.nightly/status")

    async def kept() -> bool:
        content = json.loads(await (await status.download_blob()).readall())
        return datetime.fromisoformat(content["Next"]) > datetime.now(UTC)

    await eventually(kept)


def _event(**data: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "topic": "/t",
        "subject": "/s",
        "eventType": "t",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": data,
        "dataVersion": "1",
    }


async def _webhook(app: TriggerApp, function: str, kind: str, content: Any) -> tuple[int, str]:
    async with app.client.post(
        f"{app.service.url}/runtime/webhooks/EventGrid?functionName={function}",
        json=content,
        headers={"aeg-event-type": kind},
    ) as response:
        return response.status, await response.text()


async def test_the_event_grid_webhook_returns_the_validation_code(app: TriggerApp) -> None:
    status, text = await _webhook(app, "on_event", "SubscriptionValidation", [_event(validationCode="ABC")])
    assert (status, json.loads(text)) == (200, {"validationResponse": "ABC"})


async def test_every_event_of_a_delivery_is_one_invocation(app: TriggerApp) -> None:
    events = [_event(n=n) for n in range(3)]
    assert (await _webhook(app, "ON_EVENT", "Notification", events))[0] == 202
    for event in events:
        (note,) = app.notes("on_event", id=event["id"])
        assert note["data"] == event["data"]


async def test_a_delivery_fails_when_one_of_its_events_does(app: TriggerApp) -> None:
    status, text = await _webhook(app, "on_event", "Notification", [_event(), _event(fail=True)])
    assert (status, text) == (500, "ValueError: bad event")


@pytest.mark.parametrize(
    ("function", "kind", "status"),
    [("on_event", "Unsubscribe", 202), ("on_event", "", 400), ("none", "Notification", 404)],
)
async def test_the_event_grid_webhook_refuses_what_it_does_not_know(
    app: TriggerApp, function: str, kind: str, status: int
) -> None:
    assert (await _webhook(app, function, kind, [_event()]))[0] == status


async def test_events_that_the_service_publishes_reach_the_subscribed_function(app: TriggerApp) -> None:
    await app.send(_stored("settings"))
    topic = (await app.noted("settings"))[0]
    credential = AzureKeyCredential(topic["DICOM_EVENTS_TOPIC_KEY"])
    wanted = CloudEvent(source="/dicom", type="ServerlessDicom.ChangesPending", data={"n": 1})
    other = CloudEvent(source="/dicom", type="Another.Type", data={"n": 2})
    async with EventGridPublisherClient(topic["DICOM_EVENTS_TOPIC"], credential) as publisher:
        await publisher.send([other, wanted])
        await publisher.send(wanted)
    notes = await app.noted("append_changes", times=2)
    assert {(note["id"], note["type"]) for note in notes} == {(wanted.id, wanted.type)}
    assert notes[0]["data"] == {"n": 1}


async def test_a_wrong_key_publishes_nothing(app: TriggerApp) -> None:
    url = f"{app.service.url}/runtime/devhost/topics/dicom-events/api/events"
    async with app.client.post(
        url, data=b"[]", headers={"aeg-sas-key": "wrong", "content-type": "application/cloudevents-batch+json"}
    ) as response:
        assert response.status == 401


@asynccontextmanager
async def _on_storage_that_stays(folder: Path) -> AsyncIterator[TriggerApp]:
    """The app on an emulator of its own, which lives on when the host is killed."""
    notes = folder / "notes"
    async with (
        running_azurite() as azurite,
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
        ClientSession() as client,
    ):
        await blobs.create_container("inbox")
        settings = {"NOTES": str(notes), "AzureWebJobsStorage": azurite.connection_string}
        async with running_service(APP, settings) as service:
            yield TriggerApp(service, notes, client, blobs)


async def test_a_blob_that_a_killed_host_did_not_handle_is_handled_by_the_next_one(tmp_path: Path) -> None:
    async with _on_storage_that_stays(tmp_path) as app:
        await app.put("inbox", "held", b"hold")
        await app.noted("on_blob", name="inbox/held")
        await app.service.kill()
        await app.put("inbox", "while-down", b"good")
        await app.service.start()
        await app.noted("on_blob", times=2, name="inbox/held")
        await app.noted("on_blob", name="inbox/while-down")


async def test_blobs_that_were_handled_long_ago_are_not_announced_after_a_restart(tmp_path: Path) -> None:
    async with _on_storage_that_stays(tmp_path) as app:
        await app.put("inbox", "old", b"good")
        await app.noted("on_blob", name="inbox/old")
        await asyncio.sleep(3.5)  # the mark keeps two seconds of distance from now
        await app.put("inbox", "newer", b"good")
        await app.noted("on_blob", name="inbox/newer")
        mark = app.blobs.get_blob_client("azure-webjobs-hosts", "devhost/blob-events/devstoreaccount1/inbox.json")
        modified = await _modified(app.blobs, "old")
        await eventually(lambda: _passed(mark, modified))
        await app.service.kill()
        await app.service.start()
        await app.put("inbox", "last", b"good")
        await app.noted("on_blob", name="inbox/last")
        assert len(app.notes("on_blob", name="inbox/old")) == 1


async def _modified(blobs: BlobServiceClient, name: str) -> str:
    properties = await blobs.get_blob_client("inbox", name).get_blob_properties()
    return str(properties.last_modified.isoformat())


async def _passed(mark: Any, moment: str) -> bool:
    if not await mark.exists():
        return False
    content = json.loads(await (await mark.download_blob()).readall())
    return bool(content["handledBefore"] > moment)
