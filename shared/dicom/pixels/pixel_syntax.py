"""The transfer syntax of a compressed frame or stream, as its own header tells it (PS3.5 §A.4, §8.2; W-15)."""

import struct
from collections.abc import Callable
from typing import Final

from shared.dicom.pixels import jpeg_xl
from shared.dicom.pixels.codestreams import read_codestream_head
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from shared.dicom.transfer_syntaxes import (
    H264_HIGH,
    H264_HIGH_2D,
    HEVC_MAIN,
    HEVC_MAIN_10,
    HTJ2K,
    HTJ2K_LOSSLESS,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_XL,
    MPEG2_HIGH,
    MPEG2_MAIN,
    RLE_LOSSLESS,
)

HEAD: Final = 128 * 1024
"""Bytes in which the header of a codestream is looked for: profiles and comments of a photograph come before it."""

_JP2_BOX: Final = b"\x00\x00\x00\x0cjP  "
_MPEG2_SEQUENCE: Final = b"\x00\x00\x01\xb3"
_STANDARD_WIDTH: Final = 720
_MAX_BOXES: Final = 64
_LONGEST_BOX: Final = 1 << 48
"""Bytes of a box before the movie's; 64 of them end where a file can be read from."""
_MAX_MOOV: Final = 16 * 1024 * 1024
_AVC_PROFILES: Final = frozenset({66, 77, 88, 100})
"""Baseline, Main, Extended, High: what a decoder of the High profile decodes (ISO 14496-10 §A.2)."""
_AVC_LEVELS: Final = ((41, H264_HIGH), (42, H264_HIGH_2D))

type Read = Callable[[int, int], bytes]
"""The bytes of a stream from an offset on, at most so many."""


def syntax_of(read: Read) -> str:
    """The transfer syntax that a codestream, or a video, is of.

    Raises:
        BadCodestream: it is of none, or of one that is not told by its header.
    """
    head = read(0, HEAD)
    try:
        if head[4:8] == b"ftyp":
            return _mp4(read)
        if head.startswith(_MPEG2_SEQUENCE):
            width = int.from_bytes(head[4:6], "big") >> 4
            return MPEG2_HIGH if width > _STANDARD_WIDTH else MPEG2_MAIN
        if head.startswith(_JP2_BOX):
            head = head[codestream_start(head) :]
        found = _image(head)
    except (struct.error, IndexError):
        raise BadCodestream("The codestream ends within its header.") from None
    return found


def codestream_start(head: bytes) -> int:
    """Where the codestream begins in a JP2 file, which PS3.5 §8.2.4 does not allow in a frame; else 0.

    Raises BadCodestream if it does not begin in `head`.
    """
    if not head.startswith(_JP2_BOX):
        return 0
    at = head.find(b"jp2c\xff\x4f\xff\x51")
    if at < 0:
        raise BadCodestream("The file in the frame holds no codestream.")
    return at + 4


def _image(head: bytes) -> str:
    if head.startswith(b"\xff\x4f\xff\x51"):
        return _jpeg_2000(head)
    if head.startswith(b"\xff\xd8"):
        return read_codestream_head(head).transfer_syntax_uid
    if head.startswith((jpeg_xl.SIGNATURE, jpeg_xl.CONTAINER)):
        jpeg_xl.read_header(head)
        return JPEG_XL  # whether anything was lost the codestream does not tell: the part's own syntax may
    segments = int.from_bytes(head[:4], "little")
    if 1 <= segments <= 15 and int.from_bytes(head[4:8], "little") == 64:
        return RLE_LOSSLESS
    raise BadCodestream("This is no codestream that a transfer syntax carries.")


def _jpeg_2000(head: bytes) -> str:
    """By the markers of the main header: CAP says HTJ2K, COD which wavelet (ISO 15444-1 §A.6.1, 15444-15 §A.3)."""
    at, high_throughput = 2, False
    for _ in range(_MAX_BOXES):
        marker, length = struct.unpack_from(">HH", head, at)
        if marker == 0xFF50:
            high_throughput = True
        elif marker == 0xFF52:
            reversible = head[at + 13] == 1
            if high_throughput:
                return HTJ2K_LOSSLESS if reversible else HTJ2K
            return JPEG_2000_LOSSLESS if reversible else JPEG_2000
        at += 2 + length
    raise BadCodestream("The codestream does not tell how it is coded.")


def _mp4(read: Read) -> str:
    """By the decoder configuration in its movie box (ISO 14496-15 §5.3, §8.3)."""
    at = 0
    for _ in range(_MAX_BOXES):
        head = read(at, 16)
        length, kind = struct.unpack_from(">L4s", head)
        if length == 1:
            (length,) = struct.unpack_from(">Q", head, 8)
        if kind == b"moov":
            return _configured(read(at, min(length, _MAX_MOOV)))
        if not 8 <= length <= _LONGEST_BOX:
            break
        at += length
    raise BadCodestream("The video does not tell how it is coded.")


def _configured(movie: bytes) -> str:
    if (at := movie.find(b"avcC")) >= 0:
        profile, level = movie[at + 5], movie[at + 7]
        found = next((syntax for most, syntax in _AVC_LEVELS if level <= most), None)
        if profile in _AVC_PROFILES and found is not None:
            return found
    elif (at := movie.find(b"hvcC")) >= 0:
        profile, level = movie[at + 5] & 0x1F, movie[at + 16]
        if profile in {1, 2} and level <= 153:  # 5.1
            return HEVC_MAIN if profile == 1 else HEVC_MAIN_10
    raise BadCodestream("The video is of a profile or level that no transfer syntax carries.")
