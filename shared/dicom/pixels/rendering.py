"""PS3.18 §8.3.5, PS3.4 §N.2 Rendering: the samples of a frame become a picture of 8 bits, as JPEG, PNG or GIF (REND-9).

Modality table or rescale, VOI table or window, inversion of MONOCHROME1, palette, YBR to RGB; then the viewport.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.dicom.errors import Unconvertible
from shared.dicom.media_types import GIF, JPEG, PNG
from shared.dicom.pixels.frame_decoding import Decoded, decoding_memory
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.presentation import Presentation, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_LARGEST_SIDE: Final = 16_384
_LARGEST_AREA: Final = 64 * 1024 * 1024
"""Pixels of a picture: what a client may ask for as its viewport."""
_WHITE: Final = 255
_BAND: Final = 1 << 16
"""Pixels that are converted at a time: what a conversion needs on its way is bounded by them, not by the frame. Eight
bytes of each stay below the size at which a block comes from the system anew each time (`shared/allocator.py`).
"""
_BAND_MEMORY: Final = 128 * _BAND
"""Bytes that converting one band takes: fractions, three colours, copies."""
_PICTURE_BYTES: Final = 6
"""Bytes that a pixel of a picture takes at its peak: three colours, in the array and in the image that is encoded."""
_TABLE_BITS: Final = 16
"""Up to this many bits there is a table from every value to its grey level."""
_LARGEST_VALUE: Final = 4e307
"""Values beyond it are shown as it: between any two others there is a number of steps that a float can hold."""
_FULL_RANGE: Final = ((1.0, 0.0, 1.402), (1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587), (1.0, 1.772, 0.0))


@dataclass(frozen=True, slots=True)
class Viewport:
    """The size of a picture, and the part of the frame that it shows (PS3.18 §8.3.5.1.3)."""

    width: int
    height: int
    region: tuple[float, float, float | None, float | None] | None = None
    """Left, top, width, height in pixels of the frame; without width or height to its end. None: all of it."""
    flip_horizontally: bool = False
    flip_vertically: bool = False


def rendering_memory(pixels: ImagePixels, source: str, length: int, area: int) -> int:
    """Bytes that rendering one frame of `length` bytes in a viewport of `area` pixels takes at its peak (REND-13):
    while it is decoded in another process, or when that has given it away.
    """
    decoding = decoding_memory(pixels, source, length)
    drawing = length + 2 * pixels.frame_bytes + _PICTURE_BYTES * (pixels.rows * pixels.columns + 2 * area)
    return max(decoding, drawing) + _BAND_MEMORY


def picture(decoded: Decoded, how: Presentation, window: Window | None = None) -> "NDArray[np.uint8]":
    """The frame as grey levels or RGB of 8 bits. `window`: instead of the one in `how`; colours have none.

    Raises:
        Unconvertible: the photometric interpretation is not supported.
    """
    pixels = decoded.pixels
    if pixels.color:
        return _in_bands(decoded.samples, lambda band: _colors(band, pixels))
    if pixels.photometric == "PALETTE COLOR":
        return _in_bands(decoded.samples, _palette(how))
    if pixels.photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise Unconvertible("The photometric interpretation of the instance is not supported.")
    if how.supplemental and pixels.photometric == "MONOCHROME2" and not pixels.floating:
        return _supplemented(decoded.samples, pixels, how, window)
    return _grey(decoded.samples, pixels, how, window)


def _bands(samples: "NDArray[Any]") -> "Iterator[NDArray[Any]]":
    """The frame in bands of whole rows."""
    rows = max(_BAND // samples.shape[1], 1)
    return (samples[at : at + rows] for at in range(0, samples.shape[0], rows))


def _in_bands(samples: "NDArray[Any]", convert: "Callable[[NDArray[Any]], NDArray[np.uint8]]") -> "NDArray[np.uint8]":
    """The frame as `convert` changes it, band by band."""
    import numpy as np

    if samples.shape[0] * samples.shape[1] <= _BAND:
        return convert(samples)
    at = 0
    shown = np.empty((0,), np.uint8)
    for band in _bands(samples):
        converted = convert(band)
        if at == 0:
            shown = np.empty((samples.shape[0], *converted.shape[1:]), np.uint8)
        shown[at : at + len(converted)] = converted
        at += len(converted)
    return shown


# -------------------------------------------------------------------------------------------------------------- grey


def _grey(
    samples: "NDArray[Any]", pixels: ImagePixels, how: Presentation, window: Window | None
) -> "NDArray[np.uint8]":
    import numpy as np

    inverted = pixels.photometric == "MONOCHROME1"
    if pixels.floating or pixels.bits_stored > _TABLE_BITS or pixels.bits_stored < 2:
        if window is None and how.window is None and how.tables.voi is None:
            window = _whole_of(_modality(_finite(band), how) for band in _bands(samples))

        def levels(band: "NDArray[Any]") -> "NDArray[np.uint8]":
            values = _finite(band)
            return _levels(_modality(values, how), values, how, window, inverted=inverted)

        return _in_bands(samples, levels)
    low, high = int(samples.min()), int(samples.max())
    values: NDArray[Any] = np.arange(low, high + 1)
    if window is None and how.window is None and how.tables.voi is None and how.tables.modality is not None:
        # not of what the table has for values that do not occur
        window = _whole_of(_modality(band, how) for band in _bands(samples))
    table = _levels(_modality(values, how), values, how, window, inverted=inverted)

    def from_table(band: "NDArray[Any]") -> "NDArray[np.uint8]":
        # Other indices are copied once more, and looking whether they are in the table takes as long as the rest.
        places = band.astype(np.intp) if low == 0 else np.subtract(band, low, dtype=np.intp)
        shown: NDArray[np.uint8] = table.take(places, mode="clip")
        return shown

    return _in_bands(samples, from_table)


def _finite(samples: "NDArray[Any]") -> "NDArray[np.float64]":
    import numpy as np

    finite: NDArray[np.float64] = np.nan_to_num(samples.astype(np.float64), posinf=0.0, neginf=0.0)
    return finite.clip(-_LARGEST_VALUE, _LARGEST_VALUE)


def _modality(values: "NDArray[Any]", how: Presentation) -> "NDArray[Any]":
    import numpy as np

    if how.tables.modality is not None:
        return how.tables.modality.applied_to(values)
    if how.slope == 1.0 and how.intercept == 0.0:
        return values
    with np.errstate(over="ignore"):
        rescaled: NDArray[Any] = values.astype(np.float64) * how.slope + how.intercept
    return rescaled.clip(-_LARGEST_VALUE, _LARGEST_VALUE)


def _levels(
    values: "NDArray[Any]", stored: "NDArray[Any]", how: Presentation, window: Window | None, *, inverted: bool
) -> "NDArray[np.uint8]":
    """Grey levels of `values`. Of a frame's distinct values or of all its pixels: the result is the same."""
    import numpy as np

    if window is None and how.tables.voi is not None and stored.size:
        table = how.tables.voi
        bits = max(table.bits, max(table.entries).bit_length())  # of tables that hold more than they say
        levels = table.applied_to(values) * (_WHITE / ((1 << bits) - 1))
    else:
        levels = _windowed(values.astype(np.float64), window or how.window or _whole(values))
    if inverted:
        levels = _WHITE - levels
    return np.rint(levels).astype(np.uint8)


def _whole(values: "NDArray[Any]") -> Window:
    """The window of all values of a frame, its darkest black and its brightest white (W-16)."""
    return _whole_of([values])


def _whole_of(bands: "Iterable[NDArray[Any]]") -> Window:
    ends = [(float(band.min()), float(band.max())) for band in bands]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if low == high:
        return Window(high + 1.0, 1.0, "LINEAR_EXACT")  # black
    return Window((low + high) / 2, high - low, "LINEAR_EXACT")


def _windowed(values: "NDArray[np.float64]", window: Window) -> "NDArray[np.float64]":
    """PS3.3 §C.11.2.1.2.1, §C.11.2.1.3: values to 0...255."""
    import numpy as np

    center, width = window.center, window.width
    if window.function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)
        sigmoid: NDArray[np.float64] = _WHITE / (1.0 + np.exp(exponent))
        return sigmoid
    if window.function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    if width <= 0.0:  # a window of one value is a threshold
        return np.where(values > center, float(_WHITE), 0.0)
    levels: NDArray[np.float64] = np.clip(((values - center) / width + 0.5) * _WHITE, 0.0, float(_WHITE))
    return levels


# ------------------------------------------------------------------------------------------------------------- colour


def _palette(how: Presentation) -> "Callable[[NDArray[Any]], NDArray[np.uint8]]":
    """The function that gives samples their colours, the upper bytes of entries of 16 bits. Tables whose entries are
    narrower or wider than they say are common; those of one palette are alike. Raises Unconvertible.
    """
    import numpy as np

    tables = how.tables.palette
    if tables is None:
        raise Unconvertible("The palette of the instance is missing.")
    widest = max(max(table.entries) for table in tables).bit_length()
    spare = max(widest, *(table.bits for table in tables)) - 8 if widest > 8 else 0

    def colored(samples: "NDArray[Any]") -> "NDArray[np.uint8]":
        colors = [np.right_shift(table.applied_to(samples), spare).astype(np.uint8) for table in tables]
        return np.stack(colors, axis=-1)

    return colored


def _supplemented(
    samples: "NDArray[Any]", pixels: ImagePixels, how: Presentation, window: Window | None
) -> "NDArray[np.uint8]":
    """Grey levels, and colours for the values from the first one on that the palette has (PS3.3 §C.8.16.2.1.1.1)."""
    import numpy as np

    colored = _palette(how)
    tables = how.tables.palette or ()
    above = samples >= min(table.first for table in tables)
    darkest = samples.min(initial=np.iinfo(samples.dtype).max, where=~above)
    shown = np.stack([_grey(np.where(above, darkest, samples), pixels, how, window)] * 3, axis=-1)
    shown[above] = colored(samples[above])
    return shown


def _colors(samples: "NDArray[Any]", pixels: ImagePixels) -> "NDArray[np.uint8]":
    import numpy as np

    if pixels.signed or pixels.floating:
        raise Unconvertible("Colours cannot be negative or fractions.")
    if pixels.bits_stored > 8:
        samples = np.right_shift(samples, pixels.bits_stored - 8)
    elif pixels.bits_stored < 8:
        samples = samples * _WHITE // ((1 << pixels.bits_stored) - 1)
    samples = samples.astype(np.uint8, copy=False)
    if pixels.photometric == "RGB":
        return samples
    if pixels.photometric in {"YBR_FULL", "YBR_FULL_422"}:
        return _rgb(samples, black=0.0, scale=(1.0, 1.0))
    if pixels.photometric in {"YBR_PARTIAL", "YBR_PARTIAL_422"}:
        return _rgb(samples, black=16.0, scale=(255.0 / 219.0, 255.0 / 224.0))
    raise Unconvertible("The photometric interpretation of the instance is not supported.")


def _rgb(samples: "NDArray[np.uint8]", *, black: float, scale: tuple[float, float]) -> "NDArray[np.uint8]":
    """PS3.3 §C.7.6.3.1.2."""
    import numpy as np

    components = samples.astype(np.float32)
    components[..., 0] = (components[..., 0] - black) * scale[0]
    components[..., 1:] = (components[..., 1:] - 128.0) * scale[1]
    converted = components @ np.asarray(_FULL_RANGE, np.float32).T
    return np.clip(np.rint(converted), 0, _WHITE).astype(np.uint8)


# ----------------------------------------------------------------------------------------------------------- pictures


def true_size(width: float, height: float, shape: float) -> tuple[float, float]:
    """The size of a part of a frame whose pixels are `shape` times as high as wide, the shorter axis scaled up, within
    the limits of a picture (REND-11).
    """
    width, height = (width, height * shape) if shape > 1 else (width / shape, height)
    scale = min(1.0, _LARGEST_SIDE / width, _LARGEST_SIDE / height, (_LARGEST_AREA / (width * height)) ** 0.5)
    return (width, height) if shape == 1 else (width * scale, height * scale)


def fitted(shown: "NDArray[np.uint8]", viewport: Viewport | None, shape: float = 1.0) -> "Image":
    """The picture in its true shape in a viewport: cut, flipped, and scaled down or up to fit (W-16, REND-11).

    `shape`: the height of a pixel divided by its width. Raises Unconvertible when the viewport shows nothing of it.
    """
    from PIL import Image

    image = Image.fromarray(shown)
    if viewport is None and shape == 1:
        return image
    if viewport is not None and viewport.region is not None:
        left, top, width, height = viewport.region
        box = (
            max(round(left), 0),
            max(round(top), 0),
            image.width if width is None else min(round(left + width), image.width),
            image.height if height is None else min(round(top + height), image.height),
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            raise Unconvertible("The viewport shows no part of the image.")
        image = image.crop(box)
    across, down = true_size(image.width, image.height, shape)
    scale = 1.0 if viewport is None else min(viewport.width / across, viewport.height / down)
    size = max(round(across * scale), 1), max(round(down * scale), 1)
    if size != image.size:
        larger = size[0] > image.width or size[1] > image.height
        image = image.resize(size, Image.Resampling.BICUBIC if larger else Image.Resampling.LANCZOS)
    if viewport is not None and viewport.flip_horizontally:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if viewport is not None and viewport.flip_vertically:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return image


def encoded(image: "Image", media_type: str, quality: int, profile: bytes | None = None) -> bytes:
    """The picture as `image/jpeg`, `image/png` or `image/gif`. `quality`: 1 to 100, of JPEG. `profile`: an ICC profile
    to go with it; GIF has no place for one.
    """
    import io

    import imagecodecs
    import numpy as np

    if profile is None and media_type != GIF:
        samples = np.asarray(image)
        if media_type == PNG:
            return bytes(imagecodecs.spng_encode(samples))
        return bytes(imagecodecs.jpeg8_encode(samples, level=quality))
    stream = io.BytesIO()
    options: dict[str, Any] = {} if media_type == GIF else {"icc_profile": profile}
    if media_type == JPEG:
        options["quality"] = quality
    image.save(stream, media_type.removeprefix("image/").upper(), **options)
    return stream.getvalue()


def in_srgb(image: "Image", profile: bytes | None) -> tuple["Image", bytes]:
    """A colour picture in sRGB, and the profile that says so. Without a profile of its own it counts as sRGB already.

    Raises:
        Unconvertible: its profile is damaged, or not of RGB.
    """
    import io

    from PIL import ImageCms

    target = ImageCms.createProfile("sRGB")
    described = ImageCms.ImageCmsProfile(target).tobytes()
    if profile is None or image.mode != "RGB":
        return image, described
    try:
        converted = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), target)
    except (ImageCms.PyCMSError, OSError) as error:
        raise Unconvertible("The colour profile of the instance cannot be used.") from error
    return converted or image, described
