"""DICOM events on their way to a user's webhook, on the whole service."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import requests
from aiohttp import web

from tests.builders.images import image
from tests.builders.worklist import CLAIM, element, new_workitem, performed, reasons, state_change
from tests.conformance.exchange import JSON, Exchange
from tests.integration.change_feed.watching import Follower, Writers, webhook

ALL = "1.2.840.10008.5.1.4.34.5"
FEED = "changefeed?includeMetadata=false&limit=200"


def live(client: Exchange, uid: str, end: str) -> None:
    """The life of a workitem: every transaction that writes it."""

    def write(method: str, path: str, status: int, data_set: object) -> None:
        body = json.dumps(data_set).encode()
        assert client.send(method, f"workitems{path}", body=body, Content_Type=JSON).status_code == status

    write("POST", f"?{uid}", 201, [new_workitem()])
    write("POST", f"/{uid}", 200, {"00404041": element("CS", "INCOMPLETE")})
    if end == "SCHEDULED":
        write("POST", f"/{uid}/cancelrequest", 202, [{}])
        return
    write("PUT", f"/{uid}/state", 200, state_change("IN PROGRESS"))
    write("POST", f"/{uid}/cancelrequest", 202, [{}])
    write("POST", f"/{uid}?{CLAIM}", 200, performed() | reasons())
    write("PUT", f"/{uid}/state", 200, state_change(end))


async def feed_of(service) -> list[dict]:
    follower = Follower(service.url)
    await follower.catch_up()
    return follower.seen


@pytest.mark.spec("EVT-1", "EVT-2", "A-2")
@pytest.mark.parametrize("schema", ["cloudevents", "eventgrid"])
async def test_a_webhook_hears_of_what_is_stored_and_deleted(fresh_service, tmp_path, schema):
    async with webhook(tmp_path) as (hook, options):
        service = await fresh_service({"DICOM_EVENTS_SCHEMA": schema}, options=options)
        client, one = Exchange(service.url), image()
        await asyncio.to_thread(client.store, one)
        await asyncio.to_thread(client.send, "DELETE", one.path)
        await hook.wait_for({1, 2})

        entries = await feed_of(service)
        host = service.url.removeprefix("http://")
        events = {event["data"]["sequenceNumber"]: event for event in hook.events}
        kind, time = ("type", "time") if schema == "cloudevents" else ("eventType", "eventTime")
        for entry, word in zip(entries, ("Created", "Deleted"), strict=True):
            event = events[entry["sequence"]]
            assert event[kind] == f"Microsoft.HealthcareApis.DicomImage{word}"
            assert event["subject"] == f"{host}/v1/partitions/Microsoft.Default/{one.path}"
            assert event[time].rstrip("Z")[:23] == entry["timestamp"][:23]
            assert event["data"] == {
                "partitionName": "Microsoft.Default",
                "imageStudyInstanceUid": one.identifier.study_instance_uid,
                "imageSeriesInstanceUid": one.identifier.series_instance_uid,
                "imageSopInstanceUid": one.identifier.sop_instance_uid,
                "serviceHostName": host,
                "sequenceNumber": entry["sequence"],
            }


@pytest.mark.spec("EVT-1", "EVT-2", "EVT-4", "A-2")
async def test_every_entry_has_its_event_though_workers_die_and_the_webhook_refuses(fresh_service, tmp_path):
    async with webhook(tmp_path, refuse_every=7) as (hook, options):
        service = await fresh_service(workers=2, options=options)
        clients = Writers(service.url, 4)
        work = asyncio.create_task(clients.run())
        for _ in range(2):
            await asyncio.sleep(random.uniform(1.5, 3))
            killed = await service.kill_worker(random.randrange(2))
            await service.await_workers(other_than=killed)
        clients.stopped.set()
        await work

        entries = await feed_of(service)
        await hook.wait_for({entry["sequence"] for entry in entries}, 120)  # a dead worker's lease, and the timer

        assert len(entries) > 10
        ids = {(event["data"]["sequenceNumber"], event["id"]) for event in hook.events}
        # one event each, also of what was committed but not acknowledged and so may follow the reading
        assert len(ids) == len({sequence for sequence, _ in ids}) >= len(entries)
        assert len(hook.events) > len(ids)  # what was refused came again


class Topic:
    """A topic of Event Grid, at `settings`, which answers `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[dict] = []
        """Every event that it has taken, hints within the service too."""
        self.settings: dict[str, str] = {}

    async def answer(self, request: web.BaseRequest) -> web.Response:
        events = await request.json()
        if self.status == 200:
            self.received += events
        return web.Response(status=self.status)

    def sequences(self) -> set[int]:
        return {event["data"]["sequenceNumber"] for event in self.received if "sequenceNumber" in event["data"]}


@asynccontextmanager
async def topic() -> AsyncIterator[Topic]:
    made = Topic()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = "http://{}:{}/api/events".format(*runner.addresses[0][:2])
    made.settings = {"DICOM_EVENTS_TOPIC": endpoint, "DICOM_EVENTS_TOPIC_KEY": "a2V5"}
    try:
        yield made
    finally:
        await runner.cleanup()


async def sweep(service) -> None:
    """What is done every minute, now."""
    url = f"{service.url}/admin/functions/housekeeping"
    await asyncio.to_thread(requests.post, url, json={}, timeout=120)


@pytest.mark.spec("EVT-3", "EVT-4")
async def test_events_of_a_time_when_the_topic_was_down_come_when_it_is_back(fresh_service):
    async with topic() as events:
        events.status = 503
        service = await fresh_service(events.settings)
        client = Exchange(service.url)
        for _ in range(3):
            await asyncio.to_thread(client.store, image())
        await sweep(service)
        await asyncio.sleep(1)
        assert events.received == []
        events.status = 200
        async with asyncio.timeout(90):  # the topic is asked again after a pause, by the next run of the timer
            while events.sequences() != {1, 2, 3}:
                await sweep(service)
                await asyncio.sleep(1)


@pytest.mark.spec("WK-4")
async def test_workitems_are_in_no_event_and_in_no_entry_of_the_feed(fresh_service):
    async with topic() as events:
        service = await fresh_service(events.settings)
        client, one = Exchange(service.url), image()
        uids = [f"1.2.826.103.{number}" for number in range(3)]
        subscribed = await asyncio.to_thread(client.send, "POST", f"workitems/{ALL}/subscribers/AE")
        assert subscribed.status_code == 201
        for uid, end in zip(uids, ("SCHEDULED", "COMPLETED", "CANCELED"), strict=True):
            await asyncio.to_thread(live, client, uid, end)
        await sweep(service)
        assert events.received == []
        assert await feed_of(service) == []

        await asyncio.to_thread(client.store, one)
        await asyncio.to_thread(live, client, "1.2.826.103.9", "COMPLETED")
        async with asyncio.timeout(90):
            while events.sequences() != {1}:
                await sweep(service)
                await asyncio.sleep(0.1)
        assert not [uid for uid in (*uids, "1.2.826.103.9") if uid in json.dumps(events.received)]
        assert [entry["sopInstanceUid"] for entry in await feed_of(service)] == [one.identifier.sop_instance_uid]
