"""PS3.3 §C.11.1, §C.11.2, §C.7.9 Lookup tables of an image: modality, VOI and palette, segmented palettes included."""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.dicom.errors import Unconvertible

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_MAX_ENTRIES: Final = 65_536
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_COLORS: Final = ("Red", "Green", "Blue")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table of (value) to (value): `first` is the input that its first entry is for; inputs beyond its ends get the
    entry at the end.
    """

    first: int
    bits: int
    """Of an entry."""
    entries: tuple[int, ...]

    def applied_to(self, samples: "NDArray[Any]") -> "NDArray[Any]":
        """The entries for `samples`."""
        import numpy as np

        table = np.asarray(self.entries, np.int32)
        places = np.clip(samples.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        found: NDArray[Any] = table[places]
        return found


def item_table(item: "Dataset") -> LookupTable:
    """The table in an item of a Modality or VOI LUT Sequence. Raises Unconvertible."""
    return _table(item.get("LUTDescriptor"), item.get("LUTData"))


def palette(data_set: "Dataset") -> tuple[LookupTable, LookupTable, LookupTable]:
    """The red, green and blue tables of a palette colour image. Raises Unconvertible."""
    red, green, blue = (_palette_table(data_set, color) for color in _COLORS)
    return red, green, blue


def _palette_table(data_set: "Dataset", color: str) -> LookupTable:
    descriptor = data_set.get(f"{color}PaletteColorLookupTableDescriptor")
    plain = data_set.get(f"{color}PaletteColorLookupTableData")
    if plain is not None:
        return _table(descriptor, plain)
    segmented = data_set.get(f"Segmented{color}PaletteColorLookupTableData")
    count, _, bits = _descriptor(descriptor)
    code = "B" if bits == 8 else "H"
    words = _numbers(segmented, code)
    return _table(descriptor, _expanded(words, count, wide=bits > 8))


def _table(descriptor: Any, data: Any) -> LookupTable:
    count, start, bits = _descriptor(descriptor)
    if not isinstance(data, bytes):
        values = list(data) if isinstance(data, (list, tuple)) or hasattr(data, "__iter__") else [data]
        entries = [int(value) & 0xFFFF for value in values if value is not None]
    elif len(data) < 2 * count:  # entries of 8 bits may be packed into bytes
        entries = list(data)
    else:
        entries = _numbers(data, "H")
    if len(entries) < count:
        raise Unconvertible("A lookup table of the instance is too short.")
    return LookupTable(start, bits, tuple(entries[:count]))


def _descriptor(descriptor: Any) -> tuple[int, int, int]:
    try:
        count, start, bits = (int(value) for value in descriptor)
    except (TypeError, ValueError):
        raise Unconvertible("A lookup table of the instance has no descriptor.") from None
    if not 1 <= bits <= 16:
        raise Unconvertible("A lookup table of the instance has an impossible descriptor.")
    return count & 0xFFFF or _MAX_ENTRIES, start, bits


def _numbers(data: Any, code: str) -> list[int]:
    if not isinstance(data, bytes):
        raise Unconvertible("A lookup table of the instance has no data.")
    count = len(data) // struct.calcsize(code)
    return list(struct.unpack_from(f"<{count}{code}", data))


def _expanded(words: list[int], count: int, *, wide: bool) -> list[int]:
    """Segmented data as entries (PS3.3 §C.7.9.2), never more than `count` of them. `wide`: words are of 16 bits."""
    out: list[int] = []
    at = 0
    try:
        while at < len(words) - 1 and len(out) < count:
            if words[at] == _INDIRECT:
                length = words[at + 1]
                address = words[at + 2 : at + 4] if wide else words[at + 2 : at + 6]
                offset = sum(word << (16 if wide else 8) * n for n, word in enumerate(address))
                place = offset // 2 if wide else offset
                for _ in range(min(length, count - len(out))):
                    place = _segment(words, place, out, count)
                at += 4 if wide else 6
            else:
                at = _segment(words, at, out, count)
    except (IndexError, ZeroDivisionError):
        raise Unconvertible("A segmented lookup table of the instance is damaged.") from None
    return out


def _segment(words: list[int], at: int, out: list[int], count: int) -> int:
    """Append the entries of the discrete or linear segment at `at`; returns where the next one is."""
    kind, length = words[at], words[at + 1]
    if kind == _DISCRETE:
        out += words[at + 2 : at + 2 + min(length, count)]
        return at + 2 + length
    if kind == _LINEAR:
        start, end = out[-1], words[at + 2]
        out += (round(start + (end - start) * n / length) for n in range(1, min(length, count) + 1))
        return at + 3
    raise IndexError
