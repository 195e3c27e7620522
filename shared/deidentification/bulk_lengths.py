"""PS3.3 §C.7.6.3, §C.10.9, §C.11.1 Lengths of bulk values, by the attributes that stand beside them (DEID-2).

What is longer could hold anything: samples are cut where the last of them ends, and tables of another size go.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.deidentification.report import Deed, Report
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


def fitted(
    attributes: Attributes, found: Mapping[str, BulkValue], report: Report
) -> tuple[Attributes, Mapping[str, int]]:
    """A data set without tables that have not the size that their descriptor says, at any level; and by the path of
    each bulk value of samples how many bytes the samples have.
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
            entries, value = entries_of_table(attributes, key), found.get(path)
            if entries is not None and value is not None and value.length not in {entries + entries % 2, 2 * entries}:
                report.note(key, Deed.REMOVED)
                changed[key] = None
            elif path and (samples := _length_of_samples(attributes, key)) is not None:
                lengths[path] = samples
        if not changed:
            return attributes  # not copied: there may be items for each of thousands of frames
        merged = {**attributes, **changed}
        return {key: merged[key] for key in attributes if merged[key] is not None}

    return level(attributes), lengths


def entries_of_table(level: Attributes, key: str) -> int | None:
    """The entries that a lookup table has by its descriptor, 0 without one; None for what is no such table."""
    if key not in _DESCRIPTORS:
        return None
    said = first(level, _DESCRIPTORS[key])
    return said % _MOST_ENTRIES or _MOST_ENTRIES if isinstance(said, int) else 0


def _length_of_samples(level: Attributes, key: str) -> int | None:
    """Bytes of the samples in a value of a data set or item; None where its attributes do not tell."""
    if key == _WAVEFORM:
        return _bytes(first(level, each) for each in (_CHANNELS, _SAMPLES, _WAVEFORM_BITS))
    size = [first(level, _ROWS), first(level, _COLUMNS), first(level, _NUMBER_OF_FRAMES) or 1]
    if key in _FLOATS:
        return _bytes((*size, _FLOATS[key]))
    if key != _PIXEL_DATA or _SUBSAMPLED in (first_text(level, "00280004") or ""):
        return None
    return _bytes((*size, first(level, _SAMPLES_PER_PIXEL), first(level, _BITS_ALLOCATED)))


def _bytes(factors: Iterable[Any]) -> int | None:
    """Of numbers whose product is a number of bits; None where one is missing."""
    found = list(factors)
    numbers = [each for each in found if isinstance(each, int) and each > 0]
    return (math.prod(numbers) + 7) // 8 if len(numbers) == len(found) else None
