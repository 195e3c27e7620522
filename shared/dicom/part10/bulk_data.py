"""PS3.5 §7, BULK-1 Places of bulk values in a file: found by the headers of its elements, without reading any value.

`find_values` pulls the bytes that it wants to see, so its caller can fetch them by ranges; a value of gigabytes costs
no more than one of bytes. Paths are those of BulkDataURI: tags with item numbers (from 1) in between, as in
`54000100/1/54001010`.
"""

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import enclosing
from shared.dicom.part10.byte_order import word_size
from shared.dicom.part10.encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from shared.dicom.part10.model import InvalidPart10
from shared.dicom.part10.structure import NoItem
from shared.dicom.part10.value_representations import (
    VALUE_REPRESENTATIONS,
    ValueRepresentation,
    creator_tag,
    implied_vr,
    is_private_creator,
)

PIXEL_DATA: Final = "7FE00010"
BULK_VRS: Final = frozenset(name for name, vr in VALUE_REPRESENTATIONS.items() if vr.kind == "bulk")

_LONG_VRS: Final = frozenset({"UT", "ST", "LT", "DS", "FL", "FD", "IS", "UC", "UR"})
_LONG: Final = 1024
"""Values of the VRs above have an address when they are longer (BULK-1)."""

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS: Final = 0x7FE00010
_MAX_DEPTH: Final = 64
_LONGEST_CREATOR: Final = 64
"""Bytes of the LO that names a private creator."""
_FILE_META: Final = 132
"""Where it begins: after the preamble and its prefix."""

_BY_CODE: Final = {name.encode(): vr for name, vr in VALUE_REPRESENTATIONS.items()}
_SQ, _UN = VALUE_REPRESENTATIONS["SQ"], VALUE_REPRESENTATIONS["UN"]

_PATH = re.compile(r"[0-9A-F]{8}(?:/[1-9][0-9]{0,8}/[0-9A-F]{8}){0,63}")

type Walk[T] = Generator[tuple[int, int], bytes, T]
"""Yields (offset, bytes needed at least); is sent the bytes of the file from there on, fewer only at its end."""

type _Wanted = dict[int, "str | dict[int, _Wanted]"]
"""By tag: the path that ends there, or the items of a sequence that paths go on in, by number."""


@dataclass(frozen=True, slots=True)
class BulkValue:
    """The place of a value."""

    offset: int
    """Of its first byte; of an encapsulated value: of the item after the basic offset table."""
    length: int
    """In bytes; of an encapsulated value with the headers of its items."""
    fragments: int = 0
    """Of an encapsulated value: in how many items it is (PS3.5 §A.4)."""
    encapsulated: bool = False
    word: int = 1
    """Bytes of the words whose order the file has reversed: 1 unless it is big endian."""

    @property
    def size(self) -> int:
        """Bytes of the value itself, without the headers of items."""
        return self.length - 8 * self.fragments


def value_path(text: str) -> str | None:
    """The path that a URL names, in the form of metadata; None if it cannot be one."""
    path = text.strip("/").upper()
    return path if _PATH.fullmatch(path) else None


def bulk_paths(attributes: Attributes) -> list[str]:
    """The paths of the BulkDataURI in a stored metadata document, in the order of the file."""
    found: list[str] = []
    for element in attributes.values():
        if "BulkDataURI" in element:
            found.append(element["BulkDataURI"])
        elif element.get("vr") == "SQ":
            for item in element.get("Value", ()):
                found += bulk_paths(item or {})
    return found


def element_at(attributes: Attributes, path: str) -> Mapping[str, Any] | None:
    """The element of a stored metadata document at `path`; None if there is none."""
    dataset, key = enclosing(attributes, path)
    return dataset.get(key)


def may_be_addressed(vr: str, length: int) -> bool:
    """Whether a value of `length` bytes has an address of its own (BULK-1)."""
    return length > 0 and (vr in BULK_VRS or (vr in _LONG_VRS and length > _LONG))


def find_values(
    paths: Iterable[str], coding: Coding, length: int, *, start: int | None = None, pixel_data_end: int | None = None
) -> Walk[dict[str, BulkValue]]:
    """Find the values at `paths` in a file of `length` bytes; what it does not have is not in the result.

    `coding` is that of the data set, which begins at `start`; None: after the file meta information. `pixel_data_end`
    is where the last fragment of encapsulated pixel data ends, if that is known: the fragments need not be looked at.

    Raises:
        InvalidPart10: the file has an odd structure.
    """
    wanted: _Wanted = {}
    for path in paths:
        _want(wanted, path)
    walk = _Walker(length, pixel_data_end, _count(wanted))
    try:
        if start is None:
            start = yield from walk.file_meta()
        yield from walk.elements(start, length, coding, wanted, depth=0, delimited=False)
    except _AllFound:
        pass
    return walk.found


def _want(wanted: _Wanted, path: str) -> None:
    *steps, key = path.split("/")
    numbers = iter(steps)
    for sequence, number in zip(numbers, numbers, strict=True):
        items = wanted.setdefault(int(sequence, 16), {})
        if isinstance(items, str):
            return  # the value of a sequence is not asked for
        wanted = items.setdefault(int(number), {})
    wanted.setdefault(int(key, 16), path)


def _count(wanted: _Wanted) -> int:
    return sum(1 if isinstance(each, str) else sum(map(_count, each.values())) for each in wanted.values())


class _AllFound(Exception):
    """There is no need to go on."""


class _Walker:
    def __init__(self, length: int, pixel_data_end: int | None, left: int) -> None:
        self.found: dict[str, BulkValue] = {}
        self._length = length
        self._pixel_data_end = pixel_data_end
        self._left = left
        self._buffer = b""
        self._start = 0

    def file_meta(self) -> Walk[int]:
        """Passes over group 0002; returns where the data set begins."""
        position = _FILE_META
        while position + 8 <= self._length:
            at = yield from self._see(position, 8)
            group, _, code, length = EXPLICIT_LITTLE.header(self._buffer, at)
            if group != 0x0002:
                break
            position += 8
            if _representation(code).long:
                at = yield from self._see(position, 4)
                (length,) = EXPLICIT_LITTLE.length(self._buffer, at)
                position += 4
            position += length
        return position

    def elements(  # noqa: PLR0917 - what a level is made of
        self, position: int, end: int, coding: Coding, wanted: _Wanted, depth: int, delimited: bool
    ) -> Walk[int]:
        """Walks over the elements of a data set or item; returns where it ends."""
        if depth > _MAX_DEPTH:
            raise InvalidPart10("Sequences are nested too deep.")
        creators: dict[int, str] = {}
        while position < end:
            at = yield from self._see(position, 8)
            group, number, *code, length = coding.header(self._buffer, at)
            tag = group << 16 | number
            if group == 0xFFFE:
                if tag != _ITEM_END or not delimited:
                    raise InvalidPart10("A delimiter or an item where an element should be.")
                return position + 8
            inner, value = coding, position + 8
            if coding.implicit:
                vr = implied_vr(tag, creators.get(creator_tag(tag) or 0), signed=False)
                if is_private_creator(tag) and 0 < length <= _LONGEST_CREATOR:
                    at = yield from self._see(value, length)
                    creators[tag] = self._buffer[at : at + length].decode("latin-1").strip(" \0")
            else:
                vr = _representation(code[0])
                if vr.long:
                    at = yield from self._see(value, 4)
                    (length,) = coding.length(self._buffer, at)
                    value += 4
                if vr is _UN:  # PS3.5 §6.2.2: coded as in implicit VR
                    inner, vr = IMPLICIT_LITTLE, _SQ if length == _UNDEFINED else implied_vr(tag, None, signed=False)
            if length != _UNDEFINED and value + length > end:
                raise InvalidPart10("An element is longer than what holds it.")
            here = wanted.get(tag)
            if vr is _SQ or (vr is _UN and length == _UNDEFINED):
                position = yield from self._sequence(value, length, end, inner, here, depth)
            elif length == _UNDEFINED:
                position = yield from self._encapsulated(value, end, inner, here, pixels=tag == _PIXELS and not depth)
            else:
                if isinstance(here, str):
                    self._take(here, BulkValue(value, length, word=1 if inner.order == "<" else word_size(vr.name)))
                position = value + length
        if delimited:
            raise InvalidPart10("An item has no end.")
        return position

    def _sequence(  # noqa: PLR0917 - what a sequence is made of
        self,
        position: int,
        length: int,
        end: int,
        coding: Coding,
        here: "str | dict[int, _Wanted] | None",
        depth: int,
    ) -> Walk[int]:
        delimited = length == _UNDEFINED
        if not delimited:
            end = position + length
            if not isinstance(here, dict):
                return end
        items = here if isinstance(here, dict) else {}
        item = 0
        while position < end:
            at = yield from self._see(position, 8)
            group, number, length = coding.tag_and_length(self._buffer, at)
            tag = group << 16 | number
            position += 8
            if tag == _SEQUENCE_END and delimited:
                return position
            if tag != _ITEM:
                raise NoItem
            item += 1
            open_ended = length == _UNDEFINED
            if not open_ended and position + length > end:
                raise InvalidPart10("An item is longer than its sequence.")
            if open_ended or item in items:
                limit = end if open_ended else position + length
                wanted = items.get(item, {})
                position = yield from self.elements(position, limit, coding, wanted, depth + 1, open_ended)
            else:
                position += length
        if delimited:
            raise InvalidPart10("A sequence has no end.")
        return position

    def _encapsulated(
        self, position: int, end: int, coding: Coding, here: "str | dict[int, _Wanted] | None", *, pixels: bool
    ) -> Walk[int]:
        first = fragments = -1
        if pixels and self._pixel_data_end is not None and not isinstance(here, str):
            position = self._pixel_data_end
        while position < end:
            at = yield from self._see(position, 8)
            group, number, length = coding.tag_and_length(self._buffer, at)
            tag = group << 16 | number
            if tag == _SEQUENCE_END:
                if isinstance(here, str):
                    begin = position if first < 0 else first
                    value = BulkValue(begin, position - begin, max(0, fragments), encapsulated=True)
                    self._take(here, value)
                return position + 8
            if tag != _ITEM or length == _UNDEFINED:
                break
            position += 8 + length
            fragments += 1
            if first < 0:
                first = position
        raise InvalidPart10("Encapsulated data hold something else than fragments.")

    def _take(self, path: str, value: BulkValue) -> None:
        if path not in self.found:
            self.found[path] = value
            self._left -= 1
        if not self._left:
            raise _AllFound

    def _see(self, position: int, count: int) -> Walk[int]:
        """Makes `count` bytes from `position` on visible; returns where in the buffer they are."""
        at = position - self._start
        if at < 0 or at + count > len(self._buffer):
            self._buffer = yield position, count
            self._start, at = position, 0
            if len(self._buffer) < count:
                raise InvalidPart10("The file ends in the middle of a data element.")
        return at


def _representation(code: bytes) -> ValueRepresentation:
    vr = _BY_CODE.get(code)
    if vr is None:
        raise InvalidPart10("An element has no known value representation.")
    return vr
