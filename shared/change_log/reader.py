"""Reading the change feed (storage §7; azure-apis §4)."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from itertools import count

from shared import telemetry
from shared.change_log.log import ChangeLog, FeedPage
from shared.change_log.sequencer import Sequencer
from shared.dicom.identifiers import InstanceIdentifier
from shared.index.lookup import InstanceLookup
from shared.index.model import StoredInstance
from shared.index_schema.changes import ChangeOperation, LoggedChange
from shared.index_schema.clock import HybridClock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
PATIENCE_SECONDS = 10.0
"""The longest wait of a reader for changes to be logged. Normally that takes milliseconds."""


class EntryState(Enum):
    """The relation of an entry to the present state of its instance (CF-21)."""

    CURRENT = auto()
    REPLACED = auto()
    DELETED = auto()


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry; it never changes (CF-20)."""

    sequence: int
    timestamp: datetime
    operation: ChangeOperation
    namespace: str
    """Of the data partition."""
    identifier: InstanceIdentifier
    version: int
    told: EntryState | None = field(default=None, compare=False)
    """Its state when it was read, if the feed itself told everything by then; None: only a look-up tells."""


@dataclass(frozen=True, slots=True)
class ResolvedEntry:
    """An entry and its state at the time of reading."""

    entry: FeedEntry
    state: EntryState
    instance: StoredInstance | None
    """The present version of the instance (CF-26); None if it is deleted, or was not asked for."""


class ChangeFeed:
    """The change feed as its endpoints read it.

    Each reading first has everything logged that was committed before, as far as one cycle and PATIENCE_SECONDS reach;
    it shows what is logged by then, and later entries only ever follow (S-8).
    """

    def __init__(self, log: ChangeLog, sequencer: Sequencer, lookup: InstanceLookup, clock: HybridClock) -> None:
        self._log = log
        self._sequencer = sequencer
        self._lookup = lookup
        self._clock = clock

    async def by_sequence(self, after: int, limit: int) -> list[FeedEntry]:
        """The entries with after < sequence ≤ after + limit (CF-10); of a feed that was begun anew behind all that, the
        first ones (DAT-54). Raises Unavailable.
        """
        complete = await self._catch_up()
        start = await self._log.start()
        if after + limit < start:
            after = start - 1
        return await self._entries(after + 1, after + limit + 1, complete=complete)

    async def start(self) -> int:
        """The first sequence of the feed. Raises Unavailable."""
        return await self._log.start()

    async def by_time(self, start: datetime | None, end: datetime | None, offset: int, limit: int) -> list[FeedEntry]:
        """The entries with start ≤ timestamp < end, without the first `offset`, at most `limit` (CF-11).

        What lies before `end`, or before now if that is earlier, is final: no later entry gets such a timestamp.
        Times carry an offset. Raises Unavailable.
        """
        now = int(self._clock.now() * 1_000_000)
        final = now if end is None else min(now, _microseconds(end))
        complete = await self._catch_up(final)
        # rule: a window is final before it is read
        await self._log.fence(final)
        first, bound = await asyncio.gather(
            self._log.first_since(_microseconds(start) if start else 0),
            self._log.first_since(_microseconds(end)) if end else _nothing(),
        )
        if first is None:
            return []
        last = first + offset + limit
        entries = await self._entries(first + offset, last if bound is None else min(last, bound), complete=complete)
        return [entry for entry in entries if end is None or entry.timestamp < end]

    async def latest(self) -> FeedEntry | None:
        """The entry with the highest sequence; None if there is none (CF-17). Raises Unavailable."""
        complete = await self._catch_up()
        entries = await self._entries(self._log.end - 1, self._log.end, complete=complete)
        return entries[0] if entries else None

    async def resolve(self, entries: Sequence[FeedEntry], *, metadata: bool) -> list[ResolvedEntry]:
        """The entries with their states, and with `metadata` the present versions of their instances."""
        if not metadata and all(entry.told for entry in entries):
            return [ResolvedEntry(entry, entry.told, None) for entry in entries if entry.told]
        wanted: dict[str, set[InstanceIdentifier]] = {}
        for entry in entries:
            wanted.setdefault(entry.namespace, set()).add(entry.identifier)
        found = await asyncio.gather(
            *(self._lookup.instances_in(namespace, each, metadata=metadata) for namespace, each in wanted.items())
        )
        present = dict(zip(wanted, found, strict=True))
        return [_resolved(entry, present[entry.namespace].get(entry.identifier)) for entry in entries]

    async def _catch_up(self, final: int = 0) -> bool:
        """Whether the log has everything that was committed before. Later entries rather have no timestamp below
        `final`.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._sequencer.catch_up(thorough=False, final=final)
        except TimeoutError:
            telemetry.event("feed-read-before-caught-up", level=logging.WARNING)
            await self._log.head()
            return False

    async def _entries(self, first: int, end: int, *, complete: bool) -> list[FeedEntry]:
        """The entries with first ≤ sequence < end that are known to be there. `complete`: the log has everything."""
        first, end = max(first, 1), min(end, self._log.end)
        if first >= end:
            return []
        pages = await self._log.pages(first, end - first)
        # rule: only a feed that has everything tells states
        last = self._log.last_changes(first) if complete else None
        return [entry for page in pages for entry in _entries_of(page, last) if first <= entry.sequence < end]


def _entries_of(page: FeedPage, last: Mapping[tuple[str, InstanceIdentifier], LoggedChange] | None) -> list[FeedEntry]:
    """`last`: the last change of each instance, if it is known."""
    return [
        FeedEntry(
            sequence,
            _EPOCH + timestamp * _MICROSECOND,
            change.operation,
            change.namespace,
            change.identifier,
            change.version,
            _told(change, last[change.namespace, change.identifier]) if last else None,
        )
        for sequence, timestamp, change in zip(count(page.first), page.timestamps(), page.changes, strict=False)
    ]


def _told(change: LoggedChange, last: LoggedChange) -> EntryState:
    if last.operation == "delete":
        return EntryState.DELETED
    return EntryState.CURRENT if last.id == change.id else EntryState.REPLACED


async def _nothing() -> None:
    """No bound."""


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _resolved(entry: FeedEntry, instance: StoredInstance | None) -> ResolvedEntry:
    if instance is None:
        return ResolvedEntry(entry, EntryState.DELETED, None)
    state = EntryState.CURRENT if instance.version == entry.version else EntryState.REPLACED
    return ResolvedEntry(entry, state, instance)
