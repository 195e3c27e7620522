"""JPEG XL and deflated frames: the header is read before a decoder runs, and no pixel changes."""

import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.errors import Unconvertible
from shared.dicom.pixels.frame_decoding import Decoded, decode
from shared.dicom.pixels.frame_encoding import encode
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from shared.dicom.pixels.jpeg_xl import read_header
from shared.dicom.transfer_syntaxes import DEFLATED_FRAMES, JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION


def described(shape, bits, stored, *, signed=False, photometric="MONOCHROME2"):
    samples = 3 if len(shape) == 3 else 1
    return ImagePixels(shape[0], shape[1], samples, photometric, False, bits, stored, stored - 1, signed, 1)


@pytest.mark.spec("FRM-15")
@pytest.mark.parametrize(
    ("bits", "stored", "signed"),
    [(8, 8, False), (8, 5, False), (16, 12, False), (16, 16, False), (16, 12, True), (16, 16, True), (8, 8, True)],
)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 64), (64, 81), (300, 200), (40, 56, 3)])
def test_no_sample_changes_on_the_way_to_jpeg_xl_and_back(shape, bits, stored, signed):
    low, high = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    samples = np.random.default_rng(1).integers(low, high, shape).astype(f"{'i' if signed else 'u'}{bits // 8}")
    pixels = described(shape, bits, stored, signed=signed, photometric="RGB" if len(shape) == 3 else "MONOCHROME2")
    frame = encode(Decoded(samples, pixels, lossy=False), JPEG_XL_LOSSLESS)
    found = decode(frame, JPEG_XL_LOSSLESS, pixels)
    assert np.array_equal(found.samples, samples)
    assert (found.samples.dtype, found.lossy) == (samples.dtype, False)
    header = read_header(frame)
    assert (header.rows, header.columns, header.bits) == (*shape[:2], stored)


@pytest.mark.spec("FRM-15")
@pytest.mark.parametrize("syntax", [JPEG_XL, JPEG_XL_RECOMPRESSION])
def test_the_other_two_syntaxes_count_as_lossy(syntax):
    samples = np.full((40, 56), 77, np.uint8)
    frame = bytes(imagecodecs.jpegxl_encode(samples, level=90))
    found = decode(frame, syntax, described((40, 56), 8, 8))
    assert found.lossy
    assert np.abs(found.samples.astype(int) - 77).max() <= 2


@pytest.mark.spec("FRM-15")
def test_a_codestream_in_a_container_is_read():
    samples = np.random.default_rng(1).integers(0, 256, (40, 56), np.uint8)
    frame = bytes(imagecodecs.jpegxl_encode(samples, lossless=True, usecontainer=True))
    assert frame.startswith(b"\x00\x00\x00\x0cJXL ")
    assert np.array_equal(decode(frame, JPEG_XL_LOSSLESS, described((40, 56), 8, 8)).samples, samples)


@pytest.mark.spec("WADO-13")
@pytest.mark.parametrize("shape", [(39, 56), (40, 57), (65535, 4000)])
def test_a_codestream_of_another_size_than_promised_is_not_decoded(shape):
    frame = bytes(imagecodecs.jpegxl_encode(np.zeros((40, 56), np.uint8), lossless=True))
    with pytest.raises(Unconvertible):
        decode(frame, JPEG_XL_LOSSLESS, described(shape, 8, 8))


@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"]))
def test_no_bytes_take_the_header_reader_out_of_its_way(data, beginning):
    try:
        assert read_header(beginning + data).rows >= 1
    except BadCodestream:
        return


@pytest.mark.spec("FRM-16")
def test_deflated_frames_are_inflated_and_no_more_than_a_frame_has():
    samples = np.random.default_rng(1).integers(0, 4096, (40, 56)).astype(np.uint16)
    pixels = described((40, 56), 16, 12)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    frame = packer.compress(samples.tobytes() + bytes(50_000_000)) + packer.flush()
    assert np.array_equal(decode(frame, DEFLATED_FRAMES, pixels).samples, samples)
    for damaged in (b"", frame[:40], b"\xff" * 100):
        with pytest.raises(Unconvertible):
            decode(damaged, DEFLATED_FRAMES, pixels)
