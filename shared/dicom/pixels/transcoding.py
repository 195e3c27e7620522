"""PS3.18 §8.7.3.5, PS3.5 §10 One object in another transfer syntax: rules WADO-12 to WADO-17.

The data set is kept byte for byte but for the pixel data and the elements that describe them; one that is not in
Explicit VR Little Endian is re-encoded first. Nothing is lost on the way: targets of whole objects are reversible.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.explicit_little_endian import Element, elements, encoded, encoded_head
from shared.dicom.part10.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.dicom.part10.frames import FrameTable, encapsulated_frame, native_frame, native_frames, strip_items
from shared.dicom.part10.model import Part10
from shared.dicom.part10.pixel_data import number_of_frames
from shared.dicom.part10.reencoding import data_set_of
from shared.dicom.pixels.frame_decoding import (
    FRAME_LIMIT,
    Decoder,
    check_source,
    codec_memory,
    decode,
    decoding_memory,
)
from shared.dicom.pixels.frame_encoding import check_target, described_as, encode
from shared.dicom.pixels.image_pixels import ImagePixels, image_pixels
from shared.dicom.transfer_syntaxes import (
    DEFLATED,
    EXPLICIT_LITTLE_ENDIAN,
    FRAME_TARGETS,
    HTJ2K_FAMILY,
    JPEG_2000_FAMILY,
    JPEG_LOSSY_FAMILY,
    JPEG_LS_FAMILY,
    JPEG_XL_FAMILY,
    NATIVE,
    REVERSIBLE_TARGETS,
    SOURCES,
)

_BASIC_OFFSET_LIMIT: Final = 1 << 32
_DEFLATE_RATIO: Final = 1032
"""Bytes that one byte of a deflated stream can stand for."""
_WORK_FRAMES: Final = 6
"""Frames that a codec works with while it converts one, its own copies included."""
_DECODED_FRAMES: Final = 3
"""The same where nothing is encoded: the samples, a copy in another order, the result."""
_FRAME_OVERHEAD: Final = 1024
"""Bytes that a frame takes beside its pixels, however small it is: headers of codestream and item, objects."""
_ITEM: Final = b"\xfe\xff\x00\xe0"
_END_OF_ITEMS: Final = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_PIXEL_DATA: Final = 0x7FE00010
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_STALE: Final = frozenset({0x00280000, 0x7FE00000, _EXTENDED_OFFSETS, _EXTENDED_LENGTHS, 0x7FE00003})
"""Elements that speak of the pixel data as they were encoded before, and lengths of groups that change."""
_NUMBER_OF_FRAMES: Final = 0x00280008
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_METHODS: Final = (
    (JPEG_LOSSY_FAMILY, b"ISO_10918_1 "),
    (JPEG_LS_FAMILY, b"ISO_14495_1 "),
    (JPEG_2000_FAMILY, b"ISO_15444_1 "),
    (HTJ2K_FAMILY, b"ISO_15444_15"),
    (JPEG_XL_FAMILY, b"ISO_18181_1 "),
)


def can_transcode(source: str, target: str, *, frames: bool) -> bool:
    """Whether there is a way from one transfer syntax to the other at all; of single frames, or of whole objects."""
    return source in SOURCES and target in (FRAME_TARGETS if frames else REVERSIBLE_TARGETS)


def pixels_to_change(attributes: Attributes, source: str, target: str, frames: int | None = None) -> ImagePixels | None:
    """The pixels that must be decoded and encoded to send an object in `target`; None where none need be (WADO-14).

    `frames` as in `image_pixels`. What is left to go wrong after this is damage of the file.

    Raises:
        Unconvertible: the object cannot be sent so (WADO-13).
    """
    if source not in SOURCES:
        raise Unconvertible("The transfer syntax of the instance cannot be converted.")
    if target == EXPLICIT_LITTLE_ENDIAN and source in NATIVE:
        return None
    pixels = image_pixels(attributes, frames)
    if pixels is None:
        if target == EXPLICIT_LITTLE_ENDIAN:
            return None
        raise Unconvertible("An instance without pixel data has no compressed form.")
    check_frames(pixels, source, target)
    return pixels


def check_frames(pixels: ImagePixels, source: str, target: str) -> None:
    """Raises Unconvertible where frames of such pixels cannot be sent in `target` (WADO-13)."""
    if pixels.bits_allocated == 1 and pixels.frames > 1 and pixels.rows * pixels.columns % 8:
        raise Unconvertible("Frames of single bits do not begin on a byte boundary.")
    check_source(pixels, source)
    check_target(pixels, target)


def frame_memory(pixels: ImagePixels, source: str, target: str, length: int) -> int:
    """Bytes that converting one frame of `length` bytes takes at its peak, its result included: while it is decoded in
    another process, or when that has given it away.
    """
    frames = _DECODED_FRAMES if target == EXPLICIT_LITTLE_ENDIAN else _WORK_FRAMES
    return max(decoding_memory(pixels, source, length), length + frames * pixels.frame_bytes)


def transcode_frame(frame: bytes, pixels: ImagePixels, source: str, target: str, *, decoder: Decoder = decode) -> bytes:
    """One frame in another transfer syntax. `frame` as in `frame_decoding.decode`.

    Raises:
        Unconvertible: it cannot be decoded, or has no form in `target`.
    """
    return encode(decoder(frame, source, pixels), target)


@dataclass(frozen=True, slots=True)
class TranscodedFile:
    """A Part 10 file in pieces that follow one another."""

    pieces: tuple[bytes, ...]
    length: int


def memory_needed(pixels: ImagePixels | None, syntax: str, length: int, *, inflated_limit: int) -> int:
    """Bytes that transcoding a file of `length` bytes takes at its peak, its result included."""
    data_set = min(inflated_limit, _DEFLATE_RATIO * length) if syntax == DEFLATED else length
    changed = 0
    if pixels is not None:
        changed = pixels.frame_bytes * (pixels.frames + _WORK_FRAMES) + _FRAME_OVERHEAD * pixels.frames
        changed += codec_memory(pixels, syntax)
    return length + 2 * data_set + changed


def transcode_file(
    data: bytes,
    file: Part10,
    frames: FrameTable | None,
    target: str,
    *,
    inflated_limit: int = 1 << 30,
    pixel_limit: int = 1 << 30,
    decoder: Decoder = decode,
) -> TranscodedFile:
    """The file in the transfer syntax `target`, one of REVERSIBLE_TARGETS, with new file meta information (WADO-15).

    `file` is what a reader made of `data`, `frames` where its frames are; None if it has no pixel data, or is deflated.
    The limits are bytes: of a deflated data set once it is inflated, and of the pixel data once they are decoded.

    Raises:
        Unconvertible: the object cannot be converted, or exceeds the limit.
    """
    source = file.transfer_syntax_uid
    if source in NATIVE and file.pixel_data is not None and file.pixel_data.length is None:
        raise Unconvertible("The instance has fragments of pixel data, which its transfer syntax does not know.")
    pixels = pixels_to_change(file.attributes, source, target, frames.count if frames else None)
    data_set, start = data_set_of(data, odd=file.odd, limit=inflated_limit)
    head = _file_meta(file, target)
    found = list(elements(data_set, start))
    if pixels is None:
        return _file([head, data_set[start:] if start else data_set])
    at = next((element for element in found if element.tag == _PIXEL_DATA), None)
    if at is None:
        raise Unconvertible("The instance has no pixel data.")
    if source in NATIVE:
        frames = native_frames(
            count=number_of_frames(file.attributes),
            first=at.value,
            length=at.end - at.value,
            pixels=pixels.rows * pixels.columns,
            samples=pixels.samples,
            bits_allocated=pixels.bits_allocated,
            subsampled=pixels.subsampled,
        )
        if frames is None:
            raise Unconvertible("The pixel data of the instance are too short.")
    if frames is None or len(frames.offsets) not in {0, frames.count + 1}:
        raise Unconvertible("Frame boundaries of the instance cannot be determined.")
    pixels = replace(pixels, frames=frames.count)
    if (pixels.frame_bytes + _FRAME_OVERHEAD) * pixels.frames > pixel_limit:
        raise Unconvertible("The pixel data of the instance are too large to be converted.")
    pixels_in = data if frames.encapsulated else data_set
    return _with_pixels(head, data_set, found, _Transcoded(pixels_in, frames, pixels, source, target, decoder), file)


class _Transcoded:
    """The frames of one object, transcoded one after the other."""

    def __init__(  # noqa: PLR0917 - the whole of what is transcoded
        self, data: bytes, frames: FrameTable, pixels: ImagePixels, source: str, target: str, decoder: Decoder
    ) -> None:
        self._data, self._frames, self._decode = data, frames, decoder
        self._pixels, self._source, self._target = pixels, source, target
        self.pixels = pixels
        self.lossy = False
        self.source_bytes = 0
        self.frames = tuple(self._transcode())

    @property
    def source(self) -> str:
        """The transfer syntax that they were in."""
        return self._source

    @property
    def target(self) -> str:
        """The transfer syntax that they are in."""
        return self._target

    def _transcode(self) -> Iterator[bytes]:
        described: ImagePixels | None = None
        for number in range(self._frames.count):
            frame = self._frame(number)
            self.source_bytes += len(frame)
            decoded = self._decode(frame, self._source, self._pixels)
            if described is not None and decoded.pixels != described:
                raise Unconvertible("The frames of the instance differ in their form.")
            described = decoded.pixels
            self.lossy |= decoded.lossy
            yield encode(decoded, self._target)
        if described is not None:
            self.pixels = described_as(described, self._target)

    def _frame(self, number: int) -> bytes:
        if not self._frames.encapsulated:
            offset, length, _ = native_frame(self._frames, number)  # never of single bits: they have no other form
            return self._data[offset : offset + length]
        offset, length = encapsulated_frame(self._frames, number)
        if length > FRAME_LIMIT:
            raise Unconvertible("The frames of the instance are too large.")
        try:
            return strip_items(self._data[offset : offset + length])
        except ValueError:
            raise Unconvertible("The pixel data of the instance are damaged.") from None


def _with_pixels(
    head: bytes, data: bytes, found: Sequence[Element], transcoded: _Transcoded, file: Part10
) -> TranscodedFile:
    """The file with other pixel data, and the elements that describe them."""
    changed = _changes(transcoded, file)
    pixel_data = tuple(_pixel_data(transcoded))
    pieces: list[bytes] = [head]
    kept = found[0].start if found else 0
    for element in found:
        if element.tag != _PIXEL_DATA and element.tag not in changed and element.tag not in _STALE:
            for tag in [tag for tag in changed if tag < element.tag]:
                pieces += (data[kept : element.start], changed.pop(tag))
                kept = element.start
            continue
        pieces.append(data[kept : element.start])
        kept = element.end
        for tag in [tag for tag in changed if tag <= element.tag]:
            pieces.append(changed.pop(tag))
        if element.tag == _PIXEL_DATA:
            pieces += pixel_data
    pieces.append(data[kept:])
    return _file(pieces)


def _changes(transcoded: _Transcoded, file: Part10) -> dict[int, bytes]:
    """The elements that describe the pixel data, as they are now, by ascending tag (WADO-16)."""
    pixels = transcoded.pixels
    numbers = {
        0x00280002: pixels.samples,
        0x00280006: int(pixels.planar) if pixels.color else None,
        0x00280100: pixels.bits_allocated,
        0x00280101: pixels.bits_stored,
        0x00280102: pixels.high_bit,
    }
    changed = {
        tag: encoded(tag, b"US", number.to_bytes(2, "little"))
        for tag, number in numbers.items()
        if number is not None and first(file.attributes, f"{tag:08X}") != number
    }
    if pixels.frames != (number_of_frames(file.attributes) or 1):
        changed[_NUMBER_OF_FRAMES] = encoded(_NUMBER_OF_FRAMES, b"IS", _even(str(pixels.frames)))
    if first(file.attributes, "00280004") != pixels.photometric:
        changed[0x00280004] = encoded(0x00280004, b"CS", _even(pixels.photometric))
    method = next((method for family, method in _METHODS if transcoded.source in family), None)
    said = first(file.attributes, f"{_LOSSY:08X}")
    lossless = said == "00" and transcoded.source in JPEG_XL_FAMILY  # its codestreams do not tell (FRM-15)
    if transcoded.lossy and method and said != "01" and not lossless:
        ratio = pixels.frame_bytes * pixels.frames / max(transcoded.source_bytes, 1)
        changed[_LOSSY] = encoded(_LOSSY, b"CS", b"01")
        changed[_RATIO] = encoded(_RATIO, b"DS", _even(f"{ratio:.4g}"))
        changed[_METHOD] = encoded(_METHOD, b"CS", method)
    return dict(sorted(changed.items()))


def _pixel_data(transcoded: _Transcoded) -> Iterator[bytes]:
    """The element (7FE0,0010), and before it the extended offset table where the basic one cannot count so far."""
    frames = transcoded.frames
    if transcoded.target == EXPLICIT_LITTLE_ENDIAN:
        length = sum(map(len, frames))
        if length + 1 >= _BASIC_OFFSET_LIMIT:
            raise Unconvertible("The pixel data of the instance are too large to be converted.")
        vr = b"OW" if transcoded.pixels.bits_allocated > 8 else b"OB"
        yield encoded_head(_PIXEL_DATA, vr, length + length % 2)
        yield from frames
        yield bytes(length % 2)
        return
    offsets: list[int] = []
    at = 0
    for frame in frames:
        offsets.append(at)
        at += 8 + len(frame) + len(frame) % 2
    basic = at < _BASIC_OFFSET_LIMIT
    if not basic:
        yield encoded(_EXTENDED_OFFSETS, b"OV", b"".join(offset.to_bytes(8, "little") for offset in offsets))
        yield encoded(_EXTENDED_LENGTHS, b"OV", b"".join(len(frame).to_bytes(8, "little") for frame in frames))
    table = b"".join(offset.to_bytes(4, "little") for offset in offsets) if basic else b""
    yield encoded_head(_PIXEL_DATA, b"OB", 0xFFFFFFFF) + _ITEM + len(table).to_bytes(4, "little") + table
    for frame in frames:
        yield _ITEM + (len(frame) + len(frame) % 2).to_bytes(4, "little")
        yield frame
        yield bytes(len(frame) % 2)
    yield _END_OF_ITEMS


def _file_meta(file: Part10, target: str) -> bytes:
    """Preamble and file meta information of a file that we have written (PS3.10 §7.1)."""
    sop_class = first(file.file_meta, "00020002") or first(file.attributes, "00080016") or ""
    sop_instance = first(file.file_meta, "00020003") or first(file.attributes, "00080018") or ""
    group = b"".join(
        (
            encoded(0x00020001, b"OB", b"\0\1"),
            encoded(0x00020002, b"UI", _even(sop_class, "\0")),
            encoded(0x00020003, b"UI", _even(sop_instance, "\0")),
            encoded(0x00020010, b"UI", _even(target, "\0")),
            encoded(0x00020012, b"UI", _even(IMPLEMENTATION_CLASS_UID, "\0")),
            encoded(0x00020013, b"SH", _even(IMPLEMENTATION_VERSION_NAME)),
        )
    )
    return bytes(128) + b"DICM" + encoded(0x00020000, b"UL", len(group).to_bytes(4, "little")) + group


def _even(text: str, padding: str = " ") -> bytes:
    return (text + padding * (len(text) % 2)).encode("latin-1", "replace")


def _file(pieces: Sequence[bytes]) -> TranscodedFile:
    kept = tuple(piece for piece in pieces if piece)
    return TranscodedFile(kept, sum(map(len, kept)))
