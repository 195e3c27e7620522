"""PS3.5 §7 The outermost elements of a data set, from its beginning as far as they are asked for, in any coding."""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.dicom.errors import Unconvertible
from shared.dicom.part10.encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from shared.dicom.part10.explicit_little_endian import header, past_sequence
from shared.dicom.part10.model import InvalidPart10
from shared.dicom.part10.structure_reader import read_structure
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS

_UNDEFINED: Final = 0xFFFFFFFF
_SEQUENCE_END: Final = 8
"""Bytes of the delimiter of a sequence."""
_ODD: Final = "The file is not encoded as it says."
_FIRST_GROUP: Final = 0x0008


class Element(NamedTuple):
    """An outermost element: where it begins, where its value begins, and where it ends, its delimiter included."""

    tag: int
    vr: bytes
    """Empty in implicit VR."""
    start: int
    value: int
    end: int
    undefined: bool
    """It is a sequence that a delimiter ends."""


def outermost_elements(
    data: bytes, start: int, coding: Coding, last: int, *, whole: bool
) -> tuple[list[Element] | None, int]:
    """The outermost elements up to the tag `last`, and where the next one begins; None if the data do not reach so far.

    A file that is not what it says is read by its structure, which needs all of it. Raises InvalidPart10.
    """
    found: list[Element] = []
    at, highest = start, -1
    try:
        while at < len(data):
            tag, vr, value, size = header(data, at, coding)
            known = coding.implicit or vr.decode("latin-1") in VALUE_REPRESENTATIONS
            if not known or tag <= highest or tag >> 16 == 0xFFFE or tag >> 16 < _FIRST_GROUP:
                raise Unconvertible(_ODD)
            if tag > last:
                return found, at
            if size != _UNDEFINED:
                end = value + size
            elif coding.implicit or vr in {b"SQ", b"UN"}:
                end = past_sequence(data, value, IMPLICIT_LITTLE if vr == b"UN" else coding, depth=1)
            else:
                raise Unconvertible(_ODD)
            if end > len(data):
                raise Unconvertible(_ODD)
            found.append(Element(tag, vr, at, value, end, size == _UNDEFINED))
            at, highest = end, tag
        if whole:
            return found, at
    except (Unconvertible, struct.error, IndexError):
        if whole:
            return _odd_elements(data, start, coding)
    return None, 0


def _odd_elements(data: bytes, start: int, coding: Coding) -> tuple[list[Element], int]:
    """All elements of a data set that is not what it says; everything counts as read. Raises InvalidPart10."""
    structure = read_structure(data, start, coding)
    actual = IMPLICIT_LITTLE if structure.implicit else coding if not coding.implicit else EXPLICIT_LITTLE
    found = []
    for node in structure.outermost():
        tag, (value, end) = structure.tag(node), structure.span(node)
        begin = _begin(data, tag, value, actual)
        vr = b"" if actual.implicit else data[begin + 4 : begin + 6]
        undefined = actual.length(data, value - 4) == (_UNDEFINED,)
        found.append(Element(tag, vr, begin, value, end + _SEQUENCE_END * undefined, undefined))
    return found, len(data)


def _begin(data: bytes, tag: int, value: int, coding: Coding) -> int:
    """Where the element begins whose value does."""
    for size in (8, 12):
        group, number, _ = coding.tag_and_length(data, value - size)
        if group << 16 | number == tag:
            return value - size
    raise InvalidPart10(_ODD, tag=tag)


def actual_coding(data: bytes, elements: Sequence[Element], coding: Coding) -> Coding:
    """The coding in which the elements really are."""
    if not elements or coding.order == ">":
        return coding
    explicit = data[elements[0].start + 4 : elements[0].start + 6].decode("latin-1") in VALUE_REPRESENTATIONS
    return EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE
