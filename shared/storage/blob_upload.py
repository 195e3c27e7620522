"""Writing a blob while its bytes arrive: small ones as one request, larger ones as staged blocks (storage §4).

What is common to every adapter of the blob port: buffering, back-pressure and how an upload recognises itself. A write
whose answer is lost is repeated, as it is create-only and carries an id of its own: when the name turns out to be
taken, the id in the blob's metadata says by whom.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import uuid4

from shared.storage.ports import BlobProperties, BlobReader

SINGLE_PUT_BYTES = 8 * 1024**2
BLOCK_BYTES = 4 * 1024**2
LARGE_BODY_BYTES = 2**20
"""aiohttp does not want more than this as plain bytes."""
BLOCKS_IN_FLIGHT = 4
COPIED_BYTES = 100 * 1024**2
"""Bytes that the store is asked to copy with one request, which it answers when it has done so."""

UPLOAD_ID = "uploadid"
"""The metadata name that holds the id of the upload that wrote a blob; the port does not show it."""

_METADATA_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise ValueError for metadata that do not survive the HTTP headers in which they travel."""
    for name, value in metadata.items():
        if not _METADATA_NAME.fullmatch(name) or name == UPLOAD_ID:
            raise ValueError("A metadata name is a lower-case identifier")
        if not value or value != value.strip() or not (value.isascii() and value.isprintable()):
            raise ValueError("A metadata value is printable ASCII text without outer blanks")


class BlockWriter(Protocol):
    """The part of an adapter in an upload. `metadata` include the upload's id; both writes are create-only."""

    async def write_blob(self, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
        """Write a whole blob. Raises BlobExists unless it is this very upload."""
        ...

    async def stage_block(self, name: str, block: str, data: bytes) -> None:
        """Send one block; nothing becomes visible. Repeating it does no harm."""
        ...

    async def commit_blocks(
        self, name: str, blocks: Sequence[str], length: int, metadata: Mapping[str, str]
    ) -> BlobProperties:
        """Make a blob of the staged blocks. Raises BlobExists unless it is this very upload."""
        ...


class ComposingWriter(BlockWriter, Protocol):
    """The same of an adapter whose uploads take ranges of other blobs, too."""

    @property
    def copies_ranges(self) -> bool:
        """As in the port."""
        ...

    async def open(self, name: str, offset: int = 0, length: int | None = None) -> BlobReader:
        """As in the port."""
        ...

    async def copy_block(self, name: str, block: str, source: str, span: tuple[int, int]) -> bool:
        """Let the store make a block of a range (offset, length) of another blob; False if it does not do that."""
        ...


def new_upload_id() -> str:
    """A text that no other upload has."""
    return uuid4().hex


class StagedUpload:
    """A BlobUpload over a BlockWriter; holds at most the blocks in flight and less than one block or single PUT."""

    def __init__(self, writer: BlockWriter, name: str, *, new_id: Callable[[], str] = new_upload_id) -> None:
        self._writer = writer
        self._name = name
        self._id = new_id()
        self._held: deque[bytes | memoryview] = deque()
        self._held_bytes = 0
        self._blocks: list[str] = []
        self._length = 0
        self._in_flight: set[asyncio.Task[None]] = set()
        self._open = True

    async def write(self, data: bytes) -> None:
        """Append `data`; waits while enough blocks are under way. Raises what staging an earlier block raised."""
        if not self._open:
            raise ValueError("The upload has ended")
        self._held.append(data)
        self._held_bytes += len(data)
        self._length += len(data)
        if not self._blocks and self._length <= SINGLE_PUT_BYTES:
            return
        while self._held_bytes >= BLOCK_BYTES:
            await self._send_block()

    async def stage(self) -> None:
        """Send what is held, so that nothing of the upload stays in memory. More may be written after."""
        if not self._open:
            raise ValueError("The upload has ended")
        while self._held_bytes:
            await self._send_block()
        while self._in_flight:
            await self._wait()

    async def commit(self, metadata: Mapping[str, str]) -> BlobProperties:
        """Make the blob visible. Raises BlobExists; the upload has ended whatever happens."""
        if not self._open:
            raise ValueError("The upload has ended")
        check_metadata(metadata)
        own = {**metadata, UPLOAD_ID: self._id}
        try:
            if not self._blocks:
                return await self._writer.write_blob(self._name, b"".join(self._held), own)
            await self.stage()
            return await self._writer.commit_blocks(self._name, self._blocks, self._length, own)
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Give up. Blocks that were staged are never visible; the service forgets them after a week."""
        self._open = False
        self._held, self._held_bytes = deque(), 0
        tasks, self._in_flight = self._in_flight, set()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_block(self) -> None:
        while len(self._in_flight) >= BLOCKS_IN_FLIGHT:
            await self._wait()
        data = self._take()
        block = self._next_block()
        self._blocks.append(block)
        self._in_flight.add(asyncio.create_task(self._writer.stage_block(self._name, block, data)))

    def _next_block(self) -> str:
        # All ids of one blob must have the same length; the upload's own id keeps them apart from another upload's.
        return f"{self._id}{len(self._blocks):08}"

    def _take(self) -> bytes:
        """The next block of what is held."""
        pieces: list[bytes | memoryview] = []
        wanted = min(BLOCK_BYTES, self._held_bytes)
        self._held_bytes -= wanted
        while wanted:
            piece = self._held.popleft()
            if len(piece) > wanted:
                whole = memoryview(piece)
                piece = whole[:wanted]
                self._held.appendleft(whole[wanted:])
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    async def _wait(self) -> None:
        done, self._in_flight = await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
        failures = [failure for task in done if (failure := task.exception())]
        if failures:
            raise failures[0]


class ComposedStagedUpload(StagedUpload):
    """The same over a ComposingWriter."""

    def __init__(self, writer: ComposingWriter, name: str) -> None:
        super().__init__(writer, name)
        self._composer = writer

    async def append_range(self, source: str, offset: int, length: int) -> None:
        """Append a range of another blob; the store copies what is worth a request of its own."""
        end = offset + length
        while end - offset > BLOCK_BYTES and self._composer.copies_ranges:
            await self.stage()
            size, block = min(COPIED_BYTES, end - offset), self._next_block()
            if not await self._composer.copy_block(self._name, block, source, (offset, size)):
                break
            self._blocks.append(block)
            self._length += size
            offset += size
        if offset < end:
            reader = await self._composer.open(source, offset, end - offset)
            async for chunk in reader.chunks():
                await self.write(chunk)


async def write_in_blocks(writer: BlockWriter, name: str, data: bytes, metadata: Mapping[str, str]) -> BlobProperties:
    """A whole blob, sent by `writer` block by block; `metadata` has the id of the upload."""
    blocks = [f"{metadata[UPLOAD_ID]}{start:012}" for start in range(0, len(data), BLOCK_BYTES)]
    for number, block in enumerate(blocks):
        await writer.stage_block(name, block, data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES])
    return await writer.commit_blocks(name, blocks, len(data), metadata)
