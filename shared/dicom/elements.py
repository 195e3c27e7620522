"""PS3.18 §F.2.2 Values of elements in the DICOM JSON model. Clients may send anything as one: nothing here raises."""

from collections.abc import Mapping, Sequence
from typing import Any


def values(attributes: Mapping[str, Any], key: str) -> Sequence[Any]:
    """The values of an element, in order; none if it is absent, or if its `Value` is no array."""
    element = attributes.get(key)
    found = element.get("Value") if isinstance(element, dict) else None
    if isinstance(found, list) or (isinstance(found, Sequence) and not isinstance(found, str)):
        return found
    return []


def first(attributes: Mapping[str, Any], key: str) -> Any:
    """The first value of an element; None if it is absent or has none."""
    found = values(attributes, key)
    return found[0] if found else None


def first_text(attributes: Mapping[str, Any], key: str) -> str | None:
    """The first value of an element if it is text, else None."""
    value = first(attributes, key)
    return value if isinstance(value, str) else None


def items(attributes: Mapping[str, Any], key: str, number: int | None = None) -> list[dict[str, Any]]:
    """The items of a sequence, in order, or the one with this number (from 1), if there is one; what stands in the
    place of one and is no data set counts as empty.
    """
    found = values(attributes, key)
    return [
        item if isinstance(item, dict) else {} for item in (found if number is None else found[number - 1 : number])
    ]


def enclosing(attributes: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any], str]:
    """The data set that holds the element at `path`, and its key there; an empty one if there is no such item.

    `path` is a tag, or tags and item numbers (from 1) as in `00400275/1/00080060` (BULK-1, W-17).
    """
    *steps, key = path.split("/")
    numbers = iter(steps)
    for sequence, number in zip(numbers, numbers, strict=True):
        found = values(attributes, sequence)
        item = found[int(number) - 1] if 1 <= int(number) <= len(found) else None
        attributes = item if isinstance(item, dict) else {}
    return attributes, key
