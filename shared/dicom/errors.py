"""Errors of the conversion of pixels and files (PS3.18 §8.7.3.5)."""

from typing import Final

from shared.errors import NotAcceptable

_AS_STORED: Final = "Retrieve the file as it is stored: Accept: application/dicom; transfer-syntax=*"


class Unconvertible(NotAcceptable):
    """The pixels cannot be converted as asked: damaged, contradictory, or in a form that the target has no place for
    (WADO-13, REND-6).
    """

    def __init__(self, text: str) -> None:
        super().__init__(text, remedy=_AS_STORED)


class DamagedPixelData(Unconvertible):
    """A file does not hold the frames that its tables promise."""

    def __init__(self) -> None:
        super().__init__("The pixel data of the instance are damaged; transfer-syntax=* retrieves the file as stored.")
