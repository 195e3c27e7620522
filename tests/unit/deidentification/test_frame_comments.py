"""Comments inside of compressed frames, in real codestreams, in whatever pieces they come."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames, parse_basic_offsets
from pydicom.filebase import DicomBytesIO

from shared.deidentification.fragments import Fragments, FrameCoding
from tests.builders import datasets
from tests.builders.codestream_headers import jpeg_2000, segment
from tests.builders.codestreams import NOISE, STREAMS
from tests.builders.deidentifying import leaked, with_report
from tests.builders.pictures import HTJ2K_LOSSLESS, J2K_LOSSLESS, JPEG, JPEG_LOSSLESS_SV1, JPEG_LS

NAME = "Zquxmorf^Wendelgard"
SECRET = NAME.encode()
DECODERS = {
    JPEG: imagecodecs.jpeg8_decode,
    JPEG_LOSSLESS_SV1: imagecodecs.jpeg8_decode,
    JPEG_LS: imagecodecs.jpegls_decode,
    J2K_LOSSLESS: imagecodecs.jpeg2k_decode,
    HTJ2K_LOSSLESS: imagecodecs.htj2k_decode,
}
FAMILY_2000 = {J2K_LOSSLESS, HTJ2K_LOSSLESS}


def in_main_header(syntax: str) -> bytes:
    """The codestream with comments, and what applications add, in its first header."""
    stream = STREAMS[syntax]
    if syntax in FAMILY_2000:
        after = 4 + int.from_bytes(stream[4:6])
        return stream[:after] + segment(0xFF64, b"\0\1" + SECRET) + stream[after:]
    added = (segment(0xFFFE, SECRET), segment(0xFFE1, b"Exif\0\0" + SECRET), segment(0xFFEE, SECRET[:12]))
    return stream[:2] + b"".join(added) + stream[2:]


def in_tile_part(syntax: str) -> bytes:
    """A comment in front of the samples: of JPEG in front of the scan, of JPEG 2000 in the header of the tile-part."""
    stream = STREAMS[syntax]
    comment = segment(0xFF64, b"\0\1" + SECRET) if syntax in FAMILY_2000 else segment(0xFFFE, SECRET)
    if syntax not in FAMILY_2000:
        scan = stream.index(b"\xff\xda")
        return stream[:scan] + comment + stream[scan:]
    part = stream.index(b"\xff\x90")
    length = struct.unpack_from(">L", stream, part + 6)[0] + len(comment)
    data = stream.index(b"\xff\x93", part)
    return stream[: part + 6] + struct.pack(">L", length) + stream[part + 10 : data] + comment + stream[data:]


def behind_the_end(syntax: str) -> bytes:
    return STREAMS[syntax] + SECRET


def cleaned(data: bytes, size: int) -> tuple[bytes, bool]:
    fragments = Fragments(FrameCoding(JPEG))
    return b"".join(fragments.clean(data[at : at + size]) for at in range(0, len(data), size)), fragments.blanked


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("hidden", [in_main_header, in_tile_part, behind_the_end])
@pytest.mark.parametrize("syntax", STREAMS)
def test_comments_are_blanked_and_the_samples_stay(syntax, hidden):
    frame = hidden(syntax)
    frames = [frame, STREAMS[syntax], frame]
    for fragments in (1, 2, 5):
        items = encapsulate(frames, fragments_per_frame=fragments)
        results = {size: cleaned(items, size) for size in (1, 5, len(items))}

        assert len({result for result, _ in results.values()}) == 1, "whatever the pieces"
        result, blanked = results[5]
        assert blanked
        assert leaked(result, ("Zquxmorf", "Wendelgard")) == []
        assert len(result) == len(items)
        for one in generate_frames(result, number_of_frames=3):
            np.testing.assert_array_equal(DECODERS[syntax](one), DECODERS[syntax](STREAMS[syntax]))


@pytest.mark.spec("DEID-2")
def test_colours_stay_what_they_are_without_what_applications_add():
    colours = np.random.default_rng(2).integers(0, 256, (16, 24, 3), np.uint8)
    written = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = NAME
    Image.fromarray(colours).save(written, "JPEG", exif=exif, comment=NAME, icc_profile=SECRET, dpi=(72, 72))
    adobe = imagecodecs.jpeg8_encode(colours, colorspace="RGB", outcolorspace="RGB")
    plain = bytes(adobe)[2:]
    for stream in (written.getvalue(), b"\xff\xd8" + segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\0") + plain):
        result, _ = cleaned(encapsulate([stream]), 64)

        [frame] = generate_frames(result, number_of_frames=1)
        assert leaked(result, ("Zquxmorf", "Wendelgard")) == []
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(frame))), np.asarray(Image.open(io.BytesIO(stream)))
        )


@pytest.mark.spec("DEID-2")
def test_tile_parts_without_a_length_and_frames_without_an_end_hide_nothing():
    comment = segment(0xFF64, b"\0\1" + SECRET)
    open_ended = bytearray(jpeg_2000(8, 8, main=[comment], parts=[[comment]]))
    part = open_ended.index(b"\xff\x90")
    open_ended[part + 6 : part + 10] = bytes(4)
    without_end = bytes(open_ended[:-2])
    several = jpeg_2000(8, 8, parts=[[comment], [comment]]) + SECRET
    jpeg = in_main_header(JPEG)
    for frames in ([without_end, without_end], [bytes(open_ended) + SECRET, several], [jpeg[:-2], jpeg]):
        result, _ = cleaned(encapsulate(frames), 3)
        assert leaked(result, ("Zquxmorf", "Wendelgard")) == []


def test_a_frame_of_very_many_comments_is_blank_behind_those_that_are_looked_at():
    stream = b"\xff\xd8" + segment(0xFFFE, b"") * 5000 + segment(0xFFE5, SECRET)

    result, _ = cleaned(struct.pack("<HHL", 0xFFFE, 0xE000, len(stream)) + stream, 1000)

    assert len(result) == len(stream) + 8
    assert leaked(result, ("Zquxmorf", "Wendelgard")) == []


@pytest.mark.parametrize(
    "stream",
    [b"", b"\0", b"\xff", b"\xff\xd8\xff", b"\xff\x4f\0\0", b"\xff\xd8\xff\xe1\0\0abc", b"\xff\x4f\xff\x90\0\0"],
)
def test_what_is_no_codestream_stays_as_it_is_and_ends(stream):
    items = struct.pack("<HHL", 0xFFFE, 0xE000, len(stream)) + stream
    for size in (1, 64):
        assert cleaned(items, size)[0] == items


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("syntax", STREAMS)
def test_segments_that_no_decoder_knows_are_blanked(syntax):
    stream = STREAMS[syntax]
    after = 4 + int.from_bytes(stream[4:6]) if syntax in FAMILY_2000 else 2
    marker = 0xFF6F if syntax in FAMILY_2000 else 0xFFF5
    result, blanked = cleaned(encapsulate([stream[:after] + segment(marker, SECRET) + stream[after:]]), 7)

    assert blanked
    assert leaked(result, ("Zquxmorf", "Wendelgard")) == []


def in_boxes(*added: bytes) -> bytes:
    """A file of JPEG 2000, as some write it into a fragment, with more boxes in front of the codestream."""
    whole = bytes(imagecodecs.jpeg2k_encode(NOISE, level=0, codecformat="jp2", reversible=True))
    at = whole.index(b"jp2c") - 4
    return whole[:at] + b"".join(added) + whole[at:]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L4s", 8 + len(content), kind) + content


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("fragments", [1, 3])
def test_boxes_of_a_file_of_jpeg_2000_are_blanked_but_for_what_a_picture_needs(fragments):
    added = [box(kind, SECRET) for kind in (b"xml ", b"uuid", b"jp2i")]
    typed = in_boxes(*added).replace(b"ftypjp2 ", b"ftypZqux", 1) + box(b"xml ", SECRET)
    profiled = in_boxes().replace(b"colr\x01", b"colr\x02", 1)
    for frame in (in_boxes(*added), typed, profiled):
        items = encapsulate([frame, frame], fragments_per_frame=fragments, has_bot=False)
        told = set()
        for size in (1, 5, len(items)):
            cleaner = Fragments(FrameCoding(J2K_LOSSLESS))
            data = b"".join(cleaner.clean(items[at : at + size]) for at in range(0, len(items), size))
            told.add((data, cleaner.unexamined))
        [(data, unexamined)] = told
        assert not unexamined
        assert leaked(data, ("Zquxmorf", "Wendelgard", "Zqux")) == []
        one = data[16 : 16 + len(frame)] if fragments == 1 else frame
        np.testing.assert_array_equal(np.asarray(imagecodecs.jpeg2k_decode(one)), NOISE)


def test_a_box_that_nobody_knows_is_told():
    fragments = Fragments(FrameCoding(J2K_LOSSLESS))
    fragments.clean(encapsulate([in_boxes(box(b"Zqux", SECRET))], has_bot=False))
    assert fragments.unexamined


@pytest.mark.spec("DEID-2", "DEID-6")
@pytest.mark.parametrize(
    "frames",
    [
        [SECRET],
        [STREAMS[J2K_LOSSLESS][:2] + SECRET],
        [STREAMS[JPEG][:2] + b"\xff\xdb\0\0" + SECRET],
        [STREAMS[JPEG][:2] + b"\xff\xdb\xff\xff", in_main_header(JPEG)],
        [STREAMS[JPEG], b"A picture" + SECRET],
        [STREAMS[JPEG][:2] + segment(0xFFDB, SECRET * 300) + STREAMS[JPEG][2:]],
    ],
    ids=["no codestream", "no marker", "no length", "a frame in a table", "a second one that is none", "a long table"],
)
def test_frames_that_cannot_be_followed_are_told(frames):
    told = set()
    items = encapsulate(frames, has_bot=False)
    for size in (1, 3, len(items)):
        fragments = Fragments(FrameCoding(JPEG))
        for at in range(0, len(items), size):
            fragments.clean(items[at : at + size])
        told.add(fragments.unexamined)
    assert told == {True}
    whole = Fragments(FrameCoding(JPEG))
    whole.clean(encapsulate([STREAMS[JPEG], STREAMS[JPEG]], fragments_per_frame=3, has_bot=False))
    assert not whole.unexamined


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("syntax", [JPEG, J2K_LOSSLESS])
def test_a_file_is_written_without_them(syntax):
    frames = [in_main_header(syntax), behind_the_end(syntax)]
    source = datasets.set_frames(datasets.ct(Rows=40, Columns=56, BitsAllocated=8), frames, fragments=2)

    _, data = with_report(datasets.part10(source, syntax))

    read = dcmread(DicomBytesIO(data))
    assert leaked(data, ("Zquxmorf", "Wendelgard")) == []
    assert parse_basic_offsets(read.PixelData) == parse_basic_offsets(source.PixelData)
    for one in generate_frames(read.PixelData, number_of_frames=2):
        np.testing.assert_array_equal(DECODERS[syntax](one), DECODERS[syntax](STREAMS[syntax]))
