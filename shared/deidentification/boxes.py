"""ISO 18181-2 §9 Boxes of JPEG XL beside the codestream (Exif, XML, JUMBF, what a JPEG had) are blanked.

The codestream is not looked through: it may have texts of its own, and they may be compressed.
"""

from typing import Final

from shared.deidentification.blanking import blank

_HEAD, _LONG_HEAD = 8, 16
"""Bytes of the length and the type of a box, and of those of one whose length has 64 bits."""
_FIRST: Final = b"JXL "
"""The type of the box that a frame in boxes begins with."""
_KEPT: Final = frozenset({_FIRST, b"ftyp", b"jxll", b"jxlc", b"jxlp"})
"""The signature, the type of the file, the level, and the codestream, whole or in parts."""


class Boxes:
    """Codestreams, bare or in boxes; a frame may be in several fragments."""

    def __init__(self) -> None:
        self.blanked = False
        self.unexamined = True
        self._head = bytearray()
        self._left: int | None = 0
        """Bytes of the box that are still to come; None: it has no end but that of the frame."""
        self._kept = True
        self._starting = True
        """Whether what comes may begin a frame."""

    def begin_fragment(self) -> None:
        """A frame may begin, where no box has an end that is still to come."""
        if not self._left:
            self._head.clear()
            self._left = 0
            self._starting = True

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Blank what is in other boxes than those of the codestream."""
        while at < end:
            if self._left != 0:
                stop = end if self._left is None else min(end, at + self._left)
                if not self._kept:
                    self.blanked |= blank(data, at, stop)
                if self._left is not None:
                    self._left -= stop - at
                at = stop
                continue
            at = self._take_head(data, at, end)

    def _take_head(self, data: bytearray, at: int, end: int) -> int:
        needed = _LONG_HEAD if len(self._head) >= _HEAD else _HEAD
        taken = data[at : min(end, at + needed - len(self._head))]
        self._head += taken
        if len(self._head) < needed:
            return at + len(taken)
        if self._starting and self._head[4:] != _FIRST:  # a bare codestream, or more of one
            self._kept, self._left = True, None
        else:
            length = int.from_bytes(self._head[:4])
            if length == 1 and needed == _HEAD:
                return at + len(taken)
            if needed == _LONG_HEAD:
                length = int.from_bytes(self._head[8:])
            self._kept = bytes(self._head[4:8]) in _KEPT
            self._left = None if length == 0 else max(0, length - needed)
        self._head.clear()
        self._starting = False
        return at + len(taken)
