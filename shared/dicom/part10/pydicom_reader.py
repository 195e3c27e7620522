"""PS3.10 §7 A tolerant reader of whole Part 10 files, with pydicom: for what `part10.Part10Reader` finds odd.

pydicom finds the elements (unknown VRs, implicit VR where explicit is promised, sequences without an end, padding after
the data set); their values are read by the same code as there. Never guessed: where the file meta information or the
end of a value is missing, and which of two elements with one tag is meant.
"""

import io
import logging
import warnings
import zlib
from collections.abc import Iterable
from typing import Any

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import parse_basic_offsets, parse_fragments
from pydicom.filereader import data_element_generator, read_sequence

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import data_element
from shared.dicom.part10.charset import DEFAULT_CHARACTER_SET, CharacterSet, character_set
from shared.dicom.part10.file_meta import FileMeta
from shared.dicom.part10.frames import starts_codestream
from shared.dicom.part10.model import InvalidPart10, Part10, PixelData
from shared.dicom.part10.pixel_data import Fragments, frame_table
from shared.dicom.part10.push_parser import ByteFlow, Reading
from shared.dicom.part10.strict_checker import StrictChecker
from shared.dicom.part10.value_representations import (
    VALUE_REPRESENTATIONS,
    ValueRepresentation,
    Values,
    attribute_tags,
    choose_vr,
    numbers,
)

_UNDEFINED = 0xFFFFFFFF
_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_INFLATED_LIMIT = 1 << 28
_READS = 1 << 19  # pydicom may make: each element costs it one or two, and about 1 KiB of memory
_MAX_DEPTH = 64
_OB, _UN = VALUE_REPRESENTATIONS["OB"], VALUE_REPRESENTATIONS["UN"]


def read(data: bytes, *, strict: bool, keep_text: frozenset[int]) -> Part10:
    """See `part10.second_opinion`."""
    checker = StrictChecker() if strict else None
    meta, start = _read_meta(data)
    body = _inflate(data[start:]) if meta.deflated else data
    reader = _TolerantReader(body, checker, keep_text)
    try:
        # pydicom warns of what it finds odd. That has been seen already, and a warning may quote a value.
        logging.getLogger("pydicom").propagate = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            implicit = reader.read(0 if meta.deflated else start, meta)
    except InvalidPart10:
        raise
    except Exception as error:
        raise InvalidPart10("The data set cannot be read.") from error
    pixel_data = None if meta.deflated else reader.pixel_data
    return Part10(
        file_meta=meta.attributes,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        implicit_vr=implicit,
        attributes=reader.attributes,
        text=reader.text,
        violations=tuple(checker.violations) if checker else (),
        pixel_data=pixel_data,
        frames=frame_table(reader.attributes, pixel_data, reader.fragments, ()),
        length=len(data),
    )


class _CountedBytes(io.BytesIO):
    """Bytes of which only so many pieces are read: pydicom reads what it is given, however much it becomes."""

    def __init__(self, data: bytes, reads: list[int]) -> None:
        super().__init__(data)
        self._reads = reads

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads[0] -= 1
        if self._reads[0] < 0:
            raise InvalidPart10("The data set has too many elements.")
        return super().read(size)


class _TolerantReader:
    def __init__(self, data: bytes, checker: StrictChecker | None, keep_text: frozenset[int]) -> None:
        self._data = data
        self._checker = checker
        self._keep_text = keep_text
        self._reads = [_READS]
        self.attributes: Attributes = {}
        self.text: dict[str, str] = {}
        self.pixel_data: PixelData | None = None
        self.fragments: Fragments | None = None

    def read(self, start: int, meta: FileMeta) -> bool:
        """Reads the data set; returns whether it is in implicit VR."""
        code = self._data[start + 4 : start + 6]
        implicit = not (code.isalpha() and code.isupper())
        little_endian = meta.coding.order == "<"
        stream = _CountedBytes(self._data, self._reads)
        stream.seek(start)
        elements = data_element_generator(stream, implicit, little_endian)
        self._read_elements(self.attributes, elements, "", DEFAULT_CHARACTER_SET, [])
        if len(self._data) - stream.tell() >= 8:
            raise InvalidPart10("A delimiter stands where an element should be.")
        return implicit

    def _read_elements(
        self,
        attributes: Attributes,
        elements: Iterable[RawDataElement | DataElement],
        path: str,
        texts: CharacterSet,
        parents: list[Attributes],
    ) -> None:
        found: dict[int, RawDataElement | DataElement] = {}
        for element in elements:
            tag = int(element.tag)
            if tag >> 16 in {0x0000, 0x0002, 0xFFFE}:
                if tag == 0 and isinstance(element, RawDataElement) and not element.length:
                    continue  # NULs that pad the file
                raise InvalidPart10("An element does not belong into a data set.")
            if tag in found:
                raise InvalidPart10("Elements are repeated.")
            found[tag] = element
        levels = [attributes, *parents]
        if (terms := found.get(_SPECIFIC_CHARACTER_SET)) is not None and isinstance(terms, RawDataElement):
            texts = character_set((terms.value or b"").decode("latin-1"))
        for tag, element in sorted(found.items()):
            if tag & 0xFFFF:
                attributes[f"{tag:08X}"] = self._element(tag, element, f"{path}{tag:08X}", texts, levels)

    def _element(
        self,
        tag: int,
        element: RawDataElement | DataElement,
        path: str,
        texts: CharacterSet,
        levels: list[Attributes],
    ) -> dict[str, Any]:
        if isinstance(element, DataElement):
            return self._sequence(element.value or (), path, texts, levels)
        raw = element.value or b""
        undefined = element.length == _UNDEFINED
        if not undefined and len(raw) != element.length:
            raise InvalidPart10("The file ends in the middle of a data element.", final=True)
        vr = _value_representation(tag, element.VR, levels)
        if vr.kind == "sequence":
            implicit = element.is_implicit_VR or element.VR == "UN"
            stream = _CountedBytes(raw, self._reads)
            items = read_sequence(stream, implicit, element.is_little_endian, len(raw), "iso8859")
            return self._sequence(items, path, texts, levels)
        if vr.kind == "bulk":
            if undefined and element.is_implicit_VR:
                vr = _OB  # PS3.5 §A.4
            if len(levels) == 1 and tag in _PIXEL_DATA and raw:
                self.pixel_data = PixelData(vr.name, element.value_tell, None if undefined else len(raw))
                self.fragments = _fragments(raw, element.value_tell) if undefined else None
            return {"vr": vr.name, "BulkDataURI": path} if raw else {"vr": vr.name}
        if undefined:
            raise InvalidPart10("The length of an element is impossible.")
        values = self._values(tag, vr, raw, path, texts, "<" if element.is_little_endian else ">")
        return {"vr": vr.name, "Value": values} if values else {"vr": vr.name}

    def _values(  # noqa: PLR0917 - all that is known of one element
        self, tag: int, vr: ValueRepresentation, raw: bytes, path: str, texts: CharacterSet, order: str
    ) -> Values:
        if vr.kind in {"binary", "tags"}:
            text = raw.decode("latin-1")
            values = numbers(raw, vr.code, vr.size, order) if vr.kind == "binary" else attribute_tags(raw, order)
            if self._checker and raw:
                self._checker.count(tag, vr, path, values, complete=len(raw) % vr.size == 0)
        else:
            text = (
                raw.decode("latin-1")
                if vr.kind == "text"
                else texts.name(raw)
                if vr.kind == "name"
                else texts.text(raw)
            )
            values = vr.from_text(text)
            if self._checker and raw:
                self._checker.text(tag, vr, path, text)
        if "/" not in path and tag in self._keep_text:
            self.text[path] = text
        return values

    def _sequence(
        self, items: Iterable[Dataset], path: str, texts: CharacterSet, levels: list[Attributes]
    ) -> dict[str, Any]:
        if len(levels) > _MAX_DEPTH:
            raise InvalidPart10("Sequences are nested too deep.")
        values: list[Attributes] = []
        for number, item in enumerate(items, 1):
            attributes: Attributes = {}
            # Iterating over the data set itself would have pydicom read the values.
            elements = (item.get_item(tag, keep_deferred=True) for tag in list(item.keys()))
            self._read_elements(attributes, elements, f"{path}/{number}/", texts, levels)
            values.append(attributes)
        return {"vr": "SQ", "Value": values} if values else {"vr": "SQ"}


def _read_meta(data: bytes) -> tuple[FileMeta, int]:
    """The file meta information, and the offset of the data set."""
    meta, flow, starts = FileMeta(), ByteFlow(), [0]

    def reading() -> Reading:
        _, position = yield from meta.read(flow)
        starts[0] = flow.offset + position
        flow.taken = 0
        yield len(data) + 1

    flow.start(reading())
    flow.feed(data)
    if not starts[0]:
        raise InvalidPart10("The file has no data set.", final=True)
    return meta, starts[0]


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, _INFLATED_LIMIT)
    except zlib.error as error:
        raise InvalidPart10("The data set cannot be inflated.", final=True) from error
    if not inflater.eof:
        raise InvalidPart10("The deflated data set is truncated or too large.", final=True)
    return inflated


def _value_representation(tag: int, vr: str | None, levels: list[Attributes]) -> ValueRepresentation:
    if vr is not None and vr != "UN" and " or " not in vr:
        return VALUE_REPRESENTATIONS.get(vr, _UN)
    element = data_element(tag)
    if element is None:
        return _UN
    signs = (level["00280103"].get("Value") for level in levels if "00280103" in level)
    return VALUE_REPRESENTATIONS.get(element[1]) or choose_vr(element[1], signed=next(signs, None) == [1])


def _fragments(raw: bytes, offset: int) -> Fragments:
    """The fragments of an encapsulated value (without its delimiter) that starts at `offset` of the file."""
    fragments = Fragments()
    fragments.basic_offsets = tuple(parse_basic_offsets(raw))
    first = 8 + int.from_bytes(raw[4:8], "little")
    _, positions = parse_fragments(raw[first:])
    for position in positions:
        fragments.offsets.append(offset + first + position)
        fragments.codestreams.append(starts_codestream(raw[first + position + 8 : first + position + 12]))
    fragments.end = offset + len(raw)
    return fragments
