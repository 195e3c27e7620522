"""ISO 18181-1 §C, §D The header of a JPEG XL codestream: size and depth, read before anything is decoded."""

from dataclasses import dataclass
from typing import Final

from shared.dicom.pixels.jpeg_2000 import BadCodestream

SIGNATURE: Final = b"\xff\x0a"
CONTAINER: Final = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_RATIOS: Final = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIZES: Final = ((9, 1), (13, 1), (18, 1), (30, 1))
"""Bits and offset of a dimension, by the selector before it."""
_DEPTHS: Final = (8, 10, 12)
_HEAD: Final = 64
"""Bytes that hold the header."""
_MAX_BOXES: Final = 64


@dataclass(frozen=True, slots=True)
class Header:
    """The content of the header. JPEG XL does not say how many components a pixel has before its colour encoding."""

    columns: int
    rows: int
    bits: int


class _Bits:
    """The bits of some bytes, the least significant one first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits. Raises BadCodestream at the end."""
        self._left -= count
        if self._left < 0:
            raise BadCodestream("The codestream ends within its header.")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        return found


def read_header(data: bytes) -> Header:
    """The header of a codestream, or of the one in a container.

    Raises BadCodestream: it is none, or of an animation, a preview or a turned image, which no frame may be.
    """
    bits = _Bits(_codestream(data)[len(SIGNATURE) : _HEAD])
    rows, columns = _size(bits)
    return Header(columns, rows, _depth(bits))


def _codestream(data: bytes) -> bytes:
    if data.startswith(SIGNATURE):
        return data
    at = len(CONTAINER)
    for _ in range(_MAX_BOXES if data.startswith(CONTAINER) else 0):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        start = at + 8
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if kind == b"jxlc":
            return data[start:]
        if kind == b"jxlp":
            return data[start + 4 :]  # behind the number of the part
        if length < 8:
            break
        at += length
    raise BadCodestream("This is no codestream that can be decoded.")


def _size(bits: _Bits) -> tuple[int, int]:
    """Rows and columns."""
    small = bits.take(1)
    rows = _dimension(bits, small=bool(small))
    ratio = bits.take(3)
    if ratio == 0:
        return rows, _dimension(bits, small=bool(small))
    wide, high = _RATIOS[ratio]
    return rows, rows * wide // high


def _dimension(bits: _Bits, *, small: bool) -> int:
    if small:
        return 8 * (1 + bits.take(5))
    width, offset = _SIZES[bits.take(2)]
    return offset + bits.take(width)


def _depth(bits: _Bits) -> int:
    """Bits of a sample."""
    if bits.take(1):  # everything is as it is by default
        return 8
    if bits.take(1):  # orientation, intrinsic size, preview, animation
        turned = bits.take(3)
        if turned or bits.take(1) or bits.take(1) or bits.take(1):
            raise BadCodestream("The codestream is an animation, or shows its image otherwise than it holds it.")
    if bits.take(1):
        raise BadCodestream("The samples of the codestream are fractions.")
    selector = bits.take(2)
    return _DEPTHS[selector] if selector < len(_DEPTHS) else 1 + bits.take(6)
