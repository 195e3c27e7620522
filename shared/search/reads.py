"""The reads of one search, so many at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import overload

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.partitions import Partition
from shared.index.confined_lookup import ConfinedLookup, Lookup
from shared.index.documents import read_metadata
from shared.index.lookup import InstanceLookup
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.index_schema.indexed_attributes import IndexedValues
from shared.storage.ports import BlobStore

PARALLEL = 64
"""Requests under way at once in one search."""


class Reads:
    """The instances of one data partition, as InstanceLookup and `read_metadata` tell it."""

    def __init__(
        self,
        lookup: InstanceLookup,
        blobs: BlobStore,
        partition: Partition,
        *,
        within: Confinement | None = None,
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        """`within`: what the caller is confined to. Rows then lose the attributes `hidden`: their metadata tell them
        without the UIDs that the caller may not learn.
        """
        confined = within is not None and not within.is_whole
        self._confined = ConfinedLookup(lookup, within) if within is not None and confined else None
        self._lookup: Lookup = self._confined or lookup
        self._hidden = hidden if confined else frozenset()
        self._blobs = blobs
        self._partition = partition
        self._slots = asyncio.Semaphore(PARALLEL)

    async def study(self, uid: str) -> StudyView | None:
        """A study; None if it is not there."""
        async with self._slots:
            view = await self._lookup.study(self._partition, uid)
        if view is None or not self._hidden:
            return view
        series = {key: replace(each, attributes=self._shown(each)) for key, each in view.series.items()}
        return replace(view, attributes=self._shown(view), series=series)

    async def instance(self, identifier: InstanceIdentifier, *, metadata: bool) -> StoredInstance | None:
        """An instance; None if it is not there."""
        async with self._slots:
            found = await self._lookup.instance(self._partition, identifier, metadata=metadata)
        return found and self._seen(found)

    async def instances(self, scope: ResourceIdentifier, *, metadata: bool) -> list[StoredInstance]:
        """The instances of a study or a series."""
        async with self._slots:
            found = await self._lookup.instances(self._partition, scope, metadata=metadata)
        return [*map(self._seen, found)]

    async def stream(self, scope: ResourceIdentifier) -> AsyncGenerator[StoredInstance]:
        """The same with their metadata, in no particular order and bounded memory. Must be closed."""
        async with aclosing(self._lookup.stream(self._partition, scope)) as found:
            async for instance in found:
                yield self._seen(instance)

    @overload
    async def document(self, instance: StoredInstance) -> bytes: ...
    @overload
    async def document(self, instance: StoredInstance, *, most: int) -> bytes | None: ...
    async def document(self, instance: StoredInstance, *, most: int | None = None) -> bytes | None:
        """The metadata of an instance that was read with its metadata; None: they are longer than `most` bytes, and
        not in the index. Raises BlobNotFound.
        """
        document = instance.metadata
        if document is None:
            async with self._slots:
                document = await read_metadata(instance, self._blobs, None if most is None else most + 1)
            if most is not None and len(document) > most:
                return None
        if self._confined is None:
            return document
        substitution = await self._confined.substitution(self._partition, document, instance.identifier)
        return substitution.whole(document) if substitution else document

    def _seen(self, instance: StoredInstance) -> StoredInstance:
        return replace(instance, attributes=self._shown(instance)) if self._hidden else instance

    def _shown(self, view: StudyView | SeriesView | StoredInstance) -> IndexedValues:
        return {key: text for key, text in view.attributes.items() if key not in self._hidden}
