"""Work that is due at some hour: rows of `trash` in partitions of one hour (storage §2: `{due hour}!{bucket}`).

The cursor of a list, in `conf`, is the earliest hour that may still hold work.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from shared.index_schema import keys
from shared.registry.store_settings import STORE_ROW
from shared.storage.optimistic import Cursor, best_effort_commit, commit_all
from shared.storage.ports import Entity, RowWrite, TableStore, Value

HOUR_MS = 3_600_000

# rule: overdue work is looked for in the hours before
_LATE_HOURS = 2
"""Hours that are looked at again although they are over: the clock of a writer may be behind."""
_HOURS_AT_ONCE = 1000
_CURSORS = "due"


class DueWork:
    """One list of due work: partitions `{name}{hour}!{bucket}`."""

    def __init__(self, tables: TableStore, name: str, *, buckets: int) -> None:
        self._tables = tables
        self._name = name
        self._buckets = buckets
        self._cursor = Cursor(tables, _CURSORS, name or "trash")

    async def put(self, due_ms: int, now_ms: int, bucket: int, row_key: str, properties: Mapping[str, Value]) -> None:
        """Note work that is due at `due_ms`; what is overdue is due now. Idempotent. Raises Unavailable."""
        # rule: work that is overdue when it is noted is due now
        due_ms = max(due_ms, now_ms)
        partition_key = self._partition_key(due_ms // HOUR_MS, bucket % self._buckets)
        row = RowWrite("upsert", partition_key, row_key, {**properties, "due": due_ms})
        await commit_all(self._tables, "trash", [row])

    async def work(self, now_ms: int, do: Callable[[Entity], Awaitable[bool]], *, limit: int) -> int:
        """Call `do` for the rows that are due, the oldest hours first, until about `limit` are done.

        A row for which it returns True is removed. Returns how many were.
        """
        first = hour = await self._first_hour(now_ms)
        done, over = 0, now_ms // HOUR_MS - _LATE_HOURS
        while done < limit and hour <= now_ms // HOUR_MS and hour - first < _HOURS_AT_ONCE:
            rows = await self._rows(hour)
            due = [row for row in rows if int(row.properties["due"]) <= now_ms]
            results = await asyncio.gather(*(self._finish(row, do) for row in due[: limit - done]))
            done += sum(results)
            if first == hour and len(rows) == sum(results) and hour < over:
                first += 1
            hour += 1
        await self._cursor.save({"hour": first})
        return done

    async def waiting(self, now_ms: int, until_ms: int) -> AsyncIterator[list[Entity]]:
        """The rows that are due until then, those that are overdue too, hour by hour. Raises Unavailable."""
        for hour in range(await self._first_hour(now_ms), until_ms // HOUR_MS + 1 + _LATE_HOURS):
            if rows := await self._rows(hour):
                yield rows

    async def _finish(self, row: Entity, do: Callable[[Entity], Awaitable[bool]]) -> bool:
        if not await do(row):
            return False
        gone = RowWrite("delete", row.partition_key, row.row_key, etag=row.etag)
        # If not done, the row was noted again meanwhile, or removed: both are found next time.
        return await best_effort_commit(self._tables, "trash", [gone])

    async def _rows(self, hour: int) -> list[Entity]:
        partitions = [self._partition_key(hour, bucket) for bucket in range(self._buckets)]
        found = await asyncio.gather(*(self._tables.range("trash", key, "", keys.LAST) for key in partitions))
        return [row for rows in found for row in rows]

    async def _first_hour(self, now_ms: int) -> int:
        """The hour to begin with: never later than the creation of the store when there is no cursor yet."""
        if stored := await self._cursor.read():
            return int(stored[0]["hour"])
        store = await self._tables.get("conf", *STORE_ROW)
        return (int(store.properties["created"]) if store else now_ms) // HOUR_MS - _LATE_HOURS

    def _partition_key(self, hour: int, bucket: int) -> str:
        return f"{self._name}{hour}!{bucket:02x}"
