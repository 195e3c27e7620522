"""PS3.3 §C.7.6.3 The Image Pixel module: what the bytes of pixel data mean."""

from dataclasses import dataclass
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.pixel_data import number_of_frames

_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_FLOATS: Final = {"7FE00008": 32, "7FE00009": 64}
_PIXEL_DATA: Final = "7FE00010"
_ALLOCATED: Final = {1: frozenset({1, 8, 16, 32, 64}), 3: frozenset({8, 16, 32, 64})}
"""Bits of a sample, by the number of samples; there are no colours of single bits."""


@dataclass(frozen=True, slots=True)
class ImagePixels:
    """The attributes of the Image Pixel module that decide how samples are coded."""

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: bool
    """Whether native samples are stored plane by plane."""
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    frames: int
    floating: bool = False
    overlay_in_pixels: bool = False
    """Whether unused bits of the pixels hold an overlay (retired; PS3.5 §8.1.1)."""

    @property
    def subsampled(self) -> bool:
        """Whether native chrominance has half the columns."""
        return self.photometric in _SUBSAMPLED and self.samples == 3

    @property
    def container(self) -> int:
        """Bytes of one sample."""
        return self.bits_allocated // 8

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame with all its samples, without padding."""
        return (self.rows * self.columns * self.samples * self.bits_allocated + 7) // 8

    @property
    def color(self) -> bool:
        """Whether a pixel is a colour of three samples."""
        return self.samples == 3


def image_pixels(attributes: Attributes, frames: int | None = None) -> ImagePixels | None:
    """The pixel data as the attributes, in the DICOM JSON model, describe them; None if there are no pixel data.

    `frames`: how many there are, where that is known better than from NumberOfFrames (FRM-11, FRM-12).

    Raises:
        Unconvertible: the attributes are missing or contradict each other.
    """
    floating = next((key for key in _FLOATS if key in attributes), None)
    if floating is None and _PIXEL_DATA not in attributes:
        return None
    rows, columns = _integer(attributes, "00280010"), _integer(attributes, "00280011")
    allocated = _FLOATS[floating] if floating else _integer(attributes, "00280100")
    samples = _integer(attributes, "00280002", 1)
    stored = _integer(attributes, "00280101", allocated)
    high = _integer(attributes, "00280102", stored - 1)
    frames = frames or number_of_frames(attributes) or 1
    if rows < 1 or columns < 1 or samples not in {1, 3} or allocated not in _ALLOCATED[samples]:
        raise Unconvertible("The attributes that describe the pixels are missing or unusual.")
    if not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise Unconvertible("The attributes that describe the bits of a pixel contradict each other.")
    return ImagePixels(
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=str(first(attributes, "00280004") or ("RGB" if samples == 3 else "MONOCHROME2")).strip().upper(),
        planar=samples == 3 and _integer(attributes, "00280006", 0) == 1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=_integer(attributes, "00280103", 0) == 1 and not floating,
        frames=frames,
        floating=floating is not None,
        overlay_in_pixels=any(
            key.startswith("60") and key.endswith("0102") and first({key: element}, key)
            for key, element in attributes.items()
        ),
    )


def _integer(attributes: Attributes, key: str, default: int = 0) -> int:
    value = first(attributes, key)
    if value is None:
        return default
    return value if isinstance(value, int) else -1
