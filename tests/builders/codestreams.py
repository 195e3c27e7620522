"""Codestreams of one picture of noise, for tests that then lie about them."""

import struct

import imagecodecs
import numpy as np

from tests.builders.pictures import HTJ2K_LOSSLESS, J2K_LOSSLESS, JPEG, JPEG_LOSSLESS_SV1, JPEG_LS

NOISE = np.random.default_rng(1).integers(0, 256, (40, 56), np.uint8)
STREAMS = {
    JPEG: bytes(imagecodecs.jpeg8_encode(NOISE)),
    JPEG_LOSSLESS_SV1: bytes(imagecodecs.jpeg8_encode(NOISE, lossless=True)),
    JPEG_LS: bytes(imagecodecs.jpegls_encode(NOISE)),
    J2K_LOSSLESS: bytes(imagecodecs.jpeg2k_encode(NOISE, level=0, codecformat="j2k", reversible=True)),
    HTJ2K_LOSSLESS: bytes(imagecodecs.htj2k_encode(NOISE, reversible=True)),
}


def run_length(pixels):
    """A frame in RLE of one segment."""
    import rle.rle

    rows = b"".join(rle.rle.encode_row(bytes(row)) for row in pixels)
    return struct.pack("<16L", 1, 64, *[0] * 14) + rows + bytes(len(rows) % 2)


# ------------------------------------------------------------------------- headers that promise more work than pixels


def segment(marker, content):
    """A marker segment."""
    return struct.pack(">HH", marker, 2 + len(content)) + content


def coding_style(levels=0, blocks=(4, 4), precincts=None, layers=1):
    """COD of JPEG 2000. `precincts`: a byte a resolution."""
    head = struct.pack(">BBHB", precincts is not None, 0, layers, 0)
    return segment(0xFF52, head + struct.pack(">BBBBB", levels, *blocks, 0, 1) + bytes(precincts or b""))


def component_style(levels=0, blocks=(4, 4), precincts=None):
    """COC of JPEG 2000, of the first component."""
    head = struct.pack(">BB", 0, precincts is not None)
    return segment(0xFF53, head + struct.pack(">BBBBB", levels, *blocks, 0, 1) + bytes(precincts or b""))


def jpeg_2000(width, height, *, tile=None, main=(), parts=((),)):
    """A codestream without any data: markers of the main header, and of the header of each tile-part."""
    size = struct.pack(">HLLLLLLLLH", 0, width, height, 0, 0, *(tile or (width, height)), 0, 0, 1) + b"\x07\x01\x01"
    head = b"\xff\x4f" + segment(0xFF51, size) + b"".join(main) + segment(0xFF5C, b"\x40\x48")
    body = b""
    for markers in parts:
        content = b"".join(markers) + b"\xff\x93" + bytes(16)
        body += segment(0xFF90, struct.pack(">HLBB", 0, 12 + len(content), 0, len(parts))) + content
    return head + body + b"\xff\xd9"


def progressive_jpeg(size, scans):
    """A grey progressive JPEG of `scans` scans, all but the first of them empty."""
    coarse = segment(0xFFC4, bytes([0x00, 1] + [0] * 15 + [0]))
    fine = segment(0xFFC4, bytes([0x10, 1, 1] + [0] * 14 + [0x00, 0xE0]))
    frame = segment(0xFFC2, struct.pack(">BHHB", 8, size, size, 1) + b"\x01\x11\x00")
    first = segment(0xFFDA, b"\x01\x01\x00\x00\x00\x00") + b"\0"
    tables = segment(0xFFDB, b"\0" + b"\x01" * 64) + frame + coarse + fine
    return b"\xff\xd8" + tables + first + segment(0xFFDA, b"\x01\x01\x00\x01\x3f\x00") * scans + b"\xff\xd9"
