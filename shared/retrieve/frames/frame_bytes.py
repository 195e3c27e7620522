"""The bytes of a frame as they are sent, made of those in its file (PS3.5 §8, §A.4; FRM-5). Pure."""

from collections.abc import Iterator
from typing import Final

from shared.dicom.errors import DamagedPixelData
from shared.dicom.part10.byte_order import swapped

_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_DELIMITER: Final = b"\xfe\xff\xdd\xe0"
_HEADER: Final = 8
_PIECE: Final = 256 * 1024
"""Bytes that are shifted at one go, with the interpreter's lock held."""
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


def native_bytes(data: bytes, shift: int, bits: int, word: int = 1) -> bytes:
    """`bits` bits of `data` that start `shift` bits after its first, lowest one, moved to a byte boundary.

    `data` is of words of `word` bytes in big-endian order, whose order is changed first. Pixels of one bit are packed
    from the least significant bit on (PS3.5 §8.1.1). Unused bits of the last byte are zero.
    """
    if word > 1:
        data = swapped(data, word)
    skipped, shift = divmod(shift, 8)
    if not shift and not bits % 8:
        return data[skipped : skipped + bits // 8]
    return b"".join(_shifted(memoryview(data)[skipped:], shift, bits))


def _shifted(data: memoryview, shift: int, bits: int) -> Iterator[bytes]:
    for at in range(0, (bits + 7) // 8, _PIECE):
        count = min(bits - 8 * at, 8 * _PIECE)
        value = int.from_bytes(data[at : at + _PIECE + 1], "little") >> shift & ((1 << count) - 1)
        yield value.to_bytes((count + 7) // 8, "little")


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
