"""What the index takes from a data set (dicomweb §6.7: IDX-1, D-14, D-15). Pure."""

from collections.abc import Mapping
from typing import Any

from shared.index.postings import CARRIED, INDEXED, PATIENT_ID, Level, is_date, time_values
from shared.index.values import Attributes

_LONGEST = 512
_LONGEST_TEXT = 2048
"""Longest values that rows carry, in characters: their sum has to fit a property. Results take longer ones from the
metadata; none that passes validation and can be searched is longer."""

_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def index_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> tuple[Attributes, Attributes, Attributes]:
    """The study, series and instance attributes of a data set in the DICOM JSON model.

    The first value of each attribute that has a usable one, as DICOM text, padding kept. An empty PatientID that is
    present is '' (STOW-22).
    """
    study, series, instance = (_of_level(attributes, level) for level in ("study", "series", "instance"))
    if PATIENT_ID in attributes and PATIENT_ID not in study:
        study[PATIENT_ID] = ""
    return study, series, instance


def _of_level(attributes: Mapping[str, Mapping[str, Any]], level: Level) -> dict[str, str]:
    found = {}
    for key in CARRIED[level]:
        text = _first_text(attributes, key)
        if text is not None and _is_usable(key, text):
            found[key] = text
    return found


def _first_text(attributes: Mapping[str, Mapping[str, Any]], key: str) -> str | None:
    tag, _, nested = key.partition(".")
    element = attributes.get(tag)
    if element is None:
        return None
    values = element.get("Value")
    if not isinstance(values, list) or not values:
        return None
    if nested:
        texts = (_first_text(item, nested) for item in values if isinstance(item, Mapping))
        return next((text for text in texts if text is not None), None)
    return _text(values[0])


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


def _is_usable(key: str, text: str) -> bool:
    attribute = INDEXED.get(key)
    vr = attribute.vr if attribute else ""
    if len(text) > (_LONGEST_TEXT if vr == "LT" else _LONGEST):
        return False
    if vr == "DA":
        return is_date(text.strip(" \0"))
    if vr == "TM":
        return bool(time_values(text.strip(" \0")))
    return True
