"""One version of an instance, looked up once for a request (WADO-29).

All that a retrieve reads of an instance it reads through its `Snapshot`. A version may be replaced or deleted while
it is read: its file is gone then, and `current` goes on with the version that has taken its place.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicom.part10.frames import FrameTable
from shared.dicom.uid_references import Substitution
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.json_model import large, loads
from shared.dicomweb.partitions import Partition
from shared.errors import DicomServiceError, NotAcceptable, NotFound
from shared.index.confined_lookup import ConfinedLookup, Lookup
from shared.index.documents import read_frame_ranges, read_metadata
from shared.index.lookup import InstanceLookup
from shared.index.model import StoredInstance, StudyView
from shared.retrieve.negotiation import TransferSyntaxChoice, nothing_found
from shared.retrieve.pixel_pool import PixelPool
from shared.storage.ports import BlobNotFound, BlobReader, BlobStore

WHOLE: Final = 104_857_600
"""Bytes of the largest file that is held whole, because nothing in it can be located otherwise (WADO-12)."""

_WHOLE_AT_A_TIME: Final = 2
_REMEMBERED: Final = 256
"""Frame tables kept in memory: blobs never change, and a viewer asks for one frame after the other."""

NO_INSTANCE: Final = "The requested instance does not exist."


class LostFile(DicomServiceError):
    """The index names a file that is not there: a fault of the service, 500 (D-41)."""

    def __init__(self) -> None:
        super().__init__("The file of the instance is missing from storage.")


class FrameTables:
    """Frame tables that were found by reading whole files, by the names of the files; the latest ones are kept."""

    def __init__(self) -> None:
        self._tables: OrderedDict[str, FrameTable] = OrderedDict()

    def get(self, blob: str) -> FrameTable | None:
        """The table of a file, or None."""
        return self._tables.get(blob)

    def put(self, blob: str, table: FrameTable) -> None:
        """Keep the table of a file."""
        self._tables[blob] = table
        while len(self._tables) > _REMEMBERED:
            self._tables.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Backend:
    """The index, the files, and the pool in which pixels are converted. One per process."""

    lookup: InstanceLookup
    blobs: BlobStore
    pool: PixelPool = field(default_factory=PixelPool)
    whole_files: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_WHOLE_AT_A_TIME))
    """Bounds how many files are held whole at the same time."""
    frame_tables: FrameTables = field(default_factory=FrameTables)

    def archive(self, partition: Partition, *, original: bool = False, within: Confinement | None = None) -> "Archive":
        """The instances of one data partition; `original`: in the versions that were stored, before any update;
        `within`: those that a caller is confined to.
        """
        confined = None if within is None or within.is_whole else ConfinedLookup(self.lookup, within)
        return Archive(self, partition, original, confined)


@dataclass(frozen=True, slots=True)
class Archive:
    """The instances of one data partition, as one request sees them."""

    backend: Backend
    partition: Partition
    original: bool = False
    """Whether it has the versions that were stored, where updates have made others of them (WADO-32)."""
    confined: ConfinedLookup | None = None
    """Of a caller who sees some of the instances only (SHR-2)."""

    @property
    def lookup(self) -> Lookup:
        """The index, as the caller sees it."""
        return self.confined or self.backend.lookup

    @property
    def pool(self) -> PixelPool:
        """The pool in which pixels are converted."""
        return self.backend.pool

    async def find(self, identifier: InstanceIdentifier, *, metadata: bool = True) -> "Snapshot | None":
        """The version of an instance, in one look-up; None if it does not exist.

        `metadata`: whether its attributes are likely to be needed: they come in the same look-up then.
        """
        found = await self.lookup.instance(self.partition, identifier, metadata=metadata)
        return None if found is None else Snapshot(self, self._version(found), described=metadata)

    async def snapshot(self, identifier: InstanceIdentifier, *, metadata: bool = True) -> "Snapshot":
        """The same. Raises NotFound."""
        found = await self.find(identifier, metadata=metadata)
        if found is None:
            raise NotFound(NO_INSTANCE)
        return found

    async def snapshots(self, scope: ResourceIdentifier) -> "list[Snapshot]":
        """The instances in `scope`, newest first, without their attributes."""
        found = await self.lookup.instances(self.partition, scope, metadata=False)
        return [Snapshot(self, self._version(instance), described=False) for instance in found]

    async def versions(self, scope: ResourceIdentifier) -> list[int]:
        """The watermarks of the instances in `scope`."""
        return list((await self.lookup.versions(self.partition, scope, original=self.original)).values())

    async def stream(self, scope: ResourceIdentifier) -> "AsyncGenerator[Snapshot]":
        """The instances in `scope` with their attributes, in no particular order, in bounded memory. Must be closed."""
        async with aclosing(self.lookup.stream(self.partition, scope)) as instances:
            async for instance in instances:
                yield Snapshot(self, self._version(instance), described=True)

    def _version(self, instance: StoredInstance) -> StoredInstance:
        return instance.first_version if self.original else instance

    async def study(self, uid: str) -> StudyView | None:
        """A study with its series."""
        return await self.lookup.study(self.partition, uid)


class Snapshot:
    """One version of an instance. What its methods read is of this version, or BlobNotFound is raised."""

    __slots__ = ("_attributes", "_described", "_substitution", "archive", "instance")

    def __init__(self, archive: Archive, instance: StoredInstance, *, described: bool) -> None:
        self.archive = archive
        self.instance = instance
        self._described = described
        self._attributes: dict[str, Any] | None = None
        self._substitution: Substitution | None = None

    @property
    def identifier(self) -> InstanceIdentifier:
        """The UIDs of the instance."""
        return self.instance.identifier

    @property
    def syntax(self) -> str:
        """The UID of the transfer syntax in which it is stored."""
        return self.instance.transfer_syntax_uid

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self.instance.length

    @property
    def location(self) -> str:
        """The name of the file in blob storage, which no other version has."""
        return self.instance.blob

    @property
    def pool(self) -> PixelPool:
        """The pool in which its pixels are converted."""
        return self.archive.backend.pool

    async def short_document(self, most: int) -> bytes | None:
        """The metadata document if it is shorter than `most` bytes and shown as it is; else None, without having read
        more than that. Raises BlobNotFound.
        """
        if self.archive.confined is not None:
            return None
        await self._describe()
        document = await read_metadata(self.instance, self.archive.backend.blobs, most)
        return document if len(document) < most else None

    async def document(self) -> bytes:
        """The metadata document, DICOM JSON of one data set. Raises BlobNotFound."""
        await self._describe()
        document = await read_metadata(self.instance, self.archive.backend.blobs)
        confined = self.archive.confined
        if confined is None:
            return document
        self._substitution = await confined.substitution(self.archive.partition, document, self.identifier)
        return self._substitution.whole(document) if self._substitution else document

    async def _describe(self) -> None:
        """Look the instance up with its metadata, unless it was. Raises BlobNotFound."""
        if not self._described:
            found = await self.archive.find(self.identifier)
            if found is None or found.location != self.location:
                raise BlobNotFound
            self.instance, self._described = found.instance, True

    async def substitution(self) -> Substitution | None:
        """A filter of the UIDs in its file that the caller may not learn; None if it has none. Raises BlobNotFound."""
        if self.archive.confined is None:
            return None
        await self.document()
        return self._substitution

    async def attributes(self) -> Attributes:
        """The data set in the DICOM JSON model, read once. Raises BlobNotFound."""
        if self._attributes is None:
            document = await self.document()
            self._attributes = await asyncio.to_thread(loads, document) if large(document) else loads(document)
        return self._attributes

    async def attributes_once(self) -> Attributes:
        """The same for a snapshot that is kept with many others: it does not keep them. Raises BlobNotFound."""
        kept = self.instance, self._described, self._attributes
        try:
            return await self.attributes()
        finally:
            self.instance, self._described, self._attributes = kept

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """A range of the file. Raises BlobNotFound."""
        return await self.archive.backend.blobs.read(self.location, offset, length)

    async def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several ranges, (offset, length), of the file. Raises BlobNotFound."""
        return await self.archive.backend.blobs.read_ranges(self.location, ranges)

    async def open(self, offset: int = 0, length: int | None = None) -> BlobReader:
        """A range of the file as a stream. Raises BlobNotFound."""
        return await self.archive.backend.blobs.open(self.location, offset, length)

    async def using_whole[T](self, function: Callable[[bytes], T]) -> T:
        """The result of `function` on the whole file, in a thread; few files are held so at the same time.

        Raises NotAcceptable for a file that is too large, BlobNotFound, and what `function` raises.
        """
        if self.length > WHOLE:
            raise NotAcceptable("The instance is too large: its contents cannot be located.")
        async with self.archive.backend.whole_files:
            return await asyncio.to_thread(function, await self.read())

    async def frame_ranges(self, indices: Sequence[int]) -> list[tuple[int, int]]:
        """The byte ranges [start, end) of some frames (from 0) whose table is in a blob. Raises BlobNotFound."""
        return await read_frame_ranges(self.instance, self.archive.backend.blobs, indices)

    async def successor(self) -> "Snapshot | None":
        """The version that stands in the index for one whose file was not found; None: it was deleted.

        Raises LostFile when it is still the same: then the file should be there.
        """
        found = await self.archive.find(self.identifier, metadata=self._described)
        if found is not None and found.location == self.location:
            raise LostFile
        return found


async def find_instance(
    archive: Archive, identifier: InstanceIdentifier, accepted: Sequence[TransferSyntaxChoice]
) -> Snapshot:
    """The instance, with its attributes if it or its frames may have to be transcoded.

    Raises NotFound, NotAcceptable (D-18).
    """
    found = await archive.find(identifier, metadata=not accepted[0].as_stored)
    if found is None:
        raise nothing_found(accepted, "instance")
    return found


async def current[T](snapshot: Snapshot | None, attempt: Callable[[Snapshot], Awaitable[T]]) -> T | None:
    """The result of `attempt` with `snapshot`, or with the version that has replaced it when its file is gone.

    None if the instance was deleted meanwhile (WADO-29). Raises LostFile, and what `attempt` raises but BlobNotFound.
    """
    while snapshot is not None:
        try:
            return await attempt(snapshot)
        except BlobNotFound:
            snapshot = await snapshot.successor()
    return None
