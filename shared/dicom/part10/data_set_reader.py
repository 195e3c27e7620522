"""PS3.5 §7 The data set: one pass from pushed bytes to DICOM JSON attributes (PS3.18 Annex F), bulk values left out.

No recursion and no element objects. One value at a time is held, and no bulk value (OB OD OF OL OV OW UN and pixel
data, at any depth): these stream past. `_leaves` is the hot loop, over elements that are whole in the buffer; `read`
deals with what has structure and with the ends of buffers.
"""

import struct
from collections.abc import Generator
from typing import Any

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import data_elements
from shared.dicom.part10.charset import DEFAULT_CHARACTER_SET, character_set
from shared.dicom.part10.data_set_levels import Level, Sequence, implicit_vr, relayed_vr
from shared.dicom.part10.encoding import IMPLICIT_LITTLE, Coding
from shared.dicom.part10.frames import starts_codestream
from shared.dicom.part10.limits import (
    FRAGMENT_BYTES,
    LONGEST_VALUE,
    MAX_DEPTH,
    MOST_VALUES,
    NODE_BYTES,
    TOO_LARGE,
    check_count,
    check_length,
)
from shared.dicom.part10.model import InvalidPart10, PixelData
from shared.dicom.part10.pixel_data import Fragments
from shared.dicom.part10.push_parser import ByteFlow, Reading
from shared.dicom.part10.strict_checker import StrictChecker
from shared.dicom.part10.structure import NoItem
from shared.dicom.part10.value_representations import (
    VALUE_REPRESENTATIONS,
    ValueRepresentation,
    attribute_tags,
    numbers,
)
from shared.dicom.validation import plural_elements

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SPECIFIC_CHARACTER_SET = 0x00080005
_EXTENDED_OFFSETS = 0x7FE00001
_PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_PASSED_IN_READ = _PIXEL_DATA | {_EXTENDED_OFFSETS}
_NOTHING: frozenset[int] = frozenset()
_FOREIGN_GROUPS = frozenset({0x0000, 0x0002})  # of commands and file meta information (JSON-12)

_BY_CODE = {name.encode(): vr for name, vr in VALUE_REPRESENTATIONS.items()}
_UN, _SQ = VALUE_REPRESENTATIONS["UN"], VALUE_REPRESENTATIONS["SQ"]


class DataSetReader:
    """Reads one data set out of a ByteFlow. What it has found so far is in its attributes."""

    def __init__(
        self, flow: ByteFlow, *, coding: Coding, check: StrictChecker | None, keep_text: frozenset[int], limit: int
    ) -> None:
        self._flow = flow
        self._top = Level(coding, keep_text)
        self._check = check
        self.budget = limit
        """Bytes of memory that are left."""
        self._unsorted: list[Attributes] = []
        self.attributes = self._top.attributes
        self.text: dict[str, str] = {}
        self.pixel_data: PixelData | None = None
        self.fragments: Fragments | None = None
        self.extended_offsets: tuple[int, ...] = ()
        self.odd = False
        """Whether the data set holds what does not belong there and was passed over."""

    def sort(self) -> None:
        """Puts the elements into ascending order where the file had them in another (JSON-1)."""
        for attributes in self._unsorted:
            elements = sorted(attributes.items())
            attributes.clear()
            attributes.update(elements)
        self._unsorted.clear()

    def read(self, buffer: bytes, position: int) -> Reading:
        """The generator for the flow: reads elements from `position` of `buffer` on, until the flow ends.

        Raises:
            InvalidPart10: the bytes are no data set, or one that is too large or too odd.
        """
        flow, level = self._flow, self._top
        sequence: Sequence | None = None  # set while between its items
        while True:
            if sequence is not None:
                ended = not sequence.delimited and flow.offset + position >= sequence.end
                if not ended:
                    if len(buffer) - position < 8:
                        buffer = yield self._wait(position, 8)
                        position = 0
                    group, number, length = sequence.coding.tag_and_length(buffer, position)
                    position += 8
                    tag = group << 16 | number
                    if tag == _ITEM:
                        level = self._item(sequence, flow.offset + position, length)
                        sequence = None
                        continue
                    if tag != _SEQUENCE_END or not sequence.delimited or length:
                        raise NoItem
                level, sequence = sequence.level, None
                continue

            position, need = self._leaves(level, buffer, position)
            if need:
                buffer = yield self._wait(position, need, complete=level is self._top)
                position = 0
                continue
            if flow.offset + position == level.end:
                if level.delimited:
                    raise InvalidPart10("An item has no end.")
                sequence = level.sequence
                continue
            if level is self._top and not any(buffer[position : position + 8]):
                yield from self._padding(buffer, position)
            tag, vr, start, length, coding = self._header(level, buffer, position)
            if tag >> 16 == 0xFFFE:
                if tag != _ITEM_END or not level.delimited or length:
                    raise InvalidPart10("A delimiter or an item where an element should be.")
                position, sequence = start, level.sequence
            elif vr is _SQ or (vr is _UN and length == _UNDEFINED):
                sequence = self._sequence(level, tag, flow.offset + start, length, coding)
                position = start
            else:
                buffer, position = yield from self._bulk(level, tag, vr, buffer, start, length)

    def _wait(self, position: int, need: int, *, complete: bool = False) -> int:
        """The request to yield for `need` bytes from `position` on. `complete`: no bytes at all are right, too."""
        self._flow.taken, self._flow.complete = position, complete
        return need

    def _padding(self, buffer: bytes, position: int) -> Reading:
        """Passes over zeros to the end of the file. Raises InvalidPart10 for anything else."""
        self.odd = True
        while not any(buffer[position:]):
            buffer, position = (yield self._wait(len(buffer), 1, complete=True)), 0
        raise InvalidPart10("The file goes on after zeros that end its data set.")

    def _leaves(self, level: Level, buffer: bytes, position: int) -> tuple[int, int]:  # noqa: PLR0915 - the hot loop
        """Reads the elements from `position` on that are whole in `buffer` and no sequences.

        Returns:
            Where it stopped, and the bytes needed from there on: 0 if `read` is to look at what is there.
        """
        known, plural, by_name, check = data_elements(), plural_elements(), VALUE_REPRESENTATIONS, self._check
        out, keep, path, texts, last = level.attributes, level.keep, level.path, level.texts, level.last
        coding = level.coding
        header, implicit, order = coding.header, coding.implicit, coding.order
        size, limit, budget = len(buffer), level.end - self._flow.offset, self.budget
        need = 0
        while position < limit:
            start = position + 8
            if start > size:
                need = 8
                break
            if implicit:
                group, number, length = header(buffer, position)
                tag = group << 16 | number
                element = known.get(tag)
                vr = by_name.get(element[1]) if element else None
                if vr is None or (tag == 0 and not length):
                    if group == 0xFFFE or tag == 0:
                        break
                    vr = implicit_vr(tag, level)
            else:
                group, number, code, length = header(buffer, position)
                tag = group << 16 | number
                element = known.get(tag)
                vr = _BY_CODE.get(code)
                if vr is None:
                    if group == 0xFFFE or tag == 0:
                        break
                    raise InvalidPart10("An element has no known value representation.", tag=tag)
                if vr.long:
                    start += 4
                    if start > size:
                        need = 12
                        break
                    (length,) = coding.length(buffer, position + 8)
                    if vr is _UN and length != _UNDEFINED and (element or tag & 0x1FF00 == 0x10000):
                        # PS3.5 §6.2.2: what knows less than the dictionary wrote UN; the value is as in implicit VR.
                        vr = relayed_vr(tag, level)
            kind = vr.kind
            stop = start + length
            if kind == "sequence" or length == _UNDEFINED:
                break
            if stop > limit:
                raise InvalidPart10("An element is longer than the item that holds it.")
            if kind == "bulk":
                if stop > size or tag in _PASSED_IN_READ:
                    break
                budget -= NODE_BYTES
            elif stop > size and length <= min(budget, LONGEST_VALUE):
                need = stop - position
                break
            else:
                budget -= length + NODE_BYTES
                if length > LONGEST_VALUE:
                    check_length(tag, length)
            if budget < 0:
                raise InvalidPart10(TOO_LARGE, final=True)

            position = stop
            if number == 0:  # group length
                continue
            if group in _FOREIGN_GROUPS:
                self.odd = True
                continue
            if tag <= last:
                self._out_of_order(tag, level)
            else:
                last = tag
            key = element[0] if element else f"{tag:08X}"
            if not length:
                out[key] = {"vr": vr.name}
                if tag in keep:
                    self.text[key] = ""
                if tag == _SPECIFIC_CHARACTER_SET:
                    texts = level.texts = DEFAULT_CHARACTER_SET
                continue
            if kind == "bulk":
                out[key] = {"vr": vr.name, "BulkDataURI": f"{path}{key}"}
                continue

            raw = buffer[start:stop]
            if length > MOST_VALUES:
                check_count(tag, raw.count(b"\\") if vr.several else length // vr.size if kind == "binary" else 0)
            if kind == "binary" or kind == "tags":  # noqa: PLR1714 - two identity tests beat a set here
                values = numbers(raw, vr.code, vr.size, order) if kind == "binary" else attribute_tags(raw, order)
                if tag in keep:
                    self.text[key] = raw.decode("latin-1")
                if check and (len(values) != 1 or tag in plural or length % vr.size):
                    check.count(tag, vr, f"{path}{key}", values, complete=not length % vr.size)
            else:
                if kind == "text":
                    text = raw.decode("latin-1")
                    if tag == _SPECIFIC_CHARACTER_SET:
                        texts = level.texts = character_set(text)
                elif kind == "local":
                    text = texts.text(raw)
                else:
                    text = texts.name(raw)
                values = vr.from_text(text)
                if tag in keep:
                    self.text[key] = text
                if check and (len(values) > 1 or tag in plural or not vr.plainly_valid(text)):
                    check.text(tag, vr, f"{path}{key}", text)
            budget -= vr.value_bytes * len(values)
            out[key] = {"vr": vr.name, "Value": values} if values else {"vr": vr.name}
        level.last = last
        self.budget = budget
        return position, need

    def _header(self, level: Level, buffer: bytes, position: int) -> tuple[int, ValueRepresentation, int, int, Coding]:
        """The element that `_leaves` left: tag, VR, where its value starts, its length, and the coding of its items."""
        coding = level.coding
        group, number, length = coding.tag_and_length(buffer, position)
        tag = group << 16 | number
        if coding.implicit or group == 0xFFFE:
            return tag, implicit_vr(tag, level), position + 8, length, coding
        vr = _BY_CODE.get(buffer[position + 4 : position + 6])
        if vr is None:
            raise InvalidPart10("An element has no known value representation.", tag=tag)
        (length,) = coding.length(buffer, position + 8)
        if vr is _UN:  # PS3.5 §6.2.2: of undefined length it is a sequence, and coded in implicit VR in any case
            vr, coding = _SQ if length == _UNDEFINED else relayed_vr(tag, level), IMPLICIT_LITTLE
        return tag, vr, position + 12, length, coding

    def _out_of_order(self, tag: int, level: Level) -> None:
        # A second value could not be told from the first; text before its character set is already decoded.
        if f"{tag:08X}" in level.attributes or tag == _SPECIFIC_CHARACTER_SET:
            raise InvalidPart10("Elements are repeated or in the wrong order.", tag=tag)
        if not any(level.attributes is attributes for attributes in self._unsorted[-1:]):
            self._unsorted.append(level.attributes)

    def _charge(self, weight: int) -> None:
        self.budget -= weight
        if self.budget < 0:
            raise InvalidPart10(TOO_LARGE, final=True)

    def _add(self, level: Level, tag: int, element: dict[str, Any]) -> str:
        """Adds an element that `_leaves` has not; returns its path."""
        self._charge(NODE_BYTES)
        if tag >> 16 in _FOREIGN_GROUPS:
            raise InvalidPart10("The element does not belong into a data set.", tag=tag)
        if tag <= level.last:
            self._out_of_order(tag, level)
        level.last = max(level.last, tag)
        key = f"{tag:08X}"
        level.attributes[key] = element
        return level.path + key

    def _sequence(self, level: Level, tag: int, start: int, length: int, coding: Coding) -> Sequence:
        element: dict[str, Any] = {"vr": "SQ"}
        sequence = Sequence(level, element, coding)
        sequence.path = f"{self._add(level, tag, element)}/"
        sequence.delimited = length == _UNDEFINED
        if not sequence.delimited:
            sequence.end = start + length
        if start > level.end or sequence.end > level.end or sequence.depth > MAX_DEPTH:
            raise InvalidPart10("A sequence is longer than the item that holds it, or nested too deep.")
        return sequence

    def _item(self, sequence: Sequence, start: int, length: int) -> Level:
        self._charge(NODE_BYTES)
        level = Level(sequence.coding, _NOTHING)
        level.delimited = length == _UNDEFINED
        level.end = sequence.end if level.delimited else start + length
        if start > sequence.end or level.end > sequence.end:
            raise InvalidPart10("An item is longer than its sequence.")
        level.sequence, level.texts = sequence, sequence.level.texts
        if not sequence.items:
            sequence.element["Value"] = sequence.items
        sequence.items.append(level.attributes)
        level.path = f"{sequence.path}{len(sequence.items)}/"
        return level

    def _bulk(  # noqa: PLR0917 - all that is known of one element
        self, level: Level, tag: int, vr: ValueRepresentation, buffer: bytes, start: int, length: int
    ) -> Generator[int, bytes, tuple[bytes, int]]:
        """Passes over a bulk value that is not whole in `buffer`, or that pixel data are made of."""
        top = level is self._top
        offset = self._flow.offset + start
        encapsulated = length == _UNDEFINED
        if vr.kind != "bulk" or (not encapsulated and offset + length > level.end):
            raise InvalidPart10("The length of an element is impossible.")
        element = {"vr": vr.name}
        path = self._add(level, tag, element)
        if length:
            element["BulkDataURI"] = path
        if top and tag in _PIXEL_DATA and length:
            self.pixel_data = PixelData(vr.name, offset, None if encapsulated else length)
        if encapsulated:
            fragments = None
            if top and tag in _PIXEL_DATA:
                fragments = self.fragments = Fragments()
            return (yield from self._fragments(level, fragments, buffer, start))
        if top and tag == _EXTENDED_OFFSETS and length % 8 == 0:
            self._charge(length * 5)
            if start + length > len(buffer):
                buffer, start = (yield self._wait(start, length)), 0
            self.extended_offsets = struct.unpack_from(f"{level.coding.order}{length // 8}Q", buffer, start)
        return (yield from self._pass(buffer, start + length))

    def _fragments(
        self, level: Level, fragments: Fragments | None, buffer: bytes, position: int
    ) -> Generator[int, bytes, tuple[bytes, int]]:
        """Passes over the items of an encapsulated value; notes them in `fragments` if given."""
        flow, read_item = self._flow, level.coding.tag_and_length
        first = True
        while True:
            if len(buffer) - position < 8:
                buffer, position = (yield self._wait(position, 8)), 0
            group, number, length = read_item(buffer, position)
            offset = flow.offset + position
            tag = group << 16 | number
            if tag == _SEQUENCE_END and not length and offset + 8 <= level.end:
                if fragments:
                    fragments.end = offset
                return buffer, position + 8
            if tag != _ITEM or length == _UNDEFINED or offset + 8 + length > level.end:
                raise InvalidPart10("Encapsulated data hold something else than fragments.")
            position += 8
            if fragments and first and length % 4 == 0:
                self._charge(length * 10)
                if len(buffer) - position < length:
                    buffer, position = (yield self._wait(position, length)), 0
                fragments.basic_offsets = struct.unpack_from(f"{level.coding.order}{length // 4}L", buffer, position)
            elif fragments and not first:
                self._charge(FRAGMENT_BYTES)
                if len(buffer) - position < min(length, 4):
                    buffer, position = (yield self._wait(position, min(length, 4))), 0
                fragments.offsets.append(offset)
                fragments.codestreams.append(starts_codestream(buffer[position : position + min(length, 4)]))
            first = False
            buffer, position = yield from self._pass(buffer, position + length)

    def _pass(self, buffer: bytes, position: int) -> Generator[int, bytes, tuple[bytes, int]]:
        """Goes on at `position`, which may be beyond the buffer."""
        beyond = position - len(buffer)
        if beyond <= 0:
            return buffer, position
        self._flow.skip = beyond
        return (yield self._wait(len(buffer), 0)), 0
