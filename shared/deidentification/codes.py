"""PS3.3 §8.8 Coded entries: codes of schemes that the standard uses stay, all others could be anything."""

import re
from typing import Final

from shared.deidentification.tables import coding_schemes
from shared.deidentification.words import is_word
from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text

CODE_VALUE: Final = "00080100"
LONG_CODE_VALUE: Final = "00080119"
SCHEME: Final = "00080102"

_CODE = re.compile(r"[A-Za-z]{0,4}[-_]?[0-9][0-9A-Za-z.\-]{0,17}", re.ASCII)
_LETTERS = re.compile(r"[^\W\d_]+")
_LONGEST_UNIT_WORD: Final = 4


def is_known_scheme(designator: str) -> bool:
    """Whether the standard lists a coding scheme."""
    return designator in coding_schemes()


def is_code(value: str, item: Attributes) -> bool:
    """Whether the value of a coded entry is, by its form, a code of the scheme that its item names."""
    scheme = (first_text(item, SCHEME) or "").strip(" ")
    if scheme == "UCUM":
        words = _LETTERS.findall(value)
        return len(value) <= 16 and all(is_word(word) or len(word) <= _LONGEST_UNIT_WORD for word in words)
    return scheme in coding_schemes() and bool(_CODE.fullmatch(value) or is_word(value))
