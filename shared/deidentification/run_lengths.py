"""PS3.5 §G Frames in RLE: what is between and behind the segments, and in them behind the last sample, is blanked.

Decoders read on to the next segment: zeros would be more samples, and many refuse a segment that has more of them than
the picture. So it is blanked by codes that stand for nothing; zeros that are there stay, as writers pad with them.
"""

import struct
from typing import Final

from shared.deidentification.blanking import says_something

_HEADER: Final = 64
_MOST_SEGMENTS: Final = 15
_NO_RUN: Final = 128
"""The code that stands for nothing; greater ones repeat a byte, lower ones are in front of bytes as they are."""
_FILLED: Final = bytes([0, *[_NO_RUN] * 255])
"""By byte: what is in its place."""


class RunLengths:
    """Frames of one fragment each."""

    def __init__(self, pixels: int, planes: int) -> None:
        """`pixels` of a frame, each in a byte of each of the `planes`."""
        self.blanked = False
        self.unexamined = False
        self._pixels = pixels
        self._planes = planes
        self._header = bytearray()
        self._ends: list[int] = []
        """Where the next segments begin, the last one first."""
        self._position = 0
        """In the frame."""
        self._needed = 0
        """Samples of the segment that are still to come."""
        self._run = 0
        """Bytes of a run that are still to come."""
        self._lost = False

    def begin_fragment(self) -> None:
        """A frame begins."""
        self._header.clear()
        self._ends = []
        self._position = self._needed = self._run = 0
        self._lost = False

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Blank what no sample is made of."""
        while at < end:
            if self._lost:
                self.unexamined = self.unexamined or says_something(data, at, end)
                return
            if len(self._header) < _HEADER:
                taken = data[at : min(end, at + _HEADER - len(self._header))]
                self._header += taken
                at += len(taken)
                self._position = len(self._header)
                if self._position == _HEADER:
                    self._read_header()
                continue
            if self._ends and self._position == self._ends[-1]:
                self._ends.pop()
                self._needed, self._run = self._pixels, 0
            stop = min(end, at + self._ends[-1] - self._position) if self._ends else end
            if self._needed or self._run:
                reached = self._runs(data, at, stop)
            else:
                filled = data[at:stop].translate(_FILLED)
                self.blanked |= filled != data[at:stop]
                data[at:stop] = filled
                reached = stop
            self._position += reached - at
            at = reached

    def _read_header(self) -> None:
        count, *offsets = struct.unpack("<16L", self._header)
        used, others = offsets[:count], offsets[count:]
        ascending = all(map(int.__lt__, used, used[1:])) and used[:1] >= [_HEADER]
        if count != self._planes or count > _MOST_SEGMENTS or any(others) or not ascending:
            self._lost = self.unexamined = True
        self._ends = used[::-1]

    def _runs(self, data: bytearray, at: int, stop: int) -> int:
        """Passes over runs to the last sample, or to `stop`; returns how far."""
        needed, run = self._needed, self._run
        while at < stop and (needed or run):
            if run:
                taken = min(run, stop - at)
                run -= taken
                at += taken
                continue
            code = data[at]
            at += 1
            if code < _NO_RUN:
                run = min(code + 1, needed)
                needed -= run
            elif code > _NO_RUN:
                run = 1
                needed = max(0, needed - (257 - code))
        self._needed, self._run = needed, run
        return at
