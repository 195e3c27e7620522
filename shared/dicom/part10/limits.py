"""The cost of one file to its reader: bounds on memory and work, far above what honest files need."""

from typing import Final

from shared.dicom.part10.model import InvalidPart10

HEADER_BYTES: Final = 288 * 1024**2
"""Memory for the values that are no bulk values, and for what is noted of elements, items and fragments."""
ODD_HEADER_BYTES: Final = 96 * 1024**2
"""The same of a data set that is not encoded as it says, beside which the whole file is in memory."""
DEFLATED_HEADER_BYTES: Final = 48 * 1024**2
"""The same of a deflated data set: a few kilobytes must not become metadata that all their readers have to pay for."""
NODE_BYTES: Final = 256
"""Memory that an element or item takes, besides its value."""
FRAGMENT_BYTES: Final = 160
"""Memory that a fragment of pixel data takes."""

MAX_DEPTH: Final = 64
"""Of nested sequences; writers of JSON have such a limit, too."""
LONGEST_VALUE: Final = 16 * 1024**2
"""Bytes of a value that is no bulk value: it is held, and decoded at one go."""
MOST_VALUES: Final = 1 << 18
"""Values of one element: they are split, and converted, at one go. The points of a contour are some thousand."""
INFLATED_BYTES: Final = 1 << 29
"""The largest size of an inflated data set."""
ODD_INFLATED_BYTES: Final = 104_857_600
"""The same of one that is not encoded as it says: it is held whole, and no larger one is ever inflated again (WADO-12).
"""

TOO_LARGE: Final = "The data set is too large, even without its bulk values."


class Allowance:
    """The remaining memory budget of one file."""

    __slots__ = ("left",)

    def __init__(self, size: int = HEADER_BYTES) -> None:
        self.left = size

    def charge(self, size: int) -> None:
        """Takes `size` bytes. Raises InvalidPart10 where they are not left."""
        self.left -= size
        if self.left < 0:
            raise InvalidPart10(TOO_LARGE, final=True)


def check_length(tag: int, length: int) -> None:
    """Raises InvalidPart10 for a value that is no bulk value and too long to be held."""
    if length > LONGEST_VALUE:
        raise InvalidPart10("The value is too long for its value representation", tag=tag, final=True)


def check_count(tag: int, count: int) -> None:
    """Raises InvalidPart10 for an element of too many values."""
    if count > MOST_VALUES:
        raise InvalidPart10("The element has too many values", tag=tag, final=True)
