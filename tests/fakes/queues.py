"""Queues in memory."""

from collections import defaultdict

from shared.storage.azure_queues import check_message


class MemoryQueueStore:
    """A QueueStore in memory; `messages` holds what was sent, by queue, as (text, delay in seconds)."""

    def __init__(self) -> None:
        self.messages: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.requests = 0

    async def send(self, queue: str, message: str, *, delay_seconds: int = 0) -> None:
        check_message(message, delay_seconds)
        self.requests += 1
        self.messages[queue].append((message, delay_seconds))

    async def ensure_queue(self, queue: str) -> None:
        self.messages[queue]

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to release."""
