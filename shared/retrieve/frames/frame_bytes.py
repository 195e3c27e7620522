"""From the bytes that a file holds of a frame to the bytes that are sent (PS3.5 §8, §A.4; FRM-5). Pure."""

from array import array
from collections.abc import Iterator
from typing import Final

from shared.dicom.errors import DamagedPixelData

_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_DELIMITER: Final = b"\xfe\xff\xdd\xe0"
_HEADER: Final = 8
_END_OF_IMAGE: Final = b"\xff\xd9"
_TAIL: Final = 10
"""Bytes at the end of a fragment in which the end marker of a frame may stand: padding may follow it."""


class FragmentJoiner:
    """Joins the fragments of one encapsulated frame as its bytes stream past, item headers removed (PS3.5 §A.4).

    For frames that are too large to be held whole; the state is a few bytes.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0
        self._ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The parts of `chunk` that belong to fragments. Raises DamagedPixelData."""
        at = 0
        while at < len(chunk) and not self._ended:
            if self._left:
                piece = chunk[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                yield piece
                continue
            wanted = _HEADER - len(self._header)
            self._header += chunk[at : at + wanted]
            at += wanted
            if len(self._header) == _HEADER:
                tag, self._left = bytes(self._header[:4]), int.from_bytes(self._header[4:], "little")
                self._header.clear()
                self._ended = tag == _SEQUENCE_DELIMITER
                if tag != _ITEM and not self._ended:
                    raise DamagedPixelData

    def finish(self) -> None:
        """Raises DamagedPixelData when the bytes ended within a fragment."""
        if self._left or self._header:
            raise DamagedPixelData


def swap_words(data: bytes) -> bytes:
    """16-bit words in the other byte order."""
    words = array("H", data)
    words.byteswap()
    return words.tobytes()


def shift_bits(data: bytes, shift: int, bits: int) -> bytes:
    """`bits` bits of `data` that start `shift` bits after its first, lowest one, moved to a byte boundary.

    Pixels of one bit are packed from the least significant bit on (PS3.5 §8.1.1). Unused bits of the last byte are
    zero.
    """
    value = (int.from_bytes(data, "little") >> shift) & ((1 << bits) - 1)
    return value.to_bytes((bits + 7) // 8, "little")


def group_fragments(data: bytes, offset: int, frames: int) -> tuple[int, ...] | None:
    """Where `frames` frames start whose fragments no offset table tells apart, and where the last one ends.

    `offset` is that of the first byte of the encapsulated pixel data: the item of the (empty) basic offset table.
    A frame ends with the fragment that carries the end marker, which JPEG, JPEG-LS and JPEG 2000 share. None when
    that does not give the right number of frames.
    """
    ends: list[int] = []
    at = offset
    first = True
    start = end = 0
    while at + _HEADER <= len(data) and data[at : at + 4] == _ITEM:
        begin, length = at + _HEADER, int.from_bytes(data[at + 4 : at + _HEADER], "little")
        at = begin + length
        if at > len(data):
            return None
        if first:
            first, start, end = False, at, at
            continue
        end = at
        if _END_OF_IMAGE in data[max(begin, at - _TAIL) : at]:
            ends.append(at)
    if frames == 1 and end > start:
        return (start, end)
    if ends and len(ends) == frames and ends[-1] == end:
        return (start, *ends)
    return None
