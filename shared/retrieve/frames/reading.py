"""Frames read from their file, in bounded memory (PS3.18 §10.4.1.1.6; FRM-5, FRM-7)."""

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.dicom.errors import DamagedPixelData
from shared.dicom.part10.frames import strip_items
from shared.dicom.pixels.transcoding import frame_memory, transcode_frame
from shared.errors import NotAcceptable
from shared.retrieve.byte_ranges import RangeRequest
from shared.retrieve.frames.frame_bytes import FragmentJoiner, native_bytes
from shared.retrieve.frames.locating import Layout, LocatedFrames, Span
from shared.retrieve.snapshot import Snapshot
from shared.storage.ports import BlobReader

_BATCH: Final = 4 * 1024 * 1024
"""Frames are fetched together up to this many bytes, and the next batch while one is being sent."""
_MOST_IN_BATCH: Final = 1024
"""Frames that are fetched together, however small they are: they are told apart at one go."""
_AT_ONCE: Final = 1024 * 1024
"""Bytes of a frame that are put in order on the event loop, within a millisecond or two."""
_WHOLE: Final = 104_857_600
"""Largest frame that is held whole because its bytes must be changed (WADO-12)."""

_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_HEADER: Final = 8

type FrameBody = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Some bytes of one frame (FRM-14)."""

    body: FrameBody
    span: tuple[int, int]
    """[start, end) in the frame."""
    size: int
    """Bytes of the frame."""


@dataclass(frozen=True, slots=True)
class RetrievedFrames:
    """The bodies of frames in the requested order (WADO-27), the first one at hand. `rest` must be closed."""

    first: FrameBody
    length: int | None
    """Bytes of `first`, when known before it is read."""
    rest: AsyncGenerator[FrameBody]


async def read_frames(located: LocatedFrames) -> RetrievedFrames:
    """Fetch the first frames; the rest follows as it is read. Raises BlobNotFound, DamagedPixelData, NotAcceptable."""
    layout = located.layout
    file = _FrameReader(located.snapshot, layout)
    if layout.inflated is not None:
        frames = _these(layout.inflated, file)
        first = await anext(frames)
        return RetrievedFrames(first, len(first), frames)
    if any(_must_be_whole(layout, span) and span.length > _WHOLE for span in layout.spans):
        raise NotAcceptable("The frame is too large to be converted.")
    batches = _batches(layout.spans, layout.conversion.pixels.frame_bytes if layout.conversion else 0)
    bodies = await file.read(next(batches))
    length = len(bodies[0]) if isinstance(bodies[0], bytes) else None if layout.encapsulated else layout.spans[0].length
    return RetrievedFrames(bodies[0], length, _bodies(file, bodies[1:], batches))


async def read_range(located: LocatedFrames, span: RangeRequest, tag: str) -> FrameRange | None:
    """The bytes of the only frame that `span` asks for; None: all of them. Of a frame in one piece no more is read.

    Raises RangeUnsatisfiable, BlobNotFound, DamagedPixelData.
    """
    if not span.given:
        return None
    place = await _place(located)
    if place is not None:
        found = span.of(place.length, tag)
        if found is None:
            return None
        start, length = place.offset + found[0], found[1] - found[0]
        if length <= _BATCH:
            return FrameRange(await located.snapshot.read(start, length), found, place.length)
        reader = await located.snapshot.open(start, length)
        return FrameRange(reader.chunks(), found, place.length)
    if any(each.length > _WHOLE for each in located.layout.spans):
        return None
    frames = await read_frames(located)
    async with aclosing(frames.rest):
        body = frames.first
        whole = body if isinstance(body, bytes) else b"".join([chunk async for chunk in body])
    found = span.of(len(whole), tag)
    return None if found is None else FrameRange(whole[found[0] : found[1]], found, len(whole))


async def _place(located: LocatedFrames) -> Span | None:
    """Where the bytes of the only frame are, as they are sent; None: not in one piece."""
    layout = located.layout
    if layout.inflated is not None or _must_be_whole(layout, layout.spans[0]):
        return None
    offset, length, _ = layout.spans[0]
    if not layout.encapsulated:
        return layout.spans[0]
    header = await located.snapshot.read(offset, _ITEM_HEADER)
    if header[:4] == _ITEM and int.from_bytes(header[4:], "little") == length - _ITEM_HEADER:
        return Span(offset + _ITEM_HEADER, length - _ITEM_HEADER)
    return None


async def _these(frames: Sequence[bytes], file: "_FrameReader") -> AsyncGenerator[bytes]:
    for frame in frames:
        yield await file.converted(frame, hashlib.sha256(frame).digest())


async def _bodies(
    file: "_FrameReader", at_hand: list[FrameBody], batches: Iterator[list[Span]]
) -> AsyncGenerator[FrameBody]:
    reading: asyncio.Task[list[FrameBody]] | None = None
    try:
        while True:
            batch = next(batches, None)
            reading = None if batch is None else asyncio.create_task(file.read(batch))
            for body in at_hand:
                yield body
            if reading is None:
                return
            at_hand = await reading
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def _must_be_whole(layout: Layout, span: Span) -> bool:
    return layout.word > 1 or span.shift > 0 or layout.bits % 8 > 0 or layout.conversion is not None


def _batches(spans: Sequence[Span], decoded: int) -> Iterator[list[Span]]:
    """Runs of frames that are fetched together; a frame above the limit comes alone. `decoded`: bytes of a frame that
    must be decoded.
    """
    batch: list[Span] = []
    size = 0
    for span in spans:
        length = max(span.length, decoded)
        if batch and (size + length > _BATCH or len(batch) == _MOST_IN_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(span)
        size += length
    yield batch


def _merged(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """The (offset, length) ranges that cover `spans`, those that touch joined, in file order."""
    ranges: list[tuple[int, int]] = []
    for offset, length, _ in sorted(set(spans)):
        if ranges and offset <= sum(ranges[-1]):
            start = ranges[-1][0]
            ranges[-1] = (start, max(sum(ranges[-1]), offset + length) - start)
        else:
            ranges.append((offset, length))
    return ranges


def _without_item_headers(data: bytes) -> bytes:
    try:
        return strip_items(data)
    except ValueError:
        raise DamagedPixelData from None


@dataclass(frozen=True, slots=True)
class _FrameReader:
    """Reads frames of one file."""

    snapshot: Snapshot
    layout: Layout

    async def converted(self, frame: bytes, place: Hashable) -> bytes:
        """A frame as it is sent; `place` tells it from the others of the file. Raises NotAcceptable where it must be
        transcoded and cannot be.
        """
        conversion = self.layout.conversion
        if conversion is None:
            return frame

        pool = self.snapshot.pool

        async def work() -> bytes:
            return await pool.run(
                lambda: transcode_frame(
                    frame, conversion.pixels, conversion.source, conversion.target, decoder=pool.codecs.decode
                )
            )

        key = (self.snapshot.location, conversion.target, place)
        needed = frame_memory(conversion.pixels, conversion.source, conversion.target, len(frame))
        return (await pool.make(key, needed, work)).value

    async def read(self, batch: Sequence[Span]) -> list[FrameBody]:
        """The frames at `batch`. Raises BlobNotFound, DamagedPixelData."""
        first = batch[0]
        if len(batch) == 1 and first.length > _BATCH and not _must_be_whole(self.layout, first):
            reader = await self.snapshot.open(first.offset, first.length)
            return [self._streamed(reader, first)]
        if len(batch) == 1:
            frame = await self._frame(first, await self.snapshot.read(first.offset, first.length))
            return [await self.converted(frame, first)]
        ranges = _merged(batch)
        starts = [start for start, _ in ranges]
        pieces = await self.snapshot.read_ranges(ranges)
        bodies: list[FrameBody] = []
        for span in batch:
            at = bisect_right(starts, span.offset) - 1
            begin = span.offset - starts[at]
            frame = await self._frame(span, pieces[at][begin : begin + span.length])
            bodies.append(await self.converted(frame, span))
        return bodies

    async def _frame(self, span: Span, data: bytes) -> bytes:
        layout = self.layout
        if len(data) < (span.length if layout.encapsulated else (span.shift + layout.bits + 7) // 8):
            raise DamagedPixelData
        if layout.encapsulated:
            work = partial(_without_item_headers, data)
        else:
            work = partial(native_bytes, data, span.shift, layout.bits, layout.word)
        return await self.snapshot.pool.run(work) if len(data) > _AT_ONCE else work()

    async def _streamed(self, reader: BlobReader, span: Span) -> AsyncGenerator[bytes]:
        joiner = FragmentJoiner() if self.layout.encapsulated else None
        received = 0
        async for chunk in reader.chunks():
            received += len(chunk)
            if joiner is None:
                yield chunk
            else:
                for piece in joiner.feed(chunk):
                    yield piece
        if received < span.length:
            raise DamagedPixelData
        if joiner is not None:
            joiner.finish()
