"""The de-identified copies of shares: what is kept of them, beginning them, removing them (SHR-7).

A copy lies in a hidden namespace of its share: files and index as those of any study, which searches, the change feed,
events, the scrubber and a rebuild never see. Rows of `ops`: `copies` has one row for each share with copies, written
before anything else and removed last of all, so that nothing is left over by a crash. The key of their pseudonyms is in
the secret store for as long.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import orjson

from shared.deidentification.instance import patient_of
from shared.deidentification.key import Pseudonyms
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.errors import InvalidRequest
from shared.export.records import ExportRecords
from shared.export.transaction import IDENTIFIERS
from shared.http.json_body import WHERE
from shared.index.documents import data_set_in, read_metadata
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index_schema import blob_names, keys
from shared.operations.model import OperationType
from shared.operations.store import Operations, new_operation_id
from shared.shares.model import Share, copy_namespace
from shared.shares.store import ShareStore
from shared.storage.large_values import join, split
from shared.storage.optimistic import best_effort_commit, commit_all
from shared.storage.ports import BlobStore, Entity, RowWrite, TableStore

_COPIES: Final = "copies"
_START_SECONDS: Final = 3600.0
"""A copy whose operation does not exist after that time never will be made."""


class Begun(NamedTuple):
    """Copies that are about to be made."""

    operation: str
    """The id of the operation that will make them."""
    studies: tuple[str, ...]
    """The UIDs of the copies, in the order of the studies."""


@dataclass(frozen=True, slots=True)
class CopyStores:
    """The stores of copies, and their records."""

    tables: TableStore
    blobs: BlobStore
    index: InstanceIndex
    lookup: InstanceLookup
    records: ExportRecords
    operations: Operations
    shares: ShareStore


class Copies:
    """The copies of the shares of a service. `now`: seconds since 1970."""

    def __init__(self, stores: CopyStores, now: Callable[[], float]) -> None:
        self._stores = stores
        self._now = now

    async def begin(self, share_id: str, studies: Sequence[str], identifiers: Sequence[str]) -> Begun:
        """Keep what the operation needs that will make the copies of a new share: nothing is copied yet.

        `identifiers`: the studies, or those series of them that are shared. Raises InvalidRequest where no key can be
        kept (DEID-8), Unavailable, DependencyRefused.
        """
        records = self._stores.records
        if not records.keeps_secrets:
            raise InvalidRequest(
                "A de-identified share needs a store of secrets.", where=WHERE, remedy="Set SECRET_STORE."
            )
        operation_id = new_operation_id()
        row = {"created": self._now(), "operation": operation_id, **split("d", orjson.dumps(()))}
        await commit_all(self._stores.tables, "ops", [RowWrite("upsert", _COPIES, share_id, row)])
        key = await records.lasting_key(key_name(share_id))
        copies = tuple(map(key.uid, studies))
        row |= split("d", orjson.dumps(copies))
        await commit_all(self._stores.tables, "ops", [RowWrite("upsert", _COPIES, share_id, row)])
        await records.keep(operation_id, identifiers, "")
        return Begun(operation_id, copies)

    async def start(self, share: Share) -> None:
        """Start the operation that makes the copies of a share. Raises Unavailable."""
        await self._stores.operations.create(
            OperationType.SHARE,
            {"source": IDENTIFIERS, "namespace": share.namespace, "share": share.id},
            operation_id=share.operation,
            results={"exported": 0, "skipped": 0},
            partition=share.partition,
        )

    async def state(self, share: Share) -> str:
        """`complete`, `making` or `failed`. Raises Unavailable."""
        if share.complete:
            return "complete"
        operation = await self._stores.operations.get(share.operation)
        return "making" if operation and operation.status.active else "failed"

    async def pseudonyms(self, share: Share) -> Pseudonyms | None:
        """Those of a share; None if their key is gone. Raises Unavailable, DependencyRefused."""
        key = await self._stores.records.key(key_name(share.id))
        if key is None:
            return None

        async def days(study: str) -> int | None:
            view = await self._stores.lookup.study_in(share.namespace, study)
            newest = view and await self._stores.lookup.instance_in(share.namespace, view.newest, metadata=True)
            if not newest:
                return None
            document = await data_set_in(await read_metadata(newest, self._stores.blobs))
            return key.days(patient_of(document, study))

        return Pseudonyms(key, days)

    async def sweep(self) -> int:
        """Remove the copies of shares that have ended; of how many. Idempotent. Raises Unavailable."""
        swept = 0
        for row in await self._stores.tables.range("ops", _COPIES, "", keys.LAST):
            if await self._is_over(row):
                await self._remove(row)
                swept += 1
        return swept

    async def forget_studies(self, namespace: str, studies: Collection[str]) -> None:
        """Remove the copies of studies of a data partition that are erased (PHI-1). Idempotent. Raises Unavailable."""
        for share in await self._stores.shares.all(namespace):
            for study, copy in zip(share.studies or (), share.copies, strict=False):
                if study in studies:
                    await self._remove_study(share.id, copy)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _is_over(self, row: Entity) -> bool:
        operation = await self._stores.operations.get(str(row.properties["operation"]))
        if operation is not None and operation.status.active:
            return False  # it ends by itself when it finds its share gone
        young = self._now() - float(row.properties["created"]) < _START_SECONDS
        if operation is None and young:
            return False
        stored = await self._stores.shares.get(row.row_key)
        return stored is None or stored.share.expires <= self._now()

    async def _remove(self, row: Entity) -> None:
        """The studies first, then their key, and last of all the row that leads to them."""
        for study in orjson.loads(join("d", row.properties)):
            await self._remove_study(row.row_key, study)
        await self._stores.records.drop_key(key_name(row.row_key))
        await best_effort_commit(self._stores.tables, "ops", [RowWrite("delete", _COPIES, row.row_key)])

    async def _remove_study(self, share_id: str, study: str) -> None:
        partition = hidden_partition(share_id)
        await self._stores.index.delete(partition, ResourceIdentifier(study))
        # At once: nobody restores a copy, and what a worker that died has left is in no row.
        async for blob in self._stores.blobs.list(blob_names.blob_prefix(partition.namespace, study)):
            await self._stores.blobs.delete(blob.name)


def hidden_partition(share_id: str) -> Partition:
    """Where the copies of a share are."""
    return Partition(0, "", copy_namespace(share_id), datetime.fromtimestamp(0, UTC))


def key_name(share_id: str) -> str:
    """The name of the key of a share's pseudonyms among the keys of exports."""
    return f"share-{copy_namespace(share_id)}"
