"""Extraction of the indexed attributes from a data set (dicomweb §6.7: IDX-1, D-14, D-15; azure-apis §3). Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.dicom import validation
from shared.dicom.date_times import period
from shared.dicom.elements import first, first_text, items
from shared.index_schema.indexed_attributes import IndexedAttribute
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


@dataclass(frozen=True, slots=True)
class Extracted:
    """The value that a data set has of a custom attribute. One of the two is there, or neither."""

    text: str | None = None
    """As DICOM text."""
    fault: str | None = None
    """The fault that keeps it out of the index; without the value."""


def custom_value(attributes: Mapping[str, Mapping[str, Any]], attribute: IndexedAttribute) -> Extracted:
    """The first value of a custom attribute, which must be valid in its VR, as must be the VR of the element (EQT-33,
    EQT-40). None, and an empty one, are no fault.
    """
    path, vr = located(attributes, attribute), attribute.vr
    if path is None:
        return Extracted()
    sequence, _, nested = path.rpartition(".")
    fault: str | None = None
    for data_set in items(attributes, sequence) if sequence else (attributes,):
        element = data_set.get(nested)
        if not isinstance(element, Mapping):
            continue
        text = _text(first(data_set, nested))
        if text is None:
            fault = fault or (_TOO_LONG if "BulkDataURI" in element else None)
        elif element.get("vr") != vr:
            fault = fault or (_NO_VR if element.get("vr") == "UN" else _OTHER_VR)
        else:
            found = _fault(vr, text)
            return Extracted(fault=found) if found else Extracted(text)
    return Extracted(fault=fault)


_TOO_LONG = "longer than what is indexed"
_OTHER_VR = "the element has another VR than the tag"
_NO_VR = "the VR of the element is not known"
_NO_INTEGER = "not an integer, or not one of that VR"
_NO_NUMBER = "not a finite number"
_NO_DATE_TIME = "not a date and time YYYYMMDDHHMMSS.FFFFFF&ZZXX"
_NO_DATE = "not a date YYYYMMDD"
_NO_TIME = "not a time HHMMSS.FFFFFF"


def located(attributes: Mapping[str, Any], attribute: IndexedAttribute) -> str | None:
    """Where a data set has an attribute: a private one in the block that its creator has reserved there (PS3.5 §7.8.1).
    None if it has reserved none.
    """
    if not attribute.creator:
        return attribute.path
    group = attribute.path[:4]
    for block in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
        creator = first_text(attributes, f"{group}00{block:02X}")
        if creator is not None and creator.strip(" \0") == attribute.creator:
            return f"{group}{block:02X}{attribute.path[6:]}"
    return None


def _fault(vr: str, text: str) -> str | None:
    """The fault that keeps a value from being matched by its VR (azure-apis §3.3, §3.5), or None."""
    stripped = text.strip(" \0")
    if vr in _INTEGERS:
        low, high = _INTEGERS[vr]
        fits = validation.strict("IS", [stripped]) is None and low <= int(stripped) <= high
        return None if fits else _NO_INTEGER
    if vr in NUMBERS:
        try:
            return None if math.isfinite(float(stripped)) else _NO_NUMBER
        except ValueError:
            return _NO_NUMBER
    if vr == "DT":
        return None if period(vr, stripped, stored=True) is not None else _NO_DATE_TIME
    if not is_usable(vr, text):
        return {"DA": _NO_DATE, "TM": _NO_TIME}.get(vr, _TOO_LONG)
    return validation.malformed(vr, text)


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
