"""JSON documents that another server sends (RFC 8259): counted before anything is built of them, large ones read beside
the event loop, a part at a time: the parser holds the interpreter's lock while it works.
"""

import asyncio
import json
import re
from typing import Any, Final, Never

import orjson

AT_ONCE: Final = 256 * 1024
"""Bytes that are read on the event loop: some milliseconds."""
_MOST_OBJECTS: Final = 1 << 20
_MOST_VALUES: Final = 1 << 21
"""Objects and arrays, and values, of one document: three characters can become a hundred bytes of memory."""
_NO_JSON: Final = "It is no JSON document."
_LEVELS: Final = 3
"""Objects and arrays so far outside are read member by member: a Bundle, its list of entries, an entry."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")


async def read_document(body: bytes) -> Any:
    """The value of a document. Raises ValueError for what is no JSON, nested too deep, or of too many values."""
    return loads(body) if len(body) <= AT_ONCE else await asyncio.to_thread(_counted, body)


def loads(body: bytes) -> Any:
    """The value of a document, of a long one a part at a time: not for the event loop if it is longer than `AT_ONCE`.

    Raises ValueError for what is no JSON or nested too deep.
    """
    return orjson.loads(body) if len(body) <= AT_ONCE else _loads_in_slices(body)


def check_count(body: bytes) -> None:
    """Raises ValueError for a document of too many values."""
    if body.count(b"{") + body.count(b"[") > _MOST_OBJECTS or body.count(b",") > _MOST_VALUES:
        raise ValueError("The document has too many values.")


def _counted(body: bytes) -> Any:
    check_count(body)
    return loads(body)


def _loads_in_slices(body: bytes) -> Any:
    text = body.decode()
    try:
        value, at = _value(text, _start(text, 0), _LEVELS)
    except RecursionError:
        raise ValueError("The document is nested too deep.") from None
    if _start(text, at) < len(text):
        raise ValueError(_NO_JSON)
    return value


def _value(text: str, at: int, levels: int) -> tuple[Any, int]:
    """The value that begins at a position, and where it ends."""
    opening = text[at : at + 1]
    if levels and opening == "{":
        return _members(text, at, levels - 1)
    if levels and opening == "[":
        return _items(text, at, levels - 1)
    return _scan(text, at)


def _members(text: str, at: int, levels: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = _start(text, at + 1)
    if text.startswith("}", at):
        return found, at + 1
    while True:
        if not text.startswith('"', at):
            raise ValueError(_NO_JSON)
        key, at = _scan(text, at)
        at = _start(text, at)
        if not text.startswith(":", at):
            raise ValueError(_NO_JSON)
        found[key], at = _value(text, _start(text, at + 1), levels)
        at, ended = _behind(text, at, "}")
        if ended:
            return found, at


def _items(text: str, at: int, levels: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = _start(text, at + 1)
    if text.startswith("]", at):
        return found, at + 1
    while True:
        item, at = _value(text, at, levels)
        found.append(item)
        at, ended = _behind(text, at, "]")
        if ended:
            return found, at


def _behind(text: str, at: int, closing: str) -> tuple[int, bool]:
    """Where the next member begins, or the container ends, and whether it does."""
    at = _start(text, at)
    if text.startswith(closing, at):
        return at + 1, True
    if not text.startswith(",", at):
        raise ValueError(_NO_JSON)
    return _start(text, at + 1), False


def _start(text: str, at: int) -> int:
    """Where something begins, white space passed over."""
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _no_constant(_name: str) -> Never:
    """NaN and the infinities, which JSON does not have."""
    raise ValueError(_NO_JSON)


_scan = json.JSONDecoder(parse_constant=_no_constant).raw_decode
