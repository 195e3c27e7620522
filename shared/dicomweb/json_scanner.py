"""Elements of a stored document, read in pieces where they are long: the scanner holds the interpreter's lock until it
has read a value, whatever is in it (STOW-46).

The text is as `json_model.dumps` writes it: nothing stands between its tokens.
"""

import json
import re
from typing import Any, Final

from shared.dicomweb.long_text import TEXT_PIECE

_SHORT: Final = 2 * 1024
"""Characters that are tried at one go."""
_CHARACTERS: Final = re.compile(r'(?:[^"\\]++|\\u[0-9A-Fa-f]{4}|\\[^u])*+')
"""The inside of a string, up to its end or to what ends the piece."""
_scan = json.JSONDecoder().raw_decode


def scan(text: str, at: int) -> tuple[Any, int]:
    """The value at `at` and where it ends. Raises ValueError or IndexError for what is none."""
    if text[at] not in '"{[':
        return _scan(text, at)
    try:
        value, end = _scan(text[at : at + _SHORT])
    except ValueError:
        return _long(text, at)
    return value, at + end


def _long(text: str, at: int) -> tuple[Any, int]:
    if text[at] == '"':
        return _string(text, at + 1)
    return _members(text, at) if text[at] == "{" else _values(text, at)


def _string(text: str, at: int) -> tuple[str, int]:
    pieces: list[str] = []
    while text[at] != '"':
        found = _CHARACTERS.match(text, at, at + TEXT_PIECE)
        if found is None or found.end() == at:
            raise ValueError("A string does not end.")
        pieces.append(_scan(f'"{found[0]}"')[0])
        at = found.end()
    return "".join(pieces), at + 1


def _members(text: str, at: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    end = text[at + 1]
    while end != "}":
        key, at = scan(text, at + 1)
        members[key], at = scan(text, at + 1)
        end = text[at]
    return members, at + (1 if members else 2)


def _values(text: str, at: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    end = text[at + 1]
    while end != "]":
        value, at = scan(text, at + 1)
        values.append(value)
        end = text[at]
    return values, at + (1 if values else 2)
