"""What hostile requests are made of: files with given elements, stores of metadata, and what is read of them."""

import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.builders.part10_bytes import ELE, ILE, encapsulated, explicit, implicit, part10

PICTURES: Final = (("rendered", "image/png"), ("thumbnail", "image/jpeg"), ("frames/1", "application/octet-stream"))
OBJECT: Final = (("", "application/dicom"),)
METADATA: Final = (
    ("metadata", "application/dicom+json"),
    ("metadata", 'multipart/related; type="application/dicom+xml"'),
)
MANY_PICTURES: Final = (("rendered", 'multipart/related; type="image/jpeg"'),)


@dataclass(frozen=True, slots=True)
class Bomb:
    """A request that stores, and what is read of what it stored."""

    body: bytes
    path: str = ""
    """Of the instance."""
    reads: tuple[tuple[str, str], ...] = ()
    """Path below the instance and Accept."""
    content_type: str = "application/dicom"
    headers: Mapping[str, str] = field(default_factory=dict)
    copies: int = 1
    """Requests at the same time."""


def instance(
    elements: Mapping[int, bytes] | None = None, syntax: str = ELE, *, head: bytes = b"", tail: bytes = b""
) -> tuple[bytes, str]:
    """A file with these elements, and its path. `head` and `tail`: bytes before the first and after the last one."""
    study, series, sop = (f"2.25.{uuid.uuid4().int}" for _ in range(3))
    found = {
        0x00080016: explicit(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
        0x00080018: explicit(0x00080018, "UI", sop),
        0x00100020: explicit(0x00100020, "LO", "P"),
        0x0020000D: explicit(0x0020000D, "UI", study),
        0x0020000E: explicit(0x0020000E, "UI", series),
        **(elements or {}),
    }
    body = head + b"".join(found[tag] for tag in sorted(found)) + tail
    return part10(body, syntax), f"studies/{study}/series/{series}/instances/{sop}"


def implicit_file(elements: Mapping[int, bytes], *reads: tuple[str, str]) -> Bomb:
    """An instance in implicit VR with these values."""
    study, series, sop = (f"2.25.{uuid.uuid4().int}" for _ in range(3))
    uids = {0x00080016: "1.2.840.10008.5.1.4.1.1.7", 0x00080018: sop, 0x0020000D: study, 0x0020000E: series}
    values: dict[int, bytes | str] = {**uids, 0x00100020: b"P", **elements}
    body = b"".join(implicit(tag, values[tag], vr="UI" if tag in uids else "LO") for tag in sorted(values))
    return Bomb(part10(body, ILE), f"studies/{study}/series/{series}/instances/{sop}", reads)


def pixels(
    rows: int, columns: int, data: bytes, *, bits: int = 8, samples: int = 1, frames: int = 1
) -> dict[int, bytes]:
    """The elements of an image; `data` is the element of the pixel data."""
    numbers = {0x00280002: samples, 0x00280010: rows, 0x00280011: columns, 0x00280100: bits, 0x00280101: bits}
    numbers |= {0x00280102: bits - 1, 0x00280103: 0}
    found = {tag: explicit(tag, "US", struct.pack("<H", number)) for tag, number in numbers.items()}
    found[0x00280004] = explicit(0x00280004, "CS", "RGB" if samples == 3 else "MONOCHROME2")
    if frames > 1:
        found[0x00280008] = explicit(0x00280008, "IS", str(frames))
    return {**found, 0x7FE00010: data}


def file(
    elements: Mapping[int, bytes], *reads: tuple[str, str], syntax: str = ELE, copies: int = 1, **more: bytes
) -> Bomb:
    """An instance with these elements."""
    body, path = instance(elements, syntax, **more)
    return Bomb(body, path, reads, copies=copies)


def frame(codestream: bytes, syntax: str, rows: int = 64, columns: int = 64, **how: int) -> Bomb:
    """An image of one compressed frame."""
    return file(pixels(rows, columns, encapsulated(codestream), **how), *PICTURES, *OBJECT, syntax=syntax)


def sequence(content: bytes, tag: int = 0x00081140) -> dict[int, bytes]:
    """A sequence of these items."""
    return {tag: explicit(tag, "SQ", content)}


def json_store(document: bytes) -> Bomb:
    """A store of metadata."""
    body = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + document + b"\r\n--b--\r\n"
    return Bomb(body, content_type='multipart/related; type="application/dicom+json"; boundary=b')


def xml_store(document: bytes) -> Bomb:
    """A store of metadata in the Native DICOM Model."""
    body = b"--b\r\nContent-Type: application/dicom+xml\r\n\r\n" + document + b"\r\n--b--\r\n"
    return Bomb(body, content_type='multipart/related; type="application/dicom+xml"; boundary=b')
