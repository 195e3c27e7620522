"""PS3.5 §7, §A.2 Explicit VR Little Endian: where the top-level elements of a data set are, and how one is written."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from shared.dicom.errors import Unconvertible
from shared.dicom.part10.encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_MAX_DEPTH: Final = 64
_SHORT_LIMIT: Final = 0xFFFF
_PIXEL_DATA: Final = 0x7FE00010
_LONG: Final = frozenset(name.encode() for name, vr in VALUE_REPRESENTATIONS.items() if vr.long)
_ODD: Final = "The data set of the instance is not encoded as it says."


class Element(NamedTuple):
    """A top-level element in Explicit VR Little Endian: where it begins, where its value begins, and where it ends."""

    tag: int
    vr: bytes
    start: int
    value: int
    end: int


def elements(data: bytes, start: int) -> Iterator[Element]:
    """The top-level elements of a data set in Explicit VR Little Endian, in the order of the file.

    Raises:
        Unconvertible: the data set is not encoded so.
    """
    at = start
    try:
        while at < len(data):
            tag, vr, value, length = header(data, at, EXPLICIT_LITTLE)
            if vr not in _LONG and vr.decode("latin-1") not in VALUE_REPRESENTATIONS:
                raise Unconvertible(_ODD)
            if length != _UNDEFINED:
                end = value + length
            elif tag == _PIXEL_DATA:
                end = _past_fragments(data, value)
            else:
                end = past_sequence(data, value, IMPLICIT_LITTLE if vr == b"UN" else EXPLICIT_LITTLE, depth=1)
            if end > len(data):
                raise Unconvertible(_ODD)
            yield Element(tag, vr, at, value, end)
            at = end
    except (struct.error, IndexError):
        raise Unconvertible(_ODD) from None


def encoded(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element of defined length in Explicit VR Little Endian; `value` is of even length."""
    return encoded_head(tag, vr, len(value)) + value


def encoded_head(tag: int, vr: bytes, length: int) -> bytes:
    """The header of a value."""
    if vr in _LONG:
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, length)


def header(data: bytes, at: int, coding: Coding) -> tuple[int, bytes, int, int]:
    """Tag, VR (empty in implicit VR), where the value starts, and its length, of an element in any coding.

    Raises struct.error where the data end.
    """
    if coding.implicit:
        group, number, length = coding.tag_and_length(data, at)
        return group << 16 | number, b"", at + 8, length
    group, number, vr, length = coding.header(data, at)
    tag = group << 16 | number
    if group == 0xFFFE:
        _, _, length = coding.tag_and_length(data, at)
        return tag, b"", at + 8, length
    if vr in _LONG:
        (length,) = coding.length(data, at + 8)
        return tag, vr, at + 12, length
    return tag, vr, at + 8, length


def _past_fragments(data: bytes, at: int) -> int:
    while True:
        tag, _, value, length = header(data, at, EXPLICIT_LITTLE)
        if tag == _SEQUENCE_END:
            return value
        if tag != _ITEM or length == _UNDEFINED:
            raise Unconvertible(_ODD)
        at = value + length


def past_sequence(data: bytes, at: int, coding: Coding, depth: int) -> int:
    """Where a sequence of undefined length ends whose first item is at `at`. Raises Unconvertible, struct.error."""
    if depth > _MAX_DEPTH:
        raise Unconvertible(_ODD)
    while True:
        tag, _, value, length = header(data, at, coding)
        if tag == _SEQUENCE_END:
            return value
        if tag != _ITEM:
            raise Unconvertible(_ODD)
        at = value + length if length != _UNDEFINED else _past_item(data, value, coding, depth)


def _past_item(data: bytes, at: int, coding: Coding, depth: int) -> int:
    while True:
        tag, vr, value, length = header(data, at, coding)
        if tag == _ITEM_END:
            return value
        if length != _UNDEFINED:
            at = value + length
        else:
            at = past_sequence(data, value, IMPLICIT_LITTLE if vr == b"UN" else coding, depth + 1)
