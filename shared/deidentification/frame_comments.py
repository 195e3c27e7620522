"""ISO 10918-1 §B.2.4, ISO 15444-1 §A.9 Comments inside of compressed frames, blanked while they stream by (DEID-2).

JPEG, JPEG-LS and JPEG 2000 carry comments, and JPEG what applications add: EXIF with names and places, thumbnails. None
of that is needed to decode the samples, so its bytes become zero, and those of segments that no decoder knows. What
follows the end of a codestream becomes zero, too. A codestream that cannot be followed stays as it is, and is told.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from shared.deidentification.blanking import blank, says_something
from shared.dicom.part10.frames import starts_codestream
from shared.dicom.transfer_syntaxes import (
    HTJ2K_FAMILY,
    JPEG_2000_COMPONENTS,
    JPEG_2000_COMPONENTS_LOSSLESS,
    JPEG_2000_FAMILY,
    JPEG_LOSSLESS_FAMILY,
    JPEG_LOSSY_FAMILY,
    JPEG_LS_FAMILY,
    JPEG_RETIRED,
)

COMMENTED: Final = (
    JPEG_LOSSY_FAMILY
    | JPEG_LOSSLESS_FAMILY
    | JPEG_RETIRED
    | JPEG_LS_FAMILY
    | JPEG_2000_FAMILY
    | HTJ2K_FAMILY
    | {JPEG_2000_COMPONENTS, JPEG_2000_COMPONENTS_LOSSLESS}
)
"""The transfer syntaxes whose frames can have comments that are found here."""

_SOI, _SOC, _END = 0xD8, 0x4F, 0xD9
_SOS, _FIRST_APP, _LAST_APP = 0xDA, 0xE0, 0xEF
_SOT, _SOD = 0x90, 0x93
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG without a length."""
_BARE_2000: Final = frozenset({_SOC, 0x92, *range(0x30, 0x40)})
_TABLES: Final = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0), 0xF7, 0xF8})
"""Markers of the segments that JPEG and JPEG-LS are decoded with (ISO 10918-1 table B.1, ISO 14495-1 table C.1)."""
_TABLES_2000: Final = frozenset(
    {*range(0x50, 0x54), *range(0x55, 0x5A), *range(0x5C, 0x62), 0x63, *range(0x70, 0x7A), _SOT}
)
"""The same of JPEG 2000 (ISO 15444-1 table A.2, ISO 15444-2 table A.1): not comments (0x64)."""
_WITH_LENGTH: Final = _TABLES_2000 | {0x64}
"""The markers of JPEG 2000 behind which there is a length for sure: decoders do not look for it behind others, and what
looks like a long one may be anything, the codestream behind it included.
"""
_BOX_HEAD: Final = 8
"""Bytes of the length and the type of a box."""
_CODESTREAM: Final = b"jp2c"
_OF_BOXES: Final = frozenset({b"jp2h", b"res "})
"""Boxes of boxes."""
_KEPT_OF_BOXES: Final[dict[bytes, Sequence[int | None]]] = {
    b"jP  ": b"\r\n\x87\n",
    b"ftyp": b"jp2 \0\0\0\0jp2 ",
    b"ihdr": [None] * 14,
    b"bpcc": [None] * 4,
    b"colr": [1, 0, 0, *[None] * 4],
    b"resc": [None] * 10,
    b"resd": [None] * 10,
    b"cdef": [None] * 26,
}
"""By type: what stays of the boxes that a picture in JP2 needs: colour spaces by their number, and no ICC profile."""
_BOXES: Final = frozenset({*_KEPT_OF_BOXES, b"rreq", b"xml ", b"uuid", b"uinf", b"jp2i", b"free"})
"""The types of boxes that may be in front of a codestream; where there is another one, nobody knows what it is."""
_NO_FILL = re.compile(rb"[^\xff]", re.DOTALL)
"""The byte that a marker has behind those that may be in front of it (ISO 10918-1 §B.1.1.2)."""
_IN_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""The marker that a scan ends with: the coders write no such bytes (ISO 10918-1 §B.1.1.5, ISO 14495-1 §A.1)."""
_IN_TILE = re.compile(rb"\xff\xd9")
"""The end of a codestream whose last tile-part does not say how long it is."""
_SOT_BYTES: Final = 12
"""Of the head of a tile-part with its marker."""
_LONGEST_TABLES: Final = 4096
"""Bytes of one segment of tables: those that decoders need are shorter, but for indices of JPEG 2000."""
_INDICES: Final = frozenset({0x55, 0x57, 0x58, 0x60, 0x61})
"""Lengths and headers of packets of JPEG 2000 (TLM, PLM, PLT, PPM, PPT)."""
_LONGEST_BEGINNING: Final = 4
"""Bytes of a fragment that tell whether a codestream begins with it."""
_MOST_MARKERS: Final = 4096
"""Of a JPEG codestream: the decoders of this service read no more, and what follows is blank."""
_GREATEST: Final = 5
"""The greatest number that chooses a colour transform; no letter is as small."""
_NEEDED: Final[dict[int, tuple[bytes, tuple[int | None, ...]]]] = {
    0xE0: (b"JFIF\0", (1, 1, 0, 0, 1, 0, 1, 0, 0)),
    0xE8: (b"mrfx", (None,)),
    0xEE: (b"Adobe", (0, 100, 0, 0, 0, 0, None)),
}
"""The parts of applications' segments that decoders look at: beginning, and rest; None: the small number that it is."""


type _State = Callable[[bytearray, int, int], int]
"""Looks at bytes from one position to another, and returns where the next state goes on."""


class Codestreams:
    """One codestream after the other; a frame may be in several fragments."""

    def __init__(self) -> None:
        self.blanked = False
        self.unexamined = False
        self._beginning: bytearray | None = None
        """Of a fragment that begins where a codestream has not ended: what there is of its first bytes."""
        self._expected: int | None = None
        """The marker of the codestream that may begin with that fragment, and is followed."""
        self._state: _State = self._start
        self._otherwise: _State = self._as_it_is
        """The state in which a fragment goes on that begins no codestream."""
        self._is_2000 = False
        self._seen = bytearray()
        """Of a marker, a length or the head of a tile-part: what there is of it so far."""
        self._marker = self._markers = 0
        self._left = 0
        """Bytes to the end of the segment or tile-part."""
        self._at = 0
        """Bytes of the segment so far."""
        self._matches = True
        self._kept: Sequence[int | None] = b""
        """Of a box: the bytes that it begins with; None: the byte that it has."""
        self._total = self._base = 0
        """Bytes so far, and those in front of the first byte of what is looked at."""
        self._tile_end: int | None = None
        self._in_tile_header = False
        """Whether samples may begin: what a decoder makes of others, nobody knows."""
        self._had_samples = False
        """Whether the codestream may end: decoders pass over an end in front of all samples."""
        self._was_ff = False
        self._ended_in_ff = False
        """The fragment of an open-ended tile-part in front of this one ended in the first half of a marker."""

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Blank what is to be blanked of these bytes."""
        if self._beginning is not None:
            self._look_at_beginning(data[at : min(end, at + _LONGEST_BEGINNING)])
        self._base = self._total - at
        self._total += end - at
        while at < end:
            at = self._state(data, at, end)

    def begin_fragment(self) -> None:
        """A fragment begins: perhaps a frame with it."""
        zeros = self._state == self._box and not any(self._seen)
        if zeros or self._state in {self._after, self._as_it_is} or (self._state == self._scan and self._is_2000):
            self._otherwise = self._as_it_is if zeros else self._state
            self._ended_in_ff = self._was_ff
            self._go(self._start)
        elif self._state != self._start:
            self._beginning = bytearray()
            self._expected = self._expected_start()

    # ------------------------------------------------------------------------------------------------------ states

    def _start(self, data: bytearray, at: int, end: int) -> int:
        at = self._take(2, data, at, end)
        if len(self._seen) == 2:
            first, second = self._seen
            if first == 0xFF and second in {_SOI, _SOC}:
                self._is_2000 = second == _SOC
                self._in_tile_header = self._had_samples = False
                self._markers = 0
                self._go(self._in_front_of_marker)
            elif not first and not second and self._otherwise != self._scan:
                self._state = self._box
            elif self._otherwise == self._scan:
                self._go_on_in_tile(first, second, at)
            else:
                self.unexamined |= any(self._seen)
                self._go(self._otherwise)
        return at

    def _box(self, data: bytearray, at: int, end: int) -> int:
        """The length and the type of a box in front of the codestream (ISO 15444-1 §I.4)."""
        at = self._take(_BOX_HEAD, data, at, end)
        if len(self._seen) < _BOX_HEAD:
            return at
        self._left = int.from_bytes(self._seen[:4]) - _BOX_HEAD
        kind = bytes(self._seen[4:])
        self._kept = _KEPT_OF_BOXES.get(kind, b"")
        self._at = 0
        if kind == _CODESTREAM:
            self._go(self._start)
        elif kind in _OF_BOXES and self._left >= 0:
            self._go(self._box)
        elif kind in _BOXES and self._left > 0:
            self._go(self._in_box)
        else:
            self.unexamined |= any(self._seen)
            self._go(self._as_it_is)
        return at

    def _in_box(self, data: bytearray, at: int, end: int) -> int:
        stop = min(at + self._left, end)
        for here in range(at, min(stop, at + max(0, len(self._kept) - self._at))):
            only = self._kept[self._at + here - at]
            data[here] = data[here] if only is None else only
        self._blank(data, min(stop, at + max(0, len(self._kept) - self._at)), stop)
        self._at += stop - at
        self._left -= stop - at
        if not self._left:
            self._go(self._box)
        return stop

    def _in_front_of_marker(self, data: bytearray, at: int, end: int) -> int:
        """Of JPEG, decoders skip what is in front of a marker although nothing should be there; so it is blanked."""
        if self._is_2000:
            at = self._take(2, data, at, end)
            if len(self._seen) == 2:
                first, second = self._seen
                self._go(self._as_it_is)
                if first == 0xFF:
                    self._found(second, at)
            return at
        start = data.find(0xFF, at, end)
        self._blank(data, at, end if start < 0 else start)
        if start < 0:
            return end
        self._go(self._in_marker)
        return start + 1

    def _in_marker(self, data: bytearray, at: int, end: int) -> int:
        found = _NO_FILL.search(data, at, end)
        if found is None:
            return end
        self._found(found[0][0], found.end())
        return found.end()

    def _length(self, data: bytearray, at: int, end: int) -> int:
        at = self._take(2, data, at, end)
        if len(self._seen) == 2:
            self._left = int.from_bytes(self._seen) - 2
            self._at, self._matches = 0, True
            self._go(self._segment if self._left > 0 else self._as_it_is)
            known = self._marker in (_TABLES_2000 - _INDICES if self._is_2000 else _TABLES)
            self.unexamined |= known and self._left > _LONGEST_TABLES
            if self._is_2000 and self._marker not in _WITH_LENGTH and self._left > _LONGEST_TABLES:
                self.unexamined = True
                self._go(self._as_it_is)
            if not self._left:
                self._behind_segment(at)
        return at

    def _segment(self, data: bytearray, at: int, end: int) -> int:
        stop = min(at + self._left, end)
        if not self._is_2000 and _FIRST_APP <= self._marker <= _LAST_APP:
            self._application(data, at, stop)
        elif self._marker not in (_TABLES_2000 if self._is_2000 else _TABLES):
            self._blank(data, at, stop)
        elif self._is_2000 and self._marker == _SOT:
            self._seen += data[at:stop]
        self._at += stop - at
        self._left -= stop - at
        if not self._left:
            self._behind_segment(stop)
        return stop

    def _scan(self, data: bytearray, at: int, end: int) -> int:
        """Samples until a marker ends them."""
        ends = _IN_TILE if self._is_2000 else _IN_SCAN
        if self._was_ff and ends.match(bytes((0xFF, data[at]))):
            self._found(data[at], at + 1)
            return at + 1
        found = ends.search(data, at, end)
        if found is None:
            self._was_ff = data[end - 1] == 0xFF
            return end
        self._found(found[0][1], found.end())
        return found.end()

    def _tile(self, _data: bytearray, at: int, end: int) -> int:
        stop = min(at + self._left, end)
        self._left -= stop - at
        if not self._left:
            self._go(self._in_front_of_marker)
        return stop

    def _after(self, data: bytearray, at: int, end: int) -> int:
        self._blank(data, at, end)
        return end

    def _as_it_is(self, data: bytearray, at: int, end: int) -> int:
        self.unexamined = self.unexamined or says_something(data, at, end)
        return end

    # ----------------------------------------------------------------------------------------------------- changes

    def _go(self, state: _State) -> None:
        self._seen.clear()
        self._was_ff = False
        self._state = state

    def _go_on_in_tile(self, first: int, second: int, at: int) -> None:
        """The first bytes of a fragment that goes on with an open-ended tile-part: its end may be among them."""
        self._go(self._scan)
        if self._ended_in_ff and first == _END:
            self.unexamined |= second > 0
            self._go(self._after)
        elif first == 0xFF and second == _END:
            self._found(second, at)
        else:
            self._was_ff = second == 0xFF

    def _found(self, marker: int, behind: int) -> None:
        """A marker, which ends in front of `behind`: what follows it."""
        self._marker = marker
        self._markers += 1
        if marker == _END and self._is_2000 and not self._had_samples:
            self.unexamined = True
            self._go(self._as_it_is)
        elif marker == _END or (self._markers > _MOST_MARKERS and not self._is_2000):
            self._go(self._after)
        elif self._is_2000 and marker == _SOD:
            begins, self._in_tile_header, self._had_samples = self._in_tile_header, False, True
            if begins:
                self._begin_tile(self._base + behind)
            else:
                self._go(self._as_it_is)
        elif marker in (_BARE_2000 if self._is_2000 else _BARE):
            self._go(self._in_front_of_marker)
        else:
            self._go(self._length)

    def _behind_segment(self, behind: int) -> None:
        if self._is_2000 and self._marker == _SOT:
            length = int.from_bytes(self._seen[2:6])
            # It counts from its own marker (ISO 15444-1 §A.4.2).
            self._tile_end = self._base + behind - _SOT_BYTES + length if length else None
            self._in_tile_header = True
        self._go(self._scan if self._marker == _SOS and not self._is_2000 else self._in_front_of_marker)

    def _begin_tile(self, position: int) -> None:
        if self._tile_end is None:
            self._go(self._scan)
            return
        self._left = self._tile_end - position
        if self._left < 0:
            self._go(self._as_it_is)
        else:
            self._go(self._tile if self._left else self._in_front_of_marker)

    def _take(self, count: int, data: bytearray, at: int, end: int) -> int:
        stop = min(at + count - len(self._seen), end)
        self._seen += data[at:stop]
        return stop

    def _blank(self, data: bytearray, at: int, end: int) -> None:
        self.blanked |= blank(data, at, end)

    def _look_at_beginning(self, data: bytearray) -> None:
        """Whether a codestream begins inside of another: decoders of single frames would see it, and this would not."""
        beginning = (self._beginning or bytearray()) + data
        self._beginning = None
        if len(beginning) < _LONGEST_BEGINNING:
            self._beginning = beginning
        elif starts_codestream(bytes(beginning)) and beginning[1] != self._expected:
            self.unexamined = True

    def _expected_start(self) -> int | None:
        """The start of a codestream that may come, though nothing has ended the one before it."""
        if self._is_2000:
            return _SOC if self._state == self._in_front_of_marker and not self._seen else None
        return _SOI if self._state == self._scan else None

    def _application(self, data: bytearray, at: int, end: int) -> None:
        """A segment of an application: what decoders need of it, in one spelling, stays."""
        name, rest = _NEEDED.get(self._marker, (b"", ()))
        known = min(end, at + max(0, len(name) + len(rest) - self._at))
        for here in range(at, known):
            index = self._at + here - at
            byte = data[here]
            if index < len(name):
                self._matches = self._matches and byte == name[index]
                data[here] = byte if self._matches else 0
            else:
                only = rest[index - len(name)]
                data[here] = 0 if not self._matches else only if only is not None else byte if byte <= _GREATEST else 0
            self.blanked = self.blanked or (not self._matches and byte > 0)
        self._blank(data, known, end)
