"""PS3.10 §8, PS3.3 Annex F The media storage directory (DICOMDIR): its records, and how they point at each other.

Records are items of one flat sequence, linked by offsets from the first byte of the file. So the lengths of all have to
be known before the first of them is written; none has to be kept for that.
"""

import struct
from dataclasses import dataclass
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.part10.composer import encoded_data_set, file_head
from shared.dicom.part10.explicit_little_endian import encoded, encoded_head

MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
FILE_NAME: Final = "DICOMDIR"

IMAGE: Final = "IMAGE"

_CONTENT: Final = ("00080023", "00080033", "00200013")
"""ContentDate, ContentTime, InstanceNumber."""
_LABELLED: Final = (*_CONTENT, "00700080", "00700081", "00700084")
"""With ContentLabel, ContentDescription, ContentCreatorName."""

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "PATIENT": ("00100010", "00100020"),
    "STUDY": ("00080020", "00080030", "00080050", "00081030", "0020000D", "00200010"),
    "SERIES": ("00080060", "0020000E", "00200011"),
    IMAGE: ("00200013",),
    "RT DOSE": ("00200013", "3004000A"),
    "RT STRUCTURE SET": ("00200013", "30060002", "30060008", "30060009"),
    "RT PLAN": ("00200013", "300A0002", "300A0006", "300A0007"),
    "RT TREAT RECORD": ("00200013", "30080250", "30080251"),
    "PRESENTATION": ("00200013", "00700080", "00700081", "00700082", "00700083", "00700084", "00081115"),
    "WAVEFORM": _CONTENT,
    "SR DOCUMENT": (*_CONTENT, "0040A030", "0040A043", "0040A491", "0040A493"),
    "KEY OBJECT DOC": (*_CONTENT, "0040A043"),
    "SPECTROSCOPY": (*_CONTENT, "00080008", "00280008", "00280010", "00280011", "00289001", "00289002"),
    "RAW DATA": _CONTENT,
    "REGISTRATION": _LABELLED,
    "FIDUCIAL": _LABELLED,
    "VALUE MAP": _LABELLED,
    "SURFACE": _LABELLED,
    "ENCAP DOC": (*_CONTENT, "0040A043", "00420010", "00420012"),
}
"""The keys of records by their type, without those that are required of some objects alone (PS3.3 §F.5)."""

_OPTIONAL: Final = frozenset({"00081115", "0040A030"})
"""Keys that a record has only where its object has them."""

VRS: Final = {
    "00080008": "CS", "00080020": "DA", "00080023": "DA", "00080030": "TM", "00080033": "TM", "00080050": "SH",
    "00080060": "CS", "00081030": "LO", "00100010": "PN", "00100020": "LO", "0020000D": "UI", "0020000E": "UI",
    "00200010": "SH", "00200011": "IS", "00200013": "IS", "00280008": "IS", "00280010": "US", "00280011": "US",
    "00289001": "UL", "00289002": "UL", "3004000A": "CS", "30060002": "SH", "30060008": "DA", "30060009": "TM",
    "300A0002": "SH", "300A0006": "DA", "300A0007": "TM", "30080250": "DA", "30080251": "TM", "00700080": "CS",
    "00700081": "LO", "00700082": "DA", "00700083": "TM", "00700084": "PN", "0040A043": "SQ", "0040A491": "CS",
    "0040A493": "CS", "00420010": "ST", "00420012": "LO",
}  # fmt: skip  # a table
"""Of the keys that an object may lack, and its record has without a value."""

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_RECORD_TYPES: Final = (
    ("481.2", "RT DOSE"),
    ("481.3", "RT STRUCTURE SET"),
    ("481.5", "RT PLAN"),
    ("481.8", "RT PLAN"),
    ("481.4", "RT TREAT RECORD"),
    ("481.6", "RT TREAT RECORD"),
    ("481.7", "RT TREAT RECORD"),
    ("481.9", "RT TREAT RECORD"),
    ("11.", "PRESENTATION"),
    ("9.", "WAVEFORM"),
    ("88.59", "KEY OBJECT DOC"),
    ("88.", "SR DOCUMENT"),
    ("4.2", "SPECTROSCOPY"),
    ("66.1", "REGISTRATION"),
    ("66.2", "FIDUCIAL"),
    ("66.3", "REGISTRATION"),
    ("66.5", "SURFACE"),
    ("66", "RAW DATA"),
    ("67", "VALUE MAP"),
    ("104.", "ENCAP DOC"),
)
"""By the end of the UID of the SOP class, or by its beginning where that ends with a dot (PS3.3 Table F.4-1)."""

_IN_USE: Final = 0xFFFF
_ITEM: Final = b"\xfe\xff\x00\xe0"
_NEXT, _LOWER = 8, 30
"""Where a record has its two offsets: behind the headers of their elements."""


@dataclass(frozen=True, slots=True)
class FileReference:
    """The file of a record."""

    components: tuple[str, ...]
    """Of its File ID: at most 8, each of at most 8 characters of A-Z, 0-9 and _ (PS3.10 §8.2)."""
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def record_type(sop_class_uid: str) -> str:
    """The type of the record of an object; what has none of its own, and what is not known, is an image."""
    end = sop_class_uid.removeprefix(_STORAGE) if sop_class_uid.startswith(_STORAGE) else ""
    for known, name in _RECORD_TYPES:
        if end == known or (known.endswith(".") and end.startswith(known)):
            return name
    return IMAGE


def keys_of(kind: str, attributes: Attributes) -> Attributes:
    """The keys of a record; what its object lacks is there without a value."""
    found: Attributes = {}
    for key in KEYS[kind]:
        element = attributes.get(key)
        if element is not None and "BulkDataURI" not in element:
            found[key] = element
        elif key not in _OPTIONAL:
            found[key] = {"vr": VRS[key]}
    return found


def record(kind: str, keys: Attributes, file: FileReference | None = None) -> bytes:
    """A record that points nowhere yet. Raises CannotCompose for keys that cannot be encoded."""
    head = [
        encoded(0x00041400, b"UL", bytes(4)),
        encoded(0x00041410, b"US", struct.pack("<H", _IN_USE)),
        encoded(0x00041420, b"UL", bytes(4)),
        _text(0x00041430, b"CS", kind),
    ]
    if file is not None:
        head += [
            _text(0x00041500, b"CS", "\\".join(file.components)),
            _text(0x00041510, b"UI", file.sop_class_uid),
            _text(0x00041511, b"UI", file.sop_instance_uid),
            _text(0x00041512, b"UI", file.transfer_syntax_uid),
        ]
    content = b"".join((*head, encoded_data_set(keys)))
    return _ITEM + struct.pack("<L", len(content)) + content


def linked(item: bytes, following: int, lower: int) -> bytes:
    """A record that points at the next one of its level, and at the first one of the level below; 0: at none."""
    found = bytearray(item)
    struct.pack_into("<L", found, 8 + _NEXT, following)
    struct.pack_into("<L", found, 8 + _LOWER, lower)
    return bytes(found)


def directory_head(instance_uid: str, length: int) -> bytes:
    """The bytes before records of so many bytes in all, of which the first one is the only one at the root."""
    meta = file_head(MEDIA_STORAGE_DIRECTORY, instance_uid)
    sequence = encoded_head(0x00041220, b"SQ", length)
    flag = encoded(0x00041212, b"US", bytes(2))
    name = encoded(0x00041130, b"CS", b"")
    first = len(meta) + len(name) + 2 * 12 + len(flag) + len(sequence)
    offsets = b"".join(encoded(tag, b"UL", struct.pack("<L", first)) for tag in (0x00041200, 0x00041202))
    return meta + name + offsets + flag + sequence


def _text(tag: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    return encoded(tag, vr, value + (b"\0" if vr == b"UI" else b" ") * (len(value) % 2))
