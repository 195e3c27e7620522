"""PS3.5 §8.2.5 to §8.2.8 Videos: what users write into an elementary stream of MPEG2, H.264 or HEVC is blanked.

Streams in containers (MPEG-TS, MP4) stay as they are. No video is said to be clean: texts may be in more places.
"""

from collections.abc import Callable
from typing import Final

from shared.dicom.transfer_syntaxes import HEVC_MAIN, HEVC_MAIN_10, MPEG2

_START: Final = b"\0\0\1"
"""A start code; its next byte says what begins."""
_FILLED: Final = bytes([0, *[0xFF] * 255])
"""By byte: what is in its place. Zeros stay: they may belong to the next start code, and two of them with it."""
_AVC_KEPT: Final = frozenset({1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 14, 15, 20})
"""Types of units of H.264 that pictures are made of (ISO 14496-10, table 7-1): not supplemental information (6)."""
_AVC_FILLER: Final = 12
_HEVC_KEPT: Final = frozenset({*range(10), *range(16, 22), *range(32, 38)})
"""Types of units of HEVC that pictures are made of (ISO 23008-2, table 7-1)."""
_HEVC_FILLER: Final = 38
_USER_DATA, _SEQUENCE_END = 0xB2, 0xB7
_BEGINNING: Final = 4
"""Bytes in front of the first code: a start code, and a zero that may be in front of it."""


class VideoStream:
    """One stream in any number of fragments."""

    def __init__(self, transfer_syntax_uid: str) -> None:
        self.blanked = False
        self.unexamined = True
        self._kind = _kind(transfer_syntax_uid)
        self._elementary: bool | None = None
        """Whether the stream begins with a unit of pictures; None: nobody knows yet."""
        self._position = 0
        self._last = b""
        """The last bytes, in front of those that come."""
        self._kept = True

    def begin_fragment(self) -> None:
        """Nothing: a stream does not care for fragments."""

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Blank what is no picture, but for start codes."""
        if self._elementary is False:
            return
        behind = len(self._last)
        seen = self._last + bytes(data[at:end])
        base = self._position - behind
        self._position += end - at
        self._last = seen[-len(_START) :]
        unit = 0  # where the unit that is looked at goes on, in `seen`
        while True:
            start = seen.find(_START, max(0, unit - len(_START)))
            code = start + len(_START)
            if start < 0 or code >= len(seen):
                self._fill(data, at + max(unit - behind, 0), end if start < 0 else at + max(start - behind, 0))
                if self._elementary is None and self._position > _BEGINNING:
                    self._elementary = False
                return
            if self._elementary is None:
                self._elementary = base + start <= 1 and seen[code] < _PACKETS[self._kind]
                if not self._elementary:
                    return
            self._fill(data, at + max(unit - behind, 0), at + max(start - behind, 0))
            if code >= behind:
                replaced = self._kind(seen[code])
                self._kept = replaced is None
                if replaced is not None:
                    data[at + code - behind] = replaced
            unit = code + 1

    def _fill(self, data: bytearray, at: int, end: int) -> None:
        if not self._kept and at < end:
            filled = data[at:end].translate(_FILLED)
            self.blanked = self.blanked or filled != data[at:end]
            data[at:end] = filled


type _Kind = Callable[[int], int | None]
"""The byte that the code of a unit becomes, all of which is blanked; None: it stays."""


def _kind(transfer_syntax_uid: str) -> _Kind:
    if transfer_syntax_uid in MPEG2:
        return _mpeg2
    return _hevc if transfer_syntax_uid in {HEVC_MAIN, HEVC_MAIN_10} else _avc


def _mpeg2(code: int) -> int | None:
    return code if code in {_USER_DATA, _SEQUENCE_END} else None


def _avc(code: int) -> int | None:
    return None if code & 0x1F in _AVC_KEPT else _AVC_FILLER


def _hevc(code: int) -> int | None:
    return None if code >> 1 & 0x3F in _HEVC_KEPT else code & 0x81 | _HEVC_FILLER << 1


_PACKETS: Final[dict[_Kind, int]] = {_mpeg2: 0xB9, _avc: 0x80, _hevc: 0x80}
"""By kind: the code from which on what begins is a packet of a container."""
