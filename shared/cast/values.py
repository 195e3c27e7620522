"""Values of the DICOM JSON model as the mapping reads them (PS3.18 §F.2, dicomcast §4). Pure.

Blanks and NULs around a value do not count, and an empty value is an absent one. So is a text that FHIR cannot hold, or
that could not be decoded: `is_unwritable` tells those apart.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from shared.dicom import elements

type DataSet = Mapping[str, Any]
"""A data set of the DICOM JSON model: tag to element."""

MOST_UNSIGNED = 2_147_483_647
"""FHIR R4 unsignedInt, and the largest integer."""
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_UNWRITABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffd]")
"""Control characters are in no FHIR string (R4 §2.24.0.1), halves of pairs in no UTF-8; U+FFFD stands for bytes that
the character set of the instance does not have: two different texts may look alike by it.
"""
_DEEPEST = 12
"""Levels of an element that are looked at: an item is three, and items of items of items are mapped."""
_INTEGER = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
"""IS and DS of PS3.5 §6.2, whatever their length."""


def values(data_set: DataSet, tag: str) -> list[Any]:
    """The values of an element; [] if it is absent or malformed."""
    return list(elements.values(data_set, tag))


def texts(data_set: DataSet, tag: str) -> list[str]:
    """The non-empty values as texts; of person names the groups joined by `=`."""
    return [text for value in values(data_set, tag) if (text := text_of(value))]


def text_of(value: Any) -> str:
    """One value as text."""
    if isinstance(value, Mapping):
        groups = [value.get(group) for group in _GROUPS]
        return trimmed("=".join(_writable(group) if isinstance(group, str) else "" for group in groups).rstrip("="))
    if isinstance(value, str):
        return _writable(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def is_unwritable(value: Any, depth: int = 0) -> bool:
    """Whether a value, or one below it, is a text that is left out because no FHIR string can say it."""
    if isinstance(value, str):
        return bool(_UNWRITABLE.search(trimmed(value)))
    if depth == _DEEPEST:
        return False
    if isinstance(value, Mapping):
        return any(is_unwritable(each, depth + 1) for each in value.values())
    return isinstance(value, list) and any(is_unwritable(each, depth + 1) for each in value)


def says(element: Any) -> bool:
    """Whether an element has a value that is not empty."""
    found = values({"": element}, "")
    return any(
        text_of(each) or (isinstance(each, Mapping) and each and not each.keys() <= set(_GROUPS)) for each in found
    )


def _writable(text: str) -> str:
    found = trimmed(text)
    return "" if _UNWRITABLE.search(found) else found


def trimmed(text: str) -> str:
    """A text without padding."""
    return text.strip(" \0\t\r\n")


def text(data_set: DataSet, tag: str) -> str:
    """The first non-empty value as text; empty if there is none."""
    return next(iter(texts(data_set, tag)), "")


def items(data_set: DataSet, tag: str) -> list[DataSet]:
    """The items of a sequence."""
    return [item for item in values(data_set, tag) if isinstance(item, Mapping)]


def item(data_set: DataSet, tag: str) -> DataSet:
    """The first item of a sequence; an empty data set if there is none."""
    return next(iter(items(data_set, tag)), {})


def integer(value: str) -> int | None:
    """An IS value; None for anything else."""
    return int(value) if _INTEGER.fullmatch(value) else None


def decimal(value: Any) -> float | None:
    """A DS value, as text or as the number of the JSON model; None for anything else, and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not _DECIMAL.fullmatch(value := trimmed(value)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def unsigned(value: str) -> int | None:
    """A whole number that FHIR can hold; None for anything else."""
    number = integer(value)
    return number if number is not None and 0 <= number <= MOST_UNSIGNED else None
