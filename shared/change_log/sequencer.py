"""The sequencer: it alone numbers changes, and finishes what they leave behind (storage §7).

Any number of processes may run one: only who holds the head's etag appends a page, and all other work is idempotent.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from shared import telemetry
from shared.change_log.finishing import ROWS_KEPT, STUDIES_IN_FLIGHT, Finishing
from shared.change_log.log import PAGE_ENTRIES, ChangeLog, Head
from shared.change_log.look import Look, look_at
from shared.change_log.numbering import Found, Numbering, Rest, Study
from shared.change_log.tail import Tail
from shared.concurrency import together
from shared.hints import Hint, Hints
from shared.index.fold import Folder
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.index_schema.schema import Schemas
from shared.storage.optimistic import pause
from shared.storage.ports import TableStore
from shared.upkeep.cleanup import StudyCleanup

_CYCLES = 8
_MOST_PAGES = 20
"""A cycle logs no more: what it has found is in memory until then."""


@dataclass(slots=True)
class _Calls:
    """Calls that are served by the same cycles."""

    logged: asyncio.Future[bool]
    """Whether everything is logged."""
    finished: asyncio.Future[bool]
    """The same, when it is finished too."""
    studies: dict[str, StudyPlace] = field(default_factory=dict)
    reading: bool = False
    """Somebody reads what is logged."""
    thorough: bool = False
    """Go on until everything is logged, and clean up."""
    final: int = 0
    """A change that is logged later has no timestamp below this: microseconds since 1970."""
    complete: bool = False
    """Whether everything is logged in the end."""

    def fail(self, error: BaseException) -> None:
        """Tell the callers, unless they have gone on."""
        waiting = [each for each in (self.logged, self.finished) if not each.done()]
        if self.finished.done() or (self.logged.done() and not self.thorough):
            telemetry.failure("changes-not-acknowledged", error)
        for each in waiting:
            each.set_exception(error)
            each.exception()  # perhaps nobody waits any more

    def cancel(self) -> None:
        """The process ends."""
        self.logged.cancel()
        self.finished.cancel()


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
        self._log = log
        self._page_entries = page_entries
        self._most = page_entries * most_pages
        self._hints = hints
        self._tail = Tail(log, shards)
        self._numbering = Numbering(hints)
        folder = Folder(tables, clock, schemas)
        self._finishing = Finishing(tables, folder, remover, hints, self._tail, shards=shards)
        self._running = asyncio.Lock()
        self._waiting: _Calls | None = None
        self._task: asyncio.Task[None] | None = None
        self._unfinished: list[tuple[_Calls, list[Found]]] = []
        self._finisher: asyncio.Task[None] | None = None

    async def catch_up(self, studies: Collection[StudyPlace] = (), *, thorough: bool = True, final: int = 0) -> bool:
        """Log every change that was committed before this call, also where only `studies` tell of it; False if there
        was too much for a few cycles. Not `thorough`: for one cycle or two, after which the log knows its end, and
        what they leave behind is left to others (S-8). If a page is appended, what comes after it has no timestamp
        below `final`, microseconds since 1970: the log need not be fenced.

        Calls that come while cycles run are served together by the next ones. Raises Unavailable.
        """
        calls = self._waiting
        if calls is None:
            loop = asyncio.get_running_loop()
            calls = self._waiting = _Calls(loop.create_future(), loop.create_future())
        calls.thorough = calls.thorough or thorough
        calls.reading = calls.reading or not thorough
        calls.final = max(calls.final, final)
        calls.studies.update((place.partition_key, place) for place in studies)
        if self._task is None or self._task.done():
            # It serves many calls: none of them may end it, and it is done for none of them alone.
            self._task = asyncio.create_task(self._work(), context=Context())
        return await asyncio.shield(calls.finished if thorough else calls.logged)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _work(self) -> None:
        """Number changes while there are calls."""
        while True:
            async with self._running:
                calls, self._waiting = self._waiting, None
                if calls is None:
                    return
                try:
                    with telemetry.trigger("number_changes"):
                        found = await self._serve(calls)
                except asyncio.CancelledError:
                    calls.cancel()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the callers'
                    calls.fail(error)
                    continue
            if calls.thorough or self._tail.is_long:
                self._unfinished.append((calls, found if calls.thorough else []))
                if self._finisher is None or self._finisher.done():
                    self._finisher = asyncio.create_task(self._finish(), context=Context())

    async def _serve(self, calls: _Calls) -> list[Found]:
        """Run cycles until the calls are served, but for what follows; what was found."""
        everything: list[Found] = []
        seen_all = complete = False
        for attempt in range(_CYCLES):
            await pause(attempt)
            found, logged, rest = await self._cycle(calls.studies.values(), seen_all=seen_all, final=calls.final)
            everything.append(found)
            complete = _is_enough(rest, seen_all=seen_all)
            if complete or (logged and rest is Rest.MORE):
                await self._tell(calls, complete=complete, logged=logged)
                if complete or not calls.thorough:
                    break
            # rule: what is late was committed after a cycle that has seen everything
            seen_all = seen_all or self._numbering.has_seen_all
            if not found.complete:
                await self._finishing.acknowledge([found])  # the rest of a large study lies behind what is logged
        calls.complete = complete
        if not calls.logged.done():
            calls.logged.set_result(complete)
        if not calls.thorough:
            calls.finished.set_result(complete)
        return everything

    async def _tell(self, calls: _Calls, *, complete: bool, logged: int) -> None:
        """Nobody who only reads has to wait for what follows."""
        if calls.logged.done():
            return
        # Another process may have logged what the cycle would have found after it has read the head.
        # rule: a cycle that has appended nothing reads the head again
        if calls.reading and not logged:
            await self._log.head()
        calls.logged.set_result(complete)

    async def _finish(self) -> None:
        """Finish what was numbered while there is something."""
        while self._unfinished:
            batch, self._unfinished = self._unfinished, []
            try:
                with telemetry.trigger("finish_changes"):
                    await self._finishing.finish([each for _, found in batch for each in found])
            except asyncio.CancelledError:
                for calls, _ in batch:
                    calls.cancel()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the callers'
                for calls, _ in batch:
                    calls.fail(error)
                continue
            for calls, _ in batch:
                if not calls.finished.done():
                    calls.finished.set_result(calls.complete)

    async def _cycle(
        self, studies: Iterable[StudyPlace], *, seen_all: bool = False, final: int = 0
    ) -> tuple[Found, int, Rest]:
        """The findings, the number of changes logged, and the rest."""
        until = self._clock.bound()
        head, hints = await together(self._open_head(), self._hints.all())
        found = await self._find(hints, studies)
        chosen, rest = self._numbering.choose(found, until, self._most)
        logged = 0
        for at in range(0, len(chosen), self._page_entries):
            if at:
                own = head.next + self._page_entries
                head = await self._open_head()
                # rule: what was found is logged only while no other process logs
                if head.next != own:
                    return found, logged, Rest.MORE
            changes = [found.changes[key] for key in chosen[at : at + self._page_entries]]
            # rule: a window is final only when everything before its end is logged
            is_last = at + self._page_entries >= len(chosen) and _is_enough(rest, seen_all=seen_all)
            now = int(self._clock.now() * 1_000_000)
            page = await self._log.append(head, changes, now, final=final if is_last else 0)
            if page is None:
                return found, logged, Rest.MORE
            self._tail.append(page)
            self._hints.logged(changes)
            logged += len(changes)
        return found, logged, rest

    async def _open_head(self) -> Head:
        """The head of a bucket with room, and the tail that goes with it."""
        while True:
            head = await self._log.head()
            appended = await self._tail.follow(head)
            if appended is None:
                # rule: who does not know what others have logged forgets what it has committed
                self._hints.forget_unlogged()
            else:
                # rule: what others have logged is not logged from memory
                self._hints.logged([change for page in appended for change in page.changes])
            if not self._log.is_full(head):
                return head
            # rule: a bucket is sealed when all its pages are acknowledged
            await self._finishing.acknowledge()
            await self._log.seal(head)

    async def _find(self, hints: Sequence[Hint], named: Iterable[StudyPlace]) -> Found:
        """The pending changes, as far as they have no number."""
        # rule: what has its number already gets no other
        found = Found(passed=self._tail.keys())
        studies = {place.partition_key: Study(place) for place in named}
        for hint in hints:
            study = studies.setdefault(hint.place.partition_key, Study(hint.place))
            study.hints[hint] = self._hints.mark(hint)
        looks: list[tuple[str, Study]] = []
        for key, study in studies.items():
            # rule: a study is passed over only if all its hints are settled
            if study.hints and all(map(self._hints.is_settled, study.hints)):
                found.settled |= study.hints
                continue
            found.studies[key] = study
            unlogged = self._hints.unlogged(study.hints)
            if unlogged is None:
                looks.append((key, study))
            else:
                found.add(key, Look(study.place, list(unlogged)), self._most)
        slots = asyncio.Semaphore(STUDIES_IN_FLIGHT)
        kept = 0

        async def look(key: str, study: Study) -> None:
            nonlocal kept
            async with slots:
                before = self._hints.before_look(study.place)
                study.look = look = await look_at(self._tables, study.place)
            if look.complete:
                missing = [change for change in look.changes if (change.id, key) not in found.passed]
                self._hints.learn(study.place, before, missing)
            kept += bool(look.changes)
            if kept > ROWS_KEPT:
                look.rows = None
            found.add(key, look, self._most)

        await asyncio.gather(*(look(key, study) for key, study in looks))
        return found


def _is_enough(rest: Rest, *, seen_all: bool) -> bool:
    """Whether everything is logged that was committed before the first cycle. `seen_all`: an earlier one of the same
    calls has found everything that there was.
    """
    return rest is Rest.NOTHING or (rest is Rest.LATE and seen_all)
