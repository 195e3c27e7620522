"""PS3.18 Annex F Reading DICOM JSON that clients send: leniently in its form (JSON-8, GEN-13), never in its meaning."""

import re
from typing import Any, Final

import orjson

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import tag_of
from shared.dicomweb import json_scanner
from shared.dicomweb.long_text import decoded
from shared.errors import InvalidRequest, TooLarge

_MAX_DEPTH: Final = 200
"""Of nested data sets; deeper than any that is stored, and less than what the interpreter bears."""

_MOST_DATA_SETS: Final = 20_000
"""As many as a request may have parts."""
_MOST_OBJECTS: Final = 1 << 20
_MOST_VALUES: Final = 1 << 21
"""Of one text, counted before anything is built: a few characters become a hundred bytes of memory and more."""
_AT_ONE_GO: Final = 128 * 1024
"""Bytes of a text that are parsed while the interpreter's lock is held: about a millisecond (STOW-46)."""
_COUNTED: Final = 1024**2
"""Bytes that are counted through at one go, which holds the lock as well."""
_LARGEST_LENIENT: Final = 1024**2
"""Bytes of a text that may have comments and trailing commas: they are taken out with regular expressions."""

# Both patterns match whole strings first, so that nothing inside one is taken for a comment or a comma; and all of
# what is not closed, so that no input is looked at twice.
_COMMENT = re.compile(rb'("(?:[^"\\]++|\\.)*+"?)|//[^\n\r]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_TRAILING_COMMA = re.compile(rb'("(?:[^"\\]++|\\.)*+"?)|,(?=[ \t\r\n]*[\]}])', re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]{8}")


def read_json(data: bytes) -> Any:
    """The value of a JSON text, which may have comments and trailing commas (JSON-8). Raises InvalidRequest."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if _count(data, b"{") > _MOST_OBJECTS or _count(data, b",") > _MOST_VALUES:
        raise TooLarge("The JSON body has too many attributes or values.", where="request body")
    try:
        return orjson.loads(data) if len(data) <= _AT_ONE_GO else json_scanner.read(decoded(data))
    except (ValueError, IndexError, RecursionError):
        if len(data) > _LARGEST_LENIENT:
            raise InvalidRequest("The JSON body is malformed.", where="request body") from None
    for pattern in (_COMMENT, _TRAILING_COMMA):
        data = pattern.sub(lambda found: found[1] or b" ", data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidRequest("The JSON body is malformed.", where="request body") from None


def _count(data: bytes, character: bytes) -> int:
    return sum(data.count(character, at, at + _COUNTED) for at in range(0, len(data), _COUNTED))


def read_data_sets(data: bytes) -> list[Attributes]:
    """The data sets of a JSON array of them, or of a single one.

    Keys may be tags in either case or keywords (GEN-13); those that are neither stay as they are. Raises
    InvalidRequest.
    """
    value = read_json(data)
    datasets = value if isinstance(value, list) else [value]
    if len(datasets) > _MOST_DATA_SETS:
        raise TooLarge(
            f"The JSON body has more than {_MOST_DATA_SETS} data sets. Send fewer in one request.", where="request body"
        )
    if not all(isinstance(dataset, dict) for dataset in datasets):
        raise InvalidRequest("The JSON body is no array of data sets.", where="request body")
    return [with_tags(dataset) for dataset in datasets]


def with_tags(dataset: dict[str, Any], depth: int = 0) -> Attributes:
    """A data set with tags for keys, at every level (GEN-13). `depth`: of nesting, so far. Raises InvalidRequest."""
    if depth > _MAX_DEPTH:
        raise InvalidRequest("The JSON body is nested too deep.", where="request body")
    found: Attributes = {}
    for name, element in dataset.items():
        key = _key(name)
        if key in found:
            raise InvalidRequest("An attribute occurs twice in the JSON body.", where="request body")
        items = element.get("Value") if isinstance(element, dict) else None
        if isinstance(items, list) and any(isinstance(item, dict) for item in items) and element.get("vr") != "PN":
            items = [with_tags(item, depth + 1) if isinstance(item, dict) else item for item in items]
            found[key] = {**element, "Value": items}
        else:
            found[key] = element
    return found


def _key(name: str) -> str:
    if _HEX.fullmatch(name):
        return name.upper()
    tag = tag_of(name)
    return name if tag is None else f"{tag:08X}"
