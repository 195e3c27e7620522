"""PS3.5 §7.5 Elements of a data set whose UIDs become others, at every level of nesting, in any coding.

What does not hold one of these UIDs stays as it is, byte for byte.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.dicom.dictionary import vr_of
from shared.dicom.errors import Unconvertible
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.encoding import Coding
from shared.dicom.part10.explicit_little_endian import header, past_sequence
from shared.dicom.part10.outermost_elements import Element
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS

STUDY: Final = 0x0020000D
OWN_UIDS: Final = (0x00080018, STUDY, 0x0020000E)
"""SOPInstanceUID, StudyInstanceUID, SeriesInstanceUID: what an instance is, in the order of their tags."""
_REFERENCED_SERIES: Final = 0x00081115
_ITEM, _ITEM_END = 0xFFFEE000, 0xFFFEE00D
_UNDEFINED: Final = 0xFFFFFFFF
_DELIMITER: Final = 8
"""Bytes of what ends an item, or a sequence."""
_LONG: Final = frozenset(name.encode() for name, vr in VALUE_REPRESENTATIONS.items() if vr.long)
_ODD: Final = "The file is not encoded as it says."


@dataclass(frozen=True, slots=True)
class UidChanges:
    """The UIDs of series and instances that move from one study into another."""

    uids: Mapping[str, str]
    """Old to new, of series and instances."""
    source: str
    """StudyInstanceUID of the study that they leave."""
    target: str
    """Of the one that they come into. Items that refer to what moves name it; those that refer to what stays do not."""

    def identifier(self, before: InstanceIdentifier) -> InstanceIdentifier | None:
        """The new identifier of an instance that moves; None: it stays."""
        if before.series_instance_uid not in self.uids or before.sop_instance_uid not in self.uids:
            return None
        return InstanceIdentifier(
            self.target, self.uids[before.series_instance_uid], self.uids[before.sop_instance_uid]
        )


def head(coding: Coding, tag: int, vr: bytes, length: int) -> bytes:
    """The header of an element."""
    if coding.implicit:
        return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
    if vr in _LONG:
        return struct.pack(f"{coding.order}HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)
    return struct.pack(f"{coding.order}HH2sH", tag >> 16, tag & 0xFFFF, vr, length)


class UidWriter:
    """Writes elements of `data` anew. Every method raises Unconvertible or struct.error for what cannot be read."""

    def __init__(self, data: bytes, coding: Coding, changes: UidChanges) -> None:
        self._data = data
        self._coding = coding
        self._changes = changes

    def outermost(self, element: Element) -> bytes | None:
        """An element of the data set itself; None if none of its UIDs change."""
        if element.tag == STUDY:
            return self._study(element)
        return self._changed(element)

    def _changed(self, element: Element) -> bytes | None:
        if self._is_sequence(element):
            return self._sequence(element)
        if element.tag == STUDY or (element.vr not in {b"UI", b"UN"} and not self._coding.implicit):
            return None
        texts = self._texts(element)
        changed = [self._changes.uids.get(text, text) for text in texts]
        return None if changed == texts else self._uids(element, changed)

    def _texts(self, element: Element) -> list[str]:
        raw = self._data[element.value : element.end]
        return [text.strip(" \0") for text in raw.decode("latin-1").split("\\")]

    def _uids(self, element: Element, texts: Sequence[str]) -> bytes:
        value = "\\".join(texts).encode("latin-1")
        value += b"\0" * (len(value) % 2)
        return head(self._coding, element.tag, element.vr, len(value)) + value

    def _study(self, element: Element) -> bytes | None:
        return self._uids(element, [self._changes.target]) if self._texts(element) == [self._changes.source] else None

    # ---- sequences

    def _is_sequence(self, element: Element) -> bool:
        if element.vr == b"SQ":
            return True
        return self._coding.implicit and (element.undefined or vr_of(element.tag) == "SQ")

    def _sequence(self, element: Element) -> bytes | None:
        items = [(raw, self._item(elements, raw)) for raw, elements in self._items(element)]
        if all(changed is None for _, changed in items):
            return None
        return self._of_items(element, [piece for raw, changed in items for piece in changed or (raw,)])

    def _of_items(self, element: Element, items: Sequence[bytes]) -> bytes:
        content = b"".join(items)
        if element.undefined:
            end = self._data[element.end - _DELIMITER : element.end]
            return self._data[element.start : element.value] + content + end
        return head(self._coding, element.tag, element.vr, len(content)) + content

    def _items(self, element: Element) -> Iterator[tuple[bytes, list[Element]]]:
        """The items of a sequence: as they are, and their elements."""
        at, end = element.value, element.end - _DELIMITER * element.undefined
        while at < end:
            start = at
            tag, _, value, size = header(self._data, at, self._coding)
            if tag != _ITEM:
                raise Unconvertible(_ODD)
            elements, at = self._elements(value, None if size == _UNDEFINED else value + size)
            yield self._data[start:at], elements

    def _elements(self, at: int, end: int | None) -> tuple[list[Element], int]:
        """The elements of an item, which ends at `end` or at its delimiter, and where what follows it begins."""
        found: list[Element] = []
        while end is None or at < end:
            tag, vr, value, size = header(self._data, at, self._coding)
            if tag == _ITEM_END and end is None:
                return found, value
            undefined = size == _UNDEFINED
            if undefined and not self._coding.implicit and vr != b"SQ":
                raise Unconvertible("A sequence has an item with a value that is no sequence and has no length.")
            after = past_sequence(self._data, value, self._coding, depth=1) if undefined else value + size
            if after > len(self._data) or (end is not None and after > end):
                raise Unconvertible(_ODD)
            found.append(Element(tag, vr, at, value, after, undefined))
            at = after
        return found, at

    def _item(self, elements: Sequence[Element], raw: bytes) -> list[bytes] | None:
        """An item with other UIDs; it becomes two where it refers to series that move and to others of their study."""
        changed = {element.tag: new for element in elements if (new := self._changed(element)) is not None}
        if not changed:
            return None
        study = next((element for element in elements if element.tag == STUDY), None)
        renamed = self._study(study) if study else None
        if renamed is None:
            return [self._of_elements(elements, changed, raw)]
        moved = {**changed, STUDY: renamed}
        series = next((element for element in elements if element.tag == _REFERENCED_SERIES), None)
        if series is None or not self._is_sequence(series):
            return [self._of_elements(elements, moved, raw)]
        items = [(one, self._item(inner, one)) for one, inner in self._items(series)]
        staying = [one for one, new in items if new is None]
        if not staying or len(staying) == len(items):
            return [self._of_elements(elements, moved, raw)]
        following = [piece for _, new in items for piece in new or ()]
        return [
            self._of_elements(elements, {_REFERENCED_SERIES: self._of_items(series, staying)}, raw),
            self._of_elements(elements, {**moved, _REFERENCED_SERIES: self._of_items(series, following)}, raw),
        ]

    def _of_elements(self, elements: Sequence[Element], changed: Mapping[int, bytes], raw: bytes) -> bytes:
        """An item of these elements. Group lengths, which are retired in items, are left out: they would be wrong."""
        content = b"".join(
            changed.get(element.tag, self._data[element.start : element.end])
            for element in elements
            if element.tag & 0xFFFF
        )
        (length,) = self._coding.length(raw, 4)
        if length == _UNDEFINED:
            return raw[:_DELIMITER] + content + raw[-_DELIMITER:]
        return struct.pack(f"{self._coding.order}HHL", 0xFFFE, 0xE000, len(content)) + content
