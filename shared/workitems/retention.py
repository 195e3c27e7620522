"""The retention of workitems: those that have come to their end are removed some time later (WK-7)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.concurrency import together
from shared.storage.ports import Entity, TableStore
from shared.workitems import rows
from shared.workitems.store import WorkitemChanged, WorkitemGone, Workitems

_PARALLEL: Final = 8
_MOST: Final = 2_000
"""Workitems that one run removes of each of `rows.partition_keys`; the others wait for the next."""

type IsLocked = Callable[[str, str], Awaitable[bool]]
"""Whether a subscriber holds a deletion lock: namespace of the data partition, UID of the workitem."""


async def _nobody_locks(_namespace: str, _uid: str) -> bool:
    return False


class Retention:
    """Removes workitems whose retention is over. Everything raises Unavailable."""

    def __init__(
        self, tables: TableStore, workitems: Workitems, days: float, is_locked: IsLocked = _nobody_locks
    ) -> None:
        """`days`: since a workitem was last written. `is_locked`: whether somebody wants it to be kept (WE-4)."""
        self._tables = tables
        self._workitems = workitems
        self._is_locked = is_locked
        self._kept = timedelta(days=days)

    async def remove(self, namespace: str) -> int:
        """Remove what is due in a data partition; how many this run did."""
        before = datetime.fromtimestamp(self._workitems.now(), UTC) - self._kept
        low, high = rows.last_written_before(f"{before:%Y%m%d%H%M%S%f}")
        slots = asyncio.Semaphore(_PARALLEL)

        async def one(posting: Entity) -> bool:
            async with slots:
                return await self._remove(namespace, rows.uid_of(posting), before)

        removed = 0
        for partition_key in rows.partition_keys(namespace):
            start: str | None = low
            of_partition = 0
            while start is not None and of_partition < _MOST:
                page = await self._tables.page(rows.TABLE, partition_key, start, high)
                of_partition += sum(await together(*map(one, page.entities)))
                start = page.next_row_key
            removed += of_partition
        return removed

    async def _remove(self, namespace: str, uid: str, before: datetime) -> bool:
        try:
            stored = await self._workitems.get(namespace, uid)
            if stored is None or not stored.workitem.state.is_final:
                return False
            if stored.workitem.changed_ms >= before.timestamp() * 1000:
                return False
            if await self._is_locked(namespace, uid):
                return False
            await self._workitems.retire(stored)
        except (WorkitemChanged, WorkitemGone):  # somebody else is at it
            return False
        return True
