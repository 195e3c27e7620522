"""Events on their way into a queue: none is settled before its message is there."""

import asyncio
import base64
import json
from typing import Any, Self

from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError

from devhost.event_grid.queue_delivery import QueueDelivery, message_of
from devhost.event_grid.topics import EventSchema, RetryPolicy, Subscription


class Queue:
    """A queue that does not exist at first, then fails so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.exists = False
        self.messages: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def create_queue(self) -> None:
        self.exists = True

    async def send_message(self, message: str, **_: Any) -> None:
        if not self.exists:
            raise ResourceNotFoundError("QueueNotFound")
        if self.failures:
            self.failures -= 1
            raise ServiceRequestError("no connection")
        self.messages.append(message)


class Account:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def queue(self, _name: str) -> Queue:
        return self._queue


async def test_an_event_is_tried_until_its_message_is_in_the_queue() -> None:
    queue = Queue(failures=3)
    settled: list[dict[str, Any]] = []
    delivery = QueueDelivery(
        Subscription("import", "storage", ""),
        EventSchema.EVENT_GRID,
        Account(queue),
        "work",
        policy=RetryPolicy(delays=(0.001,)),
        settled=settled.append,
    )
    events = [{"id": str(number), "subject": "grüß"} for number in range(20)]
    delivery.add(events)
    assert delivery.outstanding == 20
    assert settled == []
    delivery.start()
    async with asyncio.timeout(20):
        while delivery.outstanding:
            await asyncio.sleep(0.001)
    await delivery.close()
    found = [json.loads(base64.b64decode(message)) for message in queue.messages]
    assert sorted(found, key=lambda event: int(event["id"])) == events
    assert len(settled) == 20


def test_a_message_is_the_event_in_base64() -> None:
    assert json.loads(base64.b64decode(message_of({"id": "1"}))) == {"id": "1"}
