"""PS3.10 §7, PS3.18 §10.5 A Part 10 file composed of metadata in the DICOM JSON model and of bulk values (STOW-16).

The file is in Explicit VR Little Endian, or in the compressed transfer syntax that (0002,0010) names. It is composed as
a list of pieces: bytes, and references to values that are elsewhere, so that none of these is ever held.
"""

import base64
import binascii
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

import orjson

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import vr_of
from shared.dicom.elements import first_text
from shared.dicom.identifiers import trim_uid
from shared.dicom.media_types import OCTET_STREAM
from shared.dicom.part10.explicit_little_endian import encoded, encoded_head
from shared.dicom.part10.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.dicom.part10.limits import MOST_VALUES
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS, ValueRepresentation
from shared.dicom.reasons import FailureReason
from shared.dicom.transfer_syntaxes import DEFLATED_REFERENCES, EXPLICIT_LITTLE_ENDIAN, NATIVE

_UNDEFINED: Final = 0xFFFFFFFF
_LONGEST: Final = _UNDEFINED - 1
_SHORT_LIMIT: Final = 0xFFFE
_MAX_DEPTH: Final = 64
_LEVELS_OF_JSON: Final = 4
"""Objects and arrays of one level of sequences: its data set, an element, its values, and an item."""
_AT_ONE_GO: Final = 4096
"""Values that are looked at with the interpreter's lock held."""
_DS_LENGTH: Final = 16

_ITEM_TAG: Final = b"\xfe\xff\x00\xe0"
_ITEM: Final = _ITEM_TAG + b"\xff\xff\xff\xff"
_ITEM_END: Final = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_NO_OFFSETS: Final = _ITEM_TAG + b"\x00\x00\x00\x00"

_PIXEL_DATA: Final = "7FE00010"
_PIXELS: Final = frozenset({"7FE00008", "7FE00009", _PIXEL_DATA})
_CHARACTER_SET: Final = "00080005"
_UTF_8: Final = {"vr": "CS", "Value": ["ISO_IR 192"]}

_KEPT_META: Final = ("00020016", "00020017", "00020018", "00020100", "00020102")
"""The elements of the file meta information that are the sender's."""
_PADDED_WITH_NUL: Final = frozenset({"UI", "OB", "UN"})


class CannotCompose(Exception):
    """The instance fails with `reason`. The text names no values."""

    def __init__(self, text: str, reason: FailureReason = FailureReason.CANNOT_UNDERSTAND) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BulkPart:
    """A bulk value, or a frame of one, that came with the metadata."""

    length: int
    head: bytes
    """Its first 4 bytes."""
    tail: bytes
    """Its last 8 bytes."""
    media_type: str = OCTET_STREAM
    """Of its Content-Type, in lower case."""
    transfer_syntax_uid: str = ""
    """Of its Content-Type; empty: it says none."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Stands for the bytes of a bulk part."""

    uri: str
    number: int
    """Of the parts with that location, from 0."""


type Piece = bytes | Reference
type FindParts = Callable[[str], Sequence[BulkPart]]
"""The parts whose location is the argument, in the order in which they came."""


def compose(metadata: Attributes, find: FindParts) -> list[Piece]:
    """The file of one instance. `metadata` may hold elements of group 0002.

    Raises:
        CannotCompose: a bulk value is missing, or the data set cannot be encoded.
    """
    meta = {key: element for key, element in metadata.items() if key.startswith("0002")}
    dataset = {key: element for key, element in metadata.items() if not key.startswith(("0000", "0002"))}
    syntax = _transfer_syntax(meta, has_pixels=not _PIXELS.isdisjoint(dataset))
    if not _is_ascii(dataset):
        dataset = {**_without_character_set(dataset), _CHARACTER_SET: _UTF_8}
    composer = _Composer(find, encapsulated=syntax not in NATIVE)
    composer.data_set(dataset, depth=0)
    return _merged_bytes([_file_meta(meta, dataset, syntax), *composer.pieces])


def encoded_data_set(dataset: Attributes) -> bytes:
    """The elements of a data set without bulk values; its text is in UTF-8, and says so where that matters.

    Raises:
        CannotCompose: it cannot be encoded.
    """
    if not _is_ascii(dataset):
        dataset = {**_without_character_set(dataset), _CHARACTER_SET: _UTF_8}
    composer = _Composer(lambda _: (), encapsulated=False)
    composer.data_set(dataset, depth=0)
    return b"".join(piece for piece in composer.pieces if isinstance(piece, bytes))


def file_head(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The bytes before the data set of a file in Explicit VR Little Endian."""
    uids = (("00080016", sop_class_uid), ("00080018", sop_instance_uid))
    return _file_meta({}, {key: {"vr": "UI", "Value": [uid]} for key, uid in uids}, EXPLICIT_LITTLE_ENDIAN)


def _transfer_syntax(meta: Attributes, *, has_pixels: bool) -> str:
    """The syntax of the file. Values come in little endian, so of the uncompressed ones there is but one (W-15)."""
    syntax = trim_uid(first_text(meta, "00020010") or "")
    if not syntax:
        if has_pixels:
            raise CannotCompose("The transfer syntax of the pixel data is not known.")
        return EXPLICIT_LITTLE_ENDIAN
    if syntax in DEFLATED_REFERENCES:
        raise CannotCompose("The transfer syntax is not supported.", FailureReason.TRANSFER_SYNTAX_NOT_SUPPORTED)
    return EXPLICIT_LITTLE_ENDIAN if syntax in NATIVE else syntax


def _file_meta(meta: Attributes, dataset: Attributes, syntax: str) -> bytes:
    elements: Attributes = {key: meta[key] for key in _KEPT_META if key in meta}
    for key, vr, text in (
        ("00020002", "UI", trim_uid(first_text(dataset, "00080016") or "")),
        ("00020003", "UI", trim_uid(first_text(dataset, "00080018") or "")),
        ("00020010", "UI", syntax),
        ("00020012", "UI", IMPLEMENTATION_CLASS_UID),
        ("00020013", "SH", IMPLEMENTATION_VERSION_NAME),
    ):
        elements[key] = {"vr": vr, "Value": [text]} if text else {"vr": vr}
    elements["00020001"] = {"vr": "OB", "InlineBinary": "AAE="}
    composer = _Composer(lambda _: (), encapsulated=False)
    composer.data_set(elements, depth=0)
    group = b"".join(piece for piece in composer.pieces if isinstance(piece, bytes))
    return bytes(128) + b"DICM" + encoded(0x00020000, b"UL", struct.pack("<L", len(group))) + group


def _is_ascii(value: Any, depth: int = 0) -> bool:
    """Whether all text of a data set is. Looked at in steps: to write it as one text would hold the interpreter's lock
    for long (STOW-46).
    """
    if depth > _LEVELS_OF_JSON * _MAX_DEPTH:
        raise CannotCompose("Sequences are nested too deep.")
    if isinstance(value, dict):
        return all(_is_ascii(inner, depth + 1) for inner in value.values())
    if isinstance(value, list):
        return all(
            all(_is_ascii(each, depth + 1) for each in some) if _is_nested(some) else _is_ascii_text(some)
            for some in batched(value, _AT_ONE_GO, strict=False)
        )
    return _is_ascii_text(value)


def _is_nested(values: Sequence[Any]) -> bool:
    return any(isinstance(value, dict | list) for value in values)


def _is_ascii_text(value: Any) -> bool:
    try:
        return orjson.dumps(value).isascii()
    except TypeError:
        raise CannotCompose("The data set holds an impossible number or text.") from None


def _without_character_set(dataset: Attributes) -> Attributes:
    """The data set without (0008,0005), which does not speak of the text of JSON, at every level (JSON-7)."""
    kept: Attributes = {}
    for key, element in dataset.items():
        items = element.get("Value") if isinstance(element, dict) and element.get("vr") == "SQ" else None
        if isinstance(items, list):
            clean = [_without_character_set(item) if isinstance(item, dict) else item for item in items]
            kept[key] = {**element, "Value": clean}
        elif key != _CHARACTER_SET:
            kept[key] = element
    return kept


def _merged_bytes(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with neighbouring bytes in one."""
    joined: list[Piece] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
            continue
        joined += (b"".join(run), piece)
        run.clear()
    return [*joined, b"".join(run)]


class _Composer:
    def __init__(self, find: FindParts, *, encapsulated: bool) -> None:
        self.pieces: list[Piece] = []
        self._find = find
        self._encapsulated = encapsulated

    def data_set(self, dataset: Mapping[str, Any], depth: int) -> None:
        """Encodes the elements in ascending order, group lengths left out."""
        if depth > _MAX_DEPTH:
            raise CannotCompose("Sequences are nested too deep.")
        for key in sorted(dataset):
            tag = _tag(key)
            if tag & 0xFFFF:
                self._element(tag, dataset[key], depth)

    def _element(self, tag: int, element: Any, depth: int) -> None:
        if not isinstance(element, dict):
            raise CannotCompose("An attribute is no object.")
        vr = _representation(tag, element)
        values = element.get("Value") or []
        if not isinstance(values, list):
            raise CannotCompose("The values of an attribute are no array.")
        if len(values) > MOST_VALUES and vr.kind != "sequence":
            raise CannotCompose("The element has too many values")
        if (uri := element.get("BulkDataURI")) is not None:
            self._bulk(tag, vr, uri)
        elif (inline := element.get("InlineBinary")) is not None:
            self._whole(tag, vr, _decoded(inline))
        elif vr.kind == "sequence":
            self._sequence(tag, values, depth)
        else:
            self._whole(tag, vr, _value(vr, values))

    def _whole(self, tag: int, vr: ValueRepresentation, value: bytes) -> None:
        if len(value) % 2:
            value += b"\0" if vr.name in _PADDED_WITH_NUL else b" "
        if tag >> 16 == 0x7FE0 and self._encapsulated and value:
            raise CannotCompose("Compressed pixel data come as bulk data.")
        code = vr.name if vr.long or len(value) <= _SHORT_LIMIT else "UN"  # PS3.5 §6.2.2, note
        self.pieces.append(encoded(tag, code.encode(), value))

    def _sequence(self, tag: int, items: Sequence[Any], depth: int) -> None:
        self.pieces.append(encoded_head(tag, b"SQ", _UNDEFINED))
        for item in items:
            if not isinstance(item, dict | None):
                raise CannotCompose("An item of a sequence is no object.")
            self.pieces.append(_ITEM)
            self.data_set(item or {}, depth + 1)
            self.pieces.append(_ITEM_END)
        self.pieces.append(_SEQUENCE_END)

    def _bulk(self, tag: int, vr: ValueRepresentation, uri: Any) -> None:
        parts = self._find(uri) if isinstance(uri, str) else ()
        pixels = f"{tag:08X}" == _PIXEL_DATA
        if not parts or (len(parts) > 1 and not pixels):
            raise CannotCompose("A bulk value that the metadata refer to is not in the request.")
        if vr.kind == "sequence" or any(part.length > _LONGEST for part in parts):
            raise CannotCompose("A bulk value is too long, or one of a sequence.")
        references = [Reference(uri, number) for number in range(len(parts))]
        if pixels and self._encapsulated:
            self._fragments(tag, parts, references)
            return
        length = sum(part.length for part in parts)
        padding = b"\0" * (length % 2) if vr.kind not in {"text", "local", "name"} else b" " * (length % 2)
        code = vr.name if vr.long or length <= _SHORT_LIMIT else "UN"
        if length + len(padding) > _LONGEST:
            raise CannotCompose("A bulk value is too long.")
        self.pieces += (encoded_head(tag, code.encode(), length + len(padding)), *references, padding)

    def _fragments(self, tag: int, parts: Sequence[BulkPart], references: Sequence[Reference]) -> None:
        """Encapsulated pixel data: what is in items already, or a fragment of each part (PS3.5 §A.4)."""
        self.pieces.append(encoded_head(tag, b"OB", _UNDEFINED))
        if len(parts) == 1 and parts[0].head == _ITEM_TAG:
            self.pieces += (references[0], b"" if parts[0].tail == _SEQUENCE_END else _SEQUENCE_END)
            return
        self.pieces.append(_NO_OFFSETS)
        for part, reference in zip(parts, references, strict=True):
            padding = part.length % 2
            self.pieces += (_ITEM_TAG + struct.pack("<L", part.length + padding), reference, b"\0" * padding)
        self.pieces.append(_SEQUENCE_END)


def _tag(key: str) -> int:
    try:
        tag = int(key, 16) if len(key) == 8 else -1
    except ValueError:
        tag = -1
    if tag < 0 or tag >> 16 == 0xFFFE:
        raise CannotCompose("An attribute has no tag that is known.")
    return tag


def _representation(tag: int, element: Mapping[str, Any]) -> ValueRepresentation:
    name = element.get("vr") or (vr_of(tag) or "UN").partition("/")[0]
    vr = VALUE_REPRESENTATIONS.get(name) if isinstance(name, str) else None
    if vr is None:
        raise CannotCompose("An attribute has no value representation that is known.")
    return vr


def _decoded(inline: Any) -> bytes:
    try:
        return base64.b64decode(inline, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise CannotCompose("An inline value is not in base 64.") from None


def _value(vr: ValueRepresentation, values: Sequence[Any]) -> bytes:
    try:
        if vr.kind == "bulk":
            if values:
                raise CannotCompose("A bulk value is given as an array.")
            return b""
        if vr.kind == "tags":
            tags = [int(value, 16) for value in values]
            return struct.pack(f"<{2 * len(tags)}H", *(half for tag in tags for half in (tag >> 16, tag & 0xFFFF)))
        if vr.kind == "binary":
            read = float if vr.code in "fd" else _whole_number
            return struct.pack(f"<{len(values)}{vr.code}", *map(read, values))
        return value_text(vr.name, values).encode()
    except (struct.error, TypeError, ValueError, OverflowError):
        raise CannotCompose("A value does not suit its value representation.") from None


def _whole_number(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (not isinstance(value, str) and number != value):
        raise ValueError
    return number


def value_text(vr: str, values: Sequence[Any]) -> str:
    r"""The text of an element whose values are these in the DICOM JSON model, joined by `\`. Raises CannotCompose."""
    return "\\".join(_text(vr, value) for value in values)


def _text(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if vr == "PN" and isinstance(value, dict):
        groups = (value.get(group) or "" for group in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CannotCompose("A value does not suit its value representation.")
    if isinstance(value, float):
        return _number(vr, value)
    return str(value)


def _number(vr: str, value: float) -> str:
    """A number as text: of a DS at most 16 characters (PS3.5 §6.2)."""
    if not math.isfinite(value):
        raise CannotCompose("A value is no number.")
    if value.is_integer() and (vr == "IS" or abs(value) < 1e15):
        return str(int(value))
    text = repr(value)
    digits = _DS_LENGTH
    while len(text) > _DS_LENGTH:
        text = f"{value:.{digits}g}"
        digits -= 1
    return text
