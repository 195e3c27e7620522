"""The header of a compressed frame, from its first markers: read before anything is decoded, so that a decoder is
never asked for more pixels than the data set promises (ISO 10918-1 §B, ISO 14495-1 §C, ISO 15444-1 §A).
"""

import struct
from dataclasses import dataclass
from typing import Final

from shared.dicom.pixels.jpeg_2000 import BadCodestream, read_header
from shared.dicom.transfer_syntaxes import (
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
)

_SOI: Final = b"\xff\xd8"
_SOC: Final = b"\xff\x4f\xff\x51"
_JP2: Final = b"\x00\x00\x00\x0cjP  "
_JP2_CODESTREAM: Final = b"jp2c"
_END: Final = b"\xff\xd9"
_TAIL: Final = 32
"""Bytes at the end of a frame in which its end may be: padding may follow."""
_MAX_MARKERS: Final = 4096
_MAX_SCANS: Final = 128
"""Scans of a JPEG or JPEG-LS frame: a decoder passes over all samples for each, and real encoders make ten or so."""
_SCAN: Final = b"\xff\xda"

_BASELINE_TO_PROGRESSIVE = frozenset({0xC0, 0xC1, 0xC2})
_LOSSLESS = 0xC3
_JPEG_LS = 0xF7
_OTHER_FRAMES = frozenset({0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_YCBCR = 1
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class Codestream:
    """The header of a compressed frame."""

    kind: str
    """`jpeg`, `jpeg-lossless`, `jpeg-ls`, `jpeg-2000`."""
    columns: int
    rows: int
    samples: int
    bits: int
    """Precision of a sample."""
    signed: bool = False
    lossy: bool = False
    adobe_transform: int | None = None
    """JPEG: the colour transform of the Adobe marker; 0 none, 1 YCbCr. None: no such marker, and no JFIF marker, which
    stands for YCbCr (ISO 10918-5 §6.1)."""
    ended: bool = True
    """Whether the marker of its end is where it should be."""
    component_transform: bool = False
    """JPEG 2000: whether the decoder turns the samples back into RGB."""
    transfer_syntax_uid: str = ""
    """JPEG and JPEG-LS: the syntax that the coding process belongs to; empty where there is none."""


def read_codestream(data: bytes) -> Codestream:
    """The header of a JPEG, JPEG lossless, JPEG-LS or JPEG 2000 codestream.

    Raises:
        BadCodestream: it is none of these, it is odd, or it has no end.
    """
    try:
        if data.startswith(_SOI):
            found = _jpeg(data)
            if data.count(_SCAN) > _MAX_SCANS:  # entropy-coded data cannot contain the marker
                raise BadCodestream("The codestream has too many scans.")
            if _END not in data[-_TAIL:]:
                raise BadCodestream("The codestream has no end.")
            return found
        if data.startswith(_SOC):
            return _jpeg_2000(data)
    except (struct.error, IndexError):
        raise BadCodestream("The codestream ends within its header.") from None
    raise BadCodestream("This is no codestream that can be decoded.")


def read_codestream_head(data: bytes) -> Codestream:
    """The header of a JPEG, JPEG lossless or JPEG-LS codestream, of which `data` is the beginning.

    Raises BadCodestream, also for a coding process that no transfer syntax is for (PS3.5 §A.4).
    """
    try:
        found = _jpeg(data)
    except (struct.error, IndexError):
        raise BadCodestream("The codestream ends within its header.") from None
    if not found.transfer_syntax_uid:
        raise BadCodestream("Progressive JPEG is carried by no transfer syntax; send a baseline JPEG.")
    return found


def without_boxes(data: bytes) -> bytes:
    """The codestream of a JP2 file, which PS3.5 §8.2.4 does not allow but some applications write; else `data`.

    Raises BadCodestream if there is none in the file.
    """
    if not data.startswith(_JP2):
        return data
    at = 0
    for _ in range(_MAX_MARKERS):
        if at + 16 > len(data):
            break
        length, kind = struct.unpack_from(">L4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        if kind == _JP2_CODESTREAM:
            return data[start : at + length] if length else data[start:]
        if length < 8:
            break
        at += length
    raise BadCodestream("The file in the frame holds no codestream.")


def _jpeg(data: bytes) -> Codestream:
    at = 2
    adobe: int | None = None
    frame: tuple[int, int, int, int, int] | None = None
    for _ in range(_MAX_MARKERS):
        if data[at] != 0xFF:
            raise BadCodestream("A marker is missing.")
        marker = data[at + 1]
        at += 1
        if marker == 0xFF:  # fill byte
            continue
        at += 1
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise BadCodestream("A marker segment is too short.")
        if marker in _BASELINE_TO_PROGRESSIVE or marker in {_LOSSLESS, _JPEG_LS}:
            if frame is not None:
                raise BadCodestream("The codestream has several frames.")
            frame = (marker, *struct.unpack_from(">BHHB", data, at + 2))
        elif marker in _OTHER_FRAMES or marker == 0xD9:
            raise BadCodestream("The coding process is not supported.")
        elif marker == 0xE0 and adobe is None and data[at + 2 : at + 7] == b"JFIF\0":
            adobe = _YCBCR
        elif marker == 0xEE and length >= 14 and data[at + 2 : at + 7] == b"Adobe":
            adobe = data[at + 13]
        elif marker == 0xDA:
            if frame is None:
                break
            selection = data[at + 3 + 2 * data[at + 2]]
            return _jpeg_frame(frame, adobe, selection)
        at += length
    raise BadCodestream("The codestream has no frame.")


def _jpeg_frame(frame: tuple[int, int, int, int, int], adobe: int | None, selection: int) -> Codestream:
    """`selection`: the predictor of JPEG lossless, the largest difference of JPEG-LS."""
    marker, bits, rows, columns, samples = frame
    kind = "jpeg-ls" if marker == _JPEG_LS else "jpeg-lossless" if marker == _LOSSLESS else "jpeg"
    lossy = kind == "jpeg" or (kind == "jpeg-ls" and selection > 0)
    return Codestream(
        kind,
        columns,
        rows,
        samples,
        bits,
        lossy=lossy,
        adobe_transform=adobe,
        transfer_syntax_uid=_process_syntax(marker, selection),
    )


def _process_syntax(marker: int, selection: int) -> str:
    if marker == _LOSSLESS:
        return JPEG_LOSSLESS_SV1 if selection == 1 else JPEG_LOSSLESS
    if marker == _JPEG_LS:
        return JPEG_LS_NEAR_LOSSLESS if selection else JPEG_LS_LOSSLESS
    return {0xC0: JPEG_BASELINE, 0xC1: JPEG_EXTENDED}.get(marker, "")


def _jpeg_2000(data: bytes) -> Codestream:
    found = read_header(data)
    return Codestream(
        "jpeg-2000",
        found.columns,
        found.rows,
        found.components,
        bits=found.bits,
        signed=found.signed,
        lossy=found.irreversible,
        ended=_END in data[-_TAIL:],
        component_transform=found.component_transform,
    )
