"""Validation of extended query tags that are to be added (EQT-7 to EQT-18). Pure."""

from collections.abc import Iterable
from typing import Final

from shared.dicom import validation
from shared.dicom.dictionary import vr_of
from shared.errors import InvalidRequest
from shared.extended_query_tags.paths import tag_path
from shared.extended_query_tags.request import NewTag
from shared.index_schema.indexed_attributes import CUSTOM_VRS, IndexedAttribute
from shared.index_schema.schema import BUILT_IN

_OTHER_VRS: Final = frozenset(
    {"AT", "DS", "LT", "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "ST", "SV", "UC", "UN", "UR", "UT", "UV"}
)
_NATIVE: Final = frozenset(BUILT_IN.searchable)


def indexed_attributes(tags: Iterable[NewTag]) -> list[IndexedAttribute]:
    """The tags that the entries of a request add to the schema, without keys and codes. Raises InvalidRequest: all or
    nothing (EQT-24).
    """
    found: dict[str, IndexedAttribute] = {}
    for tag in tags:
        path = tag_path(tag.path, "request body")
        attribute = _attribute(tag, path)
        if path in found:
            raise _refusal(f"The extended query tag '{_shown(tag)}' has been specified before.")
        found[path] = attribute
    return list(found.values())


def _attribute(entry: NewTag, path: str) -> IndexedAttribute:
    if path in _NATIVE:
        raise _refusal(f"The query tag '{_shown(entry)}' is already supported.")
    *sequences, tag = (int(each, 16) for each in path.split("."))
    for sequence in sequences:
        if vr_of(sequence) != "SQ" or _is_private(tag):
            raise _refusal(
                f"The extended query tag '{_shown(entry)}' is invalid as it cannot be parsed into a valid Dicom Tag.",
                "A dot follows a sequence of the standard, and precedes an element of the standard.",
            )
    if tag >> 16 < _FIRST_GROUP or tag >> 16 in _NO_GROUPS:
        raise _refusal(
            f"The extended query tag '{_shown(entry)}' is invalid as it cannot be parsed into a valid Dicom Tag.",
            "No data set has elements of that group.",
        )
    _check_creator(entry, tag)
    vr = _vr(entry, tag)
    return IndexedAttribute("", vr, entry.level, path=path, creator=entry.creator)


def _check_creator(entry: NewTag, tag: int) -> None:
    if not _is_private(tag):
        if entry.creator:
            raise _refusal(f"The private creator is not empty for standard tag '{_shown(entry)}'.")
    elif _is_creator(tag):
        if entry.creator:
            raise _refusal(f"The private creator is not empty for private identification code '{_shown(entry)}'.")
    elif not entry.creator:
        raise _refusal(f"The private creator for private tag '{_shown(entry)}' is missing.")
    elif (tag & 0xFFFF) < _FIRST_PRIVATE:
        raise _refusal(
            f"The extended query tag '{_shown(entry)}' is invalid as it cannot be parsed into a valid Dicom Tag."
        )
    elif validation.strict("LO", [entry.creator]) is not None or "\\" in entry.creator:
        raise _refusal(
            f"The private creator for private tag '{_shown(entry)}' is not a valid value of VR LO.",
            "Send at most 64 characters, without backslashes and control characters.",
        )


_FIRST_GROUP: Final = 0x0008
"""Lower ones are those of messages, of the file meta information and of directories, or of nobody (PS3.5 §7.1)."""
_NO_GROUPS: Final = frozenset({0xFFFE, 0xFFFF})
"""Delimiters, and a group that nobody may have."""
_FIRST_PRIVATE: Final = 0x1000
"""Elements of private blocks begin here (PS3.5 §7.8.1)."""


def _vr(entry: NewTag, tag: int) -> str:
    known = "LO" if _is_private(tag) and _is_creator(tag) else (None if _is_private(tag) else vr_of(tag))
    expected = known.split("/") if known else []
    vr = entry.vr.upper() or (expected[0] if len(expected) == 1 else "")
    if not vr:
        raise _refusal(f"The vr for tag '{_shown(entry)}' is missing.")
    if vr not in CUSTOM_VRS | _OTHER_VRS:
        raise _refusal(f"The VR code '{entry.vr[:16]}' for tag '{_shown(entry)}' is invalid.")
    if expected and vr not in expected:
        raise _refusal(
            f"The VR code '{vr}' is incorrectly specified for '{_shown(entry)}'. The expected VR code for it is "
            f"'{known}'."
        )
    if vr not in CUSTOM_VRS:
        raise _refusal(
            f"The VR code '{vr}' specified for tag '{_shown(entry)}' is not supported.",
            f"Supported are {', '.join(sorted(CUSTOM_VRS))}.",
        )
    return vr


def _is_private(tag: int) -> bool:
    return bool(tag & 0x10000)


def _is_creator(tag: int) -> bool:
    return 0x10 <= tag & 0xFFFF <= 0xFF


def _shown(entry: NewTag) -> str:
    return entry.path[:100]


def _refusal(text: str, remedy: str = "") -> InvalidRequest:
    return InvalidRequest(text, where="request body", remedy=remedy)
