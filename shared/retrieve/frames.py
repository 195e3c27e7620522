"""Retrieve Frames (PS3.18 §10.4.1.1.6): byte ranges of the file, never the whole of it for one frame (FRM-7)."""

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import orjson

from shared.dicom.errors import Unconvertible
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.frames import FrameTable, encapsulated_frame, native_frame, strip_items
from shared.dicom.pixels.image_pixels import ImagePixels, image_pixels
from shared.dicom.pixels.transcoding import can_transcode, check_frames, frame_memory, transcode_frame
from shared.dicom.transfer_syntaxes import NATIVE
from shared.dicomweb.partitions import Partition
from shared.errors import NotAcceptable, NotFound
from shared.index.documents import read_frame_ranges, read_metadata
from shared.index.values import StoredInstance
from shared.retrieve.converted import check_length
from shared.retrieve.frame_bytes import DamagedPixelData, FragmentJoiner, shift_bits, swap_words
from shared.retrieve.instances import Sources, find_instance, successor
from shared.retrieve.request import (
    DEFLATED,
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    Encoding,
    TransferSyntaxChoice,
    choose,
    nothing_found,
)
from shared.retrieve.unmapped_frames import UnmappedFrames
from shared.retrieve.workshop import Workshop
from shared.storage.ports import BlobNotFound, BlobReader, BlobStore

_BATCH: Final = 4 * 1024 * 1024
"""Frames are fetched together up to this many bytes, and the next batch while one is being sent."""
_WHOLE: Final = 104_857_600
"""Largest frame that is held whole because its bytes must be changed (WADO-12)."""

_BITS_ALLOCATED: Final = "00280100"
_PIXEL_DATA: Final = "7FE00010"

type FrameBody = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Which frames are asked for, and how they may be sent."""

    identifier: InstanceIdentifier
    numbers: tuple[int, ...]
    """From 1, in the order of the answer, repeats kept (WADO-27)."""
    accepted: tuple[TransferSyntaxChoice, ...]


@dataclass(frozen=True, slots=True)
class _Conversion:
    """From one transfer syntax to another; native frames are in little endian by then."""

    pixels: ImagePixels
    source: str
    target: str


class _Span(NamedTuple):
    """The bytes of the file that hold one frame."""

    offset: int
    length: int
    shift: int = 0
    """Bits by which the frame begins after the first bit of the bytes."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the requested frames are, in requested order, and what must be done to their bytes."""

    spans: tuple[_Span, ...] = ()
    encapsulated: bool = False
    bits: int = 0
    """Of a native frame."""
    swap: bool = False
    """The file has the words in the other byte order than the answer."""
    inflated: tuple[bytes, ...] | None = None
    """The frames themselves, when the data set is deflated and the file has no byte ranges for them."""
    conversion: "_Conversion | None" = None
    """How each frame is transcoded."""


@dataclass(frozen=True, slots=True)
class LocatedFrames:
    """The frames of a request, found and checked: only storage can fail after this."""

    instance: StoredInstance
    choice: TransferSyntaxChoice
    encoding: Encoding
    layout: _Layout


@dataclass(frozen=True, slots=True)
class RetrievedFrames:
    """The bodies of frames in the requested order (WADO-27), the first one at hand. `rest` must be closed."""

    first: FrameBody
    length: int | None
    """Bytes of `first`, when known before it is read."""
    rest: AsyncGenerator[FrameBody]


async def retrieve_frames(
    sources: Sources,
    unmapped: UnmappedFrames,
    partition: Partition,
    request: FrameRequest,
    is_current: Callable[[LocatedFrames], bool],
) -> tuple[LocatedFrames, RetrievedFrames | None]:
    """The frames, or None for their bytes when `is_current` says that the client has them.

    Raises NotFound (FRM-2, FRM-3), NotAcceptable, LostFile, DamagedPixelData.
    """
    instance: StoredInstance | None = await find_instance(sources, partition, request.identifier, request.accepted)
    while instance is not None:
        try:
            located = await _locate(sources, unmapped, partition, instance, request)
            return located, None if is_current(located) else await _open(sources, located)
        except BlobNotFound:
            instance = await successor(sources, partition, instance)
    raise nothing_found(request.accepted, "instance")


# ---------------------------------------------------------------------------------------------------------- locating


async def _locate(
    sources: Sources,
    unmapped: UnmappedFrames,
    partition: Partition,
    instance: StoredInstance,
    request: FrameRequest,
) -> LocatedFrames:
    layout = await _layout(sources, unmapped, partition, instance, request.numbers)
    stored = instance.transfer_syntax_uid
    choice, encodings = choose(request.accepted, [stored], _convertible_frames)
    converted = choice.encoding(stored) is None
    if converted:
        pixels = await _pixels_to_convert(sources, partition, instance)
        choice, encodings = choose(request.accepted, [stored], pixels.convertible)
        converted = choice.encoding(stored) is None
        if converted:
            layout = replace(layout, conversion=pixels.conversion(encodings[stored].transfer_syntax_uid))
    encoding = encodings[stored]
    if stored == EXPLICIT_BIG_ENDIAN and (converted or encoding.transfer_syntax_uid == EXPLICIT_LITTLE_ENDIAN):
        layout = replace(layout, swap=_is_in_words(await _attributes(sources, partition, instance)))
    return LocatedFrames(instance, choice, encoding, layout)


def _convertible_frames(stored: str, target: str) -> bool:
    return can_transcode(stored, target, frames=True)


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Pixels that are to be transcoded."""

    described: ImagePixels
    source: str

    def convertible(self, _: str, target: str) -> bool:
        """See `request.Convertible`."""
        try:
            check_frames(self.described, self.source, target)
        except Unconvertible:
            return False
        return True

    def conversion(self, target: str) -> _Conversion:
        """To `target`."""
        return _Conversion(self.described, self.source, target)


async def _pixels_to_convert(sources: Sources, partition: Partition, instance: StoredInstance) -> _Pixels:
    check_length(sources.workshop, instance)
    described = image_pixels(await _attributes(sources, partition, instance))
    if described is None:
        raise NotFound("The instance has no pixel data.")
    stored = instance.transfer_syntax_uid
    return _Pixels(described, EXPLICIT_LITTLE_ENDIAN if stored in NATIVE else stored)


async def _layout(
    sources: Sources,
    unmapped: UnmappedFrames,
    partition: Partition,
    instance: StoredInstance,
    numbers: tuple[int, ...],
) -> _Layout:
    if instance.frames_in_blob:
        _check_count(numbers, instance.frames_in_blob)
        wanted = sorted(set(numbers))
        ranges = await read_frame_ranges(instance, sources.blobs, [number - 1 for number in wanted])
        found = {number: _Span(start, end - start) for number, (start, end) in zip(wanted, ranges, strict=True)}
        return _Layout(tuple(found[number] for number in numbers), encapsulated=True)
    table = instance.frames
    if table is None:
        if _PIXEL_DATA not in await _attributes(sources, partition, instance):
            raise NotFound("The instance has no pixel data.")
        if instance.transfer_syntax_uid == DEFLATED:
            frames = await unmapped.inflate(instance, numbers)
            return _Layout(inflated=frames)
        table = await unmapped.table(instance)
    _check_count(numbers, table.count)
    return _Layout(tuple(_span(table, number) for number in numbers), table.encapsulated, table.bits)


def _check_count(numbers: Sequence[int], count: int) -> None:
    if max(numbers) > count:
        raise NotFound("The requested frame does not exist.")


def _span(table: FrameTable, number: int) -> _Span:
    if not table.encapsulated:
        return _Span(*native_frame(table, number - 1))
    if number >= len(table.offsets):
        raise NotAcceptable("The stream holds all frames together; frame 1 retrieves it.")
    return _Span(*encapsulated_frame(table, number - 1))


async def _attributes(sources: Sources, partition: Partition, instance: StoredInstance) -> dict[str, Any]:
    found = await sources.lookup.instance(partition, instance.identifier, metadata=True)
    if found is None:
        raise NotFound("The requested instance does not exist.")
    attributes: dict[str, Any] = orjson.loads(await read_metadata(found, sources.blobs))
    return attributes


def _is_in_words(attributes: Mapping[str, Any]) -> bool:
    """Whether big-endian pixels are 16-bit words, to be swapped, or plain bytes (PS3.5 §7.3, §8.2).

    Raises NotAcceptable for the rare forms whose byte order depends on more than that.
    """
    bits = attributes.get(_BITS_ALLOCATED, {}).get("Value", [None])[0]
    vr = attributes.get(_PIXEL_DATA, {}).get("vr")
    if bits == 16:
        return True
    if bits == 8 and vr == "OB":
        return False
    raise NotAcceptable("The frames are big endian; transfer-syntax=* retrieves them as stored.")


# ----------------------------------------------------------------------------------------------------------- reading


async def _open(sources: Sources, located: LocatedFrames) -> RetrievedFrames:
    """Fetch the first frames; the rest follows as it is read. Raises BlobNotFound, DamagedPixelData, NotAcceptable."""
    layout = located.layout
    file = _FrameReader(sources.blobs, located.instance.blob, layout, sources.workshop)
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


async def _these(frames: Sequence[bytes], file: "_FrameReader") -> AsyncGenerator[bytes]:
    for frame in frames:
        yield await file.converted(frame, hashlib.sha256(frame).digest())


async def _bodies(
    file: "_FrameReader", at_hand: list[FrameBody], batches: Iterator[list[_Span]]
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


def _must_be_whole(layout: _Layout, span: _Span) -> bool:
    return layout.swap or span.shift > 0 or layout.bits % 8 > 0 or layout.conversion is not None


def _batches(spans: Sequence[_Span], decoded: int) -> Iterator[list[_Span]]:
    """Runs of frames that are fetched together; a frame above the limit comes alone. `decoded`: bytes of a frame that
    must be decoded.
    """
    batch: list[_Span] = []
    size = 0
    for span in spans:
        length = max(span.length, decoded)
        if batch and size + length > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(span)
        size += length
    yield batch


def _merged(spans: Sequence[_Span]) -> list[tuple[int, int]]:
    """The (offset, length) ranges that cover `spans`, those that touch joined, in file order."""
    ranges: list[tuple[int, int]] = []
    for offset, length, _ in sorted(set(spans)):
        if ranges and offset <= sum(ranges[-1]):
            start = ranges[-1][0]
            ranges[-1] = (start, max(sum(ranges[-1]), offset + length) - start)
        else:
            ranges.append((offset, length))
    return ranges


def _joined(data: bytes) -> bytes:
    try:
        return strip_items(data)
    except ValueError:
        raise DamagedPixelData from None


@dataclass(frozen=True, slots=True)
class _FrameReader:
    """Reads frames of one file."""

    blobs: BlobStore
    blob: str
    layout: _Layout
    workshop: Workshop

    async def converted(self, frame: bytes, place: Hashable) -> bytes:
        """A frame as it is sent; `place` tells it from the others of the file. Raises NotAcceptable where it must be
        transcoded and cannot be.
        """
        conversion = self.layout.conversion
        if conversion is None:
            return frame

        async def work() -> bytes:
            return await self.workshop.run(
                lambda: transcode_frame(
                    frame,
                    conversion.pixels,
                    conversion.source,
                    conversion.target,
                    decoder=self.workshop.codecs.decode,
                )
            )

        key = (self.blob, conversion.target, place)
        return (
            await self.workshop.make(key, frame_memory(conversion.pixels, conversion.source, len(frame)), work)
        ).value

    async def read(self, batch: Sequence[_Span]) -> list[FrameBody]:
        """The frames at `batch`. Raises BlobNotFound, DamagedPixelData."""
        first = batch[0]
        if len(batch) == 1 and first.length > _BATCH and not _must_be_whole(self.layout, first):
            reader = await self.blobs.open(self.blob, first.offset, first.length)
            return [self._streamed(reader, first)]
        if len(batch) == 1:
            frame = self._frame(first, await self.blobs.read(self.blob, first.offset, first.length))
            return [await self.converted(frame, first)]
        ranges = _merged(batch)
        starts = [start for start, _ in ranges]
        pieces = await self.blobs.read_ranges(self.blob, ranges)
        bodies: list[FrameBody] = []
        for span in batch:
            at = bisect_right(starts, span.offset) - 1
            begin = span.offset - starts[at]
            bodies.append(await self.converted(self._frame(span, pieces[at][begin : begin + span.length]), span))
        return bodies

    def _frame(self, span: _Span, data: bytes) -> bytes:
        if len(data) < span.length:
            raise DamagedPixelData
        if self.layout.encapsulated:
            return _joined(data)
        if span.shift or self.layout.bits % 8:
            return shift_bits(data, span.shift, self.layout.bits)
        return swap_words(data) if self.layout.swap else data

    async def _streamed(self, reader: BlobReader, span: _Span) -> AsyncGenerator[bytes]:
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
