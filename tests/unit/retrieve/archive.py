"""A small archive in memory: real files, read by the real reader, in the real index, on the fakes of the stores."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

from shared.dicom.part10.file_reader import read_whole
from shared.dicomweb import json_model
from shared.dicomweb.partitions import DEFAULT_KEY, DEFAULT_NAME, Partition
from shared.index.clock import HybridClock
from shared.index.documents import move_to_blobs
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.model import CommitOutcome, NewInstance
from shared.index_schema import keys
from shared.index_schema.schema import BUILT_IN
from shared.retrieve.snapshot import Backend
from tests.builders.images import SECONDARY_CAPTURE, Image
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.schemas import FixedSchemas
from tests.fakes.tables import MemoryTableStore

PARTITION = Partition(DEFAULT_KEY, DEFAULT_NAME, keys.DEFAULT_NAMESPACE, datetime(2024, 1, 1, tzinfo=UTC))
SHARDS = 4


class CountingBlobStore(MemoryBlobStore):
    """Knows what was read: (name, offset, length) of each range."""

    def __init__(self) -> None:
        super().__init__(chunk_bytes=64 * 1024)
        self.ranges: list[tuple[str, int, int]] = []
        self.calls: list[str] = []

    async def read(self, name, offset=0, length=None):
        data = await super().read(name, offset, length)
        self._note("read", name, [(offset, len(data))])
        return data

    async def read_ranges(self, name, ranges):
        pieces = await super().read_ranges(name, ranges)
        self._note("read_ranges", name, ranges)
        return pieces

    async def open(self, name, offset=0, length=None):
        reader = await super().open(name, offset, length)
        self._note("open", name, [(offset, reader.length)])
        return reader

    def _note(self, call, name, ranges):
        self.calls.append(call)
        self.ranges += [(name, offset, length) for offset, length in ranges]

    @property
    def bytes_read(self) -> int:
        return sum(length for _, _, length in self.ranges)

    def forget(self) -> None:
        self.ranges.clear()
        self.calls.clear()


class Archive:
    """What tests store into and retrieve from."""

    def __init__(self) -> None:
        self.tables = MemoryTableStore()
        self.blobs = CountingBlobStore()
        self._time = itertools.count(1_700_000_000)
        clock = HybridClock(lambda: next(self._time))
        self.index = InstanceIndex(self.tables, clock, FixedSchemas(), shards=SHARDS)
        self.backend = Backend(InstanceLookup(self.tables, shards=SHARDS), self.blobs)
        self.view = self.backend.archive(PARTITION)

    async def store(self, *images: Image, replace_existing: bool = False, metadata_inline: bool = True) -> None:
        """Store files as the service does, but for the checks."""
        entries = [await self._entry(one, replace_existing, metadata_inline) for one in images]
        outcomes = await self.index.commit(PARTITION, entries)
        assert outcomes == [CommitOutcome.STORED] * len(images)

    async def _entry(self, one: Image, replace_existing: bool, metadata_inline: bool) -> NewInstance:
        upload = keys.new_upload_id(next(self._time) * 1000)
        name = keys.blob_name(PARTITION.namespace, one.identifier, upload)
        self.blobs.drop(name, one.data)
        file = read_whole(one.data)
        study, series, instance = BUILT_IN.extract(file.attributes)
        entry = NewInstance(
            one.identifier,
            SECONDARY_CAPTURE,
            file.transfer_syntax_uid,
            name,
            len(one.data),
            replace_existing,
            study,
            series,
            instance,
            json_model.dumps(file.attributes),
            file.frames,
        )
        return await move_to_blobs(entry, self.blobs, metadata_inline=metadata_inline)

    async def without_table(self, one: Image) -> None:
        """Store a file as if its frames could not be located."""
        entry = await self._entry(one, False, True)
        assert await self.index.commit(PARTITION, [replace(entry, frames=None)]) == [CommitOutcome.STORED]

    async def blob_of(self, one: Image) -> str:
        found = await self.backend.lookup.instance(PARTITION, one.identifier, metadata=False)
        assert found is not None
        return found.blob

    def forget(self) -> None:
        """Count requests and reads from here on."""
        self.blobs.forget()
        self.tables.requests = 0


async def collected(chunks) -> bytes:
    """The bytes of a body."""
    if isinstance(chunks, bytes):
        return chunks
    return b"".join([chunk async for chunk in chunks])
