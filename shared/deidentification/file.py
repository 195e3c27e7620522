"""PS3.10 §7 The Part 10 file of a de-identified instance: new elements, and ranges of the source for its bulk values.

The preamble is zero and the file meta information new; transfer syntax and pixel data are those of the source, but that
uncompressed data sets become Explicit VR Little Endian.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.deidentification.instance import Deidentified
from shared.deidentification.report import Finding
from shared.dicom.attributes import Attributes
from shared.dicom.elements import first, first_text
from shared.dicom.part10.bulk_data import BulkValue, bulk_paths
from shared.dicom.part10.composer import BulkPart, CannotCompose, compose

_PIXEL_DATA: Final = "7FE00010"
_ITEM: Final = b"\xfe\xff\x00\xe0"
_NO_OFFSETS: Final = _ITEM + bytes(4)
_ITEM_HEAD, _TABLE_ENTRY = 8, 4
"""Bytes of the head of an item, and of an offset in the basic offset table."""
_SUBSAMPLED: Final = "42"
"""In the names of photometric interpretations whose chroma has fewer samples (YBR_FULL_422)."""


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Bytes of the source, as its data set is read."""

    offset: int
    length: int


type Piece = bytes | SourceRange


def wanted_values(instance: Deidentified) -> list[str]:
    """The paths of the bulk values of the source that the file needs."""
    return bulk_paths(instance.attributes)


def pieces(
    instance: Deidentified, transfer_syntax_uid: str, values: Mapping[str, BulkValue], first_fragment: int | None = None
) -> Sequence[Piece]:
    """The file, piece after piece; ranges are of the bytes in which `values` were found.

    `first_fragment` is where the item of the basic offset table of encapsulated pixel data begins; without it, and
    where it has not one entry for each frame, they get an empty table. Bytes after the last sample are left out.

    Raises:
        CannotCompose: a value is missing, or cannot be encoded.
    """
    ranges: dict[str, SourceRange] = {}

    def find(path: str) -> Sequence[BulkPart]:
        value = values.get(path)
        if value is None:
            raise CannotCompose("A bulk value is not in the file.")
        ranges[path] = _range(instance, path, value, first_fragment)
        return [BulkPart(ranges[path].length, _ITEM if value.encapsulated else b"", b"")]

    syntax = {"00020010": {"vr": "UI", "Value": [transfer_syntax_uid]}}
    composed = compose({**syntax, **instance.attributes}, find)
    found: list[Piece] = []
    for piece in composed:
        if isinstance(piece, bytes):
            found.append(piece)
            continue
        value = values[piece.uri]
        if value.encapsulated and ranges[piece.uri].offset == value.offset:
            found.append(_NO_OFFSETS)
        found.append(ranges[piece.uri])
    return found


def _range(instance: Deidentified, path: str, value: BulkValue, first_fragment: int | None) -> SourceRange:
    if path != _PIXEL_DATA:
        return SourceRange(value.offset, value.length)
    if value.encapsulated:
        start = value.offset
        frames = first(instance.attributes, "00280008") or 1
        if first_fragment is not None and value.offset - first_fragment - _ITEM_HEAD == frames * _TABLE_ENTRY:
            start = first_fragment  # a table of another length could hold anything
        return SourceRange(start, value.offset + value.length - start)
    needed = _native_length(instance.attributes)
    if needed is None or needed >= value.length:
        return SourceRange(value.offset, value.length)
    if needed + 1 < value.length:
        instance.report.findings[Finding.TRAILING_BYTES] = 1
    return SourceRange(value.offset, needed + needed % 2)


def _native_length(attributes: Attributes) -> int | None:
    """Bytes of uncompressed samples (PS3.5 §8.1.1); None where the attributes do not tell."""
    if _SUBSAMPLED in (first_text(attributes, "00280004") or ""):
        return None
    found = [first(attributes, key) for key in ("00280010", "00280011", "00280002", "00280100")]
    factors = [*found, first(attributes, "00280008") or 1]
    numbers = [each for each in factors if isinstance(each, int) and each > 0]
    return (math.prod(numbers) + 7) // 8 if len(numbers) == len(factors) else None
