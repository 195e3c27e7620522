"""PS3.10 §7 The Part 10 file of a de-identified instance: new elements, and ranges of the source for its bulk values.

The preamble is zero and the file meta information new; transfer syntax and pixel data are those of the source, but that
uncompressed data sets become Explicit VR Little Endian.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.deidentification.bulk_lengths import fitted, tables
from shared.deidentification.fragments import FrameCoding
from shared.deidentification.instance import Deidentified
from shared.deidentification.report import Finding
from shared.dicom.elements import first
from shared.dicom.part10.bulk_data import BulkValue, bulk_paths
from shared.dicom.part10.composer import BulkPart, CannotCompose, compose
from shared.dicom.part10.frames import FrameTable

_ITEM: Final = b"\xfe\xff\x00\xe0"
_NO_OFFSETS: Final = _ITEM + bytes(4)
_TABLE_ENTRY: Final = 4
"""Bytes of an offset in the basic offset table."""
_FARTHEST: Final = 2**32 - 1
"""The greatest offset that it can hold."""


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Bytes of the source, as its data set is read."""

    offset: int
    length: int
    fragments: FrameCoding | None = None
    """The coding of the frames whose fragments these are."""


type Piece = bytes | SourceRange


def wanted_values(instance: Deidentified) -> list[str]:
    """The paths of the bulk values of the source that the file needs."""
    return bulk_paths(instance.attributes)


def wanted_bytes(instance: Deidentified, values: Mapping[str, BulkValue]) -> Mapping[str, BulkValue]:
    """The bulk values whose bytes decide whether the file has them: lookup tables."""
    return tables(instance.attributes, values)


def pieces(
    instance: Deidentified,
    transfer_syntax_uid: str,
    values: Mapping[str, BulkValue],
    read: Mapping[str, bytes],
    frames: FrameTable | None = None,
) -> Sequence[Piece]:
    """The file, piece after piece; ranges are of the bytes in which `values` were found.

    `read` has the bytes of `wanted_bytes`, little endian. `frames` is where its frames are, in the same bytes as
    `values`: the basic offset table of encapsulated pixel data is made anew of it, and empty without it. Bytes after
    the last sample are left out, and tables that are not what they say.

    Raises:
        CannotCompose: a value is missing, or cannot be encoded.
    """
    attributes, samples = fitted(instance.attributes, values, read, instance.spells_identity, instance.report)
    coding = FrameCoding.of(transfer_syntax_uid, instance.attributes)
    ranges: dict[str, SourceRange] = {}

    def find(path: str) -> Sequence[BulkPart]:
        value = values.get(path)
        if value is None:
            raise CannotCompose("A bulk value is not in the file.")
        ranges[path] = (
            SourceRange(value.offset, value.length, coding)
            if value.encapsulated
            else _range(instance, value, samples.get(path))
        )
        return [BulkPart(ranges[path].length, _ITEM if value.encapsulated else b"", b"")]

    syntax = {"00020010": {"vr": "UI", "Value": [transfer_syntax_uid]}}
    composed = compose({**syntax, **attributes}, find)
    found: list[Piece] = []
    for piece in composed:
        if isinstance(piece, bytes):
            found.append(piece)
            continue
        value = values[piece.uri]
        if value.encapsulated:
            found.append(_offset_table(instance, value, frames))
        found.append(ranges[piece.uri])
    return found


def _range(instance: Deidentified, value: BulkValue, needed: int | None) -> SourceRange:
    if needed is None or needed >= value.length:
        return SourceRange(value.offset, value.length)
    if needed + 1 < value.length:
        instance.report.findings[Finding.TRAILING_BYTES] = 1
    return SourceRange(value.offset, needed + needed % 2)


def _offset_table(instance: Deidentified, value: BulkValue, frames: FrameTable | None) -> bytes:
    """The basic offset table (PS3.5 §A.4); empty where frames cannot be told apart, or are too far for it."""
    said = first(instance.attributes, "00280008") or 1
    if frames is None or frames.count != said or frames.offsets[:1] != (value.offset,):
        return _NO_OFFSETS
    offsets = [each - value.offset for each in frames.offsets[:-1]]
    if offsets[-1] > _FARTHEST:
        return _NO_OFFSETS
    return _ITEM + struct.pack(f"<L{len(offsets)}L", _TABLE_ENTRY * len(offsets), *offsets)
