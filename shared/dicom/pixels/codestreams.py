"""What a compressed frame says of itself in its first markers: read before anything is decoded, so that a decoder is
never asked for more pixels than the data set promises (ISO 10918-1 §B, ISO 14495-1 §C, ISO 15444-1 §A).
"""

import struct
from dataclasses import dataclass
from typing import Final

_SOI: Final = b"\xff\xd8"
_SOC: Final = b"\xff\x4f\xff\x51"
_JP2: Final = b"\x00\x00\x00\x0cjP  "
_JP2_CODESTREAM: Final = b"jp2c"
_END: Final = b"\xff\xd9"
_TAIL: Final = 32
"""Bytes at the end of a frame in which its end may be: padding may follow."""
_MAX_MARKERS: Final = 4096
_MAX_TILES: Final = 16_384
_MAX_BLOCKS: Final = 1 << 20
"""Tiles and code blocks of which a decoder keeps a record each."""

_BASELINE_TO_PROGRESSIVE = frozenset({0xC0, 0xC1, 0xC2})
_LOSSLESS = 0xC3
_JPEG_LS = 0xF7
_OTHER_FRAMES = frozenset({0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


class BadCodestream(Exception):
    """The bytes are not a whole codestream of the kind that they should be. The text names no values."""


@dataclass(frozen=True, slots=True)
class Codestream:
    """The header of a compressed frame."""

    kind: str
    """`jpeg`, `jpeg-lossless`, `jpeg-ls`, `jpeg-2000`."""
    columns: int
    rows: int
    samples: int
    bits: int
    """Precision of a sample."""
    signed: bool = False
    lossy: bool = False
    adobe_transform: int | None = None
    """JPEG: the colour transform of the Adobe marker; 0 none, 1 YCbCr. None: no such marker."""
    ended: bool = True
    """Whether the marker of its end is where it should be."""
    component_transform: bool = False
    """JPEG 2000: whether the decoder turns the samples back into RGB."""


def read_codestream(data: bytes) -> Codestream:
    """The header of a JPEG, JPEG lossless, JPEG-LS or JPEG 2000 codestream.

    Raises:
        BadCodestream: it is none of these, it is odd, or it has no end.
    """
    try:
        if data.startswith(_SOI):
            found = _jpeg(data)
            if _END not in data[-_TAIL:]:
                raise BadCodestream("The codestream has no end.")
            return found
        if data.startswith(_SOC):
            return _jpeg_2000(data)
    except (struct.error, IndexError):
        raise BadCodestream("The codestream ends within its header.") from None
    raise BadCodestream("This is no codestream that can be decoded.")


def without_boxes(data: bytes) -> bytes:
    """The codestream of a JP2 file, which PS3.5 §8.2.4 does not allow but some applications write; else `data`.

    Raises BadCodestream if there is none in the file.
    """
    if not data.startswith(_JP2):
        return data
    at = 0
    for _ in range(_MAX_MARKERS):
        if at + 16 > len(data):
            break
        length, kind = struct.unpack_from(">L4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        if kind == _JP2_CODESTREAM:
            return data[start : at + length] if length else data[start:]
        if length < 8:
            break
        at += length
    raise BadCodestream("The file in the frame holds no codestream.")


def _jpeg(data: bytes) -> Codestream:
    at = 2
    adobe: int | None = None
    frame: tuple[int, int, int, int, int] | None = None
    for _ in range(_MAX_MARKERS):
        if data[at] != 0xFF:
            raise BadCodestream("A marker is missing.")
        marker = data[at + 1]
        at += 1
        if marker == 0xFF:  # fill byte
            continue
        at += 1
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise BadCodestream("A marker segment is too short.")
        if marker in _BASELINE_TO_PROGRESSIVE or marker in {_LOSSLESS, _JPEG_LS}:
            if frame is not None:
                raise BadCodestream("The codestream has several frames.")
            frame = (marker, *struct.unpack_from(">BHHB", data, at + 2))
        elif marker in _OTHER_FRAMES or marker == 0xD9:
            raise BadCodestream("The coding process is not supported.")
        elif marker == 0xEE and length >= 14 and data[at + 2 : at + 7] == b"Adobe":
            adobe = data[at + 13]
        elif marker == 0xDA:
            if frame is None:
                break
            return _jpeg_frame(frame, adobe, near=data[at + 3 + 2 * data[at + 2]])
        at += length
    raise BadCodestream("The codestream has no frame.")


def _jpeg_frame(frame: tuple[int, int, int, int, int], adobe: int | None, *, near: int) -> Codestream:
    marker, bits, rows, columns, samples = frame
    kind = "jpeg-ls" if marker == _JPEG_LS else "jpeg-lossless" if marker == _LOSSLESS else "jpeg"
    lossy = kind == "jpeg" or (kind == "jpeg-ls" and near > 0)
    return Codestream(kind, columns, rows, samples, bits, lossy=lossy, adobe_transform=adobe)


def _jpeg_2000(data: bytes) -> Codestream:
    length, _, right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">HHLLLLLL", data, 4)
    (samples,) = struct.unpack_from(">H", data, 40)
    columns, rows = right - left, bottom - top
    components = [struct.unpack_from(">BBB", data, 42 + 3 * n) for n in range(min(samples, 8))]
    if columns < 1 or rows < 1 or not components or samples > len(components) or not (tile_width and tile_height):
        raise BadCodestream("The size of the codestream is impossible.")
    if len(set(components)) > 1 or components[0][1:] != (1, 1):
        raise BadCodestream("The components of the codestream differ.")
    if -(-right // tile_width) * -(-bottom // tile_height) > _MAX_TILES:
        raise BadCodestream("The codestream has too many tiles.")
    transform, irreversible, block = _coding_style(data, 4 + length)
    if columns * rows * samples // block > _MAX_BLOCKS:
        raise BadCodestream("The codestream has too many blocks.")
    depth = components[0][0]
    return Codestream(
        "jpeg-2000",
        columns,
        rows,
        samples,
        bits=(depth & 0x7F) + 1,
        signed=depth > 0x7F,
        lossy=irreversible,
        ended=_END in data[-_TAIL:],
        component_transform=transform,
    )


def _coding_style(data: bytes, at: int) -> tuple[bool, bool, int]:
    """Whether the components are transformed together, whether that loses something, and pixels of a code block."""
    for _ in range(_MAX_MARKERS):
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == 0xFF52:
            _, _, _, multiple, _, width, height, _, wavelet = struct.unpack_from(">BBHBBBBBB", data, at + 4)
            return multiple == 1, wavelet == 0, 1 << ((width & 15) + (height & 15) + 4)
        if marker in {0xFF90, 0xFF93} or marker < 0xFF00 or length < 2:
            break
        at += 2 + length
    raise BadCodestream("The codestream does not say how it is coded.")
