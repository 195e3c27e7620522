"""The data partitions of a store (storage §2, dicomweb §3)."""

from base64 import b32encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from shared.dicomweb.partitions import DEFAULT_KEY, DEFAULT_NAME, Partition, is_partition_name
from shared.errors import InvalidRequest, Misconfigured
from shared.index_schema import keys
from shared.index_schema.clock import HybridClock
from shared.registry import partition_documents
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import BlobStore, Entity, RowWrite, TableStore, Value

_NAMES = "ns"
_COUNTER = "!next"


def namespace_of(name: str) -> str:
    """The namespace of a data partition in keys and blob names: names that differ only in case share it (D-3)."""
    if name.lower() == DEFAULT_NAME.lower():
        return keys.DEFAULT_NAMESPACE
    return b32encode(sha256(name.lower().encode()).digest()).decode().lower()[:12]


class DataPartitions:
    """The data partitions of the store, and a cache of them: they are never renamed or removed (PART-9)."""

    def __init__(self, tables: TableStore, clock: HybridClock, blobs: BlobStore | None = None) -> None:
        """With `blobs`, names are kept with the files, too."""
        self._tables = tables
        self._blobs = blobs
        self._clock = clock
        self._known: dict[str, Partition] = {}

    async def check_at_start(self, *, enabled: bool) -> None:
        """Create Microsoft.Default. `enabled`: the setting DATA_PARTITIONS_ENABLED.

        Raises Misconfigured when there are others, which would be out of reach (PART-8): the service must not start.
        """
        await self._default()
        present = await self.partitions()
        if len(present) == 1 and await self.restore():  # the tables are new, the files are not
            present = await self.partitions()
        if self._blobs is not None:
            written = {name async for name in partition_documents.names(self._blobs)}
            await self._keep([each for each in present if each.namespace not in written])
        if not enabled and len(present) > 1:
            raise Misconfigured("The store holds several data partitions: DATA_PARTITIONS_ENABLED must be on")

    async def resolve(self, name: str, *, create: bool) -> Partition:
        """The data partition of that name, in any case; made if it is missing and `create` is set (PART-4).

        Raises InvalidRequest for a name that breaks PART-3 and for an unknown one (PART-6).
        """
        if not is_partition_name(name):
            raise InvalidRequest("The specified PartitionName is invalid.", where="path")
        namespace = namespace_of(name)
        partition = await self.by_namespace(namespace)
        if partition is None:
            if not create:
                raise InvalidRequest(
                    "Specified PartitionName does not exist.",
                    where="path",
                    remedy="GET /v2/partitions lists the partitions.",
                )
            partition = await self._insert(name, namespace)
            # Before anything is stored in it: its files alone do not tell what it is called.
            await self._keep([partition])
        if partition.name.lower() != name.lower():  # two names of one digest must never share data
            raise InvalidRequest("The specified PartitionName is invalid.", where="path")
        return partition

    async def by_namespace(self, namespace: str) -> Partition | None:
        """The data partition that keys name so; None if there is none."""
        if namespace not in self._known:
            entity = await self._tables.get("conf", _NAMES, namespace)
            if entity is None:
                return await self._default() if namespace == keys.DEFAULT_NAMESPACE else None
            self._remember(entity)
        return self._known[namespace]

    async def partitions(self) -> list[Partition]:
        """All data partitions, by key (PART-10)."""
        entities = await self._tables.range("conf", _NAMES, "", keys.LAST)
        found = [self._remember(entity) for entity in entities if entity.row_key != _COUNTER]
        if not any(partition.key == DEFAULT_KEY for partition in found):
            found.append(await self._default())
        return sorted(found, key=lambda partition: partition.key)

    async def restore(self) -> int:
        """Make the rows of the data partitions that have a document but no row; how many. Raises Unavailable.

        Idempotent. Keys are those of before, and new data partitions get keys above them.
        """
        restored = 0
        if self._blobs is None:
            return 0
        async for partition in partition_documents.kept(self._blobs):
            rounds = Rounds("The data partition cannot be restored")
            while not await self._tables.get("conf", _NAMES, partition.namespace):
                await rounds.next()
                counter = await self._tables.get("conf", _NAMES, _COUNTER)
                following = max(partition.key + 1, int(counter.properties["key"]) if counter else 0)
                created = int(partition.created.timestamp() * 1000)
                row: dict[str, Value] = {"key": partition.key, "name": partition.name, "created": created}
                operations = [
                    _counted(counter, following),
                    RowWrite("insert", _NAMES, partition.namespace, row),
                ]
                restored += await best_effort_commit(self._tables, "conf", operations)
        return restored

    # ----------------------------------------------------------------------------------------------------- inside

    async def _keep(self, partitions: Sequence[Partition]) -> None:
        if self._blobs is not None:
            for partition in partitions:
                await partition_documents.keep(self._blobs, partition)

    async def _default(self) -> Partition:
        return await self._insert(DEFAULT_NAME, keys.DEFAULT_NAMESPACE)

    async def _insert(self, name: str, namespace: str) -> Partition:
        """The partition as the first of all concurrent creators made it. Raises Unavailable."""
        rounds = Rounds("The data partition cannot be created")
        while True:
            await rounds.next()
            entity = await self._tables.get("conf", _NAMES, namespace)
            if entity:
                return self._remember(entity)
            operations = []
            key = DEFAULT_KEY
            if namespace != keys.DEFAULT_NAMESPACE:
                counter = await self._tables.get("conf", _NAMES, _COUNTER)
                key = int(counter.properties["key"]) if counter else DEFAULT_KEY + 1
                operations.append(_counted(counter, key + 1))
            row: dict[str, Value] = {"key": key, "name": name, "created": self._clock.now_ms()}
            operations.append(RowWrite("insert", _NAMES, namespace, row))
            await best_effort_commit(self._tables, "conf", operations)

    def _remember(self, entity: Entity) -> Partition:
        properties: Mapping[str, Any] = entity.properties
        created = datetime.fromtimestamp(properties["created"] / 1000, UTC)
        partition = Partition(properties["key"], properties["name"], entity.row_key, created)
        self._known[partition.namespace] = partition
        return partition


def _counted(counter: Entity | None, following: int) -> RowWrite:
    """Take a key: fails if somebody else does."""
    if counter is None:
        return RowWrite("insert", _NAMES, _COUNTER, {"key": following})
    return RowWrite("replace", _NAMES, _COUNTER, {"key": following}, counter.etag)
