"""Part 10 files element by element, so that a test can write what no library would."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from shared.dicom.identifiers import InstanceIdentifier
from tests.builders.images import ELE, ILE, new_uid

type Value = str | bytes | list[Mapping[int, Element]]
type Element = tuple[str, Value]
"""VR and value: text (encoded as UTF-8), bytes, or the items of a sequence."""

CT = "1.2.840.10008.5.1.4.1.1.2"

STUDY, SERIES, SOP_INSTANCE, SOP_CLASS = 0x0020000D, 0x0020000E, 0x00080018, 0x00080016
PATIENT_ID, PATIENT_NAME, MODALITY, STUDY_DATE = 0x00100020, 0x00100010, 0x00080060, 0x00080020

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_PADDED_WITH_NUL = frozenset({"UI", "OB", "UN"})


@dataclass(frozen=True, slots=True)
class File:
    """A Part 10 file without pixels (fixture F4) and what identifies it."""

    identifier: InstanceIdentifier
    data: bytes

    @property
    def path(self) -> str:
        """Below the base and version."""
        one = self.identifier
        return f"studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"


def file(
    changes: Mapping[int, Element | str | None] | None = None,
    *,
    study: str | None = None,
    series: str | None = None,
    sop_instance: str | None = None,
    syntax: str = ELE,
    preamble: bytes = bytes(128),
) -> File:
    """A valid CT without pixels. `changes` by tag: VR and value, a value of the usual VR, None to leave it out."""
    identifier = InstanceIdentifier(study or new_uid(), series or new_uid(), sop_instance or new_uid())
    elements: dict[int, Element] = {
        0x00080005: ("CS", "ISO_IR 192"),
        SOP_CLASS: ("UI", CT),
        SOP_INSTANCE: ("UI", identifier.sop_instance_uid),
        STUDY_DATE: ("DA", "20240131"),
        0x00080050: ("SH", "A-1"),
        MODALITY: ("CS", "CT"),
        0x00080090: ("PN", "Referrer^One"),
        0x00081030: ("LO", "Chest"),
        0x00081090: ("LO", "Scanner"),
        PATIENT_NAME: ("PN", "Doe^Jane"),
        PATIENT_ID: ("LO", "P-1"),
        0x00100030: ("DA", "19700102"),
        STUDY: ("UI", identifier.study_instance_uid),
        SERIES: ("UI", identifier.series_instance_uid),
        0x00200013: ("IS", "1"),
        0x00400244: ("DA", "20240131"),
    }
    for tag, change in (changes or {}).items():
        if change is None:
            elements.pop(tag, None)
        else:
            elements[tag] = change if isinstance(change, tuple) else (elements[tag][0], change)
    return File(identifier, preamble + b"DICM" + file_meta(identifier, syntax) + data_set(elements, syntax))


def file_meta(identifier: InstanceIdentifier, syntax: str) -> bytes:
    """Group 0002."""
    group = data_set(
        {
            0x00020001: ("OB", b"\0\1"),
            0x00020002: ("UI", CT),
            0x00020003: ("UI", identifier.sop_instance_uid),
            0x00020010: ("UI", syntax),
            0x00020012: ("UI", "1.2.3.4"),
        }
    )
    return _element(0x00020000, ("UL", struct.pack("<L", len(group))), ELE) + group


def data_set(elements: Mapping[int, Element], syntax: str = ELE) -> bytes:
    """A data set in Explicit or Implicit VR Little Endian, in ascending order of tags."""
    return b"".join(_element(tag, elements[tag], syntax) for tag in sorted(elements))


def _element(tag: int, element: Element, syntax: str) -> bytes:
    vr, value = element
    if isinstance(value, list):
        items = (data_set(item, syntax) for item in value)
        data = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in items)
    else:
        data = value.encode() if isinstance(value, str) else value
        data += (b"\0" if vr in _PADDED_WITH_NUL else b" ") * (len(data) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if syntax == ILE:
        return head + struct.pack("<L", len(data)) + data
    if vr in _LONG:
        return head + vr.encode() + struct.pack("<HL", 0, len(data)) + data
    return head + vr.encode() + struct.pack("<H", len(data)) + data
