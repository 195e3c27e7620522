"""Values of elements in the DICOM JSON model (PS3.18 §F.2.2), as services of any kind answer with them."""

from collections.abc import Mapping, Sequence
from typing import Any


def values(data_set: Mapping[str, Any], tag: str) -> Sequence[Any]:
    """The values of an element, in order; none if it is absent or empty."""
    found: Sequence[Any] = data_set.get(tag, {}).get("Value") or ()
    return found


def first(data_set: Mapping[str, Any], tag: str, default: Any = "") -> Any:
    """The first value of an element; `default` if it is absent or empty."""
    return next(iter(values(data_set, tag)), default)
