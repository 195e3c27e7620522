"""Images of 2 by 2 grey pixels, written byte by byte: with elements that no writer would write."""

import struct

from shared.dicom.identifiers import InstanceIdentifier
from tests.builders.images import SECONDARY_CAPTURE, Image, new_uid
from tests.builders.part10_bytes import ELE, explicit, part10

PIXELS = bytes(range(1, 13))
"""Of three frames."""


def odd_image(
    elements: dict[int, bytes] | None = None,
    *,
    syntax: str = ELE,
    behind: bytes = b"",
    study: str | None = None,
    rows: int = 2,
    columns: int = 2,
) -> Image:
    """A file in explicit VR with `elements` at the places of their tags, or instead of the elements of these tags."""
    identifier = InstanceIdentifier(study or new_uid(), new_uid(), new_uid())
    numbers = {0x00280002: 1, 0x00280010: rows, 0x00280011: columns, 0x00280100: 8, 0x00280101: 8, 0x00280102: 7}
    written = {
        0x00080016: explicit(0x00080016, "UI", SECONDARY_CAPTURE),
        0x00080018: explicit(0x00080018, "UI", identifier.sop_instance_uid),
        0x00080060: explicit(0x00080060, "CS", "OT"),
        0x00100020: explicit(0x00100020, "LO", "P1"),
        0x0020000D: explicit(0x0020000D, "UI", identifier.study_instance_uid),
        0x0020000E: explicit(0x0020000E, "UI", identifier.series_instance_uid),
        0x00280004: explicit(0x00280004, "CS", "MONOCHROME2"),
        **{tag: explicit(tag, "US", struct.pack("<H", number)) for tag, number in numbers.items()},
        0x7FE00010: explicit(0x7FE00010, "OB", PIXELS[: rows * columns]),
        **(elements or {}),
    }
    body = b"".join(written[tag] for tag in sorted(written))
    return Image(identifier, syntax, part10(body + behind, syntax), (PIXELS[: rows * columns],))
