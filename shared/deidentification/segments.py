"""PS3.3 §C.7.9.2 Lookup tables in segments: how many entries they stand for."""

import struct
from collections.abc import Sequence

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def entries(data: bytes, *, wide: bool) -> int | None:
    """The entries of a table, whose words have two bytes if it is `wide`; None where some bytes are no segments."""
    if wide:
        if len(data) % 2:
            return None
        return _Segments(struct.unpack(f"<{len(data) // 2}H", data), address=2, unit=2).entries()
    found = _Segments(data, address=4, unit=1).entries()
    if found is None and data.endswith(b"\0"):  # the byte that makes the length even
        return _Segments(data[:-1], address=4, unit=1).entries()
    return found


class _Segments:
    def __init__(self, words: Sequence[int], address: int, unit: int) -> None:
        """`address`: words of an offset, which counts bytes: `unit` of them are a word."""
        self._words = words
        self._address = address
        self._unit = unit
        self._starts: list[int] = []
        """Words in front of each segment."""
        self._lengths: list[int] = []
        """Entries of each segment; 0 of one that is made of others."""
        self._numbers: dict[int, int] = {}
        """The number of a segment by where it starts."""

    def entries(self) -> int | None:
        """The sum; None where a segment is damaged."""
        at = total = 0
        while at < len(self._words):
            kind, *rest = self._words[at : at + 2]
            if not rest or not rest[0]:
                return None
            count = rest[0]
            length = {_DISCRETE: 2 + count, _LINEAR: 3, _INDIRECT: 2 + self._address}.get(kind)
            if length is None or at + length > len(self._words) or (kind == _LINEAR and not total):
                return None
            made = self._made_of_others(at + 2, count) if kind == _INDIRECT else count
            if made is None:
                return None
            self._numbers[at] = len(self._lengths)
            self._lengths.append(0 if kind == _INDIRECT else count)
            at += length
            total += made
        return total

    def _made_of_others(self, at: int, count: int) -> int | None:
        """Entries of so many segments in front of this one."""
        bits = 8 * self._unit
        offset = sum(word << bits * n for n, word in enumerate(self._words[at : at + self._address]))
        number = self._numbers.get(offset // self._unit)
        if number is None or offset % self._unit:
            return None
        lengths = self._lengths[number : number + count]
        return sum(lengths) if len(lengths) == count and all(lengths) else None
