"""Removing the postings of deleted extended query tags (EQT-55, storage §8).

A deleted tag is gone for clients at once. Its postings stay until every process has heard of that: one that has not may
still search by them, and would miss what is removed already.
"""

from collections.abc import Callable

from shared.dicomweb.partitions import PartitionDirectory
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import IndexedAttribute, custom_codes
from shared.registry.schema_registry import SETTLED_SECONDS, SchemaRegistry
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import Kind, RowWrite, TableStore

_PAGE = 100
"""Rows of a transaction."""


class TagRemoval:
    """The chore. `now`: seconds since 1970."""

    def __init__(
        self,
        tables: TableStore,
        schemas: SchemaRegistry,
        partitions: PartitionDirectory,
        now: Callable[[], float],
        *,
        shards: int,
    ) -> None:
        self._tables = tables
        self._schemas = schemas
        self._partitions = partitions
        self._now = now
        self._shards = shards

    async def run(self) -> None:
        """Remove what is due; what is interrupted begins anew. Raises Unavailable."""
        schema = await self._schemas.refresh()
        for attribute in schema.attributes.values():
            # Until then a process that has not heard of the deletion may read or write its postings.
            settled = attribute.deleted and self._now() - attribute.deleted > SETTLED_SECONDS
            if settled and not attribute.purged:
                await self._remove(attribute)
                await self._schemas.change_attribute(attribute.key, purged=True)

    async def _remove(self, attribute: IndexedAttribute) -> None:
        kind: Kind = "idxi" if attribute.level == "instance" else "idx"
        for partition in await self._partitions.partitions():
            for shard in range(self._shards):
                partition_key = keys.posting_partition(shard, partition.namespace)
                for code in custom_codes(attribute.key, attribute.vr):
                    await self._empty(kind, partition_key, f"{code}!", f'{code}"')
        await self._empty("idxi", keys.error_partition(attribute.key), "", keys.LAST)

    async def _empty(self, kind: Kind, partition_key: str, low: str, end: str) -> None:
        rounds = Rounds("The postings of an extended query tag change while they are removed")
        next_row: str | None = low
        while next_row is not None:
            page = await self._tables.page(kind, partition_key, next_row, end, top=_PAGE, select=("study",))
            removed = [RowWrite("delete", partition_key, row.row_key, etag=row.etag) for row in page.entities]
            if not removed or await best_effort_commit(self._tables, kind, removed):
                next_row = page.next_row_key
            else:
                await rounds.next()
