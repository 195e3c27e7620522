"""Extraction of the indexed attributes from a data set (dicomweb §6.7: IDX-1, D-14, D-15; azure-apis §3). Pure."""

import math
from collections.abc import Mapping
from typing import Any

from shared.dicom import validation
from shared.dicom.date_times import period
from shared.dicom.elements import first, first_text, items
from shared.index_schema.indexed_attributes import QueryTag
from shared.index_schema.postings import NUMBERS, is_date, time_values

_LONGEST = 512
_LONGEST_TEXT = 2048
"""Longest values that rows carry, in characters: their sum has to fit a property. Results take longer ones from the
metadata; none that passes validation and can be searched is longer."""

_INTEGERS = {
    "IS": (-(2**31), 2**31 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "UL": (0, 2**32 - 1),
    "US": (0, 2**16 - 1),
}
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def indexed_text(attributes: Mapping[str, Mapping[str, Any]], key: str) -> str | None:
    """The first value of an attribute, or of one inside a sequence, as DICOM text; None if there is none."""
    tag, _, nested = key.partition(".")
    if nested:
        texts = (indexed_text(item, nested) for item in items(attributes, tag))
        return next((text for text in texts if text is not None), None)
    return _text(first(attributes, tag))


def tag_text(attributes: Mapping[str, Mapping[str, Any]], tag: QueryTag, vr: str) -> str | None:
    """The first value of an extended query tag as DICOM text; None if there is none, or none that is valid in its VR
    (EQT-33, EQT-40). The element must have that VR.
    """
    path = located(attributes, tag)
    if path is None:
        return None
    sequence, _, nested = path.rpartition(".")
    for data_set in items(attributes, sequence) if sequence else (attributes,):
        element = data_set.get(nested)
        if not isinstance(element, Mapping) or element.get("vr") != vr:
            continue
        text = _text(first(data_set, nested))
        if text is not None:
            return text if _is_valid(vr, text) else None
    return None


def located(attributes: Mapping[str, Any], tag: QueryTag) -> str | None:
    """Where a data set has an extended query tag: of a private one in the block that its creator has reserved there
    (PS3.5 §7.8.1). None if it has reserved none.
    """
    if not tag.creator:
        return tag.path
    group = tag.path[:4]
    for block in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
        creator = first_text(attributes, f"{group}00{block:02X}")
        if creator is not None and creator.strip(" \0") == tag.creator:
            return f"{group}{block:02X}{tag.path[6:]}"
    return None


def _is_valid(vr: str, text: str) -> bool:
    """Whether a value can be matched by its VR (azure-apis §3.3)."""
    stripped = text.strip(" \0")
    if vr in _INTEGERS:
        low, high = _INTEGERS[vr]
        return validation.strict("IS", [stripped]) is None and low <= int(stripped) <= high
    if vr in NUMBERS:
        try:
            return math.isfinite(float(stripped))
        except ValueError:
            return False
    if vr == "DT":
        return period(vr, stripped, stored=True) is not None
    return is_usable(vr, text) and validation.well_formed(vr, text)


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
