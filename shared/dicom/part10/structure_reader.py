"""PS3.5 §7 A tolerant reader of the structure of a data set: for files that are not encoded as they say.

Values are not looked at. Never guessed: where a value ends, and which of two elements with one tag is meant. The rules
are STOW-17 to STOW-19 and JSON-12.
"""

from typing import Final

from shared.dicom.part10.encoding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from shared.dicom.part10.limits import MAX_DEPTH
from shared.dicom.part10.model import InvalidPart10
from shared.dicom.part10.structure import BIG_ENDIAN, ENCAPSULATED, ITEM, MOST_NODES, NoItem, Structure
from shared.dicom.part10.value_representations import (
    VALUE_REPRESENTATIONS,
    ValueRepresentation,
    creator_tag,
    implied_vr,
    is_private_creator,
)

_MOST_STEPS: Final = 2 * MOST_NODES
"""Elements that are looked at, those of sequences that turned out to be none included."""
_MOST_ODDITIES: Final = 1 << 10
"""Tags that something is said about: more help nobody."""
_LARGEST: Final = 0xFFFFFFFF
"""Bytes of a file that is read whole."""

_ITEM_END, _SEQUENCE_END = 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED: Final = 0xFFFFFFFF
_PIXEL_REPRESENTATION: Final = 0x00280103
_FOREIGN_GROUPS: Final = frozenset({0x0000, 0x0002})
"""Of commands and file meta information, never of a data set (JSON-12)."""
_NEWLINES: Final = (b"\n", b"\r\n")
_PIECE: Final = 64 * 1024
_SHORT: Final = 64
"""Bytes of the values that the VRs of other elements may depend on."""

_BY_CODE: Final = {vr.name.encode(): vr for vr in VALUE_REPRESENTATIONS.values()}
_SQ, _UN, _OB = VALUE_REPRESENTATIONS["SQ"], VALUE_REPRESENTATIONS["UN"], VALUE_REPRESENTATIONS["OB"]


class _Overrun(InvalidPart10):
    """An item claims more than its sequence, which begins at `sequence`, has."""

    def __init__(self, tag: int, sequence: int) -> None:
        super().__init__("An item of the sequence is longer than the sequence", tag=tag)
        self.sequence = sequence


class _Level:
    """The data set that is being read: the outermost one, or an item."""

    __slots__ = ("coding", "creators", "delimited", "end", "last", "mixed", "signed")

    def __init__(self, coding: Coding, end: int, *, delimited: bool, signed: bool, mixed: bool = False) -> None:
        self.coding = coding
        self.creators: dict[int, str] = {}
        self.delimited = delimited
        self.end = end
        """Of an item that a delimiter ends: that of what is around it."""
        self.last = -1
        """Highest tag so far."""
        self.mixed = mixed
        """Whether elements may be in explicit VR although the first one is not."""
        self.signed = signed


def read_structure(data: bytes, start: int, coding: Coding) -> Structure:
    """The structure of the data set that fills `data` from `start` on and says of itself that it is in `coding`.

    Raises:
        InvalidPart10: it cannot be read as a whole, or is too large.
    """
    if len(data) > _LARGEST:
        raise InvalidPart10("The file is too large to be read whole.", final=True)
    reader = _Reader(data)
    actual = reader.coding_at(start, len(data), coding)
    reader.structure.implicit = actual.implicit
    level = _Level(actual, len(data), delimited=False, signed=False, mixed=actual is not coding)
    reader.elements(start, level, depth=0)
    return reader.structure


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.structure = Structure()
        self._data = data
        self._steps = 0
        self._padded_from = _without_padding(data)
        """Where the zeros at the end of the file begin."""

    # ---- levels

    def coding_at(self, position: int, end: int, coding: Coding) -> Coding:
        """The true encoding of the level whose first element is at `position`; by its parent it is `coding`."""
        if coding is EXPLICIT_BIG or end - position < 8:
            return coding
        code = self._data[position + 4 : position + 6]
        if (code in _BY_CODE) is not coding.implicit or (code.isalpha() and not coding.implicit):
            return coding
        (length,) = IMPLICIT_LITTLE.length(self._data, position + 4)
        group, number, _ = IMPLICIT_LITTLE.tag_and_length(self._data, position)
        level = _Level(IMPLICIT_LITTLE, end, delimited=False, signed=False)
        implicit = self._leads_on(position + 8, length, level, group << 16 | number)
        return IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE

    def elements(self, position: int, level: _Level, depth: int) -> int:
        """Reads the elements of a level from `position` on; returns where it ends."""
        structure, data = self.structure, self._data
        first, ascending, end = len(structure), True, level.end
        while True:
            if position == end and not level.delimited:
                break
            if end - position < 8:
                if level.delimited or not self._is_padding(position, end):
                    raise InvalidPart10("The file or an item ends in the middle of a data element.")
                position = end
                break
            if position >= self._padded_from and depth == 0:
                position = end
                break
            self._step()
            tag, vr, start, length, coding = self._header(position, level)
            if tag >> 16 == 0xFFFE:
                if tag != _ITEM_END or not (level.delimited or start == end) or depth == 0:
                    raise InvalidPart10("A delimiter or an item stands where an element should be.")
                position = start
                break
            node = len(structure)
            if vr is _SQ or (vr is _UN and length == _UNDEFINED):
                position = self._sequence(tag, (start, length), coding, level, depth)
            elif length == _UNDEFINED:
                position = self._fragments(tag, vr, start, level)
            else:
                position = start + length
                if position > end:
                    raise InvalidPart10("The value is longer than what holds it", tag=tag)
                structure.add(tag, vr, start, position, BIG_ENDIAN if coding.order == ">" else 0)
                self._note(tag, data[start:position] if length <= _SHORT else b"", level)
            if tag >> 16 in _FOREIGN_GROUPS or tag & 0xFFFF == 0:
                structure.cut(node)
                continue
            ascending &= tag > level.last
            level.last = max(level.last, tag)
        if not ascending:
            structure.settle(first, data)
        return position

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise InvalidPart10("The data set has too many elements.", final=True)

    def _is_padding(self, position: int, end: int) -> bool:
        rest = self._data[position:end]
        return not rest.strip(b"\0") or (end == len(self._data) and rest in _NEWLINES)

    def _note(self, tag: int, value: bytes, level: _Level) -> None:
        """Remembers what the VRs of other elements depend on."""
        if tag == _PIXEL_REPRESENTATION and value:
            level.signed = value.strip(b"\0") == b"\1"
        elif is_private_creator(tag):
            level.creators[tag] = value.decode("latin-1").strip(" \0")

    # ---- headers

    def _header(self, position: int, level: _Level) -> tuple[int, ValueRepresentation, int, int, Coding]:
        """The element at `position`: tag, VR, where its value begins, its length, and the coding of its value."""
        data, coding = self._data, level.coding
        group, number, length = coding.tag_and_length(data, position)
        tag = group << 16 | number
        code = data[position + 4 : position + 6]
        if level.mixed and coding.implicit and code in _BY_CODE and length > level.end - position - 8:
            coding = EXPLICIT_LITTLE
        if group == 0xFFFE or coding.implicit:
            return tag, self._implied(tag, level), position + 8, length, coding
        vr = _BY_CODE.get(code)
        if vr is None:
            return self._unknown(tag, position, level)
        (length,) = coding.short_length(data, position + 6)
        if not vr.long:
            return tag, vr, position + 8, length, coding
        if level.end - position < 12:
            raise InvalidPart10("The file or an item ends in the middle of a data element", tag=tag)
        (length,) = coding.length(data, position + 8)
        if vr is _UN:  # PS3.5 §6.2.2: what knows less than the dictionary wrote UN; the value is as in implicit VR
            vr = _SQ if length == _UNDEFINED else implied_vr(tag, None, signed=level.signed)
            coding = IMPLICIT_LITTLE
        return tag, vr, position + 12, length, coding

    def _unknown(self, tag: int, position: int, level: _Level) -> tuple[int, ValueRepresentation, int, int, Coding]:
        """An element whose VR no dictionary has (STOW-17)."""
        data, coding = self._data, level.coding
        code = data[position + 4 : position + 6]
        (short,) = coding.short_length(data, position + 6)
        (whole,) = coding.length(data, position + 4)
        implied = self._implied(tag, level)
        value = position + 8
        shortly = (implied, value, short, coding, True)
        silent = (implied, value, whole, IMPLICIT_LITTLE, False)
        if code.isalpha():
            forms = [(_UN, value, short, coding, True)]
            if not short and level.end - position >= 12:
                (long,) = coding.length(data, value)
                forms.insert(0, (_UN, value + 4, long, IMPLICIT_LITTLE, True))
        elif coding is EXPLICIT_BIG:
            forms = [shortly]
        else:
            forms = [shortly, silent] if _is_printable(code) else [silent, shortly]
        for vr, start, length, inner, odd in forms:
            if self._leads_on(start, length, level, tag):
                if odd:
                    self._odd(tag, "The value representation is not known")
                return tag, vr, start, length, inner
        raise InvalidPart10("The value representation is not known, and no length fits it", tag=tag)

    def _implied(self, tag: int, level: _Level) -> ValueRepresentation:
        return implied_vr(tag, level.creators.get(creator_tag(tag) or 0), signed=level.signed)

    def _leads_on(self, start: int, length: int, level: _Level, tag: int) -> bool:
        """Whether a value of this length is followed by an element, or by the end of its level."""
        data, end = self._data, level.end
        if length == _UNDEFINED:
            group, number, _ = level.coding.tag_and_length(data, start) if end - start >= 8 else (0, 0, 0)
            return group << 16 | number in {ITEM, _SEQUENCE_END}
        position = start + length
        if position >= end:
            return position == end and not level.delimited
        if position >= self._padded_from:
            return not level.delimited
        if end - position < 8:
            return not level.delimited and self._is_padding(position, end)
        return self._looks_like_element(position, level, tag)

    def _looks_like_element(self, position: int, level: _Level, last: int) -> bool:
        data, coding, end = self._data, level.coding, level.end
        group, number, whole = coding.tag_and_length(data, position)
        tag = group << 16 | number
        if group == 0xFFFE:
            return tag == _ITEM_END and (level.delimited or position + 8 == end)
        room = end - position - 8
        if coding.implicit:
            fits: bool = whole <= room or whole == _UNDEFINED
            return fits and (tag > last or self._implied(tag, level) is not _UN)
        vr = _BY_CODE.get(data[position + 4 : position + 6])
        (short,) = coding.short_length(data, position + 6)
        if vr is not None and vr.long:
            (long,) = coding.length(data, position + 8) if room >= 4 else (_UNDEFINED - 1,)
            return bool(long <= room - 4 or long == _UNDEFINED)
        return bool(short <= room) if vr is not None else tag > last and min(short, whole) <= room

    def _odd(self, tag: int, explanation: str) -> None:
        if len(self.structure.oddities) < _MOST_ODDITIES:
            self.structure.oddities.setdefault(tag, explanation)

    # ---- what has structure

    def _sequence(self, tag: int, value: tuple[int, int], coding: Coding, level: _Level, depth: int) -> int:
        """Reads a sequence whose value is at (start, length), or takes it for a value of unknown VR (STOW-18)."""
        start, length = value
        if depth == MAX_DEPTH:
            raise InvalidPart10("Sequences are nested too deep", tag=tag, final=True)
        structure = self.structure
        node, oddities = structure.add(tag, _SQ, start, start), len(structure.oddities)
        if length == _UNDEFINED:
            end, position = self._items(start, level.end, coding, level, depth, delimited=True)
            structure.close(node, end)
            return position
        end = start + length
        if end > level.end:
            raise InvalidPart10("The sequence is longer than what holds it", tag=tag)
        said_so = level.coding.implicit or self._data[start - 8 : start - 6] == b"SQ"
        guessed = not said_so or (tag & 0x10000 and level.coding.implicit)
        try:
            self._items(start, end, coding, level, depth, delimited=False)
        except InvalidPart10 as fault:
            overrun = isinstance(fault, _Overrun) and fault.sequence == start
            if fault.final or not (overrun or guessed):
                raise
            structure.cut(node)
            for inner in list(structure.oddities)[oddities:]:
                del structure.oddities[inner]
            structure.add(tag, _UN, start, end)
            self._odd(tag, "The items of the sequence cannot be read")
            return end
        structure.close(node, end)
        return end

    def _items(
        self, start: int, end: int, coding: Coding, level: _Level, depth: int, *, delimited: bool
    ) -> tuple[int, int]:
        """Reads the items of a sequence; returns where its value ends, and where what follows begins."""
        position = start
        while delimited or position != end:
            if end - position < 8:
                raise InvalidPart10("A sequence ends in the middle of an item.")
            self._step()
            group, number, length = coding.tag_and_length(self._data, position)
            tag, header = group << 16 | number, position
            position += 8
            if tag == _SEQUENCE_END:
                if not delimited and position != end:
                    raise InvalidPart10("A sequence goes on behind its end.")
                return header, position
            if tag == _ITEM_END:  # behind an item that has a length as well
                continue
            if tag != ITEM:
                raise NoItem
            open_ended = length == _UNDEFINED
            if not open_ended and length > end - position:
                raise _Overrun(tag, start)
            stop = end if open_ended else position + length
            node = self.structure.add(ITEM, _SQ, position, position)
            actual = self.coding_at(position, stop, coding)
            inner = _Level(actual, stop, delimited=open_ended, signed=level.signed, mixed=actual is not coding)
            position = self.elements(position, inner, depth + 1)
            self.structure.close(node, position)
        return position, position

    def _fragments(self, tag: int, vr: ValueRepresentation, start: int, level: _Level) -> int:
        """Passes over an encapsulated value; returns where what follows begins."""
        if vr.kind != "bulk":
            raise InvalidPart10("The value has no length", tag=tag)
        position, read_item = start, level.coding.tag_and_length
        while level.end - position >= 8:
            self._step()
            group, number, length = read_item(self._data, position)
            item = group << 16 | number
            if item == _SEQUENCE_END:
                self.structure.add(tag, _OB if level.coding.implicit else vr, start, position, ENCAPSULATED)
                return position + 8
            if item != ITEM or length > level.end - position - 8:
                break
            position += 8 + length
        raise InvalidPart10("The value holds something else than fragments", tag=tag)


def _without_padding(data: bytes) -> int:
    """Bytes of the data without the zeros at their end."""
    end = len(data)
    while end and not (piece := data[max(end - _PIECE, 0) : end].rstrip(b"\0")):
        end = max(end - _PIECE, 0)
    return end and max(end - _PIECE, 0) + len(piece)


def _is_printable(code: bytes) -> bool:
    return all(0x20 <= letter < 0x7F for letter in code)
