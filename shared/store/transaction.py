"""PS3.18 §10.5 Store: the body is received whole, file by file, then what it held is stored (STOW-7)."""

from collections.abc import AsyncIterator

from shared.dicomweb.multipart import Event as PartEvent
from shared.dicomweb.multipart import PartData, PartEnd, PartHeaders
from shared.dicomweb.partitions import Partition
from shared.ingest.ingest import Ingest
from shared.ingest.part10_upload import Part10Upload
from shared.ingest.store_batch import StoreBatch
from shared.ingest.store_options import StoreOptions
from shared.ingest.store_outcome import StoreOutcome
from shared.store.composition import receive_composed
from shared.store.parts import PartLimits, read_parts
from shared.store.request import Content, MetadataAndBulkData, Multipart, check_part_type


async def store_instances(
    content: Content, body: AsyncIterator[bytes], options: StoreOptions, *, partition: Partition, ingest: Ingest
) -> list[StoreOutcome]:
    """Store what `body` holds; the outcomes are in its order.

    Raises UnsupportedMedia, InvalidRequest and TooLarge for the request as a whole, with nothing stored; Unavailable
    when the data stores let nothing be stored, DependencyRefused when they refused (STOW-44).
    """
    async with ingest.begin(partition, options) as batch:
        if isinstance(content, MetadataAndBulkData):
            await receive_composed(content, body, batch)
        elif isinstance(content, Multipart):
            await _receive_parts(content, body, batch)
        else:
            await _receive_file(body, batch)
        return await batch.store()


async def _receive_file(body: AsyncIterator[bytes], batch: StoreBatch) -> None:
    receiver = batch.receiver()
    async for chunk in body:
        await receiver.write(chunk)
    await batch.add(receiver)


async def _receive_parts(content: Multipart, body: AsyncIterator[bytes], batch: StoreBatch) -> None:
    await read_parts(content.boundary, body, _FileParts(content, batch).take)


class _FileParts:
    """The parts of one multipart body, each a Part 10 file, on their way into a batch."""

    def __init__(self, content: Multipart, batch: StoreBatch) -> None:
        self._content = content
        self._batch = batch
        self._limits = PartLimits()
        self._receiver: Part10Upload | None = None

    async def take(self, event: PartEvent) -> None:
        """Take the next event of the reader. Raises UnsupportedMedia, TooLarge."""
        match event:
            case PartHeaders():
                await self._begin(event)
            case PartData():
                self._check_bare()
                if self._receiver is not None:
                    await self._receiver.write(event.data)
            case PartEnd():
                if not self._limits.bare:
                    await self._end()

    async def _begin(self, headers: PartHeaders) -> None:
        if self._limits.bare:
            self._check_bare()
            await self._end()
        self._limits.begin(headers)
        if not self._limits.bare:
            check_part_type(headers, self._content, first=self._limits.first)
        self._receiver = self._batch.receiver()

    def _check_bare(self) -> None:
        if self._limits.bare:
            check_part_type(PartHeaders(()), self._content, first=True)
            self._limits.bare = False

    async def _end(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            await self._batch.add(receiver)
