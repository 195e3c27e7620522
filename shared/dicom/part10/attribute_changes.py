"""PS3.10 §7 A Part 10 file with other values of some attributes: all else stays as it is, byte for byte (UPD-20).

Only the beginning of a file is read and written anew, up to the last attribute that changes; what follows, the pixel
data among it, is copied by whoever writes the file. Besides the attributes change what would be wrong otherwise: the
implementation that wrote the file (UPD-21), lengths of groups that have them, and the character set where the file has
no way to write a value and nothing but ASCII in it.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import keyword_of, vr_of
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.composer import value_text
from shared.dicom.part10.encoding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from shared.dicom.part10.explicit_little_endian import encoded, header
from shared.dicom.part10.file_meta import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    FileMeta,
    read_file_meta,
)
from shared.dicom.part10.file_reader import Part10Reader
from shared.dicom.part10.inflating import inflated
from shared.dicom.part10.limits import ODD_INFLATED_BYTES
from shared.dicom.part10.model import InvalidPart10
from shared.dicom.part10.outermost_elements import Element, actual_coding, outermost_elements
from shared.dicom.part10.text_encoding import UTF_8, encode_text
from shared.dicom.part10.uid_changes import OWN_UIDS, UidChanges, UidWriter, head
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS
from shared.dicom.transfer_syntaxes import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN

_SYNTAXES: Final = {
    EXPLICIT_LITTLE: EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE: IMPLICIT_LITTLE_ENDIAN,
    EXPLICIT_BIG: EXPLICIT_BIG_ENDIAN,
}
_UNDEFINED: Final = 0xFFFFFFFF
_META: Final = 132
_INSTANCE_UID, _CLASS_UID, _VERSION_NAME = 0x00020003, 0x00020012, 0x00020013
_LAST_BEFORE_PIXELS: Final = 0x7FDFFFFF
"""Private attributes may stand before FloatPixelData (7FE0,0008), and nothing else may."""
_LAST_OF_ALL: Final = 0xFFFFFFFF
_CHARACTER_SET: Final = 0x00080005
_SEQUENCE_END: Final = 8
"""Bytes of the delimiter of a sequence."""
_ODD: Final = "The file is not encoded as it says."


class CannotChange(Exception):
    """The file cannot be written with the new values. The text names no values."""


class MoreNeeded(Exception):
    """The part of the file that was given does not reach as far as the changes."""


@dataclass(frozen=True, slots=True)
class AttributeChanges:
    """The changes to a data set, at its outermost level."""

    values: Mapping[int, Sequence[object]]
    """New values of text attributes by tag, in the DICOM JSON model; none: the attribute is there without a value."""
    record: "ModificationRecord | None" = None
    """Notes in the file that attributes were changed."""
    uids: UidChanges | None = None
    """Other UIDs, before the pixel data at every level."""

    @property
    def last(self) -> int:
        """The highest tag that is written."""
        if self.uids is not None:
            return _LAST_BEFORE_PIXELS
        return max([*self.values, *([_ORIGINAL_ATTRIBUTES] if self.record else [])])


@dataclass(frozen=True, slots=True)
class ModificationRecord:
    """The content of an item of OriginalAttributesSequence (PS3.3 §C.12.1), beside the values that were replaced."""

    system: str
    time: str
    """Of VR DT."""
    reason: str
    """Of VR CS."""
    former_identifiers: tuple[int, ...] = ()
    """Attributes whose replaced values become an item of OtherPatientIDsSequence, if there are any."""


_ORIGINAL_ATTRIBUTES, _MODIFIED_ATTRIBUTES = 0x04000561, 0x04000550
_MODIFIED_AT, _SYSTEM, _SOURCE, _REASON = 0x04000562, 0x04000563, 0x04000564, 0x04000565
_OTHER_PATIENT_IDS: Final = 0x00101002


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file with changes, as what is to be written before bytes of the old one."""

    head: bytes
    """All before what is copied."""
    copied_from: int
    """The offset in the old file from which on it is copied, to its end."""
    attributes: Attributes = field(repr=False)
    """The attributes that were written, in the DICOM JSON model."""

    @property
    def shift(self) -> int:
        """By how many bytes what is copied has moved towards the end."""
        return len(self.head) - self.copied_from


def changed_file(data: bytes, length: int, changes: AttributeChanges, metadata: Attributes) -> ChangedFile:
    """The file that begins with `data`, or is `data` if that is all of its `length` bytes, with `changes`.

    `metadata` is what is known of its data set, without bulk values.

    Raises:
        MoreNeeded: the changes lie beyond what was given.
        CannotChange: the file cannot be read, or has no way to write a value.
    """
    whole = len(data) == length
    try:
        meta, start = read_file_meta(data)
        if meta.deflated:
            return _deflated(data, start, meta, changes, metadata) if whole else _more()
        elements, rest = _elements(data, start, meta.coding, changes, metadata, whole=whole)
    except InvalidPart10:
        if not whole:
            raise MoreNeeded from None
        raise CannotChange(_ODD) from None
    if elements is None:
        raise MoreNeeded
    coding = actual_coding(data, elements, meta.coding)
    body, written = _DataSet(data, coding, elements, changes, metadata).changed(start, rest)
    return ChangedFile(_changed_meta(data, start, changes) + body, rest, written)


def _elements(
    data: bytes, start: int, coding: Coding, changes: AttributeChanges, metadata: Attributes, *, whole: bool
) -> tuple[list[Element] | None, int]:
    """The elements up to the last one that changes, or all of them where one of those is behind the place of its tag:
    the value that is there must not stay beside the new one. Else as `outermost_elements`.

    Raises InvalidPart10; CannotChange for one that is behind the pixel data, which must not move against what it is.
    """
    elements, rest = outermost_elements(data, start, coding, changes.last, whole=whole)
    if elements is not None and _lack(elements, changes, metadata):
        elements, rest = outermost_elements(data, start, coding, _LAST_OF_ALL, whole=whole)
    if elements is not None:
        pixels = min((each.start for each in elements if each.tag > _LAST_BEFORE_PIXELS), default=len(data))
        behind = any(each.start > pixels for each in elements if each.tag in changes.values)
        if behind or _lack(elements, changes, metadata):
            raise CannotChange("Its elements are not in the order of their tags.")
    return elements, rest


def _lack(elements: Sequence[Element], changes: AttributeChanges, metadata: Attributes) -> bool:
    """Whether an attribute that changes is not among the elements, although the data set has it."""
    found = {element.tag for element in elements}
    return any(f"{tag:08X}" in metadata and tag not in found for tag in changes.values)


def _more() -> ChangedFile:
    raise MoreNeeded


def _deflated(data: bytes, start: int, meta: FileMeta, changes: AttributeChanges, metadata: Attributes) -> ChangedFile:
    """PS3.5 §A.5: such a data set is one stream, which is written anew as a whole."""
    try:
        plain, complete = inflated(memoryview(data)[start:], ODD_INFLATED_BYTES)
    except zlib.error:
        raise CannotChange(_ODD) from None
    if not complete:
        raise CannotChange("The data set is too large when it is inflated.")
    elements, rest = _elements(plain, 0, meta.coding, changes, metadata, whole=True)
    if elements is None:
        raise CannotChange(_ODD)
    body, written = _DataSet(plain, meta.coding, elements, changes, metadata).changed(0, rest)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(body) + packer.compress(memoryview(plain)[rest:]) + packer.flush()
    return ChangedFile(_changed_meta(data, start, changes) + stream + bytes(len(stream) % 2), len(data), written)


def _changed_meta(data: bytes, start: int, changes: AttributeChanges) -> bytes:
    """Preamble and file meta information; those who wrote the file are we (UPD-21)."""
    own = {
        _CLASS_UID: encoded(_CLASS_UID, b"UI", _padded(IMPLEMENTATION_CLASS_UID.encode(), b"\0")),
        _VERSION_NAME: encoded(_VERSION_NAME, b"SH", _padded(IMPLEMENTATION_VERSION_NAME.encode(), b" ")),
    }
    pieces: dict[int, bytes] = {}
    at = _META
    while at < start:
        tag, _, value, size = header(data, at, EXPLICIT_LITTLE)
        pieces[tag] = data[at : value + size]
        at = value + size
    if changes.uids is not None and _INSTANCE_UID in pieces:
        (*_, value, _) = header(pieces[_INSTANCE_UID], 0, EXPLICIT_LITTLE)
        uid = pieces[_INSTANCE_UID][value:].decode("latin-1").strip(" \0")
        own[_INSTANCE_UID] = encoded(_INSTANCE_UID, b"UI", _padded(changes.uids.uids.get(uid, uid).encode(), b"\0"))
    pieces |= own
    pieces.pop(0x00020000, None)
    group = b"".join(pieces[tag] for tag in sorted(pieces))
    return data[:_META] + encoded(0x00020000, b"UL", struct.pack("<L", len(group))) + group


def _padded(value: bytes, padding: bytes) -> bytes:
    return value + padding * (len(value) % 2)


class _DataSet:
    """The part of a data set that is written anew."""

    def __init__(
        self,
        data: bytes,
        coding: Coding,
        elements: Sequence[Element],
        changes: AttributeChanges,
        metadata: Attributes,
    ) -> None:
        self._data = data
        self._coding = coding
        self._elements = elements
        self._changes = changes
        self._metadata = metadata
        self._present = {element.tag: element for element in elements}

    def changed(self, start: int, rest: int) -> tuple[bytes, Attributes]:
        """The elements from `start` to `rest` with the changes, and those that are new in the DICOM JSON model."""
        character_set, written = self._encoded_values()
        if self._changes.record is not None:
            written |= self._recorded(self._changes.record)
        written |= self._other_uids(written)
        lengths: dict[int, int] = {}
        for tag, raw in written.items():
            old = sum(element.end - element.start for element in self._elements if element.tag == tag)
            lengths[tag >> 16] = lengths.get(tag >> 16, 0) + len(raw) - old
        pieces: list[bytes] = []
        pending, at = sorted(written), start
        for element in self._elements:
            pieces.append(self._data[at : element.start])  # what a tolerant reader has passed over
            at = element.end
            while pending and pending[0] < element.tag:
                pieces.append(written[pending.pop(0)])
            if element.tag & 0xFFFF == 0 and (moved := lengths.get(element.tag >> 16)):
                pieces.append(self._moved_length(element, moved))
            elif element.tag not in written:
                pieces.append(self._data[element.start : element.end])
        pieces += [written[tag] for tag in pending]
        pieces.append(self._data[at:rest])
        return b"".join(pieces), self._read(character_set, written)

    def _moved_length(self, element: Element, moved: int) -> bytes:
        """A group length (PS3.5 §7.2) that counts what was added to its group."""
        raw = self._data[element.start : element.end]
        if element.end - element.value != 4:
            return raw
        (length,) = self._coding.length(self._data, element.value)
        return raw[:-4] + struct.pack(f"{self._coding.order}L", (length + moved) % (1 << 32))

    def _encoded_values(self) -> tuple[str, dict[int, bytes]]:
        """The text of (0008,0005), and the encoded elements."""
        character_set = self._character_set()
        texts = {tag: self._text(tag, values) for tag, values in self._changes.values.items()}
        written = {tag: _encoded_text(*text, character_set) for tag, text in texts.items()}
        own: dict[int, bytes] = {}
        if any(raw is None for raw in written.values()):
            if not self._is_ascii():
                raise CannotChange(
                    f"Its character set has no way to write the new value of {_names(written)}, and it has other text."
                )
            character_set = UTF_8
            written = {tag: _encoded_text(*text, character_set) for tag, text in texts.items()}
            own[_CHARACTER_SET] = self._element(_CHARACTER_SET, b"CS", character_set.encode())
        for tag, raw in written.items():
            vr = texts[tag][0]
            own[tag] = self._element(tag, vr.encode(), raw or b"")
        return character_set, own

    @staticmethod
    def _text(tag: int, values: Sequence[object]) -> tuple[str, str]:
        vr = _vr(tag)
        return vr, value_text(vr, values)

    def _character_set(self) -> str:
        element = self._present.get(_CHARACTER_SET)
        return self._data[element.value : element.end].decode("latin-1").rstrip(" \0") if element else ""

    def _is_ascii(self) -> bool:
        """Whether the data set has no text but ASCII beside what is replaced."""
        replaced = {f"{tag:08X}" for tag in self._changes.values}
        return _only_ascii([value for key, value in self._metadata.items() if key not in replaced])

    def _element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        value = _padded(value, b" ")
        return head(self._coding, tag, vr, len(value)) + value

    def _other_uids(self, written: Mapping[int, bytes]) -> dict[int, bytes]:
        """The elements that have other UIDs. What is recorded of earlier changes stays as it is."""
        if self._changes.uids is None:
            return {}
        writer, found = UidWriter(self._data, self._coding, self._changes.uids), {}
        try:
            for element in self._elements:
                if element.tag not in written and element.tag != _ORIGINAL_ATTRIBUTES:
                    raw = writer.outermost(element)
                    if raw is not None:
                        found[element.tag] = raw
        except (Unconvertible, struct.error, IndexError):
            raise CannotChange(_ODD) from None
        return found

    # ---- the record of what was changed

    def _recorded(self, record: ModificationRecord) -> dict[int, bytes]:
        tags = {*self._changes.values, *(OWN_UIDS if self._changes.uids else ())}
        changed = [self._present[tag] for tag in sorted(tags) if tag in self._present]
        before = b"".join(self._data[element.start : element.end] for element in changed)
        item = b"".join(
            (
                self._element(_MODIFIED_ATTRIBUTES, b"SQ", self._item(before)),
                self._element(_MODIFIED_AT, b"DT", record.time.encode()),
                self._element(_SYSTEM, b"LO", record.system.encode()),
                self._element(_SOURCE, b"LO", b""),
                self._element(_REASON, b"CS", record.reason.encode()),
            )
        )
        sequences = {_ORIGINAL_ATTRIBUTES: self._with_item(_ORIGINAL_ATTRIBUTES, item)}
        former = [
            element for element in changed if element.tag in record.former_identifiers and element.end > element.value
        ]
        if any(element.tag == record.former_identifiers[0] for element in former):
            raw = b"".join(self._data[element.start : element.end] for element in former)
            sequences[_OTHER_PATIENT_IDS] = self._with_item(_OTHER_PATIENT_IDS, raw)
        return sequences

    def _item(self, content: bytes) -> bytes:
        return struct.pack(f"{self._coding.order}HHL", 0xFFFE, 0xE000, len(content)) + content

    def _with_item(self, tag: int, content: bytes) -> bytes:
        """A sequence with one more item; those that it has stay as they are."""
        element = self._present.get(tag)
        if element is None or element.end == element.value:
            return self._element(tag, b"SQ", self._item(content))
        if element.vr not in {b"", b"SQ"}:
            raise CannotChange("A sequence that records former values is not encoded as one.")
        raw, item = self._data[element.start : element.end], self._item(content)
        if element.undefined:
            return raw[:-_SEQUENCE_END] + item + raw[-_SEQUENCE_END:]
        return self._element(tag, b"SQ", self._data[element.value : element.end] + item)

    # ---- reading what was written

    def _read(self, character_set: str, written: Mapping[int, bytes]) -> Attributes:
        """The new elements as a reader of the file reads them: what a store of the file would have found."""
        group = encoded(0x00020010, b"UI", _padded(_SYNTAXES[self._coding].encode(), b"\0"))
        prefix = bytes(128) + b"DICM" + encoded(0x00020000, b"UL", struct.pack("<L", len(group))) + group
        elements = dict(written)
        if character_set and _CHARACTER_SET not in elements:
            elements[_CHARACTER_SET] = self._element(_CHARACTER_SET, b"CS", character_set.encode("latin-1"))
        reader = Part10Reader(strict=False)
        try:
            reader.feed(prefix + b"".join(elements[tag] for tag in sorted(elements)))
            attributes = reader.finish().attributes
        except InvalidPart10:
            raise CannotChange("What is to be written cannot be read.") from None
        return {key: value for key, value in attributes.items() if int(key, 16) in written}


def _vr(tag: int) -> str:
    return (vr_of(tag) or "UN").partition("/")[0]


def _encoded_text(vr: str, text: str, character_set: str) -> bytes | None:
    kind = VALUE_REPRESENTATIONS[vr].kind
    if kind == "text":
        return text.encode("ascii") if text.isascii() else None
    return encode_text(text, character_set, name=kind == "name")


def _names(written: Mapping[int, bytes | None]) -> str:
    return ", ".join(keyword_of(tag) or f"{tag:08X}" for tag, raw in written.items() if raw is None)


def _only_ascii(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() and "\x1b" not in value
    if isinstance(value, Mapping):
        return all(map(_only_ascii, value.values()))
    return all(map(_only_ascii, value)) if isinstance(value, list) else True
