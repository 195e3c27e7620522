"""Where the frames of an instance are in its file (PS3.5 §8, §A.4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The byte ranges of the frames of one instance, in frame order.

    Native pixel data: frame n (from 0) is `bits` bits that start `bits * n` bits after byte `first`; a frame of 1-bit
    pixels need not start on a byte boundary. Encapsulated pixel data: frame n occupies the file's bytes
    [offsets[n], offsets[n + 1]), which include the item headers of its fragments.
    """

    count: int
    first: int = 0
    bits: int = 0
    offsets: tuple[int, ...] = ()

    @property
    def encapsulated(self) -> bool:
        """Whether the pixel data are encapsulated (compressed)."""
        return bool(self.offsets)
