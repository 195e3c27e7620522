"""PS3.5 §9.1 Unique identifiers, and what identifies an instance.

The rules are deliberately lenient (UID-1, UID-2): real archives hold UIDs with leading zeros and empty components.
"""

import re
from dataclasses import dataclass

_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_UID = re.compile(r"[0-9.]{0,63}[0-9]")


def trim_uid(text: str) -> str:
    """The UID without the padding that is ignored when UIDs are compared: trailing blanks and NULs (CON-8, W-12)."""
    return text.rstrip(" \0")


def is_uid(text: str) -> bool:
    """Whether `text`, after trimming, has 1 to 64 characters, digits and dots only, the last one a digit (UID-1)."""
    return _UID.fullmatch(trim_uid(text)) is not None


def is_ae_title(text: str) -> bool:
    """Whether `text` is an AE title without spaces around it (PS3.5 Table 6.2-1)."""
    return _AE_TITLE.fullmatch(text) is not None and text == text.strip(" ")


@dataclass(frozen=True, slots=True, order=True)
class InstanceIdentifier:
    """The identifier of an instance inside a partition (CON-1). The UIDs are trimmed."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class ResourceIdentifier:
    """A study, a series of it, or an instance of that: the scope of a retrieve, a delete or a search. UIDs trimmed."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
