"""Frames, whole and damaged, are cleaned to the same bytes with the same findings in whatever pieces they come."""

import random
import struct
import zlib
from itertools import pairwise

import imagecodecs
import numpy as np
import pytest

from shared.deidentification.fragments import Fragments, FrameCoding
from shared.dicom.transfer_syntaxes import (
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    H264_HIGH,
    HEVC_MAIN,
    JPEG_BASELINE,
    JPEG_LS_LOSSLESS,
    JPEG_XL_LOSSLESS,
    MPEG2_MAIN,
    RLE_LOSSLESS,
)
from tests.builders.codestreams import NOISE

SECRET = b"Zquxmorf^Wendelgard."
PIXELS = NOISE[:8, :8].copy()


def open_ended(stream: bytes) -> bytes:
    """A codestream of JPEG 2000 whose tile-part does not say how long it is."""
    part = stream.index(b"\xff\x90") + 6
    return stream[:part] + bytes(4) + stream[part + 4 :]


def run_lengths() -> bytes:
    planes = [bytes(imagecodecs.packbits_encode((PIXELS // n).tobytes())) for n in (1, 3)]
    return struct.pack("<16L", 2, 64, 64 + len(planes[0]), *[0] * 13) + b"".join(planes)


def deflated() -> bytes:
    work = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return work.compress(PIXELS.tobytes()) + work.flush()


JPEG = bytes(imagecodecs.jpeg8_encode(PIXELS))
JPEG_LS = bytes(imagecodecs.jpegls_encode(PIXELS))
JPEG_2000 = bytes(imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="j2k", reversible=True))
JP2 = bytes(imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="jp2", reversible=True))
JPEG_XL = bytes(imagecodecs.jpegxl_encode(PIXELS, lossless=True, usecontainer=True))
FRAMES = {
    "JPEG": (FrameCoding(JPEG_BASELINE), (JPEG, JPEG[:-2], JPEG + SECRET)),
    "JPEG-LS": (FrameCoding(JPEG_LS_LOSSLESS), (JPEG_LS, JPEG_LS[:-2])),
    "JPEG 2000": (
        FrameCoding("1.2.840.10008.1.2.4.90"),
        (JPEG_2000, JPEG_2000[:-2], open_ended(JPEG_2000), open_ended(JPEG_2000)[:-2], JP2),
    ),
    "RLE": (FrameCoding(RLE_LOSSLESS, PIXELS.size, 16), (run_lengths(),)),
    "uncompressed": (FrameCoding(ENCAPSULATED_UNCOMPRESSED, PIXELS.size, 8, 2), (PIXELS.tobytes(),)),
    "deflated": (FrameCoding(DEFLATED_FRAMES, PIXELS.size, 8), (deflated(),)),
    "JPEG XL": (
        FrameCoding(JPEG_XL_LOSSLESS),
        (JPEG_XL, JPEG_XL[:32] + struct.pack(">L4sQ", 1, b"xml ", 16 + len(SECRET)) + SECRET + JPEG_XL[32:]),
    ),
    "MPEG2": (FrameCoding(MPEG2_MAIN), (b"\0\0\1\xb3" + PIXELS.tobytes() + b"\0\0\1\xb2" + SECRET + b"\0\0\1\xb7",)),
    "H.264": (FrameCoding(H264_HIGH), (b"\0\0\0\1\x67" + PIXELS.tobytes() + b"\0\0\1\x06" + SECRET + b"\0\0\1\x65ab",)),
    "HEVC": (
        FrameCoding(HEVC_MAIN),
        (b"\0\0\1\x42\1" + PIXELS.tobytes() + b"\0\0\1\x4e\1" + SECRET + b"\0\0\1\x26ab",),
    ),
}
INSERTED = (
    b"\xff",
    b"\0",
    b"\xff\xd9",
    b"\xff\xd8",
    b"\xff\x4f\xff\x51",
    b"\0\0\1",
    b"\xff\xfe\0\4ab",
    b"\xff\xff",
    SECRET,
)


def damaged(frame: bytes, rng: random.Random) -> bytes:
    data = bytearray(frame)
    for _ in range(rng.choice((0, 0, 1, 3))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(3):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                data[at:at] = rng.choice(INSERTED)
            case _:
                del data[at : at + rng.randrange(1, 4)]
    return bytes(data)


def items(frames: list[bytes], rng: random.Random) -> bytes:
    """Each frame in one to three fragments, of any length."""
    found = b""
    for frame in frames:
        cuts = sorted(rng.randrange(len(frame) + 1) for _ in range(rng.choice((0, 0, 1, 2))))
        for start, end in pairwise((0, *cuts, len(frame))):
            found += struct.pack("<HHL", 0xFFFE, 0xE000, end - start) + frame[start:end]
    return found


def cleaned(coding: FrameCoding, data: bytes, cuts: list[int]) -> tuple[bytes, bool, bool]:
    fragments = Fragments(coding)
    result = b"".join(fragments.clean(data[start:end]) for start, end in pairwise((0, *cuts, len(data))))
    return result, bool(fragments.blanked), bool(fragments.unexamined)


@pytest.mark.spec("DEID-2", "DEID-6")
@pytest.mark.parametrize("kind", FRAMES)
def test_the_result_is_the_same_in_whatever_pieces_frames_come(kind):
    coding, frames = FRAMES[kind]
    rng = random.Random(kind)
    for _ in range(12):
        data = items([damaged(rng.choice(frames), rng) for _ in range(rng.randrange(1, 4))], rng)
        whole = cleaned(coding, data, [])
        assert len(whole[0]) == len(data)
        few = sorted(rng.sample(range(1, len(data)), 3))
        for cuts in (list(range(1, len(data))), few):
            assert cleaned(coding, data, cuts) == whole, (data.hex(), cuts[:3])


@pytest.mark.spec("DEID-6")
@pytest.mark.parametrize("kind", ["JPEG", "JPEG-LS", "JPEG 2000"])
def test_a_frame_without_its_end_is_followed_by_the_next_one(kind):
    """Some makers leave the end out; such files are no reason for a refusal."""
    coding, (whole, cut, *_) = FRAMES[kind]
    assert whole.startswith(cut)
    for frames in ([cut, cut, whole], [whole, cut, whole]):
        data = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(each)) + each for each in frames)
        for step in (1, 3, 10, len(data)):
            result, _, unexamined = cleaned(coding, data, list(range(step, len(data), step)))
            assert not unexamined, step
        decoder = {"JPEG": imagecodecs.jpeg8_decode, "JPEG-LS": imagecodecs.jpegls_decode}.get(
            kind, imagecodecs.jpeg2k_decode
        )
        np.testing.assert_array_equal(decoder(result[-len(whole) :]), decoder(whole))


@pytest.mark.spec("DEID-2", "DEID-6")
@pytest.mark.parametrize("behind", [-2, -1, 0, 1])
def test_the_end_of_an_open_ended_tile_part_is_seen_where_a_fragment_begins(behind):
    frame = open_ended(JPEG_2000) + SECRET
    cut = len(open_ended(JPEG_2000)) + behind
    data = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(each)) + each for each in (frame[:cut], frame[cut:]))
    results = {
        cleaned(FRAMES["JPEG 2000"][0], data, list(range(step, len(data), step))) for step in (1, 2, 5, len(data))
    }
    [(result, _, unexamined)] = results
    assert SECRET[2:] not in result
    assert unexamined == (behind != -2), "what cannot be blanked any more is told"
    if behind == -2:
        assert not any(result[-len(SECRET) :])


@pytest.mark.spec("DEID-2", "DEID-6")
def test_samples_of_jpeg_2000_that_belong_to_no_tile_part_are_told():
    """Decoders pass over them, as over any marker that they do not know there."""
    behind_size = 4 + int.from_bytes(JPEG_2000[4:6])
    frame = JPEG_2000[:behind_size] + b"\xff\x93" + SECRET + JPEG_2000[behind_size:]
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(frame), PIXELS)
    coding, _ = FRAMES["JPEG 2000"]
    assert cleaned(coding, items([frame, JPEG_2000], random.Random(2)), [])[2]
    assert not cleaned(coding, items([JPEG_2000, open_ended(JPEG_2000)], random.Random(2)), [])[2]


@pytest.mark.spec("DEID-2", "DEID-6")
@pytest.mark.parametrize("marker", [b"\xff\xd0", b"\xff\x02", b"\xff\xd9"])
def test_a_codestream_behind_a_marker_that_does_not_belong_there_stays(marker):
    behind_size = 4 + int.from_bytes(JPEG_2000[4:6])
    frame = JPEG_2000[:behind_size] + marker + SECRET + JPEG_2000[behind_size:]
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(frame), PIXELS)
    data = struct.pack("<HHL", 0xFFFE, 0xE000, len(frame)) + frame
    for step in (1, 7, len(data)):
        result, _, unexamined = cleaned(FRAMES["JPEG 2000"][0], data, list(range(step, len(data), step)))
        assert unexamined
        np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(result[8:]), PIXELS)
