"""Tables in the emulator with a copy in memory, so that a history can be checked while it goes on."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from shared.storage.azure_tables import AzureTableStore
from shared.storage.ports import Entity, Kind, RowWrite
from tests.fakes.tables import MemoryTableStore


class MirroredTables:
    """A TableStore. Transactions of one partition go one after the other, so the copy takes them in their order."""

    def __init__(self, store: AzureTableStore) -> None:
        self._store = store
        self._copy = MemoryTableStore()
        self._turns: defaultdict[tuple[Kind, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self.get = store.get
        self.page = store.page
        self.range = store.range

    @property
    def requests(self) -> int:
        return self._store.requests

    async def commit(self, kind: Kind, operations: Sequence[RowWrite]) -> str:
        async with self._turns[kind, operations[0].partition_key]:
            etag = await self._store.commit(kind, operations)
            await self._copy.commit(kind, [operation._replace(etag="*") for operation in operations])
            return etag

    def rows(self, kind: Kind, partition_key: str | None = None) -> list[Entity]:
        return self._copy.rows(kind, partition_key)

    def peek(self, kind: Kind, partition_key: str, row_key: str) -> Entity | None:
        return self._copy.peek(kind, partition_key, row_key)

    async def differences(self, kind: Kind, partition_keys: Sequence[str]) -> list[str]:
        """Row keys of rows that the emulator and the copy do not share: the copy, or the emulator, is wrong."""
        found = []
        for key in partition_keys:
            stored = {row.row_key: dict(row.properties) for row in await self._store.range(kind, key, "", "\uffff")}
            copied = {row.row_key: dict(row.properties) for row in self._copy.rows(kind, key)}
            found += [row for row in stored.keys() | copied.keys() if stored.get(row) != copied.get(row)]
        return found
