"""PS3.19 §A.1 Native DICOM Model: data sets as XML, from and to the DICOM JSON model (PS3.18 Annex F).

Both models say the same, so the rest of the service knows one of them. What they cannot share: XML 1.0 has no control
characters, so NULs that pad a value are left out and others become U+FFFD; and numbers that are text in a file (DS, IS)
stay text when they are read from XML, because a number could not keep their digits.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final
from xml.parsers import expat

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import keyword_of, tag_of, vr_of
from shared.dicom.elements import first
from shared.dicomweb.long_text import TEXT_PIECE, joined, text_pieces
from shared.errors import InvalidRequest, TooLarge

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_HEAD: Final = (
    f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'.encode()
)
_TAIL: Final = b"</NativeDicomModel>"

_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_INTEGERS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_FLOATS: Final = frozenset({"FD", "FL"})
_MAX_DEPTH: Final = 64
_MAX_NUMBER: Final = 1 << 22

_PARSED_AT_ONCE: Final = 64 * 1024
"""Bytes: a text without elements is no reason for the parser to let others have the interpreter's lock (STOW-46)."""
_MOST_ELEMENTS: Final = 1 << 20
"""Of a document that is read: some times more than an honest data set has."""
_ATTRIBUTES: Final = frozenset({"DicomAttribute"})
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "NativeDicomModel": _ATTRIBUTES,
    "Item": _ATTRIBUTES,
    "DicomAttribute": frozenset({"Item", "PersonName", "Value", "BulkData", "InlineBinary"}),
    "PersonName": frozenset(_GROUPS),
    **dict.fromkeys(_GROUPS, frozenset(_COMPONENTS)),
}
"""The children that an element may have. Everything else is passed over, with all that it holds."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile('[&<>"\r\n\t]')
_ENTITIES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\r": "&#13;",
    "\n": "&#10;",
    "\t": "&#9;",
}
_TEXTS: Final = 1024
"""Texts that are encoded at one go."""
_TAG = re.compile(r"[0-9A-Fa-f]{8}")


# ----------------------------------------------------------------------------------------------------------- writing


def dumps(dataset: Mapping[str, Any]) -> bytes:
    """The document of one data set."""
    return joined(_document(dataset, used_up=False))


def dumps_in_pieces(dataset: Mapping[str, Any]) -> list[bytes]:
    """The same in pieces, of a large data set, which is used up: its values and the texts they become are not in memory
    at the same time.
    """
    return list(_document(dataset, used_up=True))


def _document(dataset: Mapping[str, Any], *, used_up: bool) -> Iterable[bytes]:
    written = _Written(used_up=used_up)
    _write_attributes(dataset, written)
    return chain((_HEAD,), written.pieces(), (_TAIL,))


class _Written:
    """The text that has been written, encoded by and by: millions of small strings would take memory and, freed all at
    once, the interpreter's lock (STOW-46).
    """

    def __init__(self, *, used_up: bool) -> None:
        self._used_up = used_up
        self._some: list[str] = []
        self._size = 0
        self._encoded: list[bytes] = []

    def append(self, text: str) -> None:
        """Take the next text."""
        self._some.append(text)
        self._size += len(text)
        if len(self._some) == _TEXTS or self._size > TEXT_PIECE:
            self._encoded += self._pieces()

    def append_text(self, start: str, text: str, end: str) -> None:
        """Take a text of any length, escaped, and the tags around it."""
        if len(text) <= TEXT_PIECE:
            self.append(f"{start}{_escaped(text)}{end}")
            return
        self.append(start)
        for piece in text_pieces(text.rstrip("\0")):
            self.append(_escaped(piece))
        self.append(end)

    def values(self, element: Mapping[str, Any]) -> Iterator[Any]:
        """The values of an element that are to be written, each no more in it if the data set is used up."""
        values = element.get("Value", ())
        if not self._used_up or not isinstance(values, list):
            yield from values
            return
        values.reverse()
        while values:
            yield values.pop()

    def pieces(self) -> list[bytes]:
        """All of it."""
        return [*self._encoded, *self._pieces()]

    def _pieces(self) -> list[bytes]:
        some, self._some, self._size = self._some, [], 0
        return [piece.encode() for piece in text_pieces("".join(some))]


def _write_attributes(dataset: Mapping[str, Any], pieces: "_Written") -> None:
    for key, element in dataset.items():
        vr = element["vr"]
        tag = int(key, 16)
        keyword = keyword_of(tag)
        named = f' keyword="{keyword}"' if keyword else ""
        pieces.append(f'<DicomAttribute tag="{key}" vr="{vr}"{named}{_private_creator(dataset, tag)}>')
        if "BulkDataURI" in element:
            pieces.append(f'<BulkData uri="{_escaped(element["BulkDataURI"])}"/>')
        elif "InlineBinary" in element:
            pieces.append_text("<InlineBinary>", element["InlineBinary"], "</InlineBinary>")
        for number, value in enumerate(pieces.values(element), 1):
            if vr == "SQ":
                pieces.append(f'<Item number="{number}">')
                _write_attributes(value or {}, pieces)
                pieces.append("</Item>")
            elif vr == "PN":
                pieces.append(f'<PersonName number="{number}">')
                _write_name(value or {}, pieces)
                pieces.append("</PersonName>")
            else:
                pieces.append_text(f'<Value number="{number}">', "" if value is None else str(value), "</Value>")
        pieces.append("</DicomAttribute>")


def _private_creator(dataset: Mapping[str, Any], tag: int) -> str:
    """The attribute that names who defines a private element, if the data set says it."""
    block = tag >> 8 & 0xFF
    if not tag & 0x10000 or block < 0x10:
        return ""
    creator = first(dataset, f"{tag & 0xFFFF0000 | block:08X}")
    return f' privateCreator="{_escaped(str(creator))}"' if creator else ""


def _write_name(groups: Mapping[str, str], pieces: "_Written") -> None:
    for group in _GROUPS:
        if text := groups.get(group):
            pieces.append(f"<{group}>")
            for component, part in zip(_COMPONENTS, text.split("^", len(_COMPONENTS) - 1), strict=False):
                if part:
                    pieces.append(f"<{component}>{_escaped(part)}</{component}>")
            pieces.append(f"</{group}>")


def _escaped(text: str) -> str:
    if len(text) > TEXT_PIECE:
        return "".join(map(_escaped, text_pieces(text.rstrip("\0"))))
    if not text.isprintable():
        text = _FORBIDDEN.sub("\ufffd", text.rstrip("\0"))
    return _SPECIAL.sub(lambda found: _ENTITIES[found[0]], text)


# ----------------------------------------------------------------------------------------------------------- reading


def loads(document: bytes) -> Attributes:
    """The data set of a document, in the DICOM JSON model, in ascending order.

    Raises InvalidRequest if it is no Native DICOM Model. Entities and document types are refused.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        for at in range(0, len(document), _PARSED_AT_ONCE):
            parser.Parse(document[at : at + _PARSED_AT_ONCE], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise InvalidRequest(
            f"The XML document is not well-formed (line {error.lineno}).", where="request body"
        ) from None
    except (LookupError, UnicodeError, ValueError):
        raise InvalidRequest("The encoding of the XML document is not supported.", where="request body") from None
    return reader.dataset


def _refuse(*_: object) -> None:
    raise InvalidRequest("The XML document has a document type, which is not supported.", where="request body")


class _Attribute:
    """The DicomAttribute that is being read."""

    __slots__ = ("creator", "inline", "key", "name", "uri", "values", "vr")

    def __init__(self, key: str, vr: str, creator: str | None) -> None:
        self.key = key
        self.vr = vr
        self.creator = creator
        self.values: dict[int, Any] = {}
        self.name: dict[str, dict[str, str]] = {}
        self.uri: str | None = None
        self.inline: str | None = None

    def element(self) -> dict[str, Any]:
        if self.uri is not None:
            return {"vr": self.vr, "BulkDataURI": self.uri}
        if self.inline is not None:
            return {"vr": self.vr, "InlineBinary": "".join(self.inline.split())}
        if not self.values:
            return {"vr": self.vr}
        last = max(self.values)
        if last > 2 * len(self.values) + 1024:
            raise InvalidRequest(
                "The values of an attribute are not numbered one after the other.", where="request body"
            )
        blank: Any = {} if self.vr == "SQ" else None
        return {"vr": self.vr, "Value": [self.values.get(number, blank) for number in range(1, last + 1)]}


class _Reader:
    """Takes the events of the parser. What it does not know it passes over."""

    def __init__(self) -> None:
        self.dataset: Attributes = {}
        self._levels: list[Attributes] = []
        self._attributes: list[_Attribute] = []
        self._path: list[str] = []
        self._numbers: list[int] = []
        self._text: list[str] = []
        self._skipped = 0
        """The depth inside an element that is not known."""
        self._left = _MOST_ELEMENTS

    def start(self, qualified: str, fields: dict[str, str]) -> None:
        name = qualified.rpartition(" ")[2]
        parent = self._path[-1] if self._path else ""
        self._left -= 1
        if self._left < 0:
            raise TooLarge(f"The XML document has more than {_MOST_ELEMENTS} elements.", where="request body")
        if self._skipped or (parent and name not in _KNOWN.get(parent, ())):
            self._skipped += 1
            return
        self._path.append(name)
        self._text.clear()
        match name, parent:
            case "NativeDicomModel", "":
                self._levels.append(self.dataset)
            case _, "":
                raise InvalidRequest("The XML document is no Native DICOM Model (PS3.19).", where="request body")
            case "DicomAttribute", ("NativeDicomModel" | "Item"):
                self._attributes.append(_attribute(fields))
            case "Item", "DicomAttribute":
                if len(self._levels) > _MAX_DEPTH:
                    raise InvalidRequest("The sequences of the XML document are nested too deep.", where="request body")
                self._numbers.append(self._number(fields))
                self._levels.append({})
            case "PersonName", "DicomAttribute":
                self._numbers.append(self._number(fields))
                self._attributes[-1].name = {}
            case "Value", "DicomAttribute":
                self._numbers.append(self._number(fields))
            case "BulkData", "DicomAttribute":
                uri = fields.get("uri") or fields.get("uuid") or fields.get("UUID")
                if not uri:
                    raise InvalidRequest("A BulkData element of the XML document has no uri.", where="request body")
                self._attributes[-1].uri = uri

    def text(self, data: str) -> None:
        if not self._skipped:
            self._text.append(data)

    def end(self, qualified: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        name = qualified.rpartition(" ")[2]
        self._path.pop()
        parent = self._path[-1] if self._path else ""
        text = "".join(self._text)
        self._text.clear()
        match name, parent:
            case "DicomAttribute", ("NativeDicomModel" | "Item"):
                _add(self._levels[-1], self._attributes.pop())
            case "Item", "DicomAttribute":
                self._put(dict(sorted(self._levels.pop().items())))
            case "PersonName", "DicomAttribute":
                groups = {group: _group_text(parts) for group, parts in self._attributes[-1].name.items()}
                self._put({group: whole for group, whole in groups.items() if whole} or None)
            case "Value", "DicomAttribute":
                self._put(_value(self._attributes[-1].vr, text))
            case "InlineBinary", "DicomAttribute":
                self._attributes[-1].inline = text
            case _, ("Alphabetic" | "Ideographic" | "Phonetic") if self._path[-2:-1] == ["PersonName"]:
                if name in _COMPONENTS:
                    self._attributes[-1].name.setdefault(parent, {})[name] = text
            case "NativeDicomModel", "":
                ordered = dict(sorted(self.dataset.items()))
                self.dataset.clear()
                self.dataset.update(ordered)

    def _number(self, fields: Mapping[str, str]) -> int:
        text = fields.get("number") or str(len(self._attributes[-1].values) + 1)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if not 0 < number < _MAX_NUMBER:
            raise InvalidRequest("The number of a value of the XML document is invalid.", where="request body")
        return number

    def _put(self, value: Any) -> None:
        self._attributes[-1].values[self._numbers.pop()] = value


def _attribute(fields: Mapping[str, str]) -> _Attribute:
    tag = fields.get("tag", "")
    if not _TAG.fullmatch(tag):
        known = tag_of(fields.get("keyword", ""))
        if tag or known is None:
            raise InvalidRequest("An attribute of the XML document has no tag.", where="request body")
        tag = f"{known:08X}"
    vr = fields.get("vr") or (vr_of(int(tag, 16)) or "UN").partition("/")[0]
    return _Attribute(tag.upper(), vr, fields.get("privateCreator"))


def _add(dataset: Attributes, attribute: _Attribute) -> None:
    key, element = attribute.key, attribute.element()
    tag = int(key, 16)
    if attribute.creator and tag & 0x10000:
        key = f"{_placed(dataset, tag, attribute.creator):08X}"
    if dataset.setdefault(key, element) != element:
        raise InvalidRequest("An attribute occurs twice in the XML document.", where="request body")


def _placed(dataset: Attributes, tag: int, creator: str) -> int:
    """The tag of a private element in the block of its creator, which is reserved if it is not yet.

    The tag may come without the number of the block, as the standard has it, or with it.
    """
    group = tag & 0xFFFF0000
    block_number = tag >> 8 & 0xFF
    for block in [block_number] if block_number else range(0x10, 0x100):
        owner = dataset.setdefault(f"{group | block:08X}", {"vr": "LO", "Value": [creator]})
        if block_number or owner.get("Value") == [creator]:
            return group | block << 8 | tag & 0xFF
    raise InvalidRequest("A group of the XML document has too many private creators.", where="request body")


def _group_text(parts: Mapping[str, str]) -> str:
    return "^".join(parts.get(component, "") for component in _COMPONENTS).rstrip("^")


def _value(vr: str, text: str) -> Any:
    if not text:
        return None
    try:
        if vr in _INTEGERS:
            return int(text)
        if vr in _FLOATS:
            number = float(text)
            return number if math.isfinite(number) else text
    except ValueError:
        return text
    return text
