"""PS3.5 §7.3 Byte order: which values of a big-endian data set are made of words, and those words in little endian."""

from array import array
from collections.abc import Iterator
from typing import Final

from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS

_WORD_SIZES: Final = {
    **{name: vr.size for name, vr in VALUE_REPRESENTATIONS.items() if vr.kind == "binary"},
    "AT": 2,
    "OW": 2,
    "OF": 4,
    "OL": 4,
    "OD": 8,
    "OV": 8,
}
_CODES: Final = {2: "H", 4: "I", 8: "Q"}
_PIECE: Final = 1024 * 1024
"""Bytes that are reversed at one go: the interpreter's lock is held meanwhile, some tenths of a millisecond."""


def word_size(vr: str) -> int:
    """Bytes of the words in a value of this VR; 1 if it has no byte order."""
    return _WORD_SIZES.get(vr, 1)


def pixel_word_size(vr: str, bits_allocated: int) -> int:
    """Bytes of the words in native pixel data (PS3.5 §8.2, §A.3). Samples of whole words are words, whatever VR the
    file gives them; smaller ones are packed into the 16-bit words of OW, or are the bytes of OB.
    """
    return bits_allocated // 8 if bits_allocated in {16, 32, 64} else word_size(vr)


def swapped(data: bytes | memoryview, size: int) -> bytes:
    """Words of `size` bytes in the other byte order; what is left of an incomplete one as it is."""
    return b"".join(_swapped(memoryview(data), size)) if size > 1 else bytes(data)


def _swapped(data: memoryview, size: int) -> Iterator[bytes]:
    whole = len(data) - len(data) % size
    for at in range(0, whole, _PIECE):
        words = array(_CODES[size], bytes(data[at : min(at + _PIECE, whole)]))
        words.byteswap()
        yield words.tobytes()
    yield bytes(data[whole:])
