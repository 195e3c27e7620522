"""DICOM events on their way to a user's webhook, on the whole service."""

import asyncio
import random

import pytest
import requests
from aiohttp import web

from tests.builders.images import image
from tests.conformance.exchange import Exchange
from tests.integration.change_feed.watching import Follower, Writers, webhook

FEED = "changefeed?includeMetadata=false&limit=200"


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


@pytest.mark.spec("EVT-3", "EVT-4")
async def test_events_of_a_time_when_the_topic_was_down_come_when_it_is_back(fresh_service):
    received: list[dict] = []
    status = 503

    async def topic(request: web.BaseRequest) -> web.Response:
        events = await request.json()
        if status == 200:
            received.extend(event for event in events if "sequenceNumber" in event["data"])
        return web.Response(status=status)

    runner = web.ServerRunner(web.Server(topic))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = "http://{}:{}/api/events".format(*runner.addresses[0][:2])
    try:
        service = await fresh_service({"DICOM_EVENTS_TOPIC": endpoint, "DICOM_EVENTS_TOPIC_KEY": "a2V5"})
        client = Exchange(service.url)
        for _ in range(3):
            await asyncio.to_thread(client.store, image())
        sweep = f"{service.url}/admin/functions/housekeeping"
        await asyncio.to_thread(requests.post, sweep, json={}, timeout=30)
        await asyncio.sleep(1)
        assert received == []
        status = 200
        async with asyncio.timeout(90):  # the topic is asked again after a pause, by the next run of the timer
            while {event["data"]["sequenceNumber"] for event in received} != {1, 2, 3}:
                await asyncio.to_thread(requests.post, sweep, json={}, timeout=30)
                await asyncio.sleep(1)
    finally:
        await runner.cleanup()
