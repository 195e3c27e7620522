"""Followers of the change log: each handles every change at least once, in order, from where it last came to.

The log is the outbox. A cursor in storage says up to which change a follower has handled everything. It moves only
after that, and only under its etag, so that whatever dies or runs twice, no change is passed over. A lease on the
cursor keeps processes from handling the same changes side by side; it saves work, and nothing depends on it.
"""

import asyncio
import logging
import math
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import count

from shared import telemetry
from shared.change_log.log import ChangeLog, FeedPage
from shared.change_log.sequencer import Sequencer
from shared.errors import DicomServiceError
from shared.index_schema.changes import LoggedChange
from shared.storage.optimistic import Cursor, Rounds
from shared.storage.ports import TableStore, Value

_PARTITION = "feed"
"""Of the cursors in `conf`."""
_LEASE_SECONDS = 30.0
_RENEW_SECONDS = 10.0
"""A handler that takes longer has its lease renewed this often."""
_FORGOTTEN_SECONDS = 600
"""A cursor that has not moved for that long is of no running process, where the follower is switched off."""
_BACKOFF_SECONDS = (2.0, 5.0, 15.0, 30.0)
_TURNS = 10_000
_LOOKS = (0.1, 0.3, 0.6)
"""Seconds until one more look at a cursor that another process holds."""
_LONG_SECONDS = 0.5
"""A process that has held the cursor that long looks again: those who wait for it may have gone."""


@dataclass(frozen=True, slots=True)
class FollowedChange:
    """A change as a handler gets it."""

    sequence: int
    timestamp: int
    """Microseconds since 1970."""
    change: LoggedChange


type Handler = Callable[[Sequence[FollowedChange]], Awaitable[None]]
"""Handles changes, in the order of their sequences. It must be idempotent: it gets changes again after a failure, and
perhaps without one. Raises what kept it from handling all of them; they come again after a pause."""


class Start(Enum):
    """The beginning of a follower that has no cursor."""

    NOW = auto()
    """Behind everything that was committed before."""
    BEGINNING = auto()
    """With the first change of the log."""


@dataclass(frozen=True, slots=True)
class Following:
    """The pace of a follower."""

    name: str
    """Of its cursor; never changes."""
    failed: str
    """Telemetry event of an attempt that failed."""
    start: Start = Start.NOW
    changes_at_once: int = 1000
    """At most so many in one call of the handler: few where each takes long, because a failure repeats them all."""
    seconds: float = 25.0
    """A call of the handler is ended after that."""


@dataclass(frozen=True, slots=True)
class _Position:
    """The cursor as it is stored."""

    next: int
    """The first sequence that may not have been handled."""
    holder: str
    """Process that holds the lease; '': none."""
    until: float
    """End of the lease, or of the pause after a failure, in seconds since 1970."""
    failures: int
    """Attempts that have failed since the last one that did not."""
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


@dataclass(slots=True)
class _Lease:
    """The cursor as it was last written or read by the process that holds the lease."""

    position: _Position


class _LeaseLost(Exception):
    """The cursor belongs to another process, or was reset."""


class Follower:
    """One follower in one process; any number of processes. `now`: seconds since 1970.

    Without `handle` it is switched off: nothing is handled, and what changes meanwhile never will be, unless its start
    is the beginning.
    """

    def __init__(
        self,
        following: Following,
        handle: Handler | None,
        *,
        tables: TableStore,
        log: ChangeLog,
        sequencer: Sequencer,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._following = following
        self._handle = handle
        self._log = log
        self._sequencer = sequencer
        self._now = now
        self._cursor = Cursor(tables, _PARTITION, following.name)
        self._holder = uuid.uuid4().hex
        self._running = asyncio.Lock()
        self._waiting = 0
        self._looked = 0.0
        self._known: _Position | None = None
        """The cursor as this process has left it, while it is being followed."""

    async def prepare(self) -> None:
        """Call before the first request is served: from here on every change is followed. Raises Unavailable.

        Makes the cursor where there is none; where the follower is switched off, removes one that is left.
        """
        position = await self._position()
        if self._handle is not None and position is None:
            await self._begin()
        elif self._handle is None and position is not None and self._now() - position.moved > _FORGOTTEN_SECONDS:
            await self._cursor.remove(position.etag)

    async def run(self, seconds: float = math.inf) -> int:
        """Handle what is acknowledged in the log; how many changes were. After so many seconds the handler is not
        called again: the rest waits for the next run.

        Never raises because of what the handler depends on: what it could not handle stays, and the next run tries
        again, after growing pauses. Raises Unavailable if the tables do not answer.
        """
        if self._handle is None:
            if self._now() - self._looked > _FORGOTTEN_SECONDS:
                self._looked = self._now()
                await self.prepare()
            return 0
        if self._waiting:  # the run that waits will see what this caller has seen
            return 0
        self._waiting += 1
        try:
            await self._running.acquire()
        finally:
            self._waiting -= 1
        try:
            recent = self._log.recent
            if self._known and not (recent and recent.first <= self._known.next < recent.end):
                self._known = None  # it may have been moved or reset since
            return await self._run(self._handle, self._loop_time() + seconds)
        finally:
            self._running.release()

    async def position(self) -> tuple[int, int]:
        """The sequence up to which every change has been handled, and the newest one of the log. Raises Unavailable."""
        position = await self._position()
        return (position.next - 1 if position else 0), (await self._log.head()).next - 1

    async def lag(self) -> float:
        """Age of the oldest change that has not been handled, in seconds since its commit; 0 if there is none.

        Raises Unavailable.
        """
        position = await self._position() if self._handle else None
        if position is None or (await self._log.head()).next <= position.next:
            return 0.0
        pages = await self._log.pages(position.next, 1)
        return self._age(pages[0].timestamps()[position.next - pages[0].first]) if pages else 0.0

    async def reset(self, start: Start | int) -> None:
        """Begin anew at `start`, or with the change of that sequence, whatever was handled. A process that is at it
        ends its call of the handler, and its cursor no longer moves. Raises Unavailable.
        """
        sequence = start if isinstance(start, int) else await self._first(start)
        await self._cursor.save(_Position(sequence, "", 0.0, 0, self._now()).properties())

    # ----------------------------------------------------------------------------------------------------- inside

    def _age(self, timestamp: int) -> float:
        return max(0.0, self._now() - timestamp / 1_000_000)

    async def _run(self, handle: Handler, until: float) -> int:
        handled = 0
        looks = iter(_LOOKS)
        held_since = self._loop_time()
        for _ in range(_TURNS):
            position = self._known or await self._position()
            self._known = None
            if position is None:
                await self._begin()
                continue
            mine = position.holder == self._holder
            if not mine and self._now() < position.until:
                seconds = next(looks, None) if position.holder else None
                if seconds is None:
                    return handled  # a pause after a failure; or who takes that long looks again in the end
                await asyncio.sleep(seconds)
                continue
            changes, more = await self._unhandled(position.next)
            if not changes:
                if not mine:
                    self._known = position
                    return handled
                await self._move(replace(position, holder="", until=0.0))
                continue  # what came meanwhile has been left to this process
            if not mine:
                held = await self._move(replace(position, holder=self._holder, until=self._now() + _LEASE_SECONDS))
                if held is None:
                    continue
                position, held_since = held, self._loop_time()
            lease = _Lease(position)
            try:
                await self._call(handle, changes, lease)
            except _LeaseLost:
                return handled
            except Exception as error:
                await self._postpone(lease.position, error, changes[0])
                if not isinstance(error, DicomServiceError | TimeoutError):
                    raise
                return handled
            handled += len(changes)
            done = replace(lease.position, next=changes[-1].sequence + 1, failures=0)
            if more and self._loop_time() < until:
                self._known = await self._move(replace(done, until=self._now() + _LEASE_SECONDS))
                continue
            self._known = await self._move(replace(done, holder="", until=0.0))
            if more or (self._known and self._loop_time() - held_since < _LONG_SECONDS):
                return handled
        return handled

    @staticmethod
    def _loop_time() -> float:
        return asyncio.get_running_loop().time()

    async def _unhandled(self, sequence: int) -> tuple[list[FollowedChange], bool]:
        """Acknowledged changes from `sequence` on, and whether the log has more than them.

        What a page tells of may be missing in a search until the page is acknowledged.
        """
        page = self._log.recent
        if page is not None and page.first <= sequence < page.end:
            changes = [change for change in _changes_of(page) if change.sequence >= sequence]
            most = self._following.changes_at_once
            return changes[:most], len(changes) > most
        head = await self._log.head()
        # rule: a follower gets what is acknowledged
        end = min(head.next, head.settled + 1)
        if end <= sequence:
            return [], False
        most = min(self._following.changes_at_once, end - sequence)
        pages = await self._log.pages(sequence, most)
        changes = [change for page in pages for change in _changes_of(page) if change.sequence >= sequence][:most]
        return changes, bool(changes) and changes[-1].sequence + 1 < end

    async def _call(self, handle: Handler, changes: Sequence[FollowedChange], lease: _Lease) -> None:
        """Call the handler, and renew the lease while it takes long. Raises _LeaseLost, and what the handler raises."""
        work = asyncio.ensure_future(handle(changes))
        try:
            async with asyncio.timeout(self._following.seconds):
                while not (await asyncio.wait([work], timeout=_RENEW_SECONDS))[0]:
                    await self._renew(lease)
                await work
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])

    async def _renew(self, lease: _Lease) -> None:
        position = await self._move(replace(lease.position, until=self._now() + _LEASE_SECONDS))
        position = position or await self._position()
        if position is None or position.holder != self._holder or position.next != lease.position.next:
            raise _LeaseLost
        lease.position = position

    async def _postpone(self, position: _Position, error: Exception, oldest: FollowedChange) -> None:
        wait = _BACKOFF_SECONDS[min(position.failures, len(_BACKOFF_SECONDS) - 1)] * random.uniform(0.8, 1.2)
        failures = position.failures + 1
        lag = round(self._age(oldest.timestamp), 3)
        telemetry.failure(self._following.failed, error, level=logging.WARNING, failures=failures, lagSeconds=lag)
        await self._move(replace(position, holder="", until=self._now() + wait, failures=failures))

    # ------------------------------------------------------------------------------------------------- the cursor

    async def _position(self) -> _Position | None:
        stored = await self._cursor.read()
        if stored is None:
            return None
        properties, etag = stored
        return _Position(
            properties["next"],
            properties["holder"],
            properties["until"],
            properties["failures"],
            properties["moved"],
            etag,
        )

    async def _first(self, start: Start) -> int:
        """The first sequence to be handled."""
        if start is Start.BEGINNING:
            await self._log.head()
            return await self._log.start()
        rounds = Rounds("The change feed is busy")
        while not await self._sequencer.catch_up():
            await rounds.next()
        return (await self._log.head()).next

    async def _begin(self) -> None:
        """Make the cursor."""
        sequence = await self._first(self._following.start)
        await self._cursor.begin(_Position(sequence, "", 0.0, 0, self._now()).properties())

    async def _move(self, position: _Position) -> _Position | None:
        """Write the cursor unless another process has since it was read: what then holds is read again."""
        moved = replace(position, moved=self._now())
        etag = await self._cursor.move(moved.properties(), position.etag)
        return replace(moved, etag=etag) if etag else None


def _changes_of(page: FeedPage) -> list[FollowedChange]:
    numbered = zip(count(page.first), page.timestamps(), page.changes, strict=False)
    return [FollowedChange(*each) for each in numbered]
