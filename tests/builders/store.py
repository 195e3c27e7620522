"""The Store transaction on stores in memory."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

from shared.dicom.identifiers import InstanceIdentifier
from shared.dicomweb.partitions import Partition
from shared.dicomweb.versions import ApiVersion
from shared.index.model import StoredInstance
from shared.ingest.ingest import Ingest
from shared.ingest.ingest_settings import IngestSettings
from shared.ingest.store_options import StoreOptions
from shared.ingest.store_outcome import StoreOutcome
from shared.registry.data_partitions import DataPartitions
from shared.store.request import Multipart, SingleFile
from shared.store.transaction import store_instances
from tests.builders.images import multipart
from tests.builders.service import PARTITION, Process, Time
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.tables import MemoryTableStore

BOUNDARY = b"a-boundary-that-occurs-nowhere-else"


class StoreService(Process):
    """A process that stores; `again` is another one on the same stores."""

    def __init__(
        self,
        tables: MemoryTableStore | None = None,
        blobs: MemoryBlobStore | None = None,
        time: Time | None = None,
        *,
        data_partitions: bool = False,
        **rules: object,
    ) -> None:
        self.time = time or Time()
        self.data_partitions = data_partitions
        self.rules = rules
        super().__init__(
            tables or MemoryTableStore(),
            blobs or MemoryBlobStore(now=lambda: datetime.fromtimestamp(self.time(), UTC)),
            self.time,
        )
        self.partitions = DataPartitions(self.tables, self.clock)
        self.ingest = Ingest(
            self.blobs,
            self.index,
            self.lookup,
            self.partitions,
            rules=IngestSettings(**{"max_file_bytes": 1 << 40, **rules}),
            now=self.time,
            pause=self.time.pause,
        )

    def again(self) -> "StoreService":
        return StoreService(self.tables, self.blobs, self.time, data_partitions=self.data_partitions, **self.rules)

    async def store(self, *files: bytes, **options: object) -> list[StoreOutcome]:
        """Store `files` in one multipart request."""
        return await self.send(multipart(list(files))[0], Multipart(BOUNDARY, "application/dicom"), **options)

    async def store_one(self, data: bytes, **options: object) -> StoreOutcome:
        """Store a file that is a whole body."""
        [outcome] = await self.send(data, SingleFile(), **options)
        return outcome

    async def send(
        self,
        body: bytes | Iterable[bytes] | AsyncIterator[bytes],
        content: SingleFile | Multipart,
        *,
        version: ApiVersion = ApiVersion.V2,
        study: str | None = None,
        replace: bool = False,
        expires: datetime | None = None,
        chunk: int = 64 * 1024,
        partition: Partition = PARTITION,
    ) -> list[StoreOutcome]:
        """Run the transaction on `body`, cut into chunks."""
        options = StoreOptions(version, study, replace, expires)
        chunks = body if isinstance(body, AsyncIterator) else chunks_of(body, chunk)
        return await store_instances(content, chunks, options, partition=partition, ingest=self.ingest)

    async def instance(self, identifier: InstanceIdentifier) -> StoredInstance | None:
        """What the index says of an instance."""
        return await self.lookup.instance(PARTITION, identifier, metadata=True)

    async def content(self, identifier: InstanceIdentifier) -> bytes | None:
        """The file of an instance, None if it is not stored."""
        stored = await self.instance(identifier)
        return None if stored is None else await self.blobs.read(stored.blob)


async def chunks_of(body: bytes | Iterable[bytes], size: int) -> AsyncIterator[bytes]:
    """`body` in pieces of `size` bytes, or as it is cut already."""
    for piece in (
        [body[start : start + size] for start in range(0, len(body), size)] if isinstance(body, bytes) else body
    ):
        yield piece
