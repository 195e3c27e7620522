"""The paths of extended query tags (EQT-7, EQT-8, D-28). Pure."""

import re
from typing import Final

from shared.dicom.dictionary import tag_of
from shared.errors import InvalidRequest

_HEX: Final = re.compile(r"[0-9A-Fa-f]{8}")
_SHOWN: Final = 100
_DEEPEST: Final = 2


def tag_path(text: str, where: str) -> str:
    """The key of a path: of a keyword, compared case-sensitively, or 8 hex digits, or two of them joined by a dot.

    `where` is the part of the request that it is in. Raises InvalidRequest.
    """
    names = text.split(".")
    if len(names) > _DEEPEST:
        raise InvalidRequest(
            "Sequential dicom tags are currently not supported.", where=where, remedy="Name one sequence at most."
        )
    return ".".join(f"{_tag(name, text, where):08X}" for name in names)


def _tag(name: str, text: str, where: str) -> int:
    tag = tag_of(name)
    if tag is None and _HEX.fullmatch(name):
        tag = int(name, 16)
    if tag is None:
        raise InvalidRequest(
            f"The extended query tag '{text[:_SHOWN]}' is invalid as it cannot be parsed into a valid Dicom Tag.",
            where=where,
            remedy="Use a keyword of the standard, such as PatientAge, or 8 hexadecimal digits.",
        )
    return tag
