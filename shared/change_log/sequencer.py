"""The sequencer: it alone numbers changes, and finishes what they leave behind (storage §7).

Any number of processes may run one: only who holds the head's etag appends a page, and all other work is idempotent.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum, auto
from heapq import nsmallest

from shared import telemetry
from shared.change_log.log import PAGE_ENTRIES, ChangeLog, Head, LoggedChange
from shared.change_log.look import Look, look_at
from shared.concurrency import together
from shared.index.fold import Folder
from shared.index.hints import Hint, Hints, Mark
from shared.index.study_rows import StudyRows
from shared.index_schema import keys
from shared.index_schema.clock import HybridClock
from shared.index_schema.hidden_namespaces import is_hidden
from shared.index_schema.keys import StudyPlace
from shared.index_schema.schema import Schemas
from shared.storage.optimistic import pause
from shared.storage.ports import TableStore
from shared.upkeep.cleanup import StudyCleanup

_STUDIES_IN_FLIGHT = 32
_CYCLES = 8
_MOST_PAGES = 20
"""A cycle logs no more: what it has found is in memory until then."""
_ROWS_KEPT = 64
"""Of so many studies a cycle keeps the rows that it has read until it folds them."""

type _ChangeKey = tuple[str, str]
"""Change id, then the study's partition key: two studies may have changes of one id."""


@dataclass(slots=True)
class _Study:
    """A study that a cycle looks at."""

    place: StudyPlace
    hints: dict[Hint, Mark] = field(default_factory=dict)
    """Its hints, and what each had been used for before the look."""
    look: Look | None = None


@dataclass(slots=True)
class _Found:
    """The findings of a cycle in the studies that it looked at."""

    studies: dict[str, _Study] = field(default_factory=dict)
    """By partition key."""
    settled: list[Hint] = field(default_factory=list)
    """Hints of the studies that were passed over."""
    changes: dict[_ChangeKey, LoggedChange] = field(default_factory=dict)
    complete: bool = True
    """Whether every change that was pending when the cycle began is in `changes`."""
    upto: str = ""
    """Changes with greater ids may be missing; '': none is."""

    def add(self, key: str, look: Look, most: int) -> None:
        """Note what was found in a study; `most` changes are kept, the first ones."""
        # rule: changes of two studies may share an id
        self.changes |= {(change.id, key): change for change in look.changes}
        self.complete = self.complete and look.complete
        self._bound(look.upto)
        if len(self.changes) > 2 * most:
            first = nsmallest(most, self.changes)
            self.changes = {each: self.changes[each] for each in first}
            self.complete = False
            self._bound(first[-1][0])

    def is_known_at(self, key: _ChangeKey) -> bool:
        """Whether no change before this one is missing."""
        return not self.upto or key[0] <= self.upto

    def _bound(self, upto: str) -> None:
        self.upto = min(filter(None, (self.upto, upto)), default="")


class _Rest(Enum):
    """Changes pending at the beginning of a cycle that it has not logged."""

    NOTHING = auto()
    LATE = auto()
    """Those that the next cycle logs, whatever there is. If an earlier cycle has seen all that there was, they were
    committed after it."""
    MORE = auto()
    """More than it takes, or it is not known what became of a page."""


@dataclass(slots=True)
class _Calls:
    """Calls that are served by the same cycles."""

    answer: asyncio.Future[bool]
    studies: dict[str, StudyPlace] = field(default_factory=dict)
    thorough: bool = False
    """Go on until everything is logged, and clean up."""

    def answer_with(self, complete: bool) -> None:
        """Let the callers go on."""
        if not self.answer.done():
            self.answer.set_result(complete)


class Sequencer:
    """One per process."""

    def __init__(
        self,
        tables: TableStore,
        clock: HybridClock,
        remover: StudyCleanup,
        schemas: Schemas,
        *,
        hints: Hints,
        shards: int,
        log: ChangeLog,
        page_entries: int = PAGE_ENTRIES,
        most_pages: int = _MOST_PAGES,
    ) -> None:
        """`hints`: those of this process's commits."""
        self._tables = tables
        self._clock = clock
        self._remover = remover
        self._shards = shards
        self._log = log
        self._page_entries = page_entries
        self._most_pages = most_pages
        self._folder = Folder(tables, clock, schemas)
        self._hints = hints
        self._running = asyncio.Lock()
        self._acknowledged = 0
        self._seen: set[_ChangeKey] = set()
        """Changes that the last cycle has found."""
        self._has_seen_all = False
        """Whether those were all that there were."""
        self._waiting: _Calls | None = None
        self._task: asyncio.Task[None] | None = None

    async def catch_up(self, studies: Collection[StudyPlace] = (), *, thorough: bool = True) -> bool:
        """Log every change that was committed before this call, also where only `studies` tell of it; False if there
        was too much for a few cycles. Not `thorough`: for one cycle or two, and what they leave behind is left to
        others (S-8).

        Calls that come while cycles run are served together by the next ones. Raises Unavailable.
        """
        calls = self._waiting
        if calls is None:
            calls = self._waiting = _Calls(asyncio.get_running_loop().create_future())
        calls.thorough = calls.thorough or thorough
        calls.studies.update((place.partition_key, place) for place in studies)
        if self._task is None or self._task.done():
            # It serves many calls: none of them may end it, and it is done for none of them alone.
            self._task = asyncio.create_task(self._work(), context=Context())
        return await asyncio.shield(calls.answer)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _work(self) -> None:
        """Run cycles while there are calls."""
        while True:
            async with self._running:
                calls, self._waiting = self._waiting, None
                if calls is None:
                    return
                try:
                    with telemetry.trigger("number_changes"):
                        await self._serve(calls)
                except asyncio.CancelledError:
                    calls.answer.cancel()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the callers', unless they have gone on
                    if calls.answer.done():
                        telemetry.failure("changes-not-acknowledged", error)
                    else:
                        calls.answer.set_exception(error)
                        calls.answer.exception()  # perhaps nobody waits any more

    async def _serve(self, calls: _Calls) -> None:
        seen_all = False
        for attempt in range(_CYCLES):
            await pause(attempt)

            def on_logged(logged: int, rest: _Rest, seen_all: bool = seen_all) -> None:
                """Nobody who only reads has to wait for what follows."""
                if not calls.thorough and (_is_enough(rest, seen_all=seen_all) or (logged and rest is _Rest.MORE)):
                    calls.answer_with(rest is not _Rest.MORE)

            _, rest = await self._cycle(calls.studies.values(), clean=calls.thorough, on_logged=on_logged)
            if _is_enough(rest, seen_all=seen_all):
                calls.answer_with(True)
            # rule: what is late was committed after a cycle that has seen everything
            seen_all = seen_all or self._has_seen_all
            if calls.answer.done():
                return
        calls.answer_with(False)

    async def _cycle(
        self,
        studies: Iterable[StudyPlace],
        *,
        clean: bool,
        on_logged: Callable[[int, _Rest], None] = lambda _logged, _rest: None,
    ) -> tuple[int, _Rest]:
        """The number of changes logged, and what is left. `on_logged` is told that before they are acknowledged."""
        until = self._clock.bound()
        head, hints = await together(self._settled_head(), self._hints.all())
        found = self._places(hints, studies)
        await self._look(found)
        chosen, rest = self._choose(found, until)
        logged = 0
        cleanup = {study.place for study in found.studies.values() if study.look and study.look.cleanup}
        hidden = [key for key in chosen if is_hidden(found.changes[key].namespace)]
        if hidden:  # folded like others, and told to nobody: the feed has no copies of shares (SHR-7)
            cleanup |= await self._acknowledge([found.changes[key] for key in hidden], found.studies)
            chosen = [key for key in chosen if key not in set(hidden)]
        if not chosen:
            on_logged(0, rest)
        for at in range(0, len(chosen), self._page_entries):
            if at:
                own = head.next + self._page_entries
                head = await self._settled_head()
                # rule: what was found is logged only while no other process logs
                if head.next != own:
                    return logged, _Rest.MORE
            changes = [found.changes[key] for key in chosen[at : at + self._page_entries]]
            page = await self._log.append(head, changes, int(self._clock.now() * 1_000_000))
            if page is None:
                return logged, _Rest.MORE
            logged += len(changes)
            if logged == len(chosen):
                on_logged(logged, rest)
            cleanup |= await self._acknowledge(changes, found.studies)
            self._acknowledged = head.next + len(changes) - 1
            await self._log.acknowledged(head, self._acknowledged)
        if clean:
            await self._clean(cleanup)
        await self._settle(found, {*chosen, *hidden}, cleanup, clean=clean)
        return logged, rest

    async def _settled_head(self) -> Head:
        """The head of a bucket with room, all pages before it acknowledged."""
        while True:
            head = await self._log.head()
            if head.needs_acknowledgement:
                if self._acknowledged != head.next - 1:
                    # Another process, or this one before a doubt, appended the last page and may not have finished it.
                    page = await self._log.last_page(head)
                    # rule: the last page is acknowledged before the next is read for
                    await self._acknowledge(page.changes if page else (), {})
                    self._acknowledged = head.next - 1
                await self._log.acknowledged(head, head.next - 1)  # again: events wait for the note
            if not self._log.is_full(head):
                return head
            await self._log.seal(head)

    # ---------------------------------------------------------------------------------------------------- looking

    def _places(self, hints: Sequence[Hint], named: Iterable[StudyPlace]) -> _Found:
        """The studies that may have pending work."""
        studies = {place.partition_key: _Study(place) for place in named}
        for hint in hints:
            study = studies.setdefault(hint.place.partition_key, _Study(hint.place))
            study.hints[hint] = self._hints.mark(hint)
        found = _Found()
        for key, study in studies.items():
            # rule: a study is passed over only if all its hints are settled
            if study.hints and all(map(self._hints.is_settled, study.hints)):
                found.settled += study.hints
            else:
                found.studies[key] = study
        return found

    async def _look(self, found: _Found) -> None:
        slots = asyncio.Semaphore(_STUDIES_IN_FLIGHT)
        most = self._page_entries * self._most_pages
        kept = 0

        async def look(key: str, study: _Study) -> None:
            nonlocal kept
            async with slots:
                study.look = await look_at(self._tables, study.place)
            look = study.look
            kept += bool(look.changes)
            if kept > _ROWS_KEPT:
                look.rows = None
            found.add(key, look, most)

        await asyncio.gather(*(look(key, study) for key, study in found.studies.items()))

    def _choose(self, found: _Found, until: int) -> tuple[list[_ChangeKey], _Rest]:
        """The changes that are to be logged, in order.

        What was committed after the cycle has begun may follow what it has not found. The next cycle finds that, and
        logs both, whatever the clocks say.
        """
        # rule: what is committed after a cycle has begun waits for the next
        late = {key for key, change in found.changes.items() if change.version >= until} - self._seen
        chosen = sorted(key for key in found.changes if key not in late and found.is_known_at(key))
        # rule: what a cycle has found is logged by the next
        self._seen = set(found.changes)
        self._has_seen_all = found.complete
        most = self._page_entries * self._most_pages
        if not found.complete or len(chosen) > most or len(chosen) + len(late) < len(found.changes):
            return chosen[:most], _Rest.MORE
        # Those of this process have versions of its clock: they were committed later than whoever waits has asked.
        # rule: what another process has committed may be older than its version
        if any(not self._is_own(found.studies[key]) for _, key in late):
            return chosen, _Rest.LATE
        return chosen, _Rest.NOTHING

    def _is_own(self, study: _Study) -> bool:
        """Whether no other process has written to the study lately."""
        return bool(study.hints) and all(map(self._hints.is_own, study.hints))

    # -------------------------------------------------------------------------------------------------- finishing

    async def _acknowledge(self, changes: Sequence[LoggedChange], studies: Mapping[str, _Study]) -> set[StudyPlace]:
        """Fold the changes of a page and remove their D and E rows; the studies with clean-up. Idempotent."""
        by_study: dict[StudyPlace, set[str]] = {}
        for change in changes:
            place = keys.study_place(change.namespace, change.identifier.study_instance_uid, self._shards)
            by_study.setdefault(place, set()).add(change.id)
        slots = asyncio.Semaphore(_STUDIES_IN_FLIGHT)

        async def acknowledge(place: StudyPlace, change_ids: Collection[str]) -> bool:
            study = studies.get(place.partition_key)
            rows: StudyRows | None = None
            if study and study.look:
                rows, study.look.rows = study.look.rows, None
            async with slots:
                return await self._folder.acknowledge(place, change_ids, rows)

        left = await asyncio.gather(*(acknowledge(place, change_ids) for place, change_ids in by_study.items()))
        return {place for place, cleanup in zip(by_study, left, strict=True) if cleanup}

    async def _clean(self, places: Collection[StudyPlace]) -> None:
        slots = asyncio.Semaphore(_STUDIES_IN_FLIGHT)

        async def clean(place: StudyPlace) -> None:
            async with slots:
                await self._remover.tidy(place)

        await asyncio.gather(*map(clean, places))

    async def _settle(
        self, found: _Found, logged: Collection[_ChangeKey], cleanup: Collection[StudyPlace], *, clean: bool
    ) -> None:
        """Note which studies have nothing left to do, and drop their hints in time."""
        idle: dict[StudyPlace, dict[Hint, Mark]] = {}
        for hint in found.settled:
            idle.setdefault(hint.place, {})[hint] = self._hints.mark(hint)
        emptied: set[StudyPlace] = set()
        for key, study in found.studies.items():
            look = study.look
            if look is None or study.place in cleanup or not look.complete:
                continue
            # rule: a hint stays while something is unfinished
            if any((change.id, key) not in logged for change in look.changes):
                continue
            idle[study.place] = study.hints
            if look.emptied:
                emptied.add(study.place)
                continue
            for hint, mark in study.hints.items():
                self._hints.found_idle(hint, mark)
        if not clean:
            return
        slots = asyncio.Semaphore(_STUDIES_IN_FLIGHT)
        drops: dict[Hint, Mark] = {}

        async def settle(place: StudyPlace, hints: Mapping[Hint, Mark]) -> None:
            due = {hint: mark for hint, mark in hints.items() if self._hints.may_drop(hint, mark)}
            if due:
                async with slots:
                    # rule: a hint is dropped only when the lists say what the study is
                    if await self._remover.settle(place, emptied=place in emptied):
                        drops.update(due)

        await asyncio.gather(*(settle(place, hints) for place, hints in idle.items()))
        await self._hints.drop(drops)


def _is_enough(rest: _Rest, *, seen_all: bool) -> bool:
    """Whether everything is logged that was committed before the first cycle. `seen_all`: an earlier one of the same
    calls has found everything that there was.
    """
    return rest is _Rest.NOTHING or (rest is _Rest.LATE and seen_all)
