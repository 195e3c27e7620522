"""PS3.19 §A.1 Native DICOM Model: data sets as XML, from and to the DICOM JSON model (PS3.18 Annex F).

Both models say the same, so the rest of the service knows one of them. What they cannot share: XML 1.0 has no control
characters, so NULs that pad a value are left out and others become U+FFFD; and numbers that are text in a file (DS, IS)
stay text when they are read from XML, because a number could not keep their digits.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from xml.parsers import expat

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import keyword_of, tag_of, vr_of
from shared.dicomweb.long_text import TEXT_PIECE, joined, text_pieces
from shared.errors import InvalidRequest, TooLarge

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_HEAD: Final = (
    f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'.encode()
)
_TAIL: Final = "</NativeDicomModel>"

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
    return joined(pieces_of(dataset.items()))


def pieces_of(elements: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[bytes]:
    """The same in pieces, of the elements of a data set, each of which is asked for when those before it are written:
    neither all values of a large one nor all of its document need ever be in memory.
    """
    yield _HEAD
    some: list[str] = []
    size = 0
    for text in _attributes(elements):
        some.append(text)
        size += len(text)
        if len(some) == _TEXTS or size > TEXT_PIECE:
            yield "".join(some).encode()
            some.clear()
            size = 0
    yield "".join((*some, _TAIL)).encode()


def _attributes(elements: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    creators: dict[int, str] = {}
    for key, element in elements:
        vr = element["vr"]
        tag = int(key, 16)
        keyword = keyword_of(tag)
        named = f' keyword="{keyword}"' if keyword else ""
        yield f'<DicomAttribute tag="{key}" vr="{vr}"{named}{_private_creator(creators, tag, element)}>'
        if "BulkDataURI" in element:
            yield f'<BulkData uri="{_escaped(element["BulkDataURI"])}"/>'
        elif "InlineBinary" in element:
            yield from _tagged("<InlineBinary>", element["InlineBinary"], "</InlineBinary>")
        for number, value in enumerate(element.get("Value", ()), 1):
            if vr == "SQ":
                yield f'<Item number="{number}">'
                yield from _attributes((value or {}).items())
                yield "</Item>"
            elif vr == "PN":
                yield f'<PersonName number="{number}">'
                yield from _name(value or {})
                yield "</PersonName>"
            else:
                yield from _tagged(f'<Value number="{number}">', "" if value is None else str(value), "</Value>")
        yield "</DicomAttribute>"


def _tagged(start: str, text: str, end: str) -> Iterator[str]:
    """A text of any length, escaped, and the tags around it."""
    if len(text) <= TEXT_PIECE:
        yield f"{start}{_escaped(text)}{end}"
        return
    yield start
    yield from map(_escaped, text_pieces(text.rstrip("\0")))
    yield end


def _private_creator(creators: dict[int, str], tag: int, element: Mapping[str, Any]) -> str:
    """The attribute that names who defines a private element, if the data set has said it; `creators`, by the block of
    tags, are kept up to date.
    """
    if not tag & 0x10000:
        return ""
    block = tag >> 8 & 0xFF
    if not block and tag & 0xFF >= 0x10:
        creators[tag & 0xFFFF00FF] = str(next(iter(element.get("Value", ())), None) or "")
    creator = creators.get(tag & 0xFFFF0000 | block) if block >= 0x10 else None
    return f' privateCreator="{_escaped(creator)}"' if creator else ""


def _name(groups: Mapping[str, str]) -> Iterator[str]:
    for group in _GROUPS:
        if text := groups.get(group):
            yield f"<{group}>"
            for component, part in zip(_COMPONENTS, text.split("^", len(_COMPONENTS) - 1), strict=False):
                if part:
                    yield f"<{component}>{_escaped(part)}</{component}>"
            yield f"</{group}>"


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

    __slots__ = ("_later", "creator", "inline", "key", "name", "uri", "values", "vr")

    def __init__(self, key: str, vr: str, creator: str | None) -> None:
        self.key = key
        self.vr = vr
        self.creator = creator
        self.values: list[Any] = []
        self._later: dict[int, Any] = {}
        """By number, those that come before one of a lower number."""
        self.name: dict[str, dict[str, str]] = {}
        self.uri: str | None = None
        self.inline: str | None = None

    def element(self) -> dict[str, Any]:
        if self.uri is not None:
            return {"vr": self.vr, "BulkDataURI": self.uri}
        if self.inline is not None:
            return {"vr": self.vr, "InlineBinary": "".join(self.inline.split())}
        if self._later:
            last = max(self._later)
            if last > 2 * self.count + 1024:
                raise InvalidRequest(
                    "The values of an attribute are not numbered one after the other.", where="request body"
                )
            blank: Any = {} if self.vr == "SQ" else None
            self.values += (self._later.get(number, blank) for number in range(len(self.values) + 1, last + 1))
        return {"vr": self.vr, "Value": self.values} if self.values else {"vr": self.vr}

    @property
    def count(self) -> int:
        """How many values there are so far."""
        return len(self.values) + len(self._later)

    def put(self, number: int, value: Any) -> None:
        """Takes a value; the last one of a number counts."""
        if number <= len(self.values):
            self.values[number - 1] = value
        elif number == len(self.values) + 1 and not self._later:
            self.values.append(value)
        else:
            self._later[number] = value


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
        text = fields.get("number") or str(self._attributes[-1].count + 1)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if not 0 < number < _MAX_NUMBER:
            raise InvalidRequest("The number of a value of the XML document is invalid.", where="request body")
        return number

    def _put(self, value: Any) -> None:
        self._attributes[-1].put(self._numbers.pop(), value)


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
