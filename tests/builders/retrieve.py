"""The transactions that retrieve, on an archive in memory: files in the real index, on fakes of the stores."""

import itertools
from dataclasses import replace

from shared.dicom.part10.file_reader import read_whole
from shared.dicomweb import json_model
from shared.dicomweb.document_rules import DocumentRules
from shared.index.documents import move_to_blobs
from shared.index.model import CommitOutcome, NewInstance
from shared.index_schema import blob_names
from shared.index_schema.schema import BUILT_IN
from shared.retrieve.functions import transactions
from shared.retrieve.pixel_pool import PixelPool
from shared.retrieve.snapshot import Backend
from tests.builders.http import ALL, boundary, content, routed
from tests.builders.images import Image
from tests.builders.service import PARTITION, Process
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.tables import MemoryTableStore

DICOM, OCTETS, JSON = "application/dicom", "application/octet-stream", "application/dicom+json"


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


class ImageArchive(Process):
    """Files of images, to be stored and retrieved. The clock goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self._time = itertools.count(1_700_000_000)
        super().__init__(MemoryTableStore(), CountingBlobStore(), lambda: next(self._time))
        self.backend = Backend(self.lookup, self.blobs)
        self.view = self.backend.archive(PARTITION)

    async def store(self, *images: Image, replace_existing: bool = False, metadata_inline: bool = True) -> None:
        """Store files as the service does, but for the checks."""
        entries = [await self._entry(one, replace_existing, metadata_inline) for one in images]
        outcomes = await self.index.commit(PARTITION, entries)
        assert outcomes == [CommitOutcome.STORED] * len(images)

    async def _entry(self, one: Image, replace_existing: bool, metadata_inline: bool) -> NewInstance:
        upload = blob_names.new_upload_id(next(self._time) * 1000)
        name = blob_names.blob_name(PARTITION.namespace, one.identifier, upload)
        self.blobs.drop(name, one.data)
        file = read_whole(one.data)
        study, series, instance = BUILT_IN.extract(file.attributes)
        entry = NewInstance(
            one.identifier,
            file.attributes["00080016"]["Value"][0],
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
        found = await self.lookup.instance(PARTITION, one.identifier, metadata=False)
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


class RetrieveService:
    """The transactions of an archive behind a boundary."""

    def __init__(self, zip_names="attributes", **limits) -> None:
        self.archive = ImageArchive()
        self.boundary = boundary()
        self.pool = PixelPool(**limits)
        self.transactions = transactions(
            Backend(self.archive.lookup, self.archive.blobs, self.pool),
            DocumentRules(),
            zip_names=zip_names,
        )

    async def get(self, path, accept="*/*", query="", method="GET", credentials=ALL, **headers):
        fields = [*credentials, *(() if accept is None else [("Accept", accept)])]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        resource, request = routed(method, f"/v2/{path}?{query}" if query else f"/v2/{path}", fields)
        return await self.boundary.run(resource, request, self.transactions[resource.name])

    async def body(self, path, accept="*/*", query=""):
        response = await self.get(path, accept, query)
        data = await content(response)
        assert response.status == 200, data
        return data

    async def status(self, path, accept="*/*", query="", **options):
        response = await self.get(path, accept, query, **options)
        await content(response)
        return response.status


def parts(body):
    """The contents of the parts of a multipart body."""
    boundary_line = body.split(b"\r\n", 1)[0]
    pieces = body.split(boundary_line)[1:-1]
    return [piece.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for piece in pieces]


def multipart_of(media_type, syntax=""):
    """The media type of a multipart answer, for Accept."""
    return f'multipart/related; type="{media_type}"' + (f"; transfer-syntax={syntax}" if syntax else "")
