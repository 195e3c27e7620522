"""How much what a browser shows looks like what was stored."""

import asyncio
import io
from collections.abc import Awaitable, Callable

import numpy as np
from PIL import Image

from tests.browser.page import PageFailed

_SIZE = 64
_SECONDS = 120.0


def shown(png: bytes, rows: int, columns: int) -> np.ndarray:
    """The middle of an image of `rows` by `columns` that a viewer has fitted into the picture of an element.

    The margin is left out, because labels lie over it. 64 x 64 x 3, 0 to 255.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    scale = min(picture.width / columns, picture.height / rows)
    width, height = columns * scale, rows * scale
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return _middle(picture.crop((round(left), round(top), round(left + width), round(top + height))))


def expected(pixels: np.ndarray, centre: float, width: float) -> np.ndarray:
    """What `shown` is to look like: `pixels`, grey or coloured, through a linear window."""
    grey = np.clip((pixels.astype(float) - centre) / width + 0.5, 0, 1) * 255
    return _middle(Image.fromarray(grey.astype(np.uint8)).convert("RGB"))


def _middle(picture: Image.Image) -> np.ndarray:
    margin_x, margin_y = picture.width // 5, picture.height // 5
    middle = picture.crop((margin_x, margin_y, picture.width - margin_x, picture.height - margin_y))
    return np.asarray(middle.resize((_SIZE, _SIZE), Image.Resampling.BOX), float)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """1 when the pictures are the same but for brightness and contrast, about 0 when they have nothing in common."""
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(1e-9, np.sqrt((one**2).sum() * (other**2).sum())))


def brightness_differs(one: np.ndarray, other: np.ndarray) -> float:
    """The mean difference of two pictures, 0 to 255."""
    return float(np.abs(one - other).mean())


async def eventually(look: Callable[[], Awaitable[float]], *, least: float) -> None:
    """Look again and again until what is seen is at least `least`; fails the test if it never is.

    What cannot be looked at is not there yet: a viewer puts elements in place of others while it loads.
    """
    seen: float | str = "nothing"
    try:
        async with asyncio.timeout(_SECONDS):
            while True:
                try:
                    seen = await look()
                except PageFailed as error:
                    seen = str(error)
                if isinstance(seen, float) and seen >= least:
                    return
                await asyncio.sleep(0.3)
    except TimeoutError:
        raise AssertionError(f"what the browser shows stayed at {seen}; at least {least} was expected") from None
