"""The outbox of the worklist: the events of all writes, until whoever tells of them has done so (storage §11).

An event is in the outbox if and only if its workitem was written, because it is in the same transaction. Who tells of
events takes them with `pending`, in the order of each workitem's numbers, sees to it that nothing gets lost, and then
removes them: so each is told at least once, whatever dies in between. Numbers show what was told before, and gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.storage.optimistic import commit_all
from shared.storage.ports import Entity, PreconditionFailed, RowWrite, TableStore
from shared.workitems import rows
from shared.workitems.events import WorkitemEvent

PAGE: Final = 100
"""Events that are removed in one transaction."""


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event in the outbox."""

    event: WorkitemEvent
    partition_key: str
    row_key: str


class Outbox:
    """The events of the writes of all data partitions. Everything raises Unavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def pending(self, partition_key: str, *, most: int = PAGE) -> list[PendingEvent]:
        """The oldest events of one of `rows.partition_keys`; of each workitem the ones with the lowest numbers."""
        return [
            PendingEvent(rows.event_in(entity), entity.partition_key, entity.row_key)
            for entity in await self._page(partition_key, rows.EVENTS, most)
        ]

    async def remove(self, events: Sequence[PendingEvent]) -> None:
        """Remove events of one partition that have been told. Those that are gone already do no harm."""
        for at in range(0, len(events), PAGE):
            await self._remove([(each.partition_key, each.row_key) for each in events[at : at + PAGE]])

    async def withdraw(self, namespace: str, uid: str) -> None:
        """Remove the events of a workitem but that of its removal, told or not: they say whom it was about."""
        low: str | None
        low, high = rows.EVENTS
        while low is not None:
            page = await self._tables.page(
                rows.TABLE, rows.partition_key(namespace, uid), low, high, select=("uid", "removed")
            )
            found = [
                (each.partition_key, each.row_key)
                for each in page.entities
                if each.properties["uid"] == uid and not each.properties["removed"]
            ]
            for at in range(0, len(found), PAGE):
                await self._remove(found[at : at + PAGE])
            low = page.next_row_key

    async def forget(self, namespace: str, before_ms: int) -> int:
        """Remove the events of before a time, of one data partition, told or not; how many of them this time."""
        removed = 0
        for partition_key in rows.partition_keys(namespace):
            found = await self._page(partition_key, rows.events_before(before_ms), PAGE)
            await self._remove([(entity.partition_key, entity.row_key) for entity in found])
            removed += len(found)
        return removed

    async def _page(self, partition_key: str, bounds: tuple[str, str], most: int) -> list[Entity]:
        found: list[Entity] = []
        low: str | None = bounds[0]
        while low is not None and len(found) < most:
            page = await self._tables.page(rows.TABLE, partition_key, low, bounds[1], top=most - len(found))
            found += page.entities
            low = page.next_row_key
        return found

    async def _remove(self, events: Sequence[tuple[str, str]]) -> None:
        if not events:
            return
        writes = [RowWrite("delete", *key) for key in events]
        try:
            await commit_all(self._tables, rows.TABLE, writes)
        except PreconditionFailed:  # some of them are gone: removed by somebody else, or by an attempt without answer
            for write in writes:
                try:
                    await commit_all(self._tables, rows.TABLE, [write])
                except PreconditionFailed:
                    continue
