"""PS3.18 §8.3.4 Query parameters: the control parameters of a search, and what remains as its matching keys."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from shared.errors import InvalidRequest

DEFAULT_LIMIT = 100
MAX_LIMIT = 200
MAX_OFFSET = 2**63 - 1
"""The largest number that other servers hold in 64 bits."""
_MAX_PARAMETERS = 500

_CORRECT: Final = "Correct the parameter or leave it out."
_INTEGER = re.compile(r"[+-]?\d{1,30}", re.ASCII)


def invalid_parameter(name: str, reason: str, remedy: str = _CORRECT) -> InvalidRequest:
    """The refusal of the parameter `name`, worded as clients of the reference expect it (AERR-4)."""
    return InvalidRequest(
        f"The query parameter '{name}' is invalid. {reason}", where=f"query parameter {name}", remedy=remedy
    )


def pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string as sent, decoded and trimmed, in order (QIDO-5). Raises InvalidRequest."""
    try:
        decoded = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError as error:
        raise InvalidRequest(
            f"The query string is not valid UTF-8, or has more than {_MAX_PARAMETERS} parameters.",
            where="query string",
            remedy="Encode characters as UTF-8 with percent signs, and send fewer parameters.",
        ) from error
    return [(name.strip(), value.strip()) for name, value in decoded]


def integer(text: str | None, name: str, default: int, low: int, high: int) -> int:
    """The value of the parameter `name`, `default` where `text` is None. Raises InvalidRequest (AERR-4)."""
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        raise invalid_parameter(name, f"The field {name} must be an integer.")
    if not low <= int(text) <= high:
        raise invalid_parameter(name, f"The field {name} must be between {low} and {high}.")
    return int(text)


def boolean(text: str | None, name: str, *, default: bool) -> bool:
    """The value of the parameter `name`, `default` where `text` is None. Raises InvalidRequest."""
    if text is None:
        return default
    if text.lower() not in {"true", "false"}:
        raise invalid_parameter(name, "It must be 'true' or 'false'.")
    return text.lower() == "true"


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a list (GEN-30)."""

    limit: int
    offset: int


def window(query: str) -> Window:
    """The part of a list that a query string asks for; other parameters are ignored. Raises InvalidRequest."""
    given: dict[str, str] = {}
    for name, value in pairs(query):
        if name.lower() in {"limit", "offset"}:
            if name.lower() in given:
                raise invalid_parameter(name.title(), "It is given more than once.")
            given[name.lower()] = value
    return Window(
        integer(given.get("limit"), "Limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        integer(given.get("offset"), "Offset", 0, 0, MAX_OFFSET),
    )


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """A query string of a search, read as far as no attribute needs to be known."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    fuzzy_matching: bool = False
    empty_value_matching: bool = False
    multiple_value_matching: bool = False
    order: str | None = None
    """The order of results that is asked for, as spelt."""
    include_all: bool = False
    include_fields: tuple[str, ...] = ()
    """Attribute identifiers as the client spelt them, `all` left out (D-32)."""
    keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The matching keys: attribute identifier as spelt and value, in order."""


def parse_query(query: str) -> QueryParameters:
    """Read the control parameters of a search (dicomweb §8.1); their names are case-insensitive (QIDO-1).

    Raises InvalidRequest for a value out of range or of the wrong type, and for a repeated parameter (QIDO-6);
    `includefield` alone may be repeated.
    """
    controls: dict[str, str] = {}
    fields: list[str] = []
    keys: list[tuple[str, str]] = []
    for name, value in pairs(query):
        control = name.lower()
        if control == "includefield":
            fields += (part.strip() for part in value.split(","))
        elif control in _CONTROLS:
            if control in controls:
                raise invalid_parameter(_CONTROLS[control], "It is given more than once.")
            controls[control] = value
        elif control != "accept":  # read where media types are negotiated (ACC-6)
            keys.append((name, value))
    if not all(fields):
        raise invalid_parameter("IncludeField", "It names no attribute.")
    return QueryParameters(
        limit=integer(controls.get("limit"), "Limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        offset=integer(controls.get("offset"), "Offset", 0, 0, MAX_OFFSET),
        fuzzy_matching=boolean(controls.get("fuzzymatching"), "FuzzyMatching", default=False),
        empty_value_matching=boolean(controls.get("emptyvaluematching"), "EmptyValueMatching", default=False),
        multiple_value_matching=boolean(controls.get("multiplevaluematching"), "MultipleValueMatching", default=False),
        order=controls.get("orderby"),
        include_all=any(name.lower() == "all" for name in fields),
        include_fields=tuple(name for name in fields if name.lower() != "all"),
        keys=tuple(keys),
    )


_CONTROLS = {
    "limit": "Limit",
    "offset": "Offset",
    "fuzzymatching": "FuzzyMatching",
    "emptyvaluematching": "EmptyValueMatching",
    "multiplevaluematching": "MultipleValueMatching",
    "orderby": "OrderBy",
}
