"""PS3.15 §E.3.10 Private elements that are known to be safe: numbers and coded strings of image physics.

A part of Table E.3.10-1, that of elements without free text. Who they belong to says their private creator.
"""

import re
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text
from shared.dicom.part10.value_representations import creator_tag

SAFE_VRS: Final = frozenset({"CS", "DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"})
"""The VRs that a safe private element may have in a file, whatever its creator says."""

_SAFE: Final = {
    "ELSCINT1": "00E1xx21 01E1xx26 01E1xx50 01F1xx01 01F1xx07 01F1xx26 01F1xx27",
    "GEMS_ACQU_01": "0019xx23 0019xx24 0019xx27",
    "GEMS_HELIOS_01": "0045xx01 0045xx02",
    "GEMS_PARM_01": "0043xx39",
    "GEMS_SERS_01": "0025xx07",
    "Philips Imaging DD 001": "2001xx03 2001xx04",
    "Philips MR Imaging DD 001": "2005xxB0 2005xxB1 2005xxB2",
    "Philips PET Private Group": "7053xx00 7053xx09",
    "SIEMENS MR HEADER": "0019xx0A 0019xx0C 0019xx0D 0019xx0E 0019xx27",
}
"""By private creator: the elements, `xx` for the digits of the block."""


_WORD = re.compile(rb"(?!([A-Za-z])\1{4})[A-Za-z]{5}")
"""Letters, but not the bytes of a third, which are one letter again and again."""


def may_spell(data: bytes) -> bool:
    """Whether the bytes of few numbers are a word rather: no standard says how many of them there may be."""
    return _WORD.search(data) is not None


def creator_of(tag: int, attributes: Attributes) -> str | None:
    """Key of the element that reserves the block of a safe private element; None where `tag` is not one."""
    reserved = creator_tag(tag)
    if reserved is None:
        return None
    creator, key = f"{reserved:08X}", f"{tag:08X}"
    name = (first_text(attributes, creator) or "").strip(" \0")
    return creator if f"{key[:4]}xx{key[6:]}" in _SAFE.get(name, "").split() else None
