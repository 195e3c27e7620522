"""The sequencer: it alone numbers changes, and finishes what they leave behind (storage §7).

Any number of processes may run one: only who holds the head's etag appends a page, and all other work is idempotent.
"""

import asyncio
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.change_log.log import PAGE_ENTRIES, ChangeLog, Head, LoggedChange
from shared.dicom.identifiers import InstanceIdentifier
from shared.index.changes import LOGGED_COLUMNS
from shared.index.clock import HybridClock
from shared.index.fold import Folder
from shared.index.hints import Hint, Hints
from shared.index_schema import keys
from shared.index_schema.keys import RowKind, StudyPlace
from shared.index_schema.schema import Schemas
from shared.storage.optimistic import pause
from shared.storage.ports import Entity, Page, TableStore
from shared.upkeep.cleanup import StudyCleanup

_SWEEP_SECONDS = 30
"""Hints are read at least this often, whatever events say."""
_STUDIES_IN_FLIGHT = 32
_CYCLES = 8


@dataclass(slots=True)
class _Found:
    """The findings of a cycle in the studies that it looked at."""

    changes: dict[tuple[str, str], LoggedChange] = field(default_factory=dict)
    """By change id, then the study's partition key: two studies may have changes of one id."""
    idle: list[StudyPlace] = field(default_factory=list)
    """Studies without changes or clean-up."""
    cleanup: set[StudyPlace] = field(default_factory=set)
    """Studies with clean-up."""
    complete: bool = True
    """Every change that was pending when the cycle began is in `changes`."""


@dataclass(slots=True)
class _Calls:
    """Calls that are served by the same cycles."""

    studies: dict[str, StudyPlace] = field(default_factory=dict)
    everything: bool = False
    thorough: bool = False
    """Go on until everything is logged, and clean up."""
    complete: bool | None = None
    """The answer to all of them; None while they wait."""


class Sequencer:
    """One per process."""

    def __init__(
        self,
        tables: TableStore,
        clock: HybridClock,
        remover: StudyCleanup,
        schemas: Schemas,
        *,
        shards: int,
        log: ChangeLog,
        page_entries: int = PAGE_ENTRIES,
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._remover = remover
        self._shards = shards
        self._log = log
        self._page_entries = page_entries
        self._folder = Folder(tables, clock, schemas)
        self._hints = Hints(tables, clock, shards=shards)
        self._running = asyncio.Lock()
        self._acknowledged = 0
        self._swept = 0.0
        self._waiting = _Calls()

    async def catch_up(self, studies: Collection[StudyPlace] | None = None, *, thorough: bool = True) -> bool:
        """Log every change that was committed before this call, at least those of `studies`; False if there was too
        much for a few cycles. Not `thorough`: for one cycle, and what it leaves behind is left to others (S-8).

        Calls that come while cycles run are served together by the next ones. Raises Unavailable.
        """
        calls = self._waiting
        calls.thorough = calls.thorough or thorough
        if studies is None:
            calls.everything = True
        else:
            calls.studies.update((place.partition_key, place) for place in studies)
        async with self._running:
            if calls.complete is None:
                if calls is self._waiting:
                    self._waiting = _Calls()
                calls.complete = await self._serve(calls)
        return calls.complete

    # ----------------------------------------------------------------------------------------------------- inside

    async def _serve(self, calls: _Calls) -> bool:
        studies = None if calls.everything else list(calls.studies.values())
        for attempt in range(_CYCLES):
            await pause(attempt)
            logged, complete = await self._cycle(studies, clean=calls.thorough)
            if complete or (logged and not calls.thorough):
                return complete
        return False

    async def _cycle(self, studies: Iterable[StudyPlace] | None, *, clean: bool) -> tuple[int, bool]:
        """The number of changes logged, and whether those are all that were pending when it began."""
        head = await self._settled_head()
        hints, places = await self._where(studies)
        found = await self._look(places)
        chosen = sorted(found.changes)[: self._page_entries]
        if chosen:
            changes = [found.changes[key] for key in chosen]
            page = await self._log.append(head, changes, int(self._clock.now() * 1_000_000))
            if page is None:
                return 0, False
            found.cleanup |= await self._acknowledge(changes)
            self._acknowledged = head.next + len(changes) - 1
            await self._log.acknowledged(head, self._acknowledged)
        if clean:
            await self._clean(found, hints)
        return len(chosen), found.complete and len(chosen) == len(found.changes)

    async def _settled_head(self) -> Head:
        """The head of a bucket with room, all pages before it acknowledged."""
        while True:
            head = await self._log.head()
            if head.needs_acknowledgement:
                if self._acknowledged != head.next - 1:
                    # Another process, or this one before a doubt, appended the last page and may not have finished it.
                    page = await self._log.last_page(head)
                    # rule: the last page is acknowledged before the next is read for
                    await self._acknowledge(page.changes if page else ())
                    self._acknowledged = head.next - 1
                await self._log.acknowledged(head, head.next - 1)  # again: events wait for the note
            if not self._log.is_full(head):
                return head
            await self._log.seal(head)

    async def _where(self, studies: Iterable[StudyPlace] | None) -> tuple[dict[str, Hint], list[StudyPlace]]:
        """The hints, by partition key, and where to look."""
        now = self._clock.now()
        places = {place.partition_key: place for place in studies or ()}
        if studies is not None and 0 <= now - self._swept < _SWEEP_SECONDS:
            return {}, list(places.values())
        hints = {hint.place.partition_key: hint for hint in await self._hints.all()}
        self._swept = now
        others = [hint.place for key, hint in hints.items() if key not in places]
        random.shuffle(others)  # so that under load no study has to wait for ever
        return hints, [*places.values(), *others]

    async def _look(self, places: Sequence[StudyPlace]) -> _Found:
        found = _Found()
        for at in range(0, len(places), _STUDIES_IN_FLIGHT):
            if len(found.changes) >= self._page_entries:
                found.complete = False
                break
            await asyncio.gather(*(self._look_at(place, found) for place in places[at : at + _STUDIES_IN_FLIGHT]))
        return found

    async def _look_at(self, place: StudyPlace, found: _Found) -> None:
        rows, complete = await self._unlogged(place)
        for row in rows:
            if keys.kind_of(row.row_key) is RowKind.CLEANUP:
                found.cleanup.add(place)
            else:
                change = _logged_change(place, row)
                # rule: changes of two studies may share an id
                found.changes[change.id, place.partition_key] = change
        found.complete = found.complete and complete
        # rule: a hint stays while something is unfinished
        if not rows:
            found.idle.append(place)

    async def _unlogged(self, place: StudyPlace) -> tuple[Sequence[Entity], bool]:
        """D, E and G rows of a study such that no change is there without the earlier ones of its instance.

        One page is what was there at one moment. A change moves from D to E when it is folded, so E rows are read after
        D rows; rows of a second page may be older than what is missing in the first and are left for the next cycle.
        """
        first = await self._page(place, keys.UNFINISHED)
        if first.next_row_key is None or keys.kind_of(first.entities[-1].row_key) is RowKind.CLEANUP:
            return first.entities, True
        folded = await self._page(place, keys.FOLDED)
        # rule: rows of a second page wait for the next cycle
        if folded.next_row_key is not None:
            return folded.entities, False
        pending = [row for row in first.entities if keys.kind_of(row.row_key) is RowKind.PENDING]
        # rule: folded changes are read after pending ones
        return [*pending, *folded.entities], False

    async def _page(self, place: StudyPlace, bounds: tuple[str, str]) -> Page:
        low, high = bounds
        columns = (*LOGGED_COLUMNS, "sk")
        while True:
            page = await self._tables.page("dicom", place.partition_key, low, high, select=columns)
            if page.entities or page.next_row_key is None:
                return page

    async def _acknowledge(self, changes: Sequence[LoggedChange]) -> set[StudyPlace]:
        """Fold the changes of a page and remove their D and E rows; the studies with clean-up. Idempotent."""
        by_study: dict[StudyPlace, set[str]] = {}
        for change in changes:
            place = keys.study_place(change.namespace, change.identifier.study_instance_uid, self._shards)
            by_study.setdefault(place, set()).add(change.id)
        slots = asyncio.Semaphore(_STUDIES_IN_FLIGHT)

        async def acknowledge(place: StudyPlace, change_ids: Collection[str]) -> bool:
            async with slots:
                return await self._folder.acknowledge(place, change_ids)

        left = await asyncio.gather(*(acknowledge(place, change_ids) for place, change_ids in by_study.items()))
        return {place for place, cleanup in zip(by_study, left, strict=True) if cleanup}

    async def _clean(self, found: _Found, hints: Mapping[str, Hint]) -> None:
        slots = asyncio.Semaphore(_STUDIES_IN_FLIGHT)

        async def clean(place: StudyPlace) -> None:
            async with slots:
                await self._remover.tidy(place)

        async def drop(place: StudyPlace) -> None:
            hint = hints.get(place.partition_key)
            if hint and self._hints.is_stale(hint):
                async with slots:
                    if not await self._remover.reap(place):
                        await self._hints.drop(hint)

        await asyncio.gather(*map(clean, found.cleanup), *map(drop, found.idle))


def _logged_change(place: StudyPlace, row: Entity) -> LoggedChange:
    properties: Mapping[str, Any] = row.properties
    identifier = InstanceIdentifier(place.study_instance_uid, properties["series"], properties["instance"])
    return LoggedChange(keys.tail_of(row.row_key), properties["op"], place.namespace, identifier)
