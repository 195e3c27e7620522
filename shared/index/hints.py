"""Hints: which studies may have pending work (storage §2, §5, §7)."""

import asyncio
from dataclasses import dataclass

from shared.bounded import RecentValues
from shared.index.clock import HybridClock
from shared.index_schema import keys
from shared.index_schema.keys import StudyPlace
from shared.storage.optimistic import best_effort_commit, commit_all
from shared.storage.ports import Entity, RowWrite, TableStore

FRESH_SECONDS = 30
"""A hint that this process wrote more recently is not written again."""
COMMIT_SECONDS = 60
"""A commit must start within this time of its hint."""
STALE_SECONDS = 120
"""A hint may be dropped at this age: a commit that relies on it is over, whatever the clocks of two processes say."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Hint:
    """A hint row."""

    place: StudyPlace
    written: float
    """Seconds since 1970, by the clock of the writer."""
    etag: str


class Hints:
    """The hints of the store. One per process: it remembers what it wrote."""

    def __init__(self, tables: TableStore, clock: HybridClock, *, shards: int) -> None:
        self._tables = tables
        self._clock = clock
        self._shards = shards
        self._written: RecentValues[float] = RecentValues(_REMEMBERED)

    async def give(self, place: StudyPlace) -> None:
        """Announce work on a study, unless it has just been announced. Raises Unavailable."""
        now = self._clock.now()
        if not 0 <= now - (self._written.get(place.partition_key) or 0) < FRESH_SECONDS:
            partition_key, row_key = place.hint
            await commit_all(self._tables, "hint", [RowWrite("upsert", partition_key, row_key, {"t": now})])
            self._written.put(place.partition_key, now)

    def age(self, place: StudyPlace) -> float:
        """Seconds since this process gave its last hint of the study."""
        return self._clock.now() - (self._written.get(place.partition_key) or 0)

    async def all(self) -> list[Hint]:
        """Every hint of the store."""
        partition_keys = keys.hint_partitions(self._shards)
        found = await asyncio.gather(*(self._tables.range("hint", key, "", keys.LAST) for key in partition_keys))
        return [self._hint(entity) for entities in found for entity in entities]

    async def drop(self, hint: Hint) -> None:
        """Remove a hint, unless it has been given again since it was read."""
        partition_key, row_key = hint.place.hint
        # rule: a hint that was given again is not dropped
        gone = RowWrite("delete", partition_key, row_key, etag=hint.etag)
        await best_effort_commit(self._tables, "hint", [gone])

    def is_stale(self, hint: Hint) -> bool:
        """Whether the hint may be dropped when nothing is pending."""
        # rule: a hint is kept for two minutes
        return self._clock.now() - hint.written > STALE_SECONDS

    def _hint(self, entity: Entity) -> Hint:
        written = entity.properties["t"]
        place = keys.named_place(entity.row_key, self._shards)
        return Hint(place, float(written) if isinstance(written, int | float) else 0.0, entity.etag)
