"""PS3.5 §A.2 Data sets of other encodings, and odd ones, written again in Explicit VR Little Endian (WADO-19).

Values stay as they are, byte for byte, but for the byte order of numbers and the padding of what is of odd length.
"""

import zlib
from typing import Final

from shared.dicom.errors import Unconvertible
from shared.dicom.part10.byte_order import pixel_word_size, swapped, word_size
from shared.dicom.part10.encoding import EXPLICIT_LITTLE
from shared.dicom.part10.explicit_little_endian import encoded_head
from shared.dicom.part10.file_meta import FileMeta, read_file_meta
from shared.dicom.part10.inflating import inflated
from shared.dicom.part10.model import InvalidPart10
from shared.dicom.part10.structure import Structure
from shared.dicom.part10.structure_reader import read_structure
from shared.dicom.transfer_syntaxes import DEFLATED

_UNDEFINED: Final = 0xFFFFFFFF
_SHORT_LIMIT: Final = 0xFFFF
_BITS_ALLOCATED, _PIXEL_DATA = 0x00280100, 0x7FE00010
_ITEM, _ITEM_END = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_WORD: Final = 16
"""Bits that a sample is taken to have where the data set does not say it."""
_ODD: Final = "The data set of the instance is not encoded as it says."


def data_set_of(file: bytes, *, odd: bool, limit: int) -> tuple[bytes, int]:
    """The bytes that hold the data set of a Part 10 file in Explicit VR Little Endian, and where in them it starts.

    They are the file itself where it is encoded so, compressed or not. `odd`: the file is not what it says. `limit`:
    bytes that a deflated data set may have.

    Raises:
        Unconvertible: the data set cannot be read, or is larger than the limit.
    """
    try:
        meta, start = read_file_meta(file)
        if meta.transfer_syntax_uid == DEFLATED:
            file, start = _inflated(memoryview(file)[start:], limit), 0
        if odd or meta.coding is not EXPLICIT_LITTLE:
            return reencoded(file, start, meta), 0
    except InvalidPart10:
        raise Unconvertible(_ODD) from None
    return file, start


def reencoded(data: bytes, start: int, meta: FileMeta) -> bytes:
    """The data set that fills `data` from `start` on, in Explicit VR Little Endian. Sequences and items get undefined
    lengths, elements ascend; group lengths are left out.

    Raises:
        InvalidPart10: it cannot be read.
    """
    return _Writer(data, read_structure(data, start, meta.coding)).data_set()


def _inflated(deflated: memoryview, limit: int) -> bytes:
    try:
        data, _ = inflated(deflated, limit + 1)
    except zlib.error:
        raise Unconvertible(_ODD) from None
    if len(data) > limit:
        raise Unconvertible("The data set of the instance is too large when it is inflated.")
    return data


class _Writer:
    """Writes one data set."""

    def __init__(self, data: bytes, structure: Structure) -> None:
        self._data = data
        self._structure = structure
        self._out = bytearray()

    def data_set(self) -> bytes:
        self._level(None)
        return bytes(self._out)

    def _level(self, item: int | None) -> None:
        bits = _WORD
        for node in self._structure.level(item):
            if self._structure.vr(node).kind == "sequence":
                self._sequence(node)
                continue
            value = self._value(node, bits)
            if self._structure.tag(node) == _BITS_ALLOCATED and len(value) == 2:
                bits = int.from_bytes(value, "little")

    def _sequence(self, node: int) -> None:
        self._out += encoded_head(self._structure.tag(node), b"SQ", _UNDEFINED)
        for item in self._structure.items(node):
            self._out += _ITEM
            self._level(item)
            self._out += _ITEM_END
        self._out += _SEQUENCE_END

    def _value(self, node: int, bits: int) -> bytes | memoryview:
        """Writes an element of a level whose samples have `bits` bits; returns its value."""
        structure = self._structure
        tag, vr, (start, end) = structure.tag(node), structure.vr(node), structure.span(node)
        raw = memoryview(self._data)[start:end]
        if structure.encapsulated(node):
            self._out += encoded_head(tag, vr.name.encode(), _UNDEFINED)
            self._out += raw
            self._out += _SEQUENCE_END
            return raw
        value: bytes | memoryview = raw
        if structure.big_endian(node):
            value = swapped(raw, pixel_word_size(vr.name, bits) if tag == _PIXEL_DATA else word_size(vr.name))
        length = end - start + (end - start) % 2
        name = "UN" if not vr.long and length > _SHORT_LIMIT else vr.name
        self._out += encoded_head(tag, name.encode(), length)
        self._out += value
        if length > end - start:
            self._out += b" " if vr.kind in {"text", "local", "name"} and vr.name != "UI" else b"\0"
        return value
