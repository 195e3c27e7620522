"""A neutral picture for an object that has none, which names its kind (REND-12)."""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

_KIND = re.compile(r"[A-Z0-9 ]{1,16}")
_BACKGROUND, _BORDER, _INK = 32, 96, 224
_MOST: Final = 1024
"""Pixels of a side: a larger one would show no more."""


def placeholder(kind: str, width: int, height: int) -> "Image":
    """A grey picture with `kind` in its middle, such as `VIDEO`, `PDF` or a modality; at most `width` by `height`."""
    from PIL import Image, ImageDraw, ImageFont

    text = kind if _KIND.fullmatch(kind) else "DICOM"
    side = max(min(width, height, _MOST), 1)
    image = Image.new("L", (side, side), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, side - 1, side - 1), outline=_BORDER)
    font = ImageFont.load_default(size=max(side // max(len(text), 4), 1))
    draw.text((side / 2, side / 2), text, fill=_INK, font=font, anchor="mm")
    return image
