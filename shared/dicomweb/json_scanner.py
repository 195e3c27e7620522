"""Long JSON texts, read in pieces: a parser holds the interpreter's lock until it has read a value, whatever is in it
(STOW-46).
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from shared.dicomweb.long_text import TEXT_PIECE

_SHORT: Final = 2 * 1024
"""Characters that are tried at one go."""
_AGAIN: Final = 1024
"""Characters behind a place where that was in vain at which it is tried again: so nothing is looked at many times."""
_MOST_LEVELS: Final = 384
"""Of objects and arrays in a long text: 128 nested data sets, and what the interpreter bears."""
_SURROGATES: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_CHARACTERS: Final = re.compile(rf'(?:[^"\\]++|{_SURROGATES}|\\u(?![dD][89a-fA-F])[0-9A-Fa-f]{{4}}|\\[^u])*+')
"""The inside of a string, up to its end or to what ends the piece."""
_PLAIN_STRING: Final = re.compile(r'"([^"\\\x00-\x1f]{0,64}+)"')
"""A short string without escapes, which most values are."""
_EMPTY: Final = ("{}", "[]")
_BLANK: Final = re.compile("[ \t\r\n]*+")


def _integer(text: str) -> int | float:
    """A number without fraction: one that does not fit 64 bits is no exact one."""
    if len(text) < 19:
        return int(text)
    value = int(text) if len(text) <= 20 else 2**64
    return value if -(2**63) <= value < 2**64 else _fraction(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("A number is beyond all that can be held.")
    return value


def _refuse(_: str) -> Any:
    raise ValueError("NaN and infinity are no JSON.")


_scan: Callable[..., tuple[Any, int]] = json.JSONDecoder(
    parse_int=_integer, parse_float=_fraction, parse_constant=_refuse
).raw_decode


def scan(text: str, at: int) -> tuple[Any, int]:
    """The value at `at` and where it ends. Raises ValueError or IndexError for what is none."""
    return _Scanner(text).value(at, 0)


def read(text: str) -> Any:
    """The value that a whole text is. Raises ValueError, IndexError or RecursionError for what is no JSON."""
    scanner = _Scanner(text)
    value, at = scanner.value(scanner.after_blank(0), 0)
    if scanner.after_blank(at) != len(text):
        raise ValueError("Something follows the value.")
    return value


class _Scanner:
    """One text that is being read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._try_at = 0
        """Where a value is next tried at one go."""

    def after_blank(self, at: int) -> int:
        """The place of the next character that is not blank."""
        found = _BLANK.match(self._text, at)
        return found.end() if found else at

    def value(self, at: int, level: int) -> tuple[Any, int]:
        """The value that begins at `at`, and where it ends."""
        text = self._text
        if text[at] not in '"{[':
            return _scan(text, at)
        if found := _PLAIN_STRING.match(text, at):
            return found[1], found.end()
        if text.startswith(_EMPTY, at):  # cheaper than a piece of the text for each of very many
            return ({} if text[at] == "{" else []), at + 2
        if at >= self._try_at:
            piece = text[at : at + _SHORT]
            try:
                value, end = _scan(piece)
            except ValueError:
                self._try_at = at + _AGAIN
            else:
                if "\\u" in piece:
                    orjson.loads(piece[:end])  # which knows that half a pair of surrogates is no text
                return value, at + end
        if level > _MOST_LEVELS:
            raise ValueError("The text is nested too deep.")
        if text[at] == '"':
            return self._string(at + 1)
        return (self._members if text[at] == "{" else self._values)(at + 1, level + 1)

    def _string(self, at: int) -> tuple[str, int]:
        text = self._text
        pieces: list[str] = []
        while text[at] != '"':
            found = _CHARACTERS.match(text, at, at + TEXT_PIECE)
            if found is None or found.end() == at:
                raise ValueError("A string does not end.")
            pieces.append(_scan(f'"{found[0]}"')[0])
            at = found.end()
        return "".join(pieces), at + 1

    def _members(self, at: int, level: int) -> tuple[dict[str, Any], int]:
        members: dict[str, Any] = {}
        at = self.after_blank(at)
        if self._text[at] == "}":
            return members, at + 1
        while True:
            if self._text[at] != '"':
                raise ValueError("A member has no name.")
            key, at = self.value(at, level)
            at = self._behind(":", at)
            members[key], at = self.value(at, level)
            at = self.after_blank(at)
            if self._text[at] == "}":
                return members, at + 1
            at = self._behind(",", at)

    def _values(self, at: int, level: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        at = self.after_blank(at)
        if self._text[at] == "]":
            return values, at + 1
        while True:
            value, at = self.value(at, level)
            values.append(value)
            at = self.after_blank(at)
            if self._text[at] == "]":
                return values, at + 1
            at = self._behind(",", at)

    def _behind(self, token: str, at: int) -> int:
        at = self.after_blank(at)
        if self._text[at] != token:
            raise ValueError(f"There is no {token} where one belongs.")
        return self.after_blank(at + 1)
