"""The places of frames in a file, and the form in which they are sent (PS3.18 §10.4.1.1.6; PS3.5 §8, §A.4)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from shared.dicom.elements import first
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.byte_order import pixel_word_size, word_size
from shared.dicom.part10.frames import FrameTable, encapsulated_frame, native_frame
from shared.dicom.pixels.image_pixels import ImagePixels, image_pixels
from shared.dicom.pixels.transcoding import can_transcode, check_frames
from shared.dicom.transfer_syntaxes import DEFLATED, EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, NATIVE
from shared.errors import NotAcceptable, NotFound
from shared.retrieve.frames.unmapped_frames import inflated_frames, unmapped_table
from shared.retrieve.negotiation import Encoding, TransferSyntaxChoice, choose
from shared.retrieve.snapshot import Snapshot

_BITS_ALLOCATED: Final = "00280100"
_PIXEL_DATA: Final = "7FE00010"
_MANY: Final = 4096
"""Frames whose places are not looked up on the event loop."""
_FLOATS: Final = ("7FE00008", "7FE00009")


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion from one transfer syntax to another; native frames are in little endian by then."""

    pixels: ImagePixels
    source: str
    target: str


class Span(NamedTuple):
    """The bytes of the file that hold one frame."""

    offset: int
    length: int
    shift: int = 0
    """Bits by which the frame begins after the first bit of the bytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of the requested frames, in requested order, and what must be done to their bytes."""

    spans: tuple[Span, ...] = ()
    encapsulated: bool = False
    first: int = 0
    """Where native pixel data begin."""
    bits: int = 0
    """Of a native frame."""
    word: int = 1
    """Bytes of the words that the file has in the other byte order than the answer; 1: there are none."""
    inflated: tuple[bytes, ...] | None = None
    """The frames themselves, when the data set is deflated and the file has no byte ranges for them."""
    conversion: "Conversion | None" = None
    """The transcoding of each frame."""


@dataclass(frozen=True, slots=True)
class LocatedFrames:
    """The frames of a request, found and checked: only storage can fail after this."""

    snapshot: Snapshot
    choice: TransferSyntaxChoice
    encoding: Encoding
    layout: Layout

    @property
    def changed(self) -> bool:
        """Whether the frames are sent in other bytes than the stored ones."""
        return self.layout.conversion is not None or self.layout.word > 1


async def locate(snapshot: Snapshot, numbers: Sequence[int], accepted: Sequence[TransferSyntaxChoice]) -> LocatedFrames:
    """The frames `numbers` (from 1, repeats kept) of an instance, in the best accepted representation.

    Raises NotFound (FRM-2, FRM-3), NotAcceptable, DamagedPixelData, BlobNotFound.
    """
    layout = await _layout(snapshot, numbers)
    stored = snapshot.syntax
    choice, encodings = choose(accepted, [stored], _convertible_frames)
    converted = choice.encoding(stored) is None
    if converted:
        pixels = await _pixels_to_convert(snapshot)
        choice, encodings = choose(accepted, [stored], pixels.convertible)
        converted = choice.encoding(stored) is None
        if converted:
            layout = replace(layout, conversion=pixels.conversion(encodings[stored].transfer_syntax_uid))
    encoding = encodings[stored]
    if stored == EXPLICIT_BIG_ENDIAN and (converted or encoding.transfer_syntax_uid == EXPLICIT_LITTLE_ENDIAN):
        layout = _in_words(layout, word_of_pixels(stored, await snapshot.attributes()))
    return LocatedFrames(snapshot, choice, encoding, layout)


def _convertible_frames(stored: str, target: str) -> bool:
    return can_transcode(stored, target, frames=True)


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Pixels that are to be transcoded."""

    described: ImagePixels
    source: str

    def convertible(self, _: str, target: str) -> bool:
        """See `negotiation.Convertible`."""
        try:
            check_frames(self.described, self.source, target)
        except Unconvertible:
            return False
        return True

    def conversion(self, target: str) -> Conversion:
        """To `target`."""
        return Conversion(self.described, self.source, target)


async def _pixels_to_convert(snapshot: Snapshot) -> _Pixels:
    snapshot.pool.check_length(snapshot.length)
    described = image_pixels(await snapshot.attributes(), snapshot.instance.frame_count)
    if described is None:
        raise NotFound("The instance has no pixel data.")
    stored = snapshot.syntax
    return _Pixels(described, EXPLICIT_LITTLE_ENDIAN if stored in NATIVE else stored)


async def _layout(snapshot: Snapshot, numbers: Sequence[int]) -> Layout:
    count = snapshot.instance.frames_in_blob
    if count:
        _check_count(numbers, count)
        distinct = sorted(set(numbers))
        ranges = await snapshot.frame_ranges([number - 1 for number in distinct])
        found = {number: Span(start, end - start) for number, (start, end) in zip(distinct, ranges, strict=True)}
        return Layout(tuple(found[number] for number in numbers), encapsulated=True)
    table = snapshot.instance.frames
    if table is None:
        if _PIXEL_DATA not in await snapshot.attributes():
            raise NotFound("The instance has no pixel data.")
        if snapshot.syntax == DEFLATED:
            return Layout(inflated=await inflated_frames(snapshot, numbers))
        table = await unmapped_table(snapshot)
    _check_count(numbers, table.count)
    if len(numbers) > _MANY:
        spans = await asyncio.to_thread(_spans, table, numbers)
    else:
        spans = _spans(table, numbers)
    return Layout(spans, table.encapsulated, table.first, table.bits)


def _spans(table: FrameTable, numbers: Sequence[int]) -> tuple[Span, ...]:
    return tuple(_span(table, number) for number in numbers)


def _check_count(numbers: Sequence[int], count: int) -> None:
    if max(numbers) > count:
        raise NotFound("The requested frame does not exist.")


def _span(table: FrameTable, number: int) -> Span:
    if not table.encapsulated:
        return Span(*native_frame(table, number - 1))
    if number >= len(table.offsets):
        raise NotAcceptable("A video is one stream: only frame 1 can be retrieved.")
    return Span(*encapsulated_frame(table, number - 1))


def word_of_pixels(syntax: str, attributes: Mapping[str, Any]) -> int:
    """Bytes of the words that native pixel data have in the other byte order than little endian; 1: of none."""
    if syntax != EXPLICIT_BIG_ENDIAN:
        return 1
    for key in _FLOATS:
        if key in attributes:
            return word_size(attributes[key]["vr"])
    bits = first(attributes, _BITS_ALLOCATED)
    return pixel_word_size(attributes.get(_PIXEL_DATA, {}).get("vr", "OW"), bits if isinstance(bits, int) else 0)


def _in_words(layout: Layout, word: int) -> Layout:
    """The same, the bytes of each frame beginning and ending with whole words: frames may share one (PS3.5 §8.1.1)."""
    if word == 1:
        return layout
    return replace(layout, word=word, spans=tuple(_of_words(span, layout, word) for span in layout.spans))


def _of_words(span: Span, layout: Layout, word: int) -> Span:
    before = (span.offset - layout.first) % word
    length = before + span.length
    return Span(span.offset - before, length + -length % word, span.shift + 8 * before)
