"""PS3.10 §7 A tolerant reader of whole Part 10 files: for what `file_reader.Part10Reader` finds odd.

`structure_reader` finds the elements (unknown VRs, implicit VR where explicit is promised, padding after the data set);
their values are read by the same code as there.
"""

import zlib
from collections.abc import Iterable
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.part10.bulk_data import BulkValue
from shared.dicom.part10.byte_order import word_size
from shared.dicom.part10.charset import DEFAULT_CHARACTER_SET, CharacterSet, character_set
from shared.dicom.part10.encoding import Coding
from shared.dicom.part10.file_meta import read_file_meta
from shared.dicom.part10.frames import starts_codestream
from shared.dicom.part10.inflating import inflated
from shared.dicom.part10.limits import (
    FRAGMENT_BYTES,
    NODE_BYTES,
    ODD_HEADER_BYTES,
    ODD_INFLATED_BYTES,
    TOO_LARGE,
    Allowance,
    check_count,
    check_length,
)
from shared.dicom.part10.model import InvalidPart10, Oddity, Part10, PixelData
from shared.dicom.part10.pixel_data import Fragments, frame_table
from shared.dicom.part10.strict_checker import StrictChecker
from shared.dicom.part10.structure import Structure
from shared.dicom.part10.structure_reader import read_structure
from shared.dicom.part10.value_representations import ValueRepresentation, Values, attribute_tags, numbers

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_PIXEL_DATA: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


def read(data: bytes, *, strict: bool, keep_text: frozenset[int]) -> Part10:
    """See `file_reader.second_opinion`."""
    checker = StrictChecker() if strict else None
    meta, start = read_file_meta(data)
    body, at = (_inflated(memoryview(data)[start:]), 0) if meta.deflated else (data, start)
    structure = read_structure(body, at, meta.coding)
    if len(structure) * NODE_BYTES > ODD_HEADER_BYTES:
        raise InvalidPart10(TOO_LARGE, final=True)
    reader = _ValueReader(body, structure, checker, keep_text)
    attributes = reader.level(None, "", DEFAULT_CHARACTER_SET)
    pixel_data = None if meta.deflated else reader.pixel_data
    return Part10(
        file_meta=meta.attributes,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        implicit_vr=structure.implicit,
        attributes=attributes,
        text=reader.text,
        violations=tuple(checker.violations) if checker else (),
        pixel_data=pixel_data,
        frames=frame_table(attributes, pixel_data, reader.fragments, (), meta.transfer_syntax_uid),
        length=len(data),
        header_bytes=ODD_HEADER_BYTES - reader.allowance.left,
        oddities=tuple(Oddity(tag, explanation) for tag, explanation in structure.oddities.items()),
        odd=True,
    )


def locate(data: bytes, paths: Iterable[str], *, coding: Coding | None = None) -> dict[str, BulkValue]:
    """Where the values at `paths` are (BULK-1) in a whole file that is too odd for `find_values`, or, with `coding`, in
    a data set. What cannot be found is not in the result.

    Raises:
        InvalidPart10: nobody can read the file.
    """
    start = 0
    if coding is None:
        meta, start = read_file_meta(data)
        coding = meta.coding
    structure = read_structure(data, start, coding)
    places = {path: _locate(data, structure, path) for path in paths}
    return {path: place for path, place in places.items() if place is not None}


def _locate(data: bytes, structure: Structure, path: str) -> BulkValue | None:
    *steps, key = path.split("/")
    item: int | None = None
    pairs = iter(steps)
    for sequence, number in zip(pairs, pairs, strict=True):
        node = _named(structure, item, int(sequence, 16))
        if node is None or structure.vr(node).kind != "sequence":
            return None
        item = next((each for place, each in enumerate(structure.items(node), 1) if place == int(number)), None)
        if item is None:
            return None
    node = _named(structure, item, int(key, 16))
    if node is None or structure.vr(node).kind == "sequence":
        return None
    start, end = structure.span(node)
    if not structure.encapsulated(node):
        word = word_size(structure.vr(node).name) if structure.big_endian(node) else 1
        return BulkValue(start, end - start, word=word)
    fragments = _fragments(data, start, end, Allowance())
    first = fragments.offsets[0] if fragments.offsets else end
    return BulkValue(first, end - first, len(fragments.offsets), encapsulated=True)


def _named(structure: Structure, item: int | None, tag: int) -> int | None:
    return next((node for node in structure.level(item) if structure.tag(node) == tag), None)


class _ValueReader:
    """Reads the values of a data set whose structure is known."""

    def __init__(
        self, data: bytes, structure: Structure, checker: StrictChecker | None, keep_text: frozenset[int]
    ) -> None:
        self._data = data
        self._structure = structure
        self._checker = checker
        self._keep_text = keep_text
        self.allowance = Allowance(ODD_HEADER_BYTES)
        self.text: dict[str, str] = {}
        self.pixel_data: PixelData | None = None
        self.fragments: Fragments | None = None

    def level(self, item: int | None, path: str, texts: CharacterSet) -> Attributes:
        """The elements of an item, or the outermost ones. Raises InvalidPart10."""
        structure = self._structure
        nodes = structure.level(item)
        for node in nodes:
            if structure.tag(node) == _SPECIFIC_CHARACTER_SET:
                start, end = structure.span(node)
                texts = character_set(self._data[start:end].decode("latin-1"))
        attributes: Attributes = {}
        for node in nodes:
            key = f"{structure.tag(node):08X}"
            attributes[key] = self._element(node, f"{path}{key}", texts, outermost=item is None)
        return attributes

    def _element(self, node: int, path: str, texts: CharacterSet, *, outermost: bool) -> dict[str, Any]:
        structure = self._structure
        tag, vr, (start, end) = structure.tag(node), structure.vr(node), structure.span(node)
        self.allowance.charge(NODE_BYTES)
        if vr.kind == "sequence":
            values: Values = []
            for number, item in enumerate(structure.items(node), 1):
                self.allowance.charge(NODE_BYTES)
                values.append(self.level(item, f"{path}/{number}/", texts))
        elif vr.kind == "bulk":
            if outermost and tag in _PIXEL_DATA and end > start:
                self._note_pixel_data(node, vr)
            return {"vr": vr.name, "BulkDataURI": path} if end > start else {"vr": vr.name}
        else:
            check_length(tag, end - start)
            self.allowance.charge(end - start)
            raw = self._data[start:end]
            text, values = self._values(tag, vr, raw, path, texts, ">" if structure.big_endian(node) else "<")
            self.allowance.charge(vr.value_bytes * len(values))
            if outermost and tag in self._keep_text:
                self.text[path] = text
        return {"vr": vr.name, "Value": values} if values else {"vr": vr.name}

    def _values(  # noqa: PLR0917 - all that is known of one element
        self, tag: int, vr: ValueRepresentation, raw: bytes, path: str, texts: CharacterSet, order: str
    ) -> tuple[str, Values]:
        if vr.kind in {"binary", "tags"}:
            check_count(tag, len(raw) // vr.size)
            values = numbers(raw, vr.code, vr.size, order) if vr.kind == "binary" else attribute_tags(raw, order)
            if self._checker and raw:
                self._checker.count(tag, vr, path, values, complete=len(raw) % vr.size == 0)
            return raw.decode("latin-1"), values
        text = raw.decode("latin-1") if vr.kind == "text" else texts.name(raw) if vr.kind == "name" else texts.text(raw)
        if vr.several:
            check_count(tag, text.count("\\"))
        if self._checker and raw:
            self._checker.text(tag, vr, path, text)
        return text, vr.from_text(text)

    def _note_pixel_data(self, node: int, vr: ValueRepresentation) -> None:
        start, end = self._structure.span(node)
        encapsulated = self._structure.encapsulated(node)
        self.pixel_data = PixelData(vr.name, start, None if encapsulated else end - start)
        self.fragments = _fragments(self._data, start, end, self.allowance) if encapsulated else None


def _inflated(deflated: memoryview) -> bytes:
    try:
        data, whole = inflated(deflated, ODD_INFLATED_BYTES)
    except zlib.error as error:
        raise InvalidPart10("The data set cannot be inflated.", final=True) from error
    if not whole:
        raise InvalidPart10("The deflated data set is truncated or too large.", final=True)
    return data


def _fragments(data: bytes, start: int, end: int, allowance: Allowance) -> Fragments:
    """The fragments of an encapsulated value, whose first item, the basic offset table, is at `start`."""
    fragments = Fragments()
    fragments.end = position = end
    position = start
    while position < end:
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        value = position + 8
        if position == start:
            allowance.charge(length * 10)
            table = memoryview(data)[value : value + length // 4 * 4]
            fragments.basic_offsets = tuple(table.cast("I")) if length % 4 == 0 else ()
        else:
            allowance.charge(FRAGMENT_BYTES)
            fragments.offsets.append(position)
            fragments.codestreams.append(starts_codestream(data[value : value + 4]))
        position = value + length
    return fragments
