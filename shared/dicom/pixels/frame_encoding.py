"""PS3.5 §8.2 Encoding: the samples of one frame become bytes of a transfer syntax; lossless but for the lossy JPEGs.

numpy and the codecs are imported on first use.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from shared.dicom.errors import Unconvertible
from shared.dicom.pixels.frame_decoding import Decoded
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.transfer_syntaxes import (
    EXPLICIT_LITTLE_ENDIAN,
    FRAME_TARGETS,
    HTJ2K_FAMILY,
    JPEG_2000_FAMILY,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS_FAMILY,
    JPEG_LOSSY_FAMILY,
    JPEG_LS_FAMILY,
    JPEG_XL_LOSSLESS,
    RLE_LOSSLESS,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUALITY: Final = 90
_RLE_SEGMENTS: Final = 15
_SMALLEST_BUFFER: Final = 4096
"""Bytes for the headers of a codestream of a few pixels."""
_WITHOUT_SIGN: Final = JPEG_LOSSLESS_FAMILY | JPEG_LS_FAMILY | {RLE_LOSSLESS, JPEG_XL_LOSSLESS}
"""Syntaxes that code two's complement numbers as they code any others."""


def check_target(pixels: ImagePixels, syntax: str) -> None:
    """Raises Unconvertible where such pixels have no form in the transfer syntax `syntax`."""
    if syntax not in FRAME_TARGETS:
        raise Unconvertible("The transfer syntax cannot be produced.")
    if syntax == EXPLICIT_LITTLE_ENDIAN:
        return
    widths = {8, 16, 32} if syntax == RLE_LOSSLESS else {8, 16}
    if pixels.floating or pixels.bits_allocated not in widths:
        raise Unconvertible("The bits of a pixel do not suit the transfer syntax.")
    if pixels.overlay_in_pixels:
        raise Unconvertible("The pixels hold an overlay that would be lost.")
    if syntax in JPEG_LOSSY_FAMILY:
        depth = 8 if syntax == JPEG_BASELINE or pixels.color else 12
        if pixels.signed or pixels.bits_stored > depth or pixels.photometric == "PALETTE COLOR":
            raise Unconvertible("The pixels do not suit a lossy JPEG.")
    if pixels.bits_stored < 2 and syntax != RLE_LOSSLESS:
        raise Unconvertible("The bits of a pixel do not suit the transfer syntax.")


def described_as(pixels: ImagePixels, syntax: str) -> ImagePixels:
    """The description of the samples `pixels` of a `Decoded` once they are encoded in `syntax` (WADO-16)."""
    if not pixels.color:
        return pixels
    if syntax == RLE_LOSSLESS:
        return replace(pixels, planar=True)
    if pixels.photometric == "RGB":
        if syntax in JPEG_2000_FAMILY or syntax in HTJ2K_FAMILY:
            return replace(pixels, photometric="YBR_RCT")
        if syntax in JPEG_LOSSY_FAMILY:
            return replace(pixels, photometric="YBR_FULL_422")
    return pixels


def encode(decoded: Decoded, syntax: str) -> bytes:
    """The frame in the transfer syntax `syntax`: native and little endian, or a codestream.

    Raises:
        Unconvertible: the samples have no form in it.
    """
    import numpy as np

    pixels, samples = decoded.pixels, decoded.samples
    check_target(pixels, syntax)
    if syntax == EXPLICIT_LITTLE_ENDIAN:
        return _native(samples, pixels)
    samples = np.ascontiguousarray(samples)
    if pixels.signed and syntax in _WITHOUT_SIGN:
        samples = samples.view(f"u{pixels.container}")
        if syntax != RLE_LOSSLESS:
            samples = samples & samples.dtype.type((1 << pixels.bits_stored) - 1)
    try:
        return _codestream(samples, pixels, syntax)
    except Unconvertible:
        raise
    except Exception as error:
        raise Unconvertible("The pixels of the instance cannot be encoded.") from error


def _native(samples: "NDArray[Any]", pixels: ImagePixels) -> bytes:
    import numpy as np

    if pixels.bits_allocated == 1:
        return np.packbits(samples.reshape(-1), bitorder="little").tobytes()
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()


def _codestream(samples: "NDArray[np.unsignedinteger[Any]]", pixels: ImagePixels, syntax: str) -> bytes:
    if syntax == RLE_LOSSLESS:
        return _run_length(samples, pixels)
    import imagecodecs

    bits = pixels.bits_stored
    # Codecs take samples of up to 8 bits in bytes only.
    if bits <= 8 and samples.dtype.itemsize > 1:
        samples = samples.astype("i1" if samples.dtype.kind == "i" else "u1")
    if syntax in JPEG_LOSSY_FAMILY:
        return _jpeg(samples, pixels, syntax)
    if syntax in JPEG_LOSSLESS_FAMILY:
        return _lossless_jpeg(samples, pixels)
    if syntax in JPEG_LS_FAMILY:
        # The codec's own buffer is too small for noise, which no coding makes smaller.
        room = 2 * samples.nbytes + _SMALLEST_BUFFER
        return bytes(imagecodecs.jpegls_encode(samples, level=0, bitspersample=bits, out=room))
    if syntax == JPEG_XL_LOSSLESS:
        return bytes(imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=bits, numthreads=1))
    transform = pixels.photometric == "RGB"
    if syntax in JPEG_2000_FAMILY:
        return bytes(
            imagecodecs.jpeg2k_encode(
                samples,
                level=0,
                codecformat="j2k",
                reversible=True,
                mct=transform,
                planar=False,
                bitspersample=bits,
                numthreads=1,
            )
        )
    return _high_throughput(samples, pixels, transform=transform)


def _high_throughput(samples: "NDArray[Any]", pixels: ImagePixels, *, transform: bool) -> bytes:
    """HTJ2K in RPCL order with TLM markers: what the strictest of its three syntaxes asks for (PS3.5 §A.4.12)."""
    import imagecodecs
    import numpy as np

    options: dict[str, Any] = {"reversible": True, "bitspersample": pixels.bits_stored, "prog_order": "RPCL"}
    if not pixels.color:
        return bytes(imagecodecs.htj2k_encode(samples, tlm=True, tilepart="resolutions", **options))
    if transform:
        return bytes(
            imagecodecs.htj2k_encode(samples, rgb=True, planar=False, tlm=True, tilepart="resolutions", **options)
        )
    planes = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
    return bytes(imagecodecs.htj2k_encode(planes, rgb=False, planar=True, tlm=True, tilepart="resolutions", **options))


def _jpeg(samples: "NDArray[Any]", pixels: ImagePixels, syntax: str) -> bytes:
    import imagecodecs

    bits = 12 if syntax == JPEG_EXTENDED and pixels.bits_stored > 8 else 8
    if not pixels.color:
        return bytes(imagecodecs.jpeg8_encode(samples, level=_QUALITY, bitspersample=bits))
    spaces: dict[str, Any] = {"colorspace": "RGB" if pixels.photometric == "RGB" else "YCBCR", "outcolorspace": "YCBCR"}
    return bytes(imagecodecs.jpeg8_encode(samples, level=_QUALITY, subsampling="422", **spaces))


def _lossless_jpeg(samples: "NDArray[Any]", pixels: ImagePixels) -> bytes:
    """As RGB, whatever the colours are: for others the encoder uses two tables, and its scan header names only one."""
    import imagecodecs

    colors: dict[str, Any] = {"colorspace": "RGB", "outcolorspace": "RGB"} if pixels.color else {}
    data = bytes(
        imagecodecs.jpeg8_encode(samples, lossless=True, predictor=1, bitspersample=pixels.bits_stored, **colors)
    )
    return data if not pixels.color or pixels.photometric == "RGB" else _without_color_labels(data)


def _without_color_labels(data: bytes) -> bytes:
    """A colour JPEG without Adobe marker, its components numbered instead of named R, G and B."""
    adobe = data.index(b"\xff\xee\x00\x0eAdobe")
    plain = bytearray(data[:adobe] + data[adobe + 16 :])
    frame, scan = plain.index(b"\xff\xc3\x00\x11"), plain.index(b"\xff\xda\x00\x0c")
    for n in range(3):
        plain[frame + 10 + 3 * n] = plain[scan + 5 + 2 * n] = n + 1
    return bytes(plain)


def _run_length(samples: "NDArray[Any]", pixels: ImagePixels) -> bytes:
    """PS3.5 §G. Row by row: rows are coded apart, and the encoder keeps other threads waiting while it runs."""
    import numpy as np
    from rle.rle import encode_row  # type: ignore[import-not-found]  # compiled, without types

    size = pixels.container
    planes = samples.astype(samples.dtype.newbyteorder(">"), copy=False).view(np.uint8)
    planes = planes.reshape(pixels.rows, pixels.columns, pixels.samples * size)
    if planes.shape[2] > _RLE_SEGMENTS:
        raise Unconvertible("The samples have too many bytes for RLE.")
    segments = []
    for plane in range(planes.shape[2]):
        segment = b"".join(encode_row(row.tobytes()) for row in planes[:, :, plane])
        segments.append(segment + bytes(len(segment) % 2))
    header = [len(segments)]
    at = 64
    for segment in segments:
        header.append(at)
        at += len(segment)
    head = b"".join(number.to_bytes(4, "little") for number in header)
    return b"".join([head.ljust(64, b"\0"), *segments])
