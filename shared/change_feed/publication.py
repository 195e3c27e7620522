"""azure-apis §9 DICOM events: one for each entry of the change feed, at least once (A-2, EVT-1 to EVT-4).

The feed is the outbox. A cursor in storage says up to which entry all events have been taken by the topic; it moves
only after that, and only under its etag, so that whatever dies or runs twice, no event is lost. A lease on the cursor
keeps processes from publishing the same entries side by side; it saves work, and nothing depends on it.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from shared import telemetry
from shared.change_log.log import ChangeLog, FeedPage, LoggedChange
from shared.change_log.sequencer import Sequencer
from shared.dicomweb.partitions import PartitionDirectory
from shared.errors import DicomServiceError
from shared.events.dicom_events import ImageEvent, image_event
from shared.events.publisher import CloudEventData, EventPublisher
from shared.storage.optimistic import ROUNDS, pause
from shared.storage.ports import Ambiguous, Operation, PreconditionFailed, TableStore, Value

_CURSOR = ("feed", "events")
"""The row of `conf`."""
_LEASE_SECONDS = 30.0
_PUBLISH_SECONDS = 25
_ENTRIES_AT_ONCE = 1000
_FORGOTTEN_SECONDS = 600
"""A cursor that has not moved for that long is of no running process, where events are off."""
_BACKOFF_SECONDS = (2.0, 5.0, 15.0, 30.0)
_TURNS = 10_000
_KINDS = {"create": ImageEvent.CREATED, "update": ImageEvent.UPDATED, "delete": ImageEvent.DELETED}


@dataclass(frozen=True, slots=True)
class EventOrigin:
    """What the events say of the service."""

    host: str
    """Its host name without scheme."""
    source: str
    """The resource that publishes."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    next: int
    """The first sequence whose event may not have been taken."""
    holder: str
    """Who publishes; '': nobody."""
    until: float
    """Nobody else publishes before, in seconds since 1970."""
    failures: int
    """Attempts to publish that have failed since the last one that did not."""
    moved: float
    """When it was written."""
    etag: str = ""

    def properties(self) -> dict[str, Value]:
        return {
            "next": self.next,
            "holder": self.holder,
            "until": self.until,
            "failures": self.failures,
            "moved": self.moved,
        }


class Publication:
    """Publishes what has not been published. One per process; any number of processes.

    No `publisher`: events are off, and what changes meanwhile is never published (EVT-3).
    """

    def __init__(
        self,
        tables: TableStore,
        log: ChangeLog,
        sequencer: Sequencer,
        *,
        partitions: PartitionDirectory,
        publisher: EventPublisher | None,
        origin: EventOrigin,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now`: seconds since 1970."""
        self._tables = tables
        self._log = log
        self._sequencer = sequencer
        self._partitions = partitions
        self._publisher = publisher
        self._origin = origin
        self._now = now
        self._holder = uuid.uuid4().hex
        self._running = asyncio.Lock()
        self._waiting = 0
        self._looked = 0.0

    async def prepare(self) -> None:
        """Call before the first request is served: from here on every change has its event. Raises Unavailable.

        The cursor of a service whose events have just been switched on starts at the end of the feed (EVT-3); one that
        is left from before events were switched off is removed.
        """
        cursor = await self._cursor()
        if self._publisher is not None and cursor is None:
            await self._begin()
        elif self._publisher is None and cursor is not None and self._now() - cursor.moved > _FORGOTTEN_SECONDS:
            await self._write(Operation("delete", *_CURSOR, etag=cursor.etag))

    async def run(self) -> int:
        """Publish what is acknowledged in the feed; how many events were handed over.

        Never raises because of the topic: what it does not take stays where it is, and the next run tries again, after
        growing pauses. Raises Unavailable if the tables do not answer.
        """
        if self._publisher is None:
            if self._now() - self._looked > _FORGOTTEN_SECONDS:
                self._looked = self._now()
                await self.prepare()
            return 0
        if self._waiting:  # whoever waits will see what this caller has seen
            return 0
        self._waiting += 1
        try:
            await self._running.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._run(self._publisher)
        finally:
            self._running.release()

    async def lag(self) -> float:
        """Seconds since the oldest change was committed whose event has not been taken; 0 if there is none.

        Raises Unavailable.
        """
        cursor = await self._cursor() if self._publisher else None
        if cursor is None or (await self._log.head()).next <= cursor.next:
            return 0.0
        pages = await self._log.pages(cursor.next, 1)
        if not pages:
            return 0.0
        return self._age(pages[0], cursor.next)

    # ----------------------------------------------------------------------------------------------------- inside

    def _age(self, page: FeedPage, sequence: int) -> float:
        """Seconds since a change was committed."""
        return max(0.0, self._now() - page.timestamps()[sequence - page.first] / 1_000_000)

    async def _run(self, publisher: EventPublisher) -> int:
        published = 0
        for _ in range(_TURNS):
            cursor = await self._cursor()
            if cursor is None:
                await self._begin()
                continue
            mine = cursor.holder == self._holder
            if not mine and self._now() < cursor.until:
                return published  # somebody else is at it, and looks again when it has finished; or the topic is down
            pages, more = await self._unpublished(cursor.next)
            if not pages:
                if not mine:
                    return published
                await self._move(replace(cursor, holder="", until=0.0))
                continue  # what came meanwhile has been left to this process
            if not mine:
                await self._move(replace(cursor, holder=self._holder, until=self._now() + _LEASE_SECONDS))
                held = await self._cursor()
                if held is None or held.holder != self._holder or held.next != cursor.next:
                    continue
                cursor = held
            try:
                published += await self._publish(publisher, pages, cursor.next)
            except (DicomServiceError, TimeoutError) as error:
                await self._postpone(cursor, error, pages[0])
                return published
            done = replace(cursor, next=pages[-1].end, failures=0)
            if more:
                await self._move(replace(done, until=self._now() + _LEASE_SECONDS))
            else:
                await self._move(replace(done, holder="", until=0.0))
        return published

    async def _unpublished(self, sequence: int) -> tuple[list[FeedPage], bool]:
        """Acknowledged pages from `sequence` on, and whether the feed has more than them.

        The last page of the feed may not be acknowledged yet: what it tells of may be missing in a search.
        """
        head = await self._log.head()
        if head.next <= sequence:
            return [], False
        pages = await self._log.pages(sequence, min(_ENTRIES_AT_ONCE, head.next - sequence))
        if pages and head.needs_acknowledgement and pages[-1].end == head.next:
            del pages[-1]
        return pages, bool(pages) and pages[-1].end < head.next

    async def _publish(self, publisher: EventPublisher, pages: Sequence[FeedPage], sequence: int) -> int:
        events = [
            await self._event(number, timestamp, change)
            for page in pages
            for number, timestamp, change in zip(count(page.first), page.timestamps(), page.changes, strict=False)
            if number >= sequence
        ]
        async with asyncio.timeout(_PUBLISH_SECONDS):
            await publisher.publish(events)
        lag = max(0.0, self._now() - events[0].time.timestamp())
        telemetry.event("events-published", events=len(events), lagSeconds=round(lag, 3))
        return len(events)

    async def _event(self, sequence: int, timestamp: int, change: LoggedChange) -> CloudEventData:
        partition = await self._partitions.by_namespace(change.namespace)
        return image_event(
            _KINDS[change.operation],
            change.identifier,
            partition=partition.name if partition else change.namespace,
            sequence=sequence,
            change=change.id,
            time=datetime.fromtimestamp(timestamp / 1_000_000, UTC),
            host=self._origin.host,
            source=self._origin.source,
        )

    async def _postpone(self, cursor: _Cursor, error: Exception, page: FeedPage) -> None:
        wait = _BACKOFF_SECONDS[min(cursor.failures, len(_BACKOFF_SECONDS) - 1)] * random.uniform(0.8, 1.2)
        failures = cursor.failures + 1
        lag = round(self._age(page, cursor.next), 3)
        telemetry.failure("events-not-published", error, level=logging.WARNING, failures=failures, lagSeconds=lag)
        await self._move(replace(cursor, holder="", until=self._now() + wait, failures=failures))

    # ------------------------------------------------------------------------------------------------- the cursor

    async def _cursor(self) -> _Cursor | None:
        row = await self._tables.get("conf", *_CURSOR)
        if row is None:
            return None
        properties: Mapping[str, Any] = row.properties
        return _Cursor(
            properties["next"],
            properties["holder"],
            properties["until"],
            properties["failures"],
            properties["moved"],
            row.etag,
        )

    async def _begin(self) -> None:
        """Make the cursor, behind everything that was committed before."""
        for attempt in range(ROUNDS):
            await pause(attempt)
            if await self._sequencer.catch_up():
                break
        head = await self._log.head()
        cursor = _Cursor(head.next, "", 0.0, 0, self._now())
        await self._write(Operation("insert", *_CURSOR, cursor.properties()))

    async def _move(self, cursor: _Cursor) -> None:
        """Write the cursor unless somebody else has since it was read: what then holds is read again."""
        properties = replace(cursor, moved=self._now()).properties()
        await self._write(Operation("replace", *_CURSOR, properties, cursor.etag))

    async def _write(self, operation: Operation) -> None:
        with suppress(PreconditionFailed, Ambiguous):
            await self._tables.commit("conf", [operation])
