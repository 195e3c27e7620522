"""Delivery of events to a storage queue, as Event Grid does it: one message for each event, its JSON in base64.

A queue is durable, so an event is settled once its message is in it. What cannot be sent is tried again after the
pauses of the policy, the last of which repeats: the emulator comes back, or the host ends.
"""

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from devhost.azurite.storage_account import StorageAccount
from devhost.event_grid.topics import Event, EventSchema, RetryPolicy, Subscription

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient

log = logging.getLogger("devhost.events")

_AT_ONCE: Final = 8


def message_of(event: Event) -> str:
    """The message for an event as it is stored."""
    return base64.b64encode(json.dumps(event).encode()).decode()


class QueueDelivery:
    """The events under way to one subscription whose destination is a queue, which is created if it is missing."""

    def __init__(
        self,
        subscription: Subscription,
        schema: EventSchema,
        account: StorageAccount,
        queue: str,
        *,
        policy: RetryPolicy,
        settled: Callable[[Event], None],
    ) -> None:
        """`settled` hears of each event whose message is in the queue."""
        self.subscription = subscription
        self.schema = schema
        self._account = account
        self._queue = queue
        self._policy = subscription.retry or policy
        self._settled = settled
        self._waiting: asyncio.Queue[Event] = asyncio.Queue()
        self._sending = 0
        self._runner: asyncio.Task[None] | None = None

    @property
    def outstanding(self) -> int:
        """Events that are not in the queue yet."""
        return self._waiting.qsize() + self._sending

    def confirm(self, code: str) -> bool:  # noqa: ARG002 - as the delivery to an endpoint has it
        """A queue is not validated: no code is the right one."""
        return False

    def start(self) -> None:
        """Deliver."""
        self._runner = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop. What is not in the queue is announced again when its container is watched again."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)

    def add(self, events: Iterable[Event]) -> None:
        """Take events to be delivered."""
        for event in events:
            self._waiting.put_nowait(event)

    async def _run(self) -> None:
        async with self._account.queue(self._queue) as client, asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._consume(client))

    async def _consume(self, client: "QueueClient") -> None:
        while True:
            event = await self._waiting.get()
            self._sending += 1
            try:
                await self._send(client, message_of(event))
            finally:
                self._sending -= 1
            self._settled(event)

    async def _send(self, client: "QueueClient", message: str) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

        attempts = 0
        while True:
            try:
                await client.send_message(message, time_to_live=-1)
            except ResourceNotFoundError:
                try:
                    await client.create_queue()
                except ResourceExistsError:
                    continue  # by somebody else, just now
            except AzureError as error:
                attempts += 1
                log.info("Subscription %s: the queue did not take a message: %r", self.subscription.name, error)
                await asyncio.sleep(self._policy.delay(attempts))
            else:
                return
