"""Extraction of the indexed attributes from a data set (dicomweb §6.7: IDX-1, D-14, D-15). Pure."""

from collections.abc import Mapping
from typing import Any

from shared.dicom.elements import first, items
from shared.index_schema.postings import is_date, time_values

_LONGEST = 512
_LONGEST_TEXT = 2048
"""Longest values that rows carry, in characters: their sum has to fit a property. Results take longer ones from the
metadata; none that passes validation and can be searched is longer."""

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def indexed_text(attributes: Mapping[str, Mapping[str, Any]], key: str) -> str | None:
    """The first value of an attribute, or of one inside a sequence, as DICOM text; None if there is none."""
    tag, _, nested = key.partition(".")
    if nested:
        texts = (indexed_text(item, nested) for item in items(attributes, tag))
        return next((text for text in texts if text is not None), None)
    return _text(first(attributes, tag))


def _text(value: object) -> str | None:
    """A JSON value as DICOM text; None if it has no content."""
    if isinstance(value, Mapping):
        value = "=".join(str(value.get(group) or "") for group in _NAME_GROUPS).rstrip("=")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip(" \0"):
        return None
    if not value.isascii():  # a lone surrogate is not text that a row can hold
        value = value.encode("utf-8", "replace").decode()
    return value


def is_usable(vr: str, text: str) -> bool:
    """Whether rows carry `text`, a value of that VR."""
    if len(text) > (_LONGEST_TEXT if vr == "LT" else _LONGEST):
        return False
    if vr == "DA":
        return is_date(text.strip(" \0"))
    if vr == "TM":
        return bool(time_values(text.strip(" \0")))
    return True
