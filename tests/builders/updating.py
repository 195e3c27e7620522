"""A service in memory that updates studies: stores, the engine of updates, and the worker of its operations."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.dicom.identifiers import InstanceIdentifier
from shared.index.model import StoredInstance
from shared.operations.model import Operation, OperationType
from shared.operations.runner import Runner
from shared.operations.store import Operations
from shared.study_updates import operation as update_operation
from shared.study_updates.operation import Update
from shared.study_updates.study_update import Stores
from shared.study_updates.task import UpdateTask
from tests.builders.rebuilding import LosableService
from tests.builders.service import PARTITION, SHARDS

NAME, IDENTIFIER, DESCRIPTION = "00100010", "00100020", "00081030"


class UpdatingService(LosableService):
    """A process that stores, rebuilds and updates."""

    def __init__(self, *stores: Any, **options: Any) -> None:
        super().__init__(*stores, **options)
        self.operations = Operations(self.tables, self.time)
        self.ingest._is_active = self.operations.is_active
        self.update = Update(
            Stores(self.blobs, self.index, self.lookup, self.ingest.entry_of), self.partitions, shards=SHARDS
        )
        self.runner = Runner(self.operations, {OperationType.UPDATE: self.update}, look_seconds=0.01)

    def on(self, tables: Any) -> "UpdatingService":
        return UpdatingService(tables, self.blobs, self.time, data_partitions=self.data_partitions)

    def beside(self) -> "UpdatingService":
        """Another process on the same stores."""
        return self.on(self.tables)

    async def begin(self, studies: Sequence[str], values: Mapping[str, Sequence[Any]], **task: Any) -> Operation:
        """Start an update."""
        return await self.operations.create(
            OperationType.UPDATE, UpdateTask(PARTITION.namespace, studies, values, **task).document()
        )

    async def updated(self, studies: Sequence[str], values: Mapping[str, Sequence[Any]], **task: Any) -> Operation:
        """An update that has come to its end."""
        self.time.seconds += 1
        operation = await self.begin(studies, values, **task)
        return await self.finished(operation)

    async def finished(self, operation: Operation) -> Operation:
        """An operation when its work has been done."""
        await self.runner.run()
        found = await self.operations.get(operation.id)
        assert found is not None
        return found

    async def outlive_retention(self) -> None:
        """Days pass, and what is obsolete is erased."""
        await self.settle()
        await self.trash.erase_due(self.blobs)
        self.time.seconds += 100 * 3600
        for _ in range(5):
            await self.trash.erase_due(self.blobs)

    async def current(self, identifier: InstanceIdentifier) -> StoredInstance:
        """The present version of an instance, with its metadata."""
        found = await self.instance(identifier)
        assert found is not None
        return found

    async def original(self, identifier: InstanceIdentifier) -> StoredInstance:
        """The version that was stored."""
        return (await self.current(identifier)).first_version


def name(alphabetic: str) -> dict[str, Sequence[Any]]:
    """A change of PatientName."""
    return {NAME: [{"Alphabetic": alphabetic}]}


__all__ = ["DESCRIPTION", "IDENTIFIER", "NAME", "UpdatingService", "name", "update_operation"]
