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
