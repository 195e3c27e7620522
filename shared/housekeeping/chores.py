"""The chores of the service: what is due when, and what it does in one run.

One timer does all of them. On a Flex Consumption plan each timer is a scaling group of its own, which starts an
instance for each run and pays for a whole second of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared import telemetry
from shared.change_log.follower import Follower
from shared.change_log.sequencer import Sequencer
from shared.dicomweb.partitions import PartitionDirectory
from shared.errors import DicomServiceError
from shared.storage.optimistic import best_effort_commit
from shared.storage.ports import RowWrite, TableStore
from shared.workitems.outbox import Outbox
from shared.workitems.retention import Retention

EVERY_RUN: Final = 60.0
"""Seconds between two runs of the timer: what is no more seldom than that is not written down."""
_TEN_MINUTES: Final = 600.0
_HOUR: Final = 3_600.0
_DAY: Final = 86_400.0

_BEGUN = ("cfg", "housekeeping")
"""Partition key and row key, in `conf`, of the row that says when each of the seldom chores last began."""
_LOOK_SECONDS: Final = 5.0
_ROUNDS: Final = 20
"""Of work in one run of a chore; what is left waits for the next."""
_SWEEPS: Final = 50
_SCRUBBED: Final = 10_000
"""Files and postings that one run looks at."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that is done again and again."""

    name: str
    run: Callable[[], Awaitable[Any]]
    seconds: float = EVERY_RUN
    """The time from its beginning until it is due again."""


class Housekeeping:
    """The chores, done by one process at a time: the host lets only one instance run a timer."""

    def __init__(
        self,
        chores: Sequence[Chore],
        tables: TableStore,
        now: Callable[[], float],
        *,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`now`: seconds since 1970; `look_seconds`: how often a run looks for what has become due meanwhile."""
        self._chores = chores
        self._tables = tables
        self._now = now
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Do what is due, each chore beside the others, until nothing is at work any more.

        A chore that takes long keeps none waiting: those that fall due meanwhile are done in the same run. A failure is
        of its chore alone; once all is done, the first one is raised, so that the host tells of it.
        """
        begun = await self._begun()
        running: dict[str, asyncio.Task[None]] = {}
        failures: list[BaseException] = []
        try:
            await self._begin(begun, running)
            while running:
                await asyncio.wait(running.values(), timeout=self._look_seconds, return_when=asyncio.FIRST_COMPLETED)
                for name in [name for name, task in running.items() if task.done()]:
                    failure = running.pop(name).exception()
                    failures += [failure] if failure else []
                if running:
                    await self._begin(begun, running)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
        if failures:
            raise failures[0]

    async def _begin(self, begun: dict[str, float], running: dict[str, asyncio.Task[None]]) -> None:
        now = self._now()
        due = [each for each in self._chores if each.name not in running and self._is_due(each, begun, now)]
        begun |= {each.name: now for each in due}
        if any(each.seconds > EVERY_RUN for each in due):
            seldom = {each.name: int(begun[each.name]) for each in self._chores if each.seconds > EVERY_RUN}
            # Before they are done: one that takes the process down with it is not tried again at once. A lost write
            # costs no more than doing it once more.
            try:
                await best_effort_commit(self._tables, "conf", [RowWrite("upsert", *_BEGUN, dict(seldom))])
            except DicomServiceError as error:
                telemetry.failure("housekeeping-not-written", error)
        for chore in due:
            running[chore.name] = asyncio.create_task(_do(chore), name=chore.name)

    @staticmethod
    def _is_due(chore: Chore, begun: dict[str, float], now: float) -> bool:
        last = begun.get(chore.name)
        return last is None or not 0 <= now - last < chore.seconds

    async def _begun(self) -> dict[str, float]:
        """When the seldom chores last began; nothing, if that cannot be read."""
        try:
            row = await self._tables.get("conf", *_BEGUN)
        except DicomServiceError as error:
            telemetry.failure("housekeeping-not-read", error)
            return {}
        return {name: float(value) for name, value in row.properties.items()} if row else {}


async def _do(chore: Chore) -> None:
    with telemetry.trigger(chore.name):
        await chore.run()


# ------------------------------------------------------------------------------------------------------ what there is


def sweep_changes(sequencer: Sequencer, publication: Follower) -> Chore:
    """Changes that no event has led to are numbered, and published: the guarantee of the change feed (S-6)."""

    async def run() -> None:
        for _ in range(_SWEEPS):
            if await sequencer.catch_up():
                break
        await publication.run()

    return Chore("sweep_changes", run)


def erase_deleted(erase_due: Callable[[], Awaitable[int]]) -> Chore:
    """Files of deleted instances whose retention is over are erased (DEL-11, S-3)."""
    return Chore("erase_deleted", lambda: _work_off(erase_due))


def forget_shares(forget: Callable[[], Awaitable[Any]]) -> Chore:
    """Shares that expired long ago are forgotten (SHR-4)."""
    return Chore("forget_shares", forget, _DAY)


def remove_copies(sweep: Callable[[], Awaitable[Any]]) -> Chore:
    """The de-identified copies of shares that have ended are removed (SHR-7)."""
    return Chore("remove_copies", sweep)


def expire_studies(expire: Callable[[], Awaitable[int]]) -> Chore:
    """Studies whose time has come are deleted (EXP-1)."""
    return Chore("expire_studies", lambda: _work_off(expire))


def run_operations(work: Callable[[], Awaitable[None]], start: Callable[[], Awaitable[None]]) -> Chore:
    """Operations are worked on, among them those that `start` creates because the service needs them (OP-9)."""

    async def run() -> None:
        await start()
        await work()

    return Chore("run_operations", run)


def purge_operations(purge: Callable[[], Awaitable[Any]]) -> Chore:
    """Operations that ended long ago are forgotten (OP-6)."""
    return Chore("purge_operations", purge, _DAY)


def sweep_exports(sweep: Callable[[], Awaitable[Any]]) -> Chore:
    """A chore that removes records of exports that have ended, secrets above all (XPT-28)."""
    return Chore("sweep_exports", sweep, _TEN_MINUTES)


def collect_terms(collect: Callable[[], Awaitable[Any]]) -> Chore:
    """The dictionary of questions is brought up to date with the codes of the FHIR server (NL-2)."""
    return Chore("collect_terms", collect, _TEN_MINUTES)


def deliver_feedback(nightly: Callable[[], Awaitable[Any]]) -> Chore:
    """Readers are told what became of their reads (COH-39)."""
    return Chore("deliver_feedback", nightly, _DAY)


def deliver_due_feedback(due: Callable[[], Awaitable[Any]]) -> Chore:
    """Readers are told of outcomes that events have named (COH-40)."""
    return Chore("deliver_due_feedback", due)


def purge_tags(purge: Callable[[], Awaitable[Any]]) -> Chore:
    """The lists of deleted extended query tags are removed (EQT-55)."""
    return Chore("purge_tags", purge, _TEN_MINUTES)


def forget_workitem_events(outbox: Outbox, directory: PartitionDirectory, now: Callable[[], float]) -> Chore:
    """Events of the worklist that nobody has told of for a day are removed (storage §11)."""

    async def forget() -> int:
        before_ms = int((now() - _DAY) * 1000)
        return sum([await outbox.forget(each.namespace, before_ms) for each in await directory.partitions()])

    return Chore("forget_workitem_events", lambda: _work_off(forget), _TEN_MINUTES)


def remove_workitems(retention: Retention, directory: PartitionDirectory) -> Chore:
    """Workitems that have come to their end are removed when their retention is over (WK-7)."""

    async def remove() -> None:
        for each in await directory.partitions():
            await retention.remove(each.namespace)

    return Chore("remove_workitems", remove, _HOUR)


def make_workitems(follow: Callable[[], Awaitable[Any]], make: Callable[[], Awaitable[Any]]) -> Chore:
    """Studies that have become quiet get the workitems that worklist rules make for them (AIX-2)."""

    async def run() -> None:
        await follow()
        await make()

    return Chore("make_workitems", run)


def send_event_reports(sweep: Callable[[str], Awaitable[None]], directory: PartitionDirectory) -> Chore:
    """Subscribers of the worklist are told what nobody has told them: the guarantee of event reports (WE-9)."""
    return Chore("send_event_reports", lambda: _in_each(directory, sweep))


def clear_event_reports(clear: Callable[[str], Awaitable[None]], directory: PartitionDirectory) -> Chore:
    """Event reports that are no longer kept are removed, and subscribers that have nothing left (WE-6, WE-16)."""
    return Chore("clear_event_reports", lambda: _in_each(directory, clear), _TEN_MINUTES)


async def _in_each(directory: PartitionDirectory, work: Callable[[str], Awaitable[None]]) -> None:
    """Do something in each data partition; a failure keeps none of the others from it, and is raised in the end."""
    failures: list[DicomServiceError] = []
    for partition in await directory.partitions():
        try:
            await work(partition.namespace)
        except DicomServiceError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def scrub_store(scrub: Callable[..., Awaitable[Any]]) -> Chore:
    """Damage that no event and no hint leads to is mended."""
    return Chore("scrub_store", lambda: scrub(limit=_SCRUBBED), _TEN_MINUTES)


def sweep_imports(sweep: Callable[[], Awaitable[Any]]) -> Chore:
    """Files of the import container whose message got lost are announced again."""
    return Chore("sweep_imports", sweep, _TEN_MINUTES)


async def _work_off(work: Callable[[], Awaitable[int]]) -> None:
    for _ in range(_ROUNDS):
        if not await work():
            return
