"""data-safety §8 Going back: what an operation has changed becomes again what it was before (MRG-9).

The former file is copied as it is, under a name of this operation: by the store itself where it is large.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.attribute_changes import CannotChange
from shared.dicomweb.partitions import Partition
from shared.index.instance_rows import IndexedInstance
from shared.index.model import NewInstance, original_of
from shared.index_schema import blob_names
from shared.index_schema.keys import StudyPlace
from shared.index_schema.schema import IndexSchema
from shared.ingest.store_options import UpdatedFile
from shared.storage.ports import BlobExists, BlobNotFound, BlobStore
from shared.study_updates.moved_instances import joined, parsed
from shared.study_updates.new_version import Operation

type EntryOf = Callable[[Partition, str], Awaitable[NewInstance | None]]
"""The entry for the index of a file, by what is in it; None if it cannot be an instance."""


@dataclass(frozen=True, slots=True)
class _Former:
    """The file that an instance was before."""

    blob: str
    length: int
    identifier: InstanceIdentifier
    moved: bool


class FormerVersions:
    """Makes instances what they were before an operation, as far as these files are still there: a `Versions`."""

    def __init__(
        self,
        blobs: BlobStore,
        operation: Operation,
        partition: Partition,
        entry_of: EntryOf,
        formers: Mapping[str, _Former | None],
    ) -> None:
        self._blobs = blobs
        self._operation = operation
        self._partition = partition
        self._entry_of = entry_of
        self._formers = formers

    @classmethod
    async def of(
        cls,
        blobs: BlobStore,
        operation: Operation,
        partition: Partition,
        entry_of: EntryOf,
        *,
        reverts: str,
        place: StudyPlace,
    ) -> Self:
        """Those of what the operation `reverts` has made in a study. Raises Unavailable."""
        lengths: dict[str, int] = {}
        made: dict[str, UpdatedFile] = {}
        async for blob in blobs.list(blob_names.blob_prefix(place.namespace, place.study_instance_uid)):
            lengths[blob.name] = blob.length
            file = UpdatedFile.of_blob(blob.metadata)
            if file is not None and file.operation == reverts:
                made[blob.name] = file
        formers: dict[str, _Former | None] = {}
        for name, file in made.items():
            length = lengths.get(file.source)
            if length is None:
                length = await _length(blobs, file.source)
            formers[name] = None if length is None else _former(name, file, length)
        return cls(blobs, operation, partition, entry_of, formers)

    def blob(self, instance: IndexedInstance) -> str | None:
        """The copy of the former file; None if that is gone, or the operation has not made the present one."""
        former = self._formers.get(instance.stored.blob)
        return self._operation.blob(former.identifier, instance.upload_id) if former else None

    async def write(self, instance: IndexedInstance) -> None:
        """Copy the former file. Raises as a `Versions` does."""
        stored, former = instance.stored, self._former(instance)
        blob = self._operation.blob(former.identifier, instance.upload_id)
        upload = self._blobs.upload(blob)
        original = "" if former.moved else stored.original.blob if stored.original else stored.blob
        moved_from = joined(stored.identifier) if former.moved else ""
        try:
            await upload.append_range(former.blob, 0, former.length)
            await upload.commit(UpdatedFile(self._operation.id, stored.blob, original, moved_from).blob_metadata())
        except BlobExists:
            pass  # of an earlier attempt
        finally:
            await upload.abort()
        await self._read(blob, former)

    async def entry(self, instance: IndexedInstance, length: int, schema: IndexSchema) -> NewInstance:
        """The entry of the copy. Raises as a `Versions` does."""
        del length, schema  # what the file says, and what is known now
        stored, former = instance.stored, self._former(instance)
        entry = await self._read(self._operation.blob(former.identifier, instance.upload_id), former)
        if former.moved:
            return replace(entry, moved=True)
        return replace(entry, updates=stored.blob, original=stored.original or original_of(stored))

    def left(self, live: frozenset[str]) -> list[InstanceIdentifier]:
        """The instances of the operation that did not become again what they were, of which `live` are the files."""
        found = []
        for blob, former in self._formers.items():
            name = blob_names.parse_blob_name(blob)
            if name and (former is None or self._operation.blob(former.identifier, name.upload_id) not in live):
                found.append(name.identifier)
        return found

    # ----------------------------------------------------------------------------------------------------- inside

    def _former(self, instance: IndexedInstance) -> _Former:
        former = self._formers[instance.stored.blob]
        if former is None:
            raise BlobNotFound
        return former

    async def _read(self, blob: str, former: _Former) -> NewInstance:
        entry = await self._entry_of(self._partition, blob)
        if entry is None or entry.identifier != former.identifier:
            raise CannotChange("Its former version cannot be read.")
        return replace(entry, replace=False, expires=None)


def _former(name: str, file: UpdatedFile, length: int) -> _Former | None:
    if file.moved_from:
        return _Former(file.source, length, parsed(file.moved_from), moved=True)
    made = blob_names.parse_blob_name(name)
    return None if made is None else _Former(file.source, length, made.identifier, moved=False)


async def _length(blobs: BlobStore, name: str) -> int | None:
    """The length of a file; None if it has been erased."""
    try:
        return (await blobs.properties(name)).length
    except BlobNotFound:
        return None
