"""PS3.18 §F.2.2 Values of elements in the DICOM JSON model. Clients may send anything as one: nothing here raises."""

from collections.abc import Mapping
from typing import Any


def first(attributes: Mapping[str, Any], key: str) -> Any:
    """The first value of an element; None if it is absent or has none."""
    element = attributes.get(key)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def first_text(attributes: Mapping[str, Any], key: str) -> str | None:
    """The first value of an element if it is text, else None."""
    value = first(attributes, key)
    return value if isinstance(value, str) else None
