"""The reads of one search, so many at once."""

import asyncio
from collections.abc import AsyncGenerator

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.index.documents import read_metadata
from shared.index.lookup import InstanceLookup
from shared.index.model import StoredInstance, StudyView
from shared.storage.ports import BlobStore

PARALLEL = 64
"""Requests under way at once in one search."""


class Reads:
    """The instances of one data partition, as InstanceLookup and `read_metadata` tell it."""

    def __init__(self, lookup: InstanceLookup, blobs: BlobStore, partition: Partition) -> None:
        self._lookup = lookup
        self._blobs = blobs
        self._partition = partition
        self._slots = asyncio.Semaphore(PARALLEL)

    async def study(self, uid: str) -> StudyView | None:
        """A study; None if it is not there."""
        async with self._slots:
            return await self._lookup.study(self._partition, uid)

    async def instance(self, identifier: InstanceIdentifier, *, metadata: bool) -> StoredInstance | None:
        """An instance; None if it is not there."""
        async with self._slots:
            return await self._lookup.instance(self._partition, identifier, metadata=metadata)

    async def instances(self, scope: ResourceIdentifier, *, metadata: bool) -> list[StoredInstance]:
        """The instances of a study or a series."""
        async with self._slots:
            return await self._lookup.instances(self._partition, scope, metadata=metadata)

    def stream(self, scope: ResourceIdentifier) -> AsyncGenerator[StoredInstance]:
        """The same with their metadata, in no particular order and bounded memory. Must be closed."""
        return self._lookup.stream(self._partition, scope)

    async def document(self, instance: StoredInstance) -> bytes:
        """The metadata of an instance that was read with its metadata. Raises BlobNotFound."""
        if instance.metadata is not None:
            return instance.metadata
        async with self._slots:
            return await read_metadata(instance, self._blobs)
