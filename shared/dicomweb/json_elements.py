"""PS3.18 §F.2.2 The form of elements that clients send as DICOM JSON: what is not in the model is refused. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.errors import InvalidRequest

_WHERE: Final = "request body"
_TAG: Final = re.compile("[0-9A-F]{8}")
_VR: Final = re.compile("[A-Z]{2}")
_NEVER_IN_DATA_SETS: Final = ("0000", "0002")
"""Groups of command sets and file meta information (JSON-12)."""


def checked_data_set(data_set: Mapping[str, Any]) -> Attributes:
    """The data set, with its attributes in order. Raises InvalidRequest for what is not in the DICOM JSON model."""
    found: Attributes = {}
    for key, element in sorted(data_set.items()):
        if not _TAG.fullmatch(key):
            raise InvalidRequest(
                "The body names an attribute that the standard does not have.",
                where=_WHERE,
                remedy="Name attributes by 8 hexadecimal digits or by their keywords.",
            )
        if not key.startswith(_NEVER_IN_DATA_SETS):
            found[key] = _element(key, element)
    return found


def _element(key: str, element: object) -> dict[str, Any]:
    vr = element.get("vr") if isinstance(element, dict) else None
    if not isinstance(element, dict) or not isinstance(vr, str) or not _VR.fullmatch(vr):
        raise _malformed(key, "has no vr")
    value = element.get("Value", [])
    if not isinstance(value, list):
        raise _malformed(key, "has a Value that is no array")
    if vr != "SQ":
        return element
    if not all(item is None or isinstance(item, dict) for item in value):
        raise _malformed(key, "has an item that is no data set")
    return {**element, "Value": [checked_data_set(item or {}) for item in value]} if value else element


def _malformed(key: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"The attribute {key} {what}.", where=_WHERE, remedy="Send it in the DICOM JSON model (PS3.18 Annex F)."
    )
