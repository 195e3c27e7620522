"""Events as the service publishes them: CloudEvents 1.0, at least once, in any order (A-2, S-6)."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.dicom.media_types import JSON
from shared.errors import DicomServiceError

_LOG = logging.getLogger(__name__)
_ANNOUNCE_SECONDS = 20
_INTERVAL_SECONDS = 1.0
"""Between two announcements: each wakes a function, whatever it tells of."""


@dataclass(frozen=True, slots=True)
class CloudEventData:
    """One event: the context attributes of CloudEvents 1.0 that are used here, and JSON data. No patient attributes."""

    id: str
    source: str
    type: str
    time: datetime
    """With a time zone."""
    subject: str | None
    data: Mapping[str, Any]

    def json(self) -> dict[str, object]:
        """The event in the JSON format of CloudEvents 1.0."""
        event: dict[str, object] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "datacontenttype": JSON,
            "data": dict(self.data),
        }
        if self.subject is not None:
            event["subject"] = self.subject
        return event

    def event_grid_json(self) -> dict[str, object]:
        """The event in the Event Grid schema; Event Grid adds the topic and its own version."""
        return {
            "id": self.id,
            "subject": self.subject or self.type,
            "eventType": self.type,
            "eventTime": self.time.isoformat().replace("+00:00", "Z"),
            "dataVersion": "1",
            "data": dict(self.data),
        }


class EventPublisher(Protocol):
    """The port to the destination of events."""

    async def publish(self, events: Sequence[CloudEventData]) -> None:
        """Hand over `events`; when it returns, all were taken. Raises Unavailable or DependencyRefused: some may have
        been taken then, and all may be published again under the same ids.
        """
        ...


class Announcer:
    """Says that changes are pending, beside the request that made them (S-6).

    It never fails or delays a request: a lost announcement is made good by the timer sweep. At most one event is sent a
    second: the first at once, and what is announced in the second after it is gathered into the next.
    """

    def __init__(self, publisher: EventPublisher | None, event: Callable[[Sequence[str]], CloudEventData]) -> None:
        """`event` makes the event for the pending places. No publisher: nothing is announced."""
        self._publisher = publisher
        self._event = event
        self._pending: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._next = 0.0
        self._closing = asyncio.Event()

    def announce(self, places: Sequence[str]) -> None:
        """Tell, soon, that changes are pending in `places`: opaque texts that tell nothing of a patient."""
        if self._publisher is None or not places:
            return
        self._pending.update(places)
        if self._task is None or self._task.done():
            # It serves many requests and outlives them: what it does is not done for the one that happens to start it.
            self._task = asyncio.create_task(self._run(self._publisher), context=Context())

    async def close(self) -> None:
        """Tell at once what was announced, and wait until it is told."""
        self._closing.set()
        if self._task:
            await self._task
        self._closing.clear()

    async def _run(self, publisher: EventPublisher) -> None:
        while self._pending:
            await self._pause()
            places, self._pending = sorted(self._pending), set()
            try:
                async with asyncio.timeout(_ANNOUNCE_SECONDS):
                    await publisher.publish([self._event(places)])
            except (DicomServiceError, TimeoutError) as error:
                _LOG.warning("Pending changes were not announced: %s", type(error).__name__)

    async def _pause(self) -> None:
        """Wait until the next event may be sent, or until somebody waits for it."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next):
                    await self._closing.wait()
        self._next = asyncio.get_running_loop().time() + _INTERVAL_SECONDS
