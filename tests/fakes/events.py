"""An event topic in memory."""

from collections.abc import Sequence

from shared.events.publisher import CloudEventData


class MemoryEventPublisher:
    """An EventPublisher that keeps what was published; while `failure` is set, it raises that instead."""

    def __init__(self) -> None:
        self.published: list[CloudEventData] = []
        self.failure: Exception | None = None

    async def publish(self, events: Sequence[CloudEventData]) -> None:
        if self.failure:
            raise self.failure
        self.published += events

    async def close(self) -> None:
        """Nothing to release."""
