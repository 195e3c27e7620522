"""PS3.5 §A.4.11, §A.4.12 Encapsulated frames that are uncompressed, or deflated: what follows a frame is blanked."""

import zlib

from shared.deidentification.blanking import blank, says_something
from shared.dicom.part10.inflating import Inflater


class UncompressedFrames:
    """Frames of samples, each in fragments of its own."""

    def __init__(self, frame_bytes: int, frames: int) -> None:
        self.blanked = False
        self.unexamined = False
        self._frame_bytes = frame_bytes
        self._frames = frames
        self._left = 0
        """Bytes of the frame that are still to come."""

    def begin_fragment(self) -> None:
        """A frame begins, where the one before it is complete."""
        if not self._left and self._frames:
            self._frames -= 1
            self._left = self._frame_bytes

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Blank what is behind the last sample."""
        taken = min(self._left, end - at)
        self._left -= taken
        self.blanked |= blank(data, at + taken, end)


class DeflatedFrames:
    """Deflated frames, each in fragments of its own."""

    def __init__(self, frame_bytes: int) -> None:
        self.blanked = False
        self.unexamined = False
        self._most = frame_bytes + frame_bytes % 2
        self._inflater = Inflater()
        self._inflated = 0
        self._lost = False

    def begin_fragment(self) -> None:
        """A frame begins, where the one before it has ended."""
        if self._inflater.ended or self._lost:
            self._inflater, self._inflated, self._lost = Inflater(), 0, False

    def clean(self, data: bytearray, at: int, end: int) -> None:
        """Blank what is behind the end of a stream. One that stands for more than a frame is none of pixels."""
        if self._lost:
            self.unexamined = self.unexamined or says_something(data, at, end)
            return
        before = self._inflater.trailing
        try:
            for piece in self._inflater.pieces(bytes(data[at:end])):
                self._inflated += len(piece)
                if self._inflated > self._most:
                    self._lost = self.unexamined = True
                    return
        except zlib.error:
            self._lost = self.unexamined = True
            return
        self.blanked |= blank(data, end - (self._inflater.trailing - before), end)
