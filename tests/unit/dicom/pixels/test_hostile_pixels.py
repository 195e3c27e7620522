"""Pixel data that lie: refused before a decoder is asked for more than the attributes, which were checked, promise."""

import io
import struct
import tracemalloc
from contextlib import suppress

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from shared.dicom.errors import Unconvertible
from shared.dicom.part10.file_reader import Part10Reader
from shared.dicom.pixels.codestreams import read_codestream, without_boxes
from shared.dicom.pixels.frame_decoding import decode
from shared.dicom.pixels.frame_encoding import described_as, encode
from shared.dicom.pixels.image_pixels import ImagePixels, image_pixels
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from shared.dicom.pixels.transcoding import transcode_file
from tests.builders.codestreams import NOISE, STREAMS, run_length
from tests.builders.pictures import (
    DEFL,
    ELE,
    HTJ2K_LOSSLESS,
    J2K_LOSSLESS,
    JPEG,
    JPEG_12,
    JPEG_LS,
    RLE,
    compressed,
    data_set,
    file,
    ramp,
)

MPEG2 = "1.2.840.10008.1.2.4.100"


def grey(rows=40, columns=56, bits=8, **changes):
    attributes = {
        "rows": rows,
        "columns": columns,
        "samples": 1,
        "photometric": "MONOCHROME2",
        "planar": False,
        "bits_allocated": bits,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "signed": False,
        "frames": 1,
    }
    return ImagePixels(**attributes | changes)


def transcoded(one, target=ELE, **limits):
    reader = Part10Reader(strict=False)
    reader.feed(one.data)
    part10 = reader.finish()
    return transcode_file(one.data, part10, part10.frames, target, **limits)


@pytest.mark.spec("WADO-13")
@pytest.mark.parametrize("syntax", [*STREAMS, RLE])
def test_whole_frames_are_decoded_and_cut_ones_are_not(syntax):
    stream = STREAMS.get(syntax) or run_length(NOISE)
    decoded = decode(stream, syntax, grey())
    assert decoded.lossy == (syntax == JPEG)
    if not decoded.lossy:
        assert np.array_equal(decoded.samples, NOISE)
    for length in (0, 1, 3, 20, len(stream) // 2, len(stream) - 40):
        with pytest.raises(Unconvertible):
            decode(stream[:length], syntax, grey())


@pytest.mark.spec("WADO-13")
@pytest.mark.parametrize("syntax", STREAMS)
@pytest.mark.parametrize("changes", [{"rows": 39}, {"columns": 57}, {"rows": 65535, "columns": 4000}, {"samples": 3}])
def test_a_codestream_of_another_size_than_promised_is_not_decoded(syntax, changes):
    with pytest.raises(Unconvertible):
        decode(STREAMS[syntax], syntax, grey(**changes))


@pytest.mark.parametrize("syntax", STREAMS)
def test_a_codestream_under_the_name_of_another_is_not_decoded(syntax):
    others = [other for other in STREAMS if other != syntax and {syntax, other} != {J2K_LOSSLESS, HTJ2K_LOSSLESS}]
    for other in others:
        with pytest.raises(Unconvertible):
            decode(STREAMS[other], syntax, grey())


def test_more_bits_than_a_pixel_has_are_not_decoded():
    deep = bytes(imagecodecs.jpegls_encode(ramp(bits=16)))
    with pytest.raises(Unconvertible):
        decode(deep, JPEG_LS, grey())


def peak(function):
    tracemalloc.start()
    try:
        with pytest.raises(Unconvertible):
            function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.spec("REND-6")
def test_images_of_impossible_size_cost_no_memory():
    giant = grey(65535, 65535, 16)
    bomb = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\xff" * 100_000
    decode(STREAMS[JPEG], JPEG, grey())  # the codecs are loaded
    assert peak(lambda: decode(bytes(100), ELE, giant)) < 1_000_000
    assert peak(lambda: decode(STREAMS[J2K_LOSSLESS], J2K_LOSSLESS, giant)) < 1_000_000
    assert peak(lambda: decode(bomb, RLE, grey())) < 3_000_000


@settings(max_examples=200)
@given(st.data())
def test_no_header_takes_the_reader_out_of_its_way(data):
    stream = bytearray(STREAMS[data.draw(st.sampled_from(sorted(STREAMS)))])
    for _ in range(data.draw(st.integers(1, 6))):
        stream[data.draw(st.integers(0, min(200, len(stream) - 1)))] = data.draw(st.integers(0, 255))
    cut = bytes(stream[: data.draw(st.integers(0, len(stream)))])
    with suppress(BadCodestream):
        read_codestream(without_boxes(cut))


def test_the_codestream_in_a_jp2_file_is_found():
    boxed = bytes(imagecodecs.jpeg2k_encode(NOISE, level=0, codecformat="jp2", reversible=True))
    assert not boxed.startswith(b"\xff\x4f")
    assert np.array_equal(decode(boxed, J2K_LOSSLESS, grey()).samples, NOISE)
    with pytest.raises(BadCodestream):
        without_boxes(boxed[:40])
    with pytest.raises(BadCodestream):
        without_boxes(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100))


@pytest.mark.spec("WADO-13")
@pytest.mark.parametrize(
    "changes",
    [
        {"Rows": 65535, "Columns": 65535},
        {"BitsAllocated": 12},
        {"BitsStored": 9},
        {"HighBit": 3},
        {"SamplesPerPixel": 4},
        {"Rows": 0},
        {"Columns": None},
    ],
)
@pytest.mark.parametrize("source", [ELE, RLE])
def test_files_whose_attributes_are_impossible_are_not_convertible(source, changes):
    one = file(data_set(ramp()), source)
    dataset = data_set(ramp(), **changes)
    pixels = dataset.PixelData if source == ELE else None
    broken = file(dataset) if source == ELE else compressed(dataset, RLE, [run_length(ramp())])
    assert pixels is None or len(pixels) == 40 * 56
    transcoded(one, J2K_LOSSLESS)
    with pytest.raises(Unconvertible):
        transcoded(broken, J2K_LOSSLESS)


@pytest.mark.spec("WADO-13")
def test_video_is_not_convertible():
    with pytest.raises(Unconvertible):
        transcoded(compressed(data_set(ramp()), MPEG2, [b"\0\0\1\xb3 frame"]))


@pytest.mark.spec("WADO-12")
def test_deflated_data_and_pixels_are_limited():
    one = file(data_set(np.zeros((1000, 1000), np.uint8)), DEFL)
    assert len(one.data) < 20_000
    assert transcoded(one, inflated_limit=1_100_000).length > 1_000_000
    with pytest.raises(Unconvertible):
        transcoded(one, inflated_limit=900_000)
    with pytest.raises(Unconvertible):
        transcoded(one, J2K_LOSSLESS, pixel_limit=900_000)


@pytest.mark.spec("FRM-12", "WADO-19")
@pytest.mark.parametrize("promised", [3, 2**31 - 1, 0, -1])
def test_fewer_frames_than_promised_are_not_made_up(promised):
    dataset = data_set(np.stack([ramp(), ramp()]), frames=2, NumberOfFrames=promised)
    written = pydicom.dcmread(io.BytesIO(b"".join(transcoded(file(dataset), J2K_LOSSLESS).pieces)))
    assert written.NumberOfFrames == 2
    assert len(list(generate_frames(written.PixelData, number_of_frames=2))) == 2


@pytest.mark.parametrize("target", [JPEG, JPEG_12])
def test_lossy_jpeg_takes_what_suits_it_only(target):
    def lossy(array, **changes):
        pixels = image_pixels(read_attributes(data_set(array, **changes)))
        frame = array.tobytes()
        decoded = decode(frame, ELE, pixels)
        back = decode(encode(decoded, target), target, described_as(decoded.pixels, target))
        return int(np.abs(back.samples.astype(int) - array).max())

    assert lossy(ramp()) < 8
    assert lossy(ramp(samples=3)) < 40
    for array, changes in (
        (ramp(bits=16), {}),
        (ramp(signed=True), {}),
        (ramp(), {"photometric": "PALETTE COLOR"}),
    ):
        with pytest.raises(Unconvertible):
            lossy(array, **changes)
    if target == JPEG_12:
        assert lossy(ramp(bits=12), bits=12) < 64


def read_attributes(dataset):
    reader = Part10Reader(strict=False)
    reader.feed(file(dataset).data)
    return reader.finish().attributes
