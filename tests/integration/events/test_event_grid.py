"""The publisher against a topic that speaks HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson
import pytest

from shared.errors import DependencyRefused, Unavailable
from shared.events.dicom_events import changes_pending
from shared.events.event_grid import EventGridPublisher, EventSchema
from shared.events.publisher import CloudEventData

KEY = "c2VjcmV0LWtleQ=="


class Topic:
    """Answers with prepared status codes, then 200, and keeps what it was sent."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.heads: list[str] = []
        self.bodies: list[list[dict[str, object]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                length = next(
                    int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:")
                )
                self.heads.append(head)
                self.bodies.append(orjson.loads(await reader.readexactly(length)))
                status = self.statuses.pop(0) if self.statuses else 200
                writer.write(f"HTTP/1.1 {status} Text\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def topic(*statuses: int, schema: EventSchema = "cloudevents") -> AsyncIterator[tuple[EventGridPublisher, Topic]]:
    received = Topic(list(statuses))
    server = await asyncio.start_server(received.serve, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/events"
    publisher = EventGridPublisher(endpoint, KEY, schema=schema)
    try:
        yield publisher, received
    finally:
        await publisher.close()
        server.close()
        await server.wait_closed()


def events(count: int, size: int = 10) -> list[CloudEventData]:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return [changes_pending("/topic", ["h" * size], event_id=str(number), time=time) for number in range(count)]


async def test_events_arrive_as_a_batch_of_cloud_events_under_the_key() -> None:
    sent = events(3)
    async with topic() as (publisher, received):
        await publisher.publish(sent)
        await publisher.publish([])
    (body,) = received.bodies
    for arrived, event in zip(body, sent, strict=True):
        assert datetime.fromisoformat(str(arrived.pop("time"))) == event.time  # the SDK writes it its own way
        assert arrived == {name: value for name, value in event.json().items() if name != "time"}
    head = received.heads[0].lower()
    assert head.startswith("post /api/events?api-version=")
    assert "content-type: application/cloudevents-batch+json" in head
    assert f"aeg-sas-key: {KEY}".lower() in head


async def test_a_topic_with_the_event_grid_schema_gets_its_own() -> None:
    sent = events(2)
    async with topic(schema="eventgrid") as (publisher, received):
        await publisher.publish(sent)
    assert received.bodies == [[event.event_grid_json() for event in sent]]
    assert "content-type: application/json" in received.heads[0].lower()


@pytest.mark.parametrize(("count", "size", "batches"), [(1001, 10, [1000, 1]), (5, 200_000, [2, 2, 1])])
async def test_many_events_are_cut_into_batches_that_the_service_takes(
    count: int, size: int, batches: list[int]
) -> None:
    async with topic() as (publisher, received):
        await publisher.publish(events(count, size))
    assert [len(body) for body in received.bodies] == batches
    assert [event["id"] for body in received.bodies for event in body] == [str(number) for number in range(count)]


async def test_a_busy_topic_is_asked_again() -> None:
    async with topic(503, 500) as (publisher, received):
        await publisher.publish(events(1))
    assert len(received.bodies) == 3


@pytest.mark.parametrize(("status", "raised"), [(401, DependencyRefused), (403, DependencyRefused), (400, Unavailable)])
async def test_a_refusal_is_told_in_our_words(status: int, raised: type[Exception]) -> None:
    async with topic(status) as (publisher, received):
        with pytest.raises(raised) as caught:
            await publisher.publish(events(1))
    assert len(received.bodies) == 1
    assert KEY not in str(caught.value)


async def test_a_topic_that_cannot_be_reached_is_unavailable() -> None:
    async with topic() as (publisher, _):
        pass
    with pytest.raises(Unavailable):
        await publisher.publish(events(1))
    await publisher.close()


def test_the_sdk_is_not_imported_before_the_first_event(fresh_import: Callable[[str], set[str]]) -> None:
    assert not {name for name in fresh_import("shared.events.event_grid") if name.startswith("azure.eventgrid")}


@pytest.fixture
def fresh_import() -> Callable[[str], set[str]]:
    import subprocess
    import sys

    def modules(name: str) -> set[str]:
        code = f"import sys, {name}; print(' '.join(sys.modules))"
        return set(
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
        )

    return modules
