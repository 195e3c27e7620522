"""Queue triggers: messages are taken in batches and handled at once; a message that keeps failing becomes poison."""

import asyncio
import base64
import binascii
import contextlib
import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from devhost.azurite.storage_account import StorageAccount
from devhost.functions import Function
from devhost.settings import QueueOptions
from devhost.worker.channel import Value
from devhost.worker.invoker import FunctionFailed, Invoker

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

log = logging.getLogger("devhost.queues")

_FIRST_PAUSE: Final = 0.1
_HELD_SECONDS: Final = 600
"""The time for which a message is invisible while its function runs; renewed when half of it has passed."""


def decoded(stored: str, *, base64_encoded: bool) -> Value | None:
    """The value of a message as it is stored: text, else bytes; None when it is not as the encoding says."""
    if not base64_encoded:
        return "string", stored
    try:
        content = base64.b64decode(stored, validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        return "string", content.decode()
    except UnicodeDecodeError:
        return "bytes", content


def _time(moment: datetime | None) -> Value:
    return "json", json.dumps(moment.isoformat() if moment else None)


class QueueTrigger:
    """Handles the messages of one queue with one function."""

    def __init__(
        self, function: Function, account: StorageAccount, queue: str, invoker: Invoker, options: QueueOptions
    ) -> None:
        self._function = function
        self._account = account
        self._queue = queue
        self._invoker = invoker
        self._options = options
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Poll until cancelled. A queue that does not exist is waited for."""
        pause = _FIRST_PAUSE
        try:
            async with self._account.queue(self._queue) as client:
                while True:
                    taken = await self._take(client)
                    pause = _FIRST_PAUSE if taken else min(2 * pause, self._options.max_polling_interval)
                    if not taken:
                        await asyncio.sleep(pause)
                    while len(self._under_way) > self._options.batch_size // 2:
                        await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _take(self, client: "QueueClient") -> bool:
        """Start handling the next batch; whether there was a message."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        size = min(self._options.batch_size, 32)
        pages = client.receive_messages(messages_per_page=size, visibility_timeout=_HELD_SECONDS).by_page()
        try:
            messages = [message async for message in await anext(pages)]
        except (StopAsyncIteration, ResourceNotFoundError):
            return False
        except AzureError as error:
            log.warning("Polling the queue %s failed: %r", self._queue, error)
            return False
        for message in messages:
            task = asyncio.create_task(self._handle(client, message))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return bool(messages)

    async def _handle(self, client: "QueueClient", message: "QueueMessage") -> None:
        from azure.core.exceptions import AzureError

        try:
            value = decoded(message.content, base64_encoded=self._options.base64)
            if value is None:
                log.error("A message of the queue %s is not base64", self._queue)
                await self._poison(client, message)
                return
            try:
                await self._run(client, message, value)
            except FunctionFailed:
                if int(message.dequeue_count or 0) >= self._options.max_dequeue_count:
                    await self._poison(client, message)
                else:
                    await client.update_message(message, visibility_timeout=int(self._options.visibility_timeout))
                return
            await client.delete_message(message)
        except AzureError as error:
            log.warning("A message of the queue %s comes again: %r", self._queue, error)

    async def _run(self, client: "QueueClient", message: "QueueMessage", value: Value) -> None:
        metadata: dict[str, Value] = {
            "Id": ("string", message.id),
            "DequeueCount": ("json", str(message.dequeue_count)),
            "PopReceipt": ("string", message.pop_receipt),
            "InsertionTime": _time(message.inserted_on),
            "ExpirationTime": _time(message.expires_on),
            "NextVisibleTime": _time(message.next_visible_on),
        }
        renewal = asyncio.create_task(self._renew(client, message))
        try:
            await self._invoker.run(
                self._function,
                {self._function.trigger["name"]: value},
                metadata,
                reason=f"New queue message detected on '{self._queue}'.",
            )
        finally:
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal

    async def _renew(self, client: "QueueClient", message: Any) -> None:
        while True:
            await asyncio.sleep(_HELD_SECONDS / 2)
            renewed = await client.update_message(message, visibility_timeout=_HELD_SECONDS)
            message.pop_receipt = renewed.pop_receipt

    async def _poison(self, client: "QueueClient", message: "QueueMessage") -> None:
        log.error("A message of the queue %s moves to %s-poison", self._queue, self._queue)
        await self._account.send(f"{self._queue}-poison", message.content)
        await client.delete_message(message)
