"""PS3.3 §C.7.6.3, §C.10.9, §C.11.1 Lengths of bulk values, by the attributes that stand beside them (DEID-2).

What is longer could hold anything: samples are cut where the last of them ends, and tables of another size go. So do
tables whose bytes spell a name.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from shared.deidentification import segments
from shared.deidentification.report import Deed, Finding, Report
from shared.dicom.attributes import Attributes
from shared.dicom.elements import first, first_text, values
from shared.dicom.part10.bulk_data import BulkValue

_SUBSAMPLED: Final = "42"
"""In the names of photometric interpretations whose chroma has fewer samples (YBR_FULL_422)."""
_NUMBER_OF_FRAMES: Final = "00280008"
_ROWS, _COLUMNS, _SAMPLES_PER_PIXEL, _BITS_ALLOCATED = "00280010", "00280011", "00280002", "00280100"
_FLOATS: Final = {"7FE00008": 32, "7FE00009": 64}
"""The bits of FloatPixelData and DoubleFloatPixelData."""
_PIXEL_DATA: Final = "7FE00010"
_SPECTRA: Final = "56000020"
_POINTS: Final = ("00289001", "00289002")
"""Rows and columns of the points of a spectrum."""
_COMPLEX: Final = "COMPLEX"
"""DataRepresentation of points that are two numbers; others are one."""
_BITS_OF_POINTS: Final = 32
_WAVEFORM: Final = "54001010"
_CHANNELS, _SAMPLES, _WAVEFORM_BITS = "003A0005", "003A0010", "54001004"
_DESCRIPTORS: Final = {
    "00281201": "00281101",
    "00281202": "00281102",
    "00281203": "00281103",
    "00281204": "00281104",
    "00283006": "00283002",
}
"""By table: its descriptor, whose first number says how many entries there are."""
_MOST_ENTRIES: Final = 65536
"""The number that a descriptor means with 0."""
_SEGMENTED: Final = {
    "00281221": "00281101",
    "00281222": "00281102",
    "00281223": "00281103",
    "00281224": "00281104",
}
"""The same of tables in segments, of which there may be any number (PS3.3 §C.7.9.2)."""
_NARROW: Final = 8
"""Bits of entries, and so of all words of segments, that are bytes."""
_LONGEST_TABLE: Final = 3 * 2 * _MOST_ENTRIES
"""Bytes of the longest table that makes sense: segments of one entry each, of three words."""
_LONGEST_OTHER: Final = 64 * 1024
"""Bytes of other numbers that are looked at: in long ones four letters come about by chance."""
_MOST_TABLES, _MOST_BYTES = 256, 2 * 1024**2
"""Tables of an instance that are looked at, and their bytes: the others are removed."""


def tables(attributes: Attributes, found: Mapping[str, BulkValue]) -> Mapping[str, BulkValue]:
    """The lookup tables and other numbers among bulk values, at any level, whose bytes `fitted` has to see; of many the
    first ones, and of other numbers those that are not long.
    """
    wanted: dict[str, BulkValue] = {}
    left = _MOST_BYTES

    def level(attributes: Attributes) -> None:
        nonlocal left
        for key, element in attributes.items():
            if element["vr"] == "SQ":
                for item in values(attributes, key):
                    level(item or {})
            elif "BulkDataURI" in element and not _has_samples(key):
                value = found.get(element["BulkDataURI"])
                most = _LONGEST_TABLE if key in _DESCRIPTORS or key in _SEGMENTED else _LONGEST_OTHER
                if value is not None and value.length <= min(most, left) and len(wanted) < _MOST_TABLES:
                    wanted[element["BulkDataURI"]] = value
                    left -= value.length

    level(attributes)
    return wanted


def fitted(
    attributes: Attributes,
    found: Mapping[str, BulkValue],
    read: Mapping[str, bytes],
    spells_identity: Callable[[bytes], bool],
    report: Report,
) -> tuple[Attributes, Mapping[str, int]]:
    """A data set without lookup tables that are not what their descriptor says, or spell an identity, at any level; and
    by the path of each bulk value of samples how many bytes the samples have.

    `read` has the bytes of `tables`, little endian. That samples have no known length is a finding in the report.
    """
    lengths: dict[str, int] = {}

    def level(attributes: Attributes) -> Attributes:
        changed: dict[str, Any] = {}
        for key, element in attributes.items():
            if element["vr"] == "SQ":
                before = values(attributes, key)
                after = [level(item or {}) for item in before]
                if any(one is not other for one, other in zip(after, before, strict=True) if other):
                    changed[key] = {**element, "Value": after}
                continue
            path = element.get("BulkDataURI", "")
            if path and (key in _DESCRIPTORS or key in _SEGMENTED):
                if not _is_table(attributes, key, read.get(path)) or spells_identity(read[path]):
                    report.note(key, Deed.REMOVED)
                    changed[key] = None
            elif path in read and spells_identity(read[path]):
                report.note(key, Deed.REMOVED)
                changed[key] = None
            elif path in found and _has_samples(key):
                samples = _length_of_samples(attributes, key, found[path])
                if samples is not None:
                    lengths[path] = samples
                elif not found[path].encapsulated:
                    report.findings[Finding.UNEXAMINED] = 1
        if not changed:
            return attributes  # not copied: there may be items for each of thousands of frames
        merged = {**attributes, **changed}
        return {key: merged[key] for key in attributes if merged[key] is not None}

    return level(attributes), lengths


def entries_of_table(level: Attributes, key: str) -> int | None:
    """The entries that a lookup table has by its descriptor, 0 without one; None for what is no such table."""
    if key not in _DESCRIPTORS:
        return None
    return _entries(level, _DESCRIPTORS[key])


def _entries(level: Attributes, descriptor: str) -> int:
    said = first(level, descriptor)
    return said % _MOST_ENTRIES or _MOST_ENTRIES if isinstance(said, int) else 0


def _is_table(level: Attributes, key: str, data: bytes | None) -> bool:
    """Whether bytes are as many entries as the descriptor says, or segments of them and nothing else."""
    if data is None:
        return False
    if key in _DESCRIPTORS:
        entries = _entries(level, _DESCRIPTORS[key])
        return len(data) in {entries + entries % 2, 2 * entries}
    entries = _entries(level, _SEGMENTED[key])
    return 0 < entries == segments.entries(data, wide=values(level, _SEGMENTED[key])[-1:] != [_NARROW])


def _has_samples(key: str) -> bool:
    return key in {_WAVEFORM, _PIXEL_DATA, _SPECTRA} or key in _FLOATS


def _length_of_samples(level: Attributes, key: str, found: BulkValue) -> int | None:
    """Bytes of the samples in a value of a data set or item; None where its attributes do not tell."""
    if key == _WAVEFORM:
        return _bytes(first(level, each) for each in (_CHANNELS, _SAMPLES, _WAVEFORM_BITS))
    size = [first(level, _ROWS), first(level, _COLUMNS), first(level, _NUMBER_OF_FRAMES) or 1]
    if key in _FLOATS:
        return _bytes((*size, _FLOATS[key]))
    if key == _SPECTRA:
        numbers = 2 if first_text(level, "00289108") == _COMPLEX else 1
        return _bytes((*size, *(first(level, each) for each in _POINTS), numbers, _BITS_OF_POINTS))
    whole = _bytes((*size, first(level, _SAMPLES_PER_PIXEL), first(level, _BITS_ALLOCATED)))
    if whole is None or found.length >= whole or _SUBSAMPLED not in (first_text(level, "00280004") or ""):
        return whole
    return whole // 3 * 2


def _bytes(factors: Iterable[Any]) -> int | None:
    """Of numbers whose product is a number of bits; None where one is missing."""
    found = list(factors)
    numbers = [each for each in found if isinstance(each, int) and each > 0]
    return (math.prod(numbers) + 7) // 8 if len(numbers) == len(found) else None
