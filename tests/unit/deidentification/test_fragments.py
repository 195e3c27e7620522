"""Frames in RLE, uncompressed and deflated ones, JPEG XL and videos: what is beside the pictures, in any pieces."""

import random
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate, generate_frames

from shared.deidentification.fragments import EXAMINED, Fragments, FrameCoding
from shared.deidentification.tables import standard_uids
from shared.dicom.pixels.frame_decoding import decode
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.transfer_syntaxes import (
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    H264_HIGH,
    HEVC_MAIN,
    JPEG_XL_FAMILY,
    JPEG_XL_LOSSLESS,
    MPEG2_MAIN,
    RLE_LOSSLESS,
    SOURCES,
    VIDEO,
)
from tests.builders.codestreams import NOISE
from tests.builders.codestreams import STREAMS as CODESTREAMS
from tests.builders.deidentifying import leaked
from tests.builders.pictures import J2K_LOSSLESS

PLANTED = ("Zquxmorf", "Wendelgard")
SECRET = b"Zquxmorf^Wendelgard."
ROWS, COLUMNS = NOISE.shape
WIDE = NOISE.astype(np.uint16) * 257 % 4093


NO_OFFSETS = b"\xfe\xff\x00\xe0" + bytes(4)


def cleaned(frames, coding, *, fragments=1):
    """The fragments after they were cleaned, the same in whatever pieces; if anything was blanked; if it is unknown."""
    items = encapsulate(frames, fragments_per_frame=fragments, has_bot=False).removeprefix(NO_OFFSETS)
    results = set()
    for size in (1, 7, len(items)):
        cleaner = Fragments(coding)
        data = b"".join(cleaner.clean(items[at : at + size]) for at in range(0, len(items), size))
        results.add((data, cleaner.blanked, cleaner.unexamined))
    [(data, blanked, unexamined)] = results
    assert len(data) == len(items)
    return data, blanked, unexamined


def of(data, count=1):
    return list(generate_frames(NO_OFFSETS + data, number_of_frames=count))


# --------------------------------------------------------------------------------------------------------------- RLE


def run_lengths(segments, *, between=b"", unused=0):
    """A frame in RLE of segments that are encoded already."""
    offsets = [64 + len(between)]
    for one in segments[:-1]:
        offsets.append(offsets[-1] + len(one) + len(between))
    head = struct.pack("<16L", len(segments), *offsets, *[unused] * (15 - len(segments)))
    return head + b"".join(between + one for one in segments)


def packed(plane):
    return bytes(imagecodecs.packbits_encode(plane.tobytes()))


PLANES = [packed((WIDE >> 8).astype(np.uint8)), packed((WIDE & 255).astype(np.uint8))]
CODING = FrameCoding(RLE_LOSSLESS, ROWS * COLUMNS, 16)


@pytest.mark.spec("DEID-2")
def test_run_lengths_of_a_picture_stay_as_they_are() -> None:
    smooth = packed(np.repeat(np.arange(ROWS, dtype=np.uint8), COLUMNS))
    frame = run_lengths([smooth, PLANES[1]])

    data, blanked, unexamined = cleaned([frame, run_lengths(PLANES)], CODING)

    assert (blanked, unexamined) == (False, False)
    assert of(data, 2)[0].rstrip(b"\0") == frame.rstrip(b"\0")


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize(
    "frame",
    [
        run_lengths(PLANES) + SECRET,
        run_lengths([PLANES[0] + SECRET, PLANES[1]]),
        run_lengths(PLANES, between=SECRET),
        run_lengths([PLANES[0] + bytes([len(SECRET) - 1]) + SECRET, PLANES[1]]),
        run_lengths([PLANES[0], packed((WIDE & 255).astype(np.uint8)[:-1]) + b"\x7f" + bytes(COLUMNS) + SECRET * 4]),
    ],
    ids=["behind the last segment", "behind a segment", "between", "a run too many", "in a run too long"],
)
def test_bytes_that_no_sample_is_made_of_are_blanked_in_run_lengths(frame) -> None:
    data, blanked, unexamined = cleaned([frame, run_lengths(PLANES)], CODING)

    assert (blanked, unexamined, leaked(data, PLANTED)) == (True, False, [])
    for one in of(data, 2):
        count, first, second = struct.unpack_from("<3L", one)
        assert count == 2
        for segment, plane in ((one[first:second], WIDE >> 8), (one[second:], WIDE & 255)):
            samples = bytes(imagecodecs.packbits_decode(segment))
            assert samples[: WIDE.size - COLUMNS] == plane.astype(np.uint8).tobytes()[:-COLUMNS]


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize(
    "behind", [SECRET, b"\x80" * 20, b"\xff" * 9], ids=["a name", "codes that say nothing", "runs"]
)
def test_run_lengths_with_something_behind_their_samples_can_be_decoded_afterwards(behind) -> None:
    """By the decoder of this service, which takes a segment with more samples than the picture for damaged."""
    shape = ImagePixels(
        rows=ROWS,
        columns=COLUMNS,
        samples=1,
        photometric="MONOCHROME2",
        planar=False,
        bits_allocated=16,
        bits_stored=16,
        high_bit=15,
        signed=False,
        frames=1,
    )
    for frame in (run_lengths([PLANES[0] + behind, PLANES[1]]), run_lengths(PLANES) + behind):
        data, blanked, unexamined = cleaned([frame], CODING)
        assert (blanked, unexamined) == (b"\x80" not in behind, False)
        np.testing.assert_array_equal(decode(of(data)[0], RLE_LOSSLESS, shape).samples, WIDE)


@pytest.mark.spec("DEID-2", "DEID-6")
@pytest.mark.parametrize(
    "frame",
    [
        SECRET,
        run_lengths([*PLANES, SECRET]),
        run_lengths(PLANES, unused=0x6C6C6142),
        run_lengths(PLANES)[:4] + struct.pack("<2L", 9000, 64) + run_lengths(PLANES)[12:],
    ],
    ids=["too short", "a segment too many", "text in the header", "in no order"],
)
def test_run_lengths_with_another_header_are_told(frame) -> None:
    coding = CODING if len(frame) > 64 else FrameCoding(RLE_LOSSLESS)
    assert cleaned([frame], coding)[2]


# ------------------------------------------------------------------------------------------- uncompressed and deflated


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("fragments", [1, 3])
def test_what_follows_an_uncompressed_or_deflated_frame_is_blanked(fragments) -> None:
    samples = NOISE.tobytes()
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(samples) + deflater.flush()
    for syntax, frame in ((ENCAPSULATED_UNCOMPRESSED, samples), (DEFLATED_FRAMES, deflated)):
        coding = FrameCoding(syntax, ROWS * COLUMNS, 8, 2)
        plain, *told = cleaned([frame, frame], coding, fragments=fragments)
        assert told == [False, False]
        assert NO_OFFSETS + plain == encapsulate([frame, frame], fragments_per_frame=fragments, has_bot=False)

        data, blanked, unexamined = cleaned([frame, frame + SECRET], coding)
        assert (blanked, unexamined, leaked(data, PLANTED)) == (True, False, [])
        assert of(data, 2)[1].startswith(frame)


@pytest.mark.spec("DEID-2", "DEID-6")
def test_more_frames_than_are_said_are_blank_and_streams_of_no_frame_are_told() -> None:
    samples = NOISE.tobytes()
    data, blanked, _ = cleaned([samples, SECRET * 20], FrameCoding(ENCAPSULATED_UNCOMPRESSED, ROWS * COLUMNS, 8, 1))
    assert (blanked, leaked(data, PLANTED)) == (True, [])

    deflater = zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    stored = deflater.compress(samples + SECRET) + deflater.flush()
    for frame in (stored, SECRET, b"\xff\xff" + SECRET):
        assert cleaned([frame], FrameCoding(DEFLATED_FRAMES, ROWS * COLUMNS, 8))[2]


# ---------------------------------------------------------------------------------------------------- JPEG XL, videos


def box(kind, content):
    return struct.pack(">L4s", 8 + len(content), kind) + content


@pytest.mark.spec("DEID-2")
def test_boxes_beside_a_codestream_of_jpeg_xl_are_blanked() -> None:
    bare = bytes(imagecodecs.jpegxl_encode(NOISE, lossless=True))
    container = bytes(imagecodecs.jpegxl_encode(NOISE, lossless=True, usecontainer=True))
    head = 12 + 20
    added = b"".join(box(kind, SECRET) for kind in (b"Exif", b"xml ", b"jumb", b"jbrd", b"brob"))
    long_box = struct.pack(">L4sQ", 1, b"xml ", 16 + len(SECRET)) + SECRET
    for frame in (bare, container, container[:head] + added + long_box + container[head:]):
        for fragments in (1, 3):
            data, *told = cleaned([frame, frame], FrameCoding(JPEG_XL_LOSSLESS), fragments=fragments)
            assert told == [frame not in {bare, container}, True]
            first = of(data, 1)[0][: len(frame)]
            np.testing.assert_array_equal(imagecodecs.jpegxl_decode(first), NOISE)
        data, blanked, unexamined = cleaned([frame], FrameCoding(JPEG_XL_LOSSLESS))

        assert leaked(data, PLANTED) == []
        assert (blanked, unexamined) == (frame not in {bare, container}, True)
        np.testing.assert_array_equal(imagecodecs.jpegxl_decode(of(data)[0][: len(frame)]), NOISE)


SLICE = bytes(range(3, 250))
STREAMS = {
    MPEG2_MAIN: (b"\0\0\1\xb3" + SLICE, b"\0\0\1\xb2" + SECRET, b"\0\0\1\x01" + SLICE, b"\0\0\1\xb7" + SECRET),
    H264_HIGH: (
        b"\0\0\0\1\x67" + SLICE,
        b"\0\0\1\x06\x05\x14" + SECRET,
        b"\0\0\0\1\x65" + SLICE,
        b"\0\0\1\x1e" + SECRET,
    ),
    HEVC_MAIN: (
        b"\0\0\0\1\x42\1" + SLICE,
        b"\0\0\1\x4e\1\x05" + SECRET,
        b"\0\0\1\x26\1" + SLICE,
        b"\0\0\0\1\x7e\1" + SECRET,
    ),
}


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("syntax", STREAMS)
def test_what_users_write_into_an_elementary_stream_is_blanked(syntax) -> None:
    head, users, picture, end = STREAMS[syntax]
    stream = head + users + picture + users + picture + end

    data, blanked, unexamined = cleaned([stream], FrameCoding(syntax))

    assert (blanked, unexamined, leaked(data, PLANTED)) == (True, True, [])
    [found] = of(data)
    assert found.startswith(head)
    assert found.count(picture) == 2
    assert found.count(b"\0\0\1") == stream.count(b"\0\0\1"), "no unit more or less"


@pytest.mark.parametrize("start", [b"\x47\x40\0", b"\0\0\0\x18ftypmp42", b"\0\0\1\xba", b"\0\0\1\xe0", b"\0\0"])
@pytest.mark.parametrize("syntax", STREAMS)
def test_a_stream_in_a_container_stays_as_it_is(start, syntax) -> None:
    stream = start + b"\0\0\1\x06" + SECRET + b"\0\0\1\xb2" + SECRET
    if start == b"\0\0":
        stream = bytes(5) + stream
    data, blanked, unexamined = cleaned([stream], FrameCoding(syntax))
    assert (of(data)[0][: len(stream)], blanked, unexamined) == (stream, False, True)


@pytest.mark.spec("DEID-6")
def test_a_transfer_syntax_is_examined_when_everything_in_its_frames_is() -> None:
    assert EXAMINED.isdisjoint(VIDEO | JPEG_XL_FAMILY | {"1.2.840.10008.1.2.7.1", "1.2.840.10008.1.2.6.1"})
    assert standard_uids() | SOURCES >= EXAMINED


def _bases():
    yield from ((syntax, stream) for syntax, stream in CODESTREAMS.items())
    yield from ((syntax, b"".join(units)) for syntax, units in STREAMS.items())
    yield RLE_LOSSLESS, run_lengths(PLANES)
    yield JPEG_XL_LOSSLESS, bytes(imagecodecs.jpegxl_encode(NOISE, lossless=True, usecontainer=True))
    yield J2K_LOSSLESS, bytes(imagecodecs.jpeg2k_encode(NOISE, level=0, codecformat="jp2", reversible=True))
    yield DEFLATED_FRAMES, zlib.compress(NOISE.tobytes(), wbits=-zlib.MAX_WBITS)


BASES = list(_bases())


@pytest.mark.parametrize("number", range(len(BASES)))
def test_whatever_is_wrong_with_a_frame_it_keeps_its_length_and_is_the_same_in_any_pieces(number) -> None:
    syntax, base = BASES[number]
    rng = random.Random(number)
    for _ in range(6):
        frame = bytearray(base[: rng.choice((len(base), 700, 60))])
        for _ in range(rng.choice((1, 3, 9))):
            at = rng.randrange(len(frame))
            frame[at : at + rng.choice((0, 1, 4))] = rng.choice((b"", b"\xff", b"\0\0\1", rng.randbytes(3), SECRET))
        cleaned([bytes(frame), base], FrameCoding(syntax, ROWS * COLUMNS, 16, 2), fragments=rng.choice((1, 3)))
