"""Queues in memory."""

from collections.abc import Awaitable, Callable

from shared.storage.azure_queues import check_message
from shared.storage.ports import QueueNotFound

type Hook = Callable[[str, str], Awaitable[None]]
"""Called with 'queue' and the operation: 'send' or 'length'."""


class MemoryQueueStore:
    """A QueueStore in memory; `messages` holds what was sent, by queue, as (text, delay in seconds).

    `before` runs ahead of each request and `after` behind it, as in MemoryTableStore.
    """

    def __init__(self, *queues: str, before: Hook | None = None, after: Hook | None = None) -> None:
        self.before = before
        self.after = after
        self.messages: dict[str, list[tuple[str, int]]] = {queue: [] for queue in queues}
        self.requests = 0

    async def send(self, queue: str, message: str, *, delay_seconds: int = 0) -> None:
        check_message(message, delay_seconds)
        await self._begin("send")
        self._find(queue).append((message, delay_seconds))
        await self._end("send")

    async def length(self, queue: str) -> int:
        await self._begin("length")
        length = len(self._find(queue))
        await self._end("length")
        return length

    async def ensure_queue(self, queue: str) -> None:
        self.messages.setdefault(queue, [])

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to release."""

    # ---- inside

    def _find(self, queue: str) -> list[tuple[str, int]]:
        try:
            return self.messages[queue]
        except KeyError:
            raise QueueNotFound("No queue of that name") from None

    async def _begin(self, operation: str) -> None:
        self.requests += 1
        if self.before:
            await self.before("queue", operation)

    async def _end(self, operation: str) -> None:
        if self.after:
            await self.after("queue", operation)
