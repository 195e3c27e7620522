"""CAST-EV-3, CAST-EV-6 Changes become dirty studies: once for each study and page, whatever their number."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.cast.dirty_studies import TABLE, DirtyStudies, StudyKey
from shared.cast.ports import CastTables
from shared.cast.queueing import Hints
from shared.cast.settings import CastSettings
from shared.change_log.follower import FollowedChange, Following, Start
from shared.dicomweb.partitions import DEFAULT_NAME, PartitionDirectory
from shared.storage.optimistic import best_effort_commit
from shared.storage.ports import RowWrite

FOLLOWING = Following("cast", "cast-sweep-failed", start=Start.BEGINNING, changes_at_once=1000)
"""All that was ever stored is cast: the log begins with the first store."""
_PARALLEL = 16
_SWEEP = ("sweep", "request")


_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class StudyChanges:
    """The changes of one study in one page."""

    newest: int = 0
    """The greatest sequence."""
    committed: float = 0.0
    """When the oldest of them was committed, in seconds since 1970; 0 if that is not known."""

    def and_one(self, sequence: int, committed: float) -> "StudyChanges":
        """With one more."""
        return StudyChanges(max(sequence, self.newest), min(committed, self.committed) if self.committed else committed)


@dataclass(frozen=True, slots=True)
class Marking:
    """Marks the studies of changes, and hints at them."""

    studies: DirtyStudies
    hints: Hints
    partitions: PartitionDirectory
    settings: CastSettings

    async def handle(self, changes: Sequence[FollowedChange]) -> None:
        """A page of the change log (a handler of `Follower`). Raises Unavailable."""
        found: dict[tuple[str, str], StudyChanges] = {}
        for each in changes:
            study = each.change.namespace, each.change.identifier.study_instance_uid
            found[study] = found.get(study, StudyChanges()).and_one(each.sequence, each.timestamp / _MICROSECONDS)
        names = {namespace: await self._name(namespace) for namespace in {namespace for namespace, _ in found}}
        await self.mark(
            {StudyKey(names[namespace], study): at for (namespace, study), at in found.items() if names[namespace]}
        )

    async def mark(self, found: Mapping[StudyKey, StudyChanges]) -> None:
        """Mark studies, each once."""
        slots = asyncio.Semaphore(_PARALLEL)

        async def one(key: StudyKey, changes: StudyChanges) -> None:
            async with slots:
                if await self.studies.mark(key, changes.newest, committed=changes.committed):
                    await self.hints.study(key, changes.newest)

        await asyncio.gather(*(one(key, changes) for key, changes in found.items()))

    async def _name(self, namespace: str) -> str:
        """The name of a data partition; empty for one that is not cast."""
        partition = await self.partitions.by_namespace(namespace)
        name = partition.name if partition else ""
        return name if self.settings.all_partitions or name == DEFAULT_NAME else ""


class SweepRequests:
    """Asks for a sweep after a change, once for all changes until then (CAST-EV-3)."""

    def __init__(self, tables: CastTables, hints: Hints, settle_seconds: float, now: Callable[[], float]) -> None:
        self._tables = tables
        self._hints = hints
        self._settle = settle_seconds
        self._now = now
        self._asked_until = 0.0

    async def ask(self) -> None:
        """Let a sweep come once changes have settled. Raises Unavailable."""
        now = self._now()
        if now < self._asked_until:
            return
        row = await self._tables.get(TABLE, *_SWEEP)
        if row is not None and now < float(row.properties["until"]) <= now + self._settle:
            self._asked_until = float(row.properties["until"])
            return
        until = now + self._settle
        write = RowWrite("replace" if row else "insert", *_SWEEP, {"until": until}, row.etag if row else "*")
        if not await best_effort_commit(self._tables, TABLE, [write]):
            return  # somebody else has asked; if not, the timer sweeps
        self._asked_until = until
        await self._hints.sweep(self._settle)
