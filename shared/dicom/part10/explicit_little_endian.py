"""PS3.5 §7, §A.2 Where the top-level elements of a data set are, and data sets of other encodings re-encoded in
Explicit VR Little Endian.

Values stay as they are, byte for byte, but for the byte order of numbers: no element is parsed that need not be.
"""

import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

from shared.dicom.dictionary import data_element
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.encoding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS, choose_vr
from shared.dicom.transfer_syntaxes import DEFLATED, EXPLICIT_BIG_ENDIAN, IMPLICIT_LITTLE_ENDIAN

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_MAX_DEPTH: Final = 64
_SHORT_LIMIT: Final = 0xFFFF
_PIXEL_DATA: Final = 0x7FE00010
_LONG: Final = frozenset(name.encode() for name, vr in VALUE_REPRESENTATIONS.items() if vr.long)
_SWAPPED: Final = {
    name.encode(): {2: "H", 4: "I", 8: "Q"}[size]
    for name, size in {
        **{name: vr.size for name, vr in VALUE_REPRESENTATIONS.items() if vr.kind == "binary"},
        "AT": 2,
        "OW": 2,
        "OF": 4,
        "OL": 4,
        "OD": 8,
        "OV": 8,
    }.items()
}
"""Code of `array` for the VRs whose values have a byte order."""

_ODD: Final = "The data set of the instance is not encoded as it says."


class Element(NamedTuple):
    """A top-level element in Explicit VR Little Endian: where it begins, where its value begins, and where it ends."""

    tag: int
    vr: bytes
    start: int
    value: int
    end: int


def data_set_of(file: bytes, syntax: str, *, limit: int) -> tuple[bytes, int]:
    """The bytes that hold the data set of a Part 10 file in Explicit VR Little Endian, and where in them it starts.

    They are the file itself where it is encoded so, compressed or not. `limit`: bytes that a deflated data set may
    have.

    Raises:
        Unconvertible: the data set is not encoded as it says, or larger than the limit.
    """
    start = _end_of_meta(file)
    try:
        if syntax == DEFLATED:
            return _inflated(memoryview(file)[start:], limit), 0
        if syntax in {IMPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN}:
            coding = IMPLICIT_LITTLE if syntax == IMPLICIT_LITTLE_ENDIAN else EXPLICIT_BIG
            converter = _Converter(file)
            converter.elements(start, len(file), coding, depth=0)
            return b"".join(converter.out), 0
    except (struct.error, IndexError, KeyError):
        raise Unconvertible(_ODD) from None
    return file, start


def elements(data: bytes, start: int) -> Iterator[Element]:
    """The top-level elements of a data set in Explicit VR Little Endian, in the order of the file.

    Raises:
        Unconvertible: the data set is not encoded so.
    """
    at = start
    try:
        while at < len(data):
            tag, vr, value, length = _header(data, at, EXPLICIT_LITTLE)
            if vr not in _LONG and vr.decode("latin-1") not in VALUE_REPRESENTATIONS:
                raise Unconvertible(_ODD)
            if length != _UNDEFINED:
                end = value + length
            elif tag == _PIXEL_DATA:
                end = _past_fragments(data, value)
            else:
                end = _past_sequence(data, value, IMPLICIT_LITTLE if vr == b"UN" else EXPLICIT_LITTLE, depth=1)
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
    """What stands before a value."""
    if vr in _LONG:
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, length)


def _end_of_meta(file: bytes) -> int:
    at = 132
    try:
        tag, _, value, length = _header(file, at, EXPLICIT_LITTLE)
        if tag == 0x00020000 and length == 4:
            return value + 4 + int.from_bytes(file[value : value + 4], "little")
        while tag >> 16 == 0x0002:
            at = value + length
            tag, _, value, length = _header(file, at, EXPLICIT_LITTLE)
    except (struct.error, IndexError):
        raise Unconvertible(_ODD) from None
    return at


def _inflated(deflated: memoryview, limit: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(deflated, limit + 1)
    except zlib.error:
        raise Unconvertible(_ODD) from None
    if len(data) > limit:
        raise Unconvertible("The data set of the instance is too large when it is inflated.")
    return data


def _header(data: bytes, at: int, coding: Coding) -> tuple[int, bytes, int, int]:
    """Tag, VR (empty in implicit VR), where the value starts, and its length."""
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
        tag, _, value, length = _header(data, at, EXPLICIT_LITTLE)
        if tag == _SEQUENCE_END:
            return value
        if tag != _ITEM or length == _UNDEFINED:
            raise Unconvertible(_ODD)
        at = value + length


def _past_sequence(data: bytes, at: int, coding: Coding, depth: int) -> int:
    """Where a sequence of undefined length ends whose first item is at `at`."""
    if depth > _MAX_DEPTH:
        raise Unconvertible(_ODD)
    while True:
        tag, _, value, length = _header(data, at, coding)
        if tag == _SEQUENCE_END:
            return value
        if tag != _ITEM:
            raise Unconvertible(_ODD)
        at = value + length if length != _UNDEFINED else _past_item(data, value, coding, depth)


def _past_item(data: bytes, at: int, coding: Coding, depth: int) -> int:
    while True:
        tag, vr, value, length = _header(data, at, coding)
        if tag == _ITEM_END:
            return value
        if length != _UNDEFINED:
            at = value + length
        else:
            at = _past_sequence(data, value, IMPLICIT_LITTLE if vr == b"UN" else coding, depth + 1)


class _Converter:
    """Re-encodes a data set in implicit VR or big endian. Sequences and items get undefined lengths."""

    def __init__(self, data: bytes) -> None:
        self.out: list[bytes] = []
        self._data = data
        self._signed = False
        self._bits = 16

    def elements(self, at: int, end: int, coding: Coding, depth: int) -> int:
        """The elements from `at` to `end`, or to the end of an item of undefined length. Returns where they end."""
        if depth > _MAX_DEPTH:
            raise Unconvertible(_ODD)
        delimited = end < 0
        while delimited or at < end:
            tag, vr, value, length = _header(self._data, at, coding)
            if tag == _ITEM_END and delimited:
                return value
            vr = vr or self._vr(tag, length)
            if length == _UNDEFINED or vr == b"SQ":
                at = self._sequence(tag, value, length, IMPLICIT_LITTLE if vr == b"UN" else coding, depth)
                continue
            at = value + length
            if at > (len(self._data) if delimited else end):
                raise Unconvertible(_ODD)
            if tag & 0xFFFF == 0 and tag >> 16 != 0x0002:  # group lengths would be wrong
                continue
            self._value(tag, vr, self._data[value:at], big=coding is EXPLICIT_BIG)
        return at

    def _vr(self, tag: int, length: int) -> bytes:
        """The VR of an element that does not say it itself (PS3.5 §A.1, §6.2.2)."""
        known = data_element(tag)
        if known is None:
            return b"SQ" if length == _UNDEFINED else b"UN"
        vr = VALUE_REPRESENTATIONS.get(known[1]) or choose_vr(known[1], signed=self._signed)
        return b"UN" if not vr.long and length > _SHORT_LIMIT else vr.name.encode()

    def _sequence(self, tag: int, at: int, length: int, coding: Coding, depth: int) -> int:
        end = at + length if length != _UNDEFINED else -1
        self.out.append(encoded_head(tag, b"SQ", _UNDEFINED))
        while end < 0 or at < end:
            item, _, value, size = _header(self._data, at, coding)
            if item == _SEQUENCE_END and end < 0:
                at = value
                break
            if item != _ITEM:
                raise Unconvertible(_ODD)
            self.out.append(b"\xfe\xff\x00\xe0\xff\xff\xff\xff")
            at = self.elements(value, value + size if size != _UNDEFINED else -1, coding, depth + 1)
            self.out.append(b"\xfe\xff\x0d\xe0\x00\x00\x00\x00")
        self.out.append(b"\xfe\xff\xdd\xe0\x00\x00\x00\x00")
        return at

    def _value(self, tag: int, vr: bytes, value: bytes, *, big: bool) -> None:
        if big:
            value = self._swapped(tag, vr, value)
        if tag == 0x00280103 and len(value) == 2:
            self._signed = value == b"\x01\x00"
        elif tag == 0x00280100 and len(value) == 2:
            self._bits = int.from_bytes(value, "little")
        self.out += (encoded_head(tag, vr, len(value)), value)

    def _swapped(self, tag: int, vr: bytes, value: bytes) -> bytes:
        code = _SWAPPED.get(vr)
        if tag == _PIXEL_DATA and vr == b"OW" and self._bits in {32, 64}:
            code = "I" if self._bits == 32 else "Q"
        if code is None or len(value) % array(code).itemsize:
            return value
        numbers = array(code, value)
        numbers.byteswap()
        return numbers.tobytes()
