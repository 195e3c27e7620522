"""PS3.18 Annex F DICOM JSON model: writing it, and finishing a stored document for one answer.

A stored document is what `dumps` made of one data set: compact, UTF-8, `vr` first in each element, bulk values as
`{"vr": …, "BulkDataURI": path inside the instance}`. That is why the functions below can work on its bytes, without
parsing: inside a JSON string every quotation mark is escaped, so a pattern with bare ones matches structure only.
"""

import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import batched
from typing import Any, Final, overload

import orjson

from shared.dicom.attributes import take_apart
from shared.dicomweb.json_scanner import scan
from shared.dicomweb.long_text import TEXT_PIECE, cut, decoded, joined, text_pieces

_BULK = re.compile(
    rb'":\{"vr":"(?:O[BDFLVW]|UN)"(?:,"(?:BulkDataURI":"[^"\\]*"|InlineBinary":"[^"\\]*"|Value":\[\]))?\}'
)
_URI = b'"BulkDataURI":"'
_KEY_LENGTH = len('"7FE00010')
_CHARACTER_SET = b'"00080005":'
_UTF_8 = b'"00080005":{"vr":"CS","Value":["ISO_IR 192"]}'
_LEADING_CHARACTER_SET = re.compile(rb'\{"00080005":\{"vr":"CS"(?:,"Value":\[(?:"[^"\\]*",?|null,?)*\])?\},?')
_FLOATS = frozenset({"FL", "FD"})
_ITEMS = b'{"vr":"SQ","Value":['
_ITEMS_TEXT = _ITEMS.decode()
_VALUES = 64
"""Values of an element that are encoded at one go, in a large data set."""
_LARGE = 1024 * 1024
LARGEST_DOCUMENT: Final = 56 * 1024**2
"""Bytes of a document, which each of its readers pays for: with a text of two bytes a character, its values and what is
made of them it takes seven times as much, which is what there is for all of them (`shared/memory_plan.py`). Of as many
numbers and names as a data set may have it is smaller; but a control character in a text takes six bytes.
"""
LARGEST_PLAIN: Final = 72 * 1024**2
"""The same of one without a character beyond U+00FF, in whose text each character takes one byte: reports of 60 MB."""
LARGEST_WIDE: Final = 24 * 1024**2
"""The same of one with a character beyond U+FFFF, in whose text every character takes four bytes."""
_TWO_BYTES: Final = re.compile(rb"[\xc4-\xef]")
_WIDE: Final = re.compile(rb"[\xf0-\xf4]")
_FEW_ITEMS = 256
"""Items of a sequence that are parsed once and kept."""


def dumps(document: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of a data set, or of an array of data sets.

    JSON has no NaN and no infinity: such FL and FD values are written as "NaN", "Infinity" and "-Infinity".
    """
    for dataset in [document] if isinstance(document, Mapping) else document:
        if _has_special_float(dataset):
            return orjson.dumps(_named_floats(document))
    return orjson.dumps(document)


class DocumentTooLarge(Exception):
    """The document of a data set is larger than those with its characters may be."""


def dumps_in_slices(dataset: Mapping[str, Any], *, below: str = "") -> bytes:
    """A data set as `dumps` encodes it, piece by piece: the encoder holds the interpreter's lock while it works.

    `below`: a key that the items of sequences lose. Raises DocumentTooLarge.
    """
    return joined(_bounded(_slices(dataset, "", below)))


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    length, most = 0, LARGEST_PLAIN
    for piece in pieces:
        length += len(piece)
        if not piece.isascii():
            if most > LARGEST_DOCUMENT and _TWO_BYTES.search(piece):
                most = LARGEST_DOCUMENT
            if most > LARGEST_WIDE and _WIDE.search(piece):
                most = LARGEST_WIDE
        if length > most:
            raise DocumentTooLarge
        yield piece


def _slices(dataset: Mapping[str, Any], lost: str, below: str) -> Iterator[bytes]:
    start = b"{"
    for key, element in dataset.items():
        if key == lost:
            continue
        name = b'%b"%b":' % (start, key.encode())
        start = b","
        items = element.get("Value")
        if element["vr"] == "SQ" and items:
            name += _ITEMS
            for item in items:
                yield name
                yield from _slices(item or {}, below, below)
                name = b","
            yield b"]}"
        else:
            yield name
            yield from _value(_named_floats(element) if element["vr"] in _FLOATS else element)
    yield b"{}" if start == b"{" else b"}"


def _value(value: Any) -> Iterator[bytes]:
    """An element or what is in one, in bounded pieces."""
    if not _long(value):
        yield orjson.dumps(value)
    elif isinstance(value, str):
        yield b'"'
        for text in text_pieces(value):
            yield orjson.dumps(text)[1:-1]
        yield b'"'
    elif isinstance(value, Mapping):
        start = b"{"
        for key, inner in value.items():
            yield start + orjson.dumps(key) + b":"
            yield from _value(inner)
            start = b","
        yield b"}"
    else:
        start = b"["
        for some in batched(value, _VALUES, strict=False):
            for piece in map(_value, some) if _long(some) else ((orjson.dumps(some)[1:-1],),):
                yield start
                yield from piece
                start = b","
        yield b"]"


def _long(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > TEXT_PIECE
    if isinstance(value, Mapping):
        return any(map(_long, value.values()))
    return isinstance(value, list | tuple) and (len(value) > _VALUES or any(map(_long, value)))


class ParsedItems(Sequence[Any]):
    """The items of a long sequence, each parsed when it is asked for: hundreds of thousands that stay would keep the
    garbage collector busy, which stops everything else meanwhile.
    """

    def __init__(self, text: str, starts: array[int]) -> None:
        self._text = text
        self._starts = starts
        """Where each item begins in the text."""

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [_item(self._text, start)[0] for start in self._starts[index]]
        return _item(self._text, self._starts[index])[0]


def loads(document: bytes) -> dict[str, Any]:
    """The data set in a stored document, a large one item by item: not for the event loop if it is `large`."""
    if large(document):
        return loads_in_slices(document)
    found: dict[str, Any] = orjson.loads(document)
    return found


def large(document: bytes) -> bool:
    """Whether parsing a document takes more than some milliseconds."""
    return len(document) > _LARGE


def loads_in_slices(document: bytes) -> dict[str, Any]:
    """The data set in a stored document, parsed item by item: the parser holds the interpreter's lock while it works.

    Raises ValueError or IndexError for what is none.
    """
    return _data_set(decoded(document), 0)[0]


def elements(document: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outermost elements of a stored document, each parsed when it is asked for, and taken apart when the next one
    is: freed at once, a large one would hold the interpreter's lock for long.

    Raises ValueError or IndexError for what is none.
    """
    text, at = decoded(document), 0
    if text == "{}":
        return
    while at < len(text) - 1:
        key, element, at = _element(text, at)
        yield key, element
        take_apart({key: element})


def _data_set(text: str, at: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    if text.startswith("{}", at):
        return found, at + 2
    end = ","
    while end == ",":
        key, found_element, at = _element(text, at)
        found[key] = found_element
        end = text[at]
    return found, at + 1


def _element(text: str, at: int) -> tuple[str, dict[str, Any], int]:
    """The element behind the brace or comma at `at`, and where it ends."""
    key, at = scan(text, at + 1)
    if text.startswith(_ITEMS_TEXT, at + 1):
        return key, *_sequence(text, at + 1 + len(_ITEMS_TEXT))
    return key, *scan(text, at + 1)


def _sequence(text: str, at: int) -> tuple[dict[str, Any], int]:
    items: list[Any] = []
    starts = array("Q")
    while True:
        starts.append(at)
        item, at = _item(text, at)
        if len(starts) <= _FEW_ITEMS:
            items.append(item)
        if text[at] == "]":
            few = len(starts) <= _FEW_ITEMS
            return {"vr": "SQ", "Value": items if few else ParsedItems(text, starts)}, at + 2
        at += 1


def _item(text: str, at: int) -> tuple[Any, int]:
    return _data_set(text, at) if text[at] == "{" else scan(text, at)


def _has_special_float(dataset: Mapping[str, Any]) -> bool:
    for element in dataset.values():
        vr = element.get("vr")
        if vr in _FLOATS:
            if not all(map(math.isfinite, filter(_is_float, element.get("Value", ())))):
                return True
        elif vr == "SQ" and any(_has_special_float(item) for item in element.get("Value", ()) if item):
            return True
    return False


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def _named_floats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _named_floats(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_named_floats(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def join(documents: Sequence[bytes]) -> bytes:
    """The JSON array of finished documents (JSON-9)."""
    return b"[" + b",".join(documents) + b"]"


def rebase_bulk_data(document: bytes, instance_url: str) -> bytes:
    """`document` with each BulkDataURI as an absolute URL below `instance_url` (W-3). Nested elements are included."""
    url = _URI + instance_url.encode("ascii") + b"/bulkdata/"
    if not large(document):
        return document.replace(_URI, url)
    return joined(piece.replace(_URI, url) for piece in cut(document, _URI))


def without_bulk_data(document: bytes) -> bytes:
    """`document` without the elements of VR OB, OD, OF, OL, OV, OW and UN, at every level, empty or not (META-3)."""
    kept = bytearray()
    position = 0
    for element in _BULK.finditer(document):
        kept += document[position : element.start() - _KEY_LENGTH]
        position = element.end()
        if document[position] == ord(","):
            position += 1
        elif kept.endswith(b","):
            del kept[-1:]
    return bytes(kept + document[position:]) if position else document


def finished(document: bytes, instance_url: str | None, *, character_set_as_stored: bool) -> bytes:
    """A stored document as an answer has it: bulk values named below `instance_url`, or left out without one (W-3)."""
    document = with_character_set(document, character_set_as_stored)
    return without_bulk_data(document) if instance_url is None else rebase_bulk_data(document, instance_url)


def with_character_set(document: bytes, as_stored: bool) -> bytes:
    """`document` with a (0008,0005) that tells the truth about its UTF-8 (D-7).

    ISO_IR 192 at the top if any text is not ASCII, and no such element otherwise; `as_stored` leaves everything alone.
    """
    if as_stored:
        return document
    first, *rest = list(cut(document, _CHARACTER_SET)) if large(document) else [document]
    ascii_only = first.isascii() and all(map(bytes.isascii, rest))
    occurrences = first.count(_CHARACTER_SET) + sum(piece.count(_CHARACTER_SET) for piece in rest)
    leading = _LEADING_CHARACTER_SET.match(first) if occurrences == 1 else None
    if leading or (occurrences == 0 and (ascii_only or document[2:10] > b"00080005")):
        first = first[leading.end() if leading else 1 :]
        told = b"{" if ascii_only else b"{" + _UTF_8 + (b"" if first == b"}" else b",")
        return joined((told + first, *rest)) if rest else told + first
    attributes = loads(document)
    attributes.pop("00080005", None)
    if not ascii_only:
        attributes["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dumps_in_slices(dict(sorted(attributes.items())), below="00080005")
