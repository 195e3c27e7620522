"""What a decoder would have to keep records of is counted before one runs, whichever header asks for it."""

import struct

import imagecodecs
import numpy as np
import pytest

from shared.dicom.pixels.codestreams import read_codestream
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from tests.builders.codestream_headers import coding_style, component_style, jpeg_2000, progressive_jpeg, segment

PLAIN = coding_style()
TINY = b"\x00"
"""Precincts of one sample."""


@pytest.mark.parametrize(
    "stream",
    [
        jpeg_2000(4096, 4096, main=[PLAIN]),
        jpeg_2000(4096, 4096, main=[coding_style(levels=5)]),
        jpeg_2000(4096, 4096, main=[coding_style(levels=5, blocks=(2, 2))]),
        jpeg_2000(8192, 8192, tile=(128, 128), main=[coding_style(levels=5)]),
        jpeg_2000(2048, 2048, main=[coding_style(levels=5, precincts=[0x77] * 6, layers=20)]),
        jpeg_2000(1024, 1024, main=[PLAIN], parts=[()] * 50),
        jpeg_2000(1, 1, main=[coding_style(levels=32)]),
    ],
    ids=["one block size", "five levels", "blocks of 16", "tiles", "precincts and layers", "tile-parts", "one pixel"],
)
def test_headers_of_honest_encoders_are_accepted(stream):
    assert read_codestream(stream).kind == "jpeg-2000"


@pytest.mark.spec("WADO-13", "REND-6")
@pytest.mark.parametrize(
    "stream",
    [
        jpeg_2000(1024, 1024, main=[coding_style(precincts=TINY)]),
        jpeg_2000(2048, 2048, main=[coding_style(precincts=b"\x11")]),
        jpeg_2000(4096, 4096, main=[coding_style(levels=5, precincts=[0xFF] * 5 + [0x00])]),
        jpeg_2000(1024, 1024, main=[PLAIN, component_style(precincts=TINY)]),
        jpeg_2000(1024, 1024, main=[PLAIN], parts=[[coding_style(precincts=TINY)]]),
        jpeg_2000(1024, 1024, main=[PLAIN], parts=[(), (), [component_style(precincts=TINY)]]),
        jpeg_2000(1024, 1024, main=[coding_style(precincts=TINY), PLAIN]),
        jpeg_2000(4096, 4096, main=[coding_style(blocks=(0, 0))]),
        jpeg_2000(16384, 16384, tile=(128, 128), main=[coding_style(blocks=(0, 0))]),
        jpeg_2000(4096, 4096, tile=(1, 1), main=[PLAIN]),
        jpeg_2000(4096, 4096, main=[coding_style(levels=5, precincts=[0x66] * 6, layers=65535)]),
        jpeg_2000(64, 64, main=[PLAIN, segment(0xFF5F, bytes(7 * 40))]),
        jpeg_2000(64, 64, main=[coding_style(levels=33)]),
        jpeg_2000(64, 64, main=[segment(0xFF64, b"..")] * 5000 + [PLAIN]),
        jpeg_2000(0, 5, main=[PLAIN]),
        jpeg_2000(9, 9, tile=(0, 1), main=[PLAIN]),
        jpeg_2000(9, 9),
        struct.pack(">HH", 0xFF4F, 0xFF51) + bytes(30),
    ],
)
def test_headers_that_ask_for_more_records_than_pixels_are_refused(stream):
    with pytest.raises(BadCodestream):
        read_codestream(stream)


@pytest.mark.spec("WADO-13", "REND-6")
def test_a_jpeg_of_very_many_scans_is_refused_and_one_of_many_is_not():
    assert read_codestream(progressive_jpeg(16, 60)).kind == "jpeg"
    with pytest.raises(BadCodestream, match="scans"):
        read_codestream(progressive_jpeg(3000, 4000))


@pytest.mark.parametrize("shape", [(40, 56), (1000, 1200, 3), (1664, 1280)])
def test_what_encoders_make_is_accepted(shape):
    samples = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for stream in (
        imagecodecs.jpeg2k_encode(samples, level=0, codecformat="j2k", reversible=True),
        imagecodecs.jpeg2k_encode(samples, level=0, codecformat="j2k", resolutions=3),
        imagecodecs.htj2k_encode(samples, reversible=True),
        imagecodecs.jpeg8_encode(samples, level=90),
    ):
        found = read_codestream(bytes(stream))
        assert (found.rows, found.columns) == shape[:2]
