"""PS3.5 §8 Decoding: the bytes of one frame, native or compressed, become its samples.

numpy and the codecs are imported on first use: a process that only stores and searches never loads them.
"""

import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from shared.dicom.errors import Unconvertible
from shared.dicom.part10.inflating import inflated
from shared.dicom.pixels import jpeg_xl
from shared.dicom.pixels.codestreams import Codestream, read_codestream, without_boxes
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from shared.dicom.transfer_syntaxes import (
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    HTJ2K_FAMILY,
    JPEG_2000_FAMILY,
    JPEG_LOSSLESS_FAMILY,
    JPEG_LOSSY_FAMILY,
    JPEG_LS_FAMILY,
    JPEG_XL_FAMILY,
    JPEG_XL_LOSSLESS,
    NATIVE,
    RLE_LOSSLESS,
    SOURCES,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_LIMIT: Final = 1 << 28
"""Largest frame in bytes, decoded, that is converted at all."""

_WORKING_BYTES: Final = (
    (JPEG_LOSSY_FAMILY, 2),
    (JPEG_LOSSLESS_FAMILY, 4),
    (JPEG_LS_FAMILY, 4),
    (HTJ2K_FAMILY, 4),
    (JPEG_2000_FAMILY, 6),
    (frozenset({RLE_LOSSLESS}), 4),
)
"""Bytes of a sample that a codec works with, beside its result: measured, and rounded up. JPEG keeps the coefficients
of a progressive image, JPEG 2000 the samples of a tile and of the image in 32 bits.
"""
_MOST_WORKING_BYTES: Final = 14
"""Those of JPEG XL, in fractions."""
_RESULT_COPIES: Final = 4
"""Copies of the result that giving it its sign takes, the result included."""
_MOST_PADDING: Final = 8
"""Zeros behind the last segment of a frame in RLE that some writers put there, and that would be samples. For each one
a frame is decoded once more.
"""
_RLE_HEADER: Final = 64
_KINDS: Final = (
    (JPEG_LOSSY_FAMILY, "jpeg"),
    (JPEG_LOSSLESS_FAMILY, "jpeg-lossless"),
    (JPEG_LS_FAMILY, "jpeg-ls"),
    (JPEG_2000_FAMILY, "jpeg-2000"),
    (HTJ2K_FAMILY, "jpeg-2000"),
    (JPEG_XL_FAMILY, "jpeg-xl"),
)
_INFLATED: Final = frozenset({*NATIVE, ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES})
"""Syntaxes whose frames are native ones, once they are inflated."""
_DAMAGED: Final = "The pixel data of the instance cannot be decoded."


@dataclass(frozen=True, slots=True)
class Decoded:
    """The samples of one frame."""

    samples: "NDArray[Any]"
    """Shape (rows, columns) or (rows, columns, 3); true values, negative ones included, in integers as wide as
    BitsAllocated says, or floats. Not to be written to.
    """
    pixels: ImagePixels
    """The description of the samples: never planar, never subsampled, RGB where the codestream was a colour JPEG."""
    lossy: bool
    """Whether the codestream had lost something."""


type Decoder = Callable[[bytes, str, ImagePixels], Decoded]
"""The type of `decode`; the service has it done in another process."""


def check_source(pixels: ImagePixels, syntax: str) -> None:
    """Raises Unconvertible where no frame of such pixels in the transfer syntax `syntax` can be decoded."""
    if syntax not in SOURCES:
        raise Unconvertible("The transfer syntax of the instance cannot be decoded.")
    if pixels.frame_bytes > FRAME_LIMIT:
        raise Unconvertible("The frames of the instance are too large.")
    native = syntax in _INFLATED
    if not native and (pixels.floating or pixels.bits_allocated not in {8, 16, 32}):
        raise Unconvertible("The bits of a pixel do not suit the transfer syntax of the instance.")
    if native and pixels.photometric in {"YBR_RCT", "YBR_ICT", "YBR_PARTIAL_420"}:
        raise Unconvertible("The photometric interpretation does not suit native pixels.")
    if pixels.subsampled and (pixels.columns % 2 or pixels.bits_allocated != 8) and native:
        raise Unconvertible("Subsampled pixels need an even number of columns of 8 bits.")


def decoding_memory(pixels: ImagePixels, syntax: str, length: int) -> int:
    """Bytes that decoding one frame of `length` bytes takes, in a codec process and here: the frame is here, has come
    there, and is the codec's; its samples are the codec's, and come here.
    """
    return 3 * length + codec_memory(pixels, syntax) + pixels.frame_bytes


def codec_memory(pixels: ImagePixels, syntax: str) -> int:
    """Bytes that a codec takes while it decodes one frame, its result included."""
    if syntax in _INFLATED:
        return 0
    working = next((size for family, size in _WORKING_BYTES if syntax in family), _MOST_WORKING_BYTES)
    result = pixels.container * (_RESULT_COPIES if pixels.signed or pixels.container > 2 else 1)
    return (working + result) * pixels.rows * pixels.columns * pixels.samples


def decode(frame: bytes, syntax: str, pixels: ImagePixels) -> Decoded:
    """The samples of a frame. Native frames are in little endian order and begin on a byte boundary; encapsulated ones
    are without item headers.

    Raises:
        Unconvertible: the bytes are damaged, or not what `pixels` says.
    """
    check_source(pixels, syntax)
    if syntax == DEFLATED_FRAMES:
        frame = _inflated(frame, pixels)
    if syntax in _INFLATED:
        return _native(frame, pixels)
    if syntax == RLE_LOSSLESS:
        return _run_length(frame, pixels)
    try:
        data = without_boxes(frame)
        header = read_codestream(data) if syntax not in JPEG_XL_FAMILY else _jpeg_xl(data, syntax, pixels)
    except BadCodestream as error:
        raise Unconvertible(f"{_DAMAGED} {error}") from None
    _check_header(header, syntax, pixels)
    try:
        samples, pixels = _codestream(data, syntax, header, pixels)
    except Unconvertible:
        raise
    except Exception as error:
        raise Unconvertible(_DAMAGED) from error
    return Decoded(samples, pixels, lossy=header.lossy)


def _jpeg_xl(data: bytes, syntax: str, pixels: ImagePixels) -> Codestream:
    """Its header; whether something was lost only the transfer syntax says (FRM-15)."""
    found = jpeg_xl.read_header(data)
    lossy = syntax != JPEG_XL_LOSSLESS
    return Codestream("jpeg-xl", found.columns, found.rows, pixels.samples, found.bits, lossy=lossy)


def _inflated(frame: bytes, pixels: ImagePixels) -> bytes:
    """A frame that is deflated; no more of it than a frame has (FRM-16)."""
    try:
        return inflated(frame, pixels.frame_bytes)[0]
    except zlib.error:
        raise Unconvertible(_DAMAGED) from None


def _check_header(header: Codestream, syntax: str, pixels: ImagePixels) -> None:
    """No decoder runs on a codestream that is larger than the attributes, which have been checked, promise."""
    if not any(syntax in family and header.kind == kind for family, kind in _KINDS):
        raise Unconvertible(f"{_DAMAGED} The codestream is not of the transfer syntax.")
    if syntax in HTJ2K_FAMILY and not header.ended:  # the decoder would make up what is missing
        raise Unconvertible(f"{_DAMAGED} The codestream has no end.")
    if (header.rows, header.columns, header.samples) != (pixels.rows, pixels.columns, pixels.samples):
        raise Unconvertible(f"{_DAMAGED} The codestream is not of the size that the attributes say.")
    if not 1 <= header.bits <= min(pixels.bits_allocated, 16):
        raise Unconvertible(f"{_DAMAGED} The codestream has more bits than a pixel.")


# ------------------------------------------------------------------------------------------------------------ native


def _native(frame: bytes, pixels: ImagePixels) -> Decoded:
    import numpy as np

    shape = (pixels.rows, pixels.columns)
    count = pixels.rows * pixels.columns
    if pixels.subsampled and len(frame) < pixels.frame_bytes:
        return _subsampled(frame, pixels)
    if len(frame) < pixels.frame_bytes:
        raise Unconvertible(f"{_DAMAGED} The frame is too short.")
    if pixels.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), count=count * pixels.samples, bitorder="little")
        return Decoded(bits.reshape(shape), pixels, lossy=False)
    kind = "f" if pixels.floating else "u"
    samples: NDArray[Any] = np.frombuffer(frame, f"<{kind}{pixels.container}", count * pixels.samples)
    if pixels.planar:
        samples = samples.reshape(3, *shape).transpose(1, 2, 0)
    else:
        samples = samples.reshape((*shape, 3) if pixels.color else shape)
    if not pixels.floating:
        samples, pixels = _values(samples, pixels)
    return Decoded(samples, _interleaved(pixels), lossy=False)


def _subsampled(frame: bytes, pixels: ImagePixels) -> Decoded:
    """YBR_FULL_422: Y1 Y2 Cb Cr for two pixels, which share their chrominance (PS3.3 §C.7.6.3.1.2)."""
    import numpy as np

    pairs = pixels.rows * pixels.columns // 2
    if len(frame) < 4 * pairs:
        raise Unconvertible(f"{_DAMAGED} The frame is too short.")
    groups = np.frombuffer(frame, np.uint8, 4 * pairs).reshape(pairs, 4)
    samples = np.empty((pairs, 2, 3), np.uint8)
    samples[:, :, 0] = groups[:, :2]
    samples[:, :, 1:] = groups[:, None, 2:]
    photometric = pixels.photometric.removesuffix("_422")
    described = replace(_interleaved(pixels), photometric=photometric)
    return Decoded(samples.reshape(pixels.rows, pixels.columns, 3), described, lossy=False)


def _values(samples: "NDArray[Any]", pixels: ImagePixels) -> tuple["NDArray[Any]", ImagePixels]:
    """Containers as values: the bits that BitsStored and HighBit name, with their sign. Other bits are nobody's."""
    import numpy as np

    width, stored, lowest = pixels.bits_allocated, pixels.bits_stored, pixels.high_bit + 1 - pixels.bits_stored
    described = replace(pixels, high_bit=stored - 1)
    if stored == width:
        return (samples.view(f"i{pixels.container}") if pixels.signed else samples), described
    if pixels.signed:
        shifted = np.left_shift(samples, width - stored - lowest).view(f"i{pixels.container}")
        return np.right_shift(shifted, width - stored), described
    return np.right_shift(samples, lowest) & samples.dtype.type((1 << stored) - 1), described


def _interleaved(pixels: ImagePixels) -> ImagePixels:
    return replace(pixels, planar=False)


# -------------------------------------------------------------------------------------------------------- compressed


def _run_length(frame: bytes, pixels: ImagePixels) -> Decoded:
    """PS3.5 §G: a segment for each byte of each sample, the most significant byte first."""
    import numpy as np

    planes = pixels.samples * pixels.container
    if len(frame) < _RLE_HEADER or int.from_bytes(frame[:4], "little") != planes:
        raise Unconvertible(f"{_DAMAGED} The number of segments is wrong.")
    out = np.zeros(pixels.frame_bytes, np.uint8)
    try:
        decoded = _segments_in(frame, pixels, memoryview(out))
    except Exception as error:
        raise Unconvertible(_DAMAGED) from error
    if len(decoded) != pixels.frame_bytes:
        raise Unconvertible(f"{_DAMAGED} The frame is too short.")
    samples = out.view(f"<u{pixels.container}").reshape(pixels.samples, pixels.rows, pixels.columns)
    values, described = _values(np.moveaxis(samples, 0, -1) if pixels.color else samples[0], pixels)
    return Decoded(values, _interleaved(described), lossy=False)


def _segments_in(frame: bytes, pixels: ImagePixels, out: memoryview) -> Any:
    """The bytes of all segments, in `out`. Raises RuntimeError and others."""
    import imagecodecs

    spare = min(len(frame) - len(frame.rstrip(b"\0")), _MOST_PADDING)
    for padding in range(spare):
        with suppress(RuntimeError):  # more bytes than there are samples, or less
            return imagecodecs.dicomrle_decode(frame[: len(frame) - padding], dtype=f"<u{pixels.container}", out=out)
    return imagecodecs.dicomrle_decode(frame[: len(frame) - spare], dtype=f"<u{pixels.container}", out=out)


def _codestream(
    data: bytes, syntax: str, header: Codestream, pixels: ImagePixels
) -> tuple["NDArray[Any]", ImagePixels]:
    import imagecodecs

    photometric = pixels.photometric
    samples: NDArray[Any]
    if header.kind == "jpeg":
        samples, photometric = _jpeg(data, header, pixels)
    elif header.kind == "jpeg-lossless":
        samples = imagecodecs.jpeg8_decode(data, **(_UNTRANSFORMED if pixels.color else {}))
    elif header.kind == "jpeg-ls":
        samples = imagecodecs.jpegls_decode(data)
    elif header.kind == "jpeg-xl":
        samples = imagecodecs.jpegxl_decode(data, numthreads=1)
        if pixels.color and header.lossy:
            photometric = "RGB"
    else:
        decode_2000 = imagecodecs.htj2k_decode if syntax in HTJ2K_FAMILY else imagecodecs.jpeg2k_decode
        samples = decode_2000(data, planar=False) if pixels.color else decode_2000(data)
        if pixels.color and (header.component_transform or photometric in {"YBR_RCT", "YBR_ICT"}):
            photometric = "RGB"
    if samples.shape != ((pixels.rows, pixels.columns, 3) if pixels.color else (pixels.rows, pixels.columns)):
        raise Unconvertible(_DAMAGED)
    values = _in_containers(samples, header, pixels)
    stored = max(header.bits, pixels.bits_stored)
    described = replace(pixels, photometric=photometric, planar=False, bits_stored=stored, high_bit=stored - 1)
    return values, described


_UNTRANSFORMED: Final[dict[str, Any]] = {"colorspace": "RGB", "outcolorspace": "RGB"}


def _jpeg(data: bytes, header: Codestream, pixels: ImagePixels) -> tuple["NDArray[Any]", str]:
    """A colour JPEG as RGB. An Adobe or JFIF marker says how colours are coded; without one the data set does."""
    import imagecodecs

    if not pixels.color:
        return imagecodecs.jpeg8_decode(data), pixels.photometric
    transformed = header.adobe_transform
    if transformed is None:
        transformed = int(pixels.photometric != "RGB")
    options = {"colorspace": "YCBCR", "outcolorspace": "RGB"} if transformed else _UNTRANSFORMED
    return imagecodecs.jpeg8_decode(data, **options), "RGB"


def _in_containers(samples: "NDArray[Any]", header: Codestream, pixels: ImagePixels) -> "NDArray[Any]":
    """The samples as wide as BitsAllocated says and with the sign that PixelRepresentation says.

    Only JPEG 2000 knows signs. Where it contradicts PixelRepresentation, or another codestream holds negative values,
    the bits are those of two's complement numbers as wide as the precision.
    """
    import numpy as np

    wide = np.dtype(f"{'i' if pixels.signed else 'u'}{pixels.container}")
    if header.signed == pixels.signed:
        return samples.astype(wide, copy=False)
    spare = pixels.bits_allocated - header.bits
    bits: NDArray[Any] = samples.astype(f"u{pixels.container}")
    if pixels.signed:
        signed: NDArray[Any] = np.right_shift(np.left_shift(bits, spare).view(wide), spare)
        return signed
    bits &= bits.dtype.type((1 << header.bits) - 1)
    return bits
