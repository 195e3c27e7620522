"""PS3.10 §7.1 Files that lack the preamble or the file meta information: what to put before them makes a Part 10 file.

Old archives and some modalities write the data set alone. Its coding shows in its first element, and what the file meta
information must repeat stands near its beginning.
"""

from dataclasses import dataclass
from typing import Final, Literal

from shared.dicom.part10.explicit_little_endian import encoded
from shared.dicom.part10.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.dicom.part10.value_representations import VALUE_REPRESENTATIONS
from shared.dicom.transfer_syntaxes import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN

OPENING_BYTES: Final = 64 * 1024
"""Bytes at the start of a file that tell its missing parts."""
_PREAMBLE: Final = bytes(128)
_MAGIC: Final = b"DICM"
_IDENTIFYING_GROUP: Final = 0x0008
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_UNDEFINED: Final = 0xFFFFFFFF
_LONGEST_FIRST_VALUE: Final = 1024
"""The first element of a data set is a group length, a character set or the like."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A missing part of a file."""

    prefix: bytes
    """The bytes that belong before it."""
    added: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class _Coding:
    syntax: str
    name: str
    order: Literal["little", "big"]
    explicit: bool


def completion(opening: bytes) -> Completion | None:
    """The bytes that are missing before a file that begins with `opening`; None: nothing, or no data set."""
    if opening[128:132] == _MAGIC:
        return None
    if opening.startswith(_MAGIC):
        return Completion(_PREAMBLE, "the preamble")
    if opening.startswith((b"\x02\x00\x00\x00UL\x04\x00", b"\x02\x00\x01\x00OB\x00\x00", b"\x02\x00\x10\x00UI")):
        return Completion(_PREAMBLE + _MAGIC, "the preamble")
    coding = _coding(opening)
    if coding is None:
        return None
    uids = _uids(opening, coding)
    if _SOP_CLASS not in uids or _SOP_INSTANCE not in uids:
        return None
    meta = _file_meta(uids[_SOP_CLASS], uids[_SOP_INSTANCE], coding.syntax)
    return Completion(_PREAMBLE + _MAGIC + meta, f"the preamble and the file meta information ({coding.name})")


def _coding(opening: bytes) -> _Coding | None:
    """The encoding of a data set that begins with an element of group 0008."""
    if len(opening) < 8:
        return None
    explicit = opening[4:6].decode("latin-1") in VALUE_REPRESENTATIONS
    if opening.startswith(b"\x00\x08") and explicit:
        return _Coding(EXPLICIT_BIG_ENDIAN, "Explicit VR Big Endian", "big", explicit=True)
    if not opening.startswith(b"\x08\x00"):
        return None
    if explicit:
        return _Coding(EXPLICIT_LITTLE_ENDIAN, "Explicit VR Little Endian", "little", explicit=True)
    if int.from_bytes(opening[4:8], "little") <= _LONGEST_FIRST_VALUE:
        return _Coding(IMPLICIT_LITTLE_ENDIAN, "Implicit VR Little Endian", "little", explicit=False)
    return None


def _uids(opening: bytes, coding: _Coding) -> dict[int, bytes]:
    """(0008,0016) and (0008,0018), padded to even length, as far as the elements before them can be followed."""
    found: dict[int, bytes] = {}
    at, last = 0, -1
    while at + 8 <= len(opening) and _SOP_INSTANCE not in found:
        group = int.from_bytes(opening[at : at + 2], coding.order)
        tag = group << 16 | int.from_bytes(opening[at + 2 : at + 4], coding.order)
        length, value = _length(opening, at, coding)
        if group != _IDENTIFYING_GROUP or tag <= last or value + length > len(opening):
            break
        if tag in {_SOP_CLASS, _SOP_INSTANCE}:
            text = opening[value : value + length].strip(b" \0")
            found[tag] = text + bytes(len(text) % 2)
        at, last = value + length, tag
    return found


def _length(opening: bytes, at: int, coding: _Coding) -> tuple[int, int]:
    """The length of the value of the element at `at`, beyond all files if it is not known, and where it begins."""
    if not coding.explicit:
        return int.from_bytes(opening[at + 4 : at + 8], coding.order), at + 8
    representation = VALUE_REPRESENTATIONS.get(opening[at + 4 : at + 6].decode("latin-1"))
    if representation is None:
        return _UNDEFINED, at
    if representation.long:
        return int.from_bytes(opening[at + 8 : at + 12], coding.order), at + 12
    return int.from_bytes(opening[at + 6 : at + 8], coding.order), at + 8


def _file_meta(sop_class: bytes, sop_instance: bytes, syntax: str) -> bytes:
    def padded(text: str) -> bytes:
        return text.encode() + bytes(len(text) % 2)

    group = b"".join(
        (
            encoded(0x00020001, b"OB", b"\0\1"),
            encoded(0x00020002, b"UI", sop_class),
            encoded(0x00020003, b"UI", sop_instance),
            encoded(0x00020010, b"UI", padded(syntax)),
            encoded(0x00020012, b"UI", padded(IMPLEMENTATION_CLASS_UID)),
            encoded(0x00020013, b"SH", IMPLEMENTATION_VERSION_NAME.encode()),
        )
    )
    return encoded(0x00020000, b"UL", len(group).to_bytes(4, "little")) + group
