"""Values of the DICOM JSON model as the mapping reads them (PS3.18 §F.2, dicomcast §4). Pure.

Blanks and NULs around a value do not count, and an empty value is an absent one.
"""

from collections.abc import Mapping
from typing import Any

type DataSet = Mapping[str, Any]
"""A data set of the DICOM JSON model: tag to element."""

MOST_UNSIGNED = 2_147_483_647
"""FHIR R4 unsignedInt."""


def values(data_set: DataSet, tag: str) -> list[Any]:
    """The values of an element; [] if it is absent or malformed."""
    element = data_set.get(tag)
    found = element.get("Value") if isinstance(element, Mapping) else None
    return list(found) if isinstance(found, list) else []


def texts(data_set: DataSet, tag: str) -> list[str]:
    """The non-empty values as texts; of person names the groups joined by `=`."""
    return [text for value in values(data_set, tag) if (text := text_of(value))]


def text_of(value: Any) -> str:
    """One value as text."""
    if isinstance(value, Mapping):
        groups = [value.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return trimmed("=".join(group if isinstance(group, str) else "" for group in groups).rstrip("="))
    if isinstance(value, str):
        return trimmed(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if float(value).is_integer() else str(value)
    return ""


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


def unsigned(value: str) -> int | None:
    """A whole number that FHIR can hold; None for anything else."""
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number.is_integer() and 0 <= number <= MOST_UNSIGNED else None
