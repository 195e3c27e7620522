"""PS3.5 §A.4 Fragments of encapsulated pixel data, cleaned of what is no picture while they stream by (DEID-2).

Nothing changes its length, and no offset is wrong afterwards. What cannot be followed stays as it is, and is told: such
an instance is refused, or reported (DEID-6).
"""

import struct
from dataclasses import dataclass
from typing import Final, Protocol

from shared.deidentification.blanking import says_something
from shared.deidentification.boxes import Boxes
from shared.deidentification.frame_comments import COMMENTED, Codestreams
from shared.deidentification.run_lengths import RunLengths
from shared.deidentification.uncompressed_frames import DeflatedFrames, UncompressedFrames
from shared.deidentification.video_streams import VideoStream
from shared.dicom.attributes import Attributes
from shared.dicom.elements import first, first_text
from shared.dicom.transfer_syntaxes import (
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    JPEG_XL_FAMILY,
    NATIVE,
    RLE_LOSSLESS,
    VIDEO,
)

EXAMINED: Final = NATIVE | COMMENTED | {RLE_LOSSLESS, ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES}
"""The transfer syntaxes of whose pixel data everything is known. Of videos and of JPEG XL not: texts may be in too many
places of a stream, and be compressed; of what is retired nobody has a decoder.
"""
_ITEM: Final = 0xFFFEE000
_ITEM_HEAD: Final = 8
"""Bytes of the tag and the length of an item."""
_SUBSAMPLED: Final = "42"
"""In the names of photometric interpretations whose chroma has fewer samples (YBR_FULL_422)."""


class FrameCleaner(Protocol):
    """Blanks what is beside the pictures in the fragments of one data set."""

    blanked: bool
    """Whether there was anything to blank so far."""
    unexamined: bool
    """Whether there were bytes of which nobody can tell what they are."""

    def begin_fragment(self) -> None:
        """A fragment begins, perhaps a frame with it."""
        ...

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Blank what is to be blanked of the next bytes of the fragment."""
        ...


@dataclass(frozen=True, slots=True)
class FrameCoding:
    """The coding of the frames of an instance."""

    transfer_syntax_uid: str
    pixels: int = 0
    """Rows times columns; 0: nobody knows."""
    bits: int = 0
    """Of a pixel, all its samples; 0: nobody knows."""
    frames: int = 1

    @classmethod
    def of(cls, transfer_syntax_uid: str, attributes: Attributes) -> "FrameCoding":
        """The coding that the attributes of an image tell."""
        rows, columns, samples, bits, frames = (
            value if isinstance(value := first(attributes, key), int) and value > 0 else 0
            for key in ("00280010", "00280011", "00280002", "00280100", "00280008")
        )
        if _SUBSAMPLED in (first_text(attributes, "00280004") or ""):
            bits = 0
        return cls(transfer_syntax_uid, rows * columns, samples * bits, frames or 1)

    @property
    def frame_bytes(self) -> int:
        """Bytes of the samples of a frame."""
        return (self.pixels * self.bits + 7) // 8


class Fragments:
    """The fragments of an instance with the heads of their items, piece after piece."""

    def __init__(self, coding: FrameCoding) -> None:
        self._head = bytearray()
        self._left = 0
        self._cleaner = _cleaner(coding)

    @property
    def blanked(self) -> bool:
        """Whether there was anything to blank so far."""
        return self._cleaner.blanked

    @property
    def unexamined(self) -> bool:
        """Whether there were bytes of which nobody can tell what they are."""
        return self._cleaner.unexamined

    def clean(self, chunk: bytes) -> bytes:
        """The next piece without what is no picture, as long as it was."""
        data = bytearray(chunk)
        at = 0
        while at < len(data):
            if self._left:
                end = min(at + self._left, len(data))
                self._cleaner.clean(data, at, end)
                self._left -= end - at
                at = end
                continue
            taken = data[at : at + _ITEM_HEAD - len(self._head)]
            self._head += taken
            at += len(taken)
            if len(self._head) == _ITEM_HEAD:
                group, element, length = struct.unpack("<HHL", self._head)
                self._left = length if group << 16 | element == _ITEM else 0
                self._head.clear()
                self._cleaner.begin_fragment()
        return bytes(data)


class _Unknown:
    """Fragments that stay as they are."""

    blanked = False

    def __init__(self) -> None:
        self.unexamined = False

    def begin_fragment(self) -> None:
        """Nothing."""

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Nothing is blanked."""
        self.unexamined = self.unexamined or says_something(data, at, end)


def _cleaner(coding: FrameCoding) -> FrameCleaner:
    syntax = coding.transfer_syntax_uid
    if syntax in COMMENTED:
        return Codestreams()
    if syntax in VIDEO:
        return VideoStream(syntax)
    if syntax in JPEG_XL_FAMILY:
        return Boxes()
    if not coding.frame_bytes:
        return _Unknown()
    if syntax == RLE_LOSSLESS and coding.bits % 8 == 0:
        return RunLengths(coding.pixels, coding.bits // 8)
    if syntax == ENCAPSULATED_UNCOMPRESSED:
        return UncompressedFrames(coding.frame_bytes, coding.frames)
    if syntax == DEFLATED_FRAMES:
        return DeflatedFrames(coding.frame_bytes)
    return _Unknown()
