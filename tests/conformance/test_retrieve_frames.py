"""WADO-RS over HTTP: frames (PS3.18 §10.4.1.1.6)."""

import pytest

from tests.builders.images import DEFL, EBE, ELE, ILE, J2K_LOSSLESS, JPEG, JPEG_LS, MPEG2, RLE, image
from tests.conformance.exchange import DICOM, OCTETS, multipart_type, parts, several


@pytest.mark.spec("FRM-5", "FRM-7", "WADO-20", "WADO-26")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("syntax", [ILE, ELE, DEFL, EBE])
def test_a_native_frame_is_its_pixels_in_little_endian_order(v2, syntax, bits):
    one = image(syntax=syntax, frames=3, size=(7, 5), bits=bits)
    v2.store(one)

    reply = v2.get(f"{one.path}/frames/2", OCTETS)

    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == f"{OCTETS}; transfer-syntax={ELE}"
    assert reply.headers["Content-Length"] == str(len(one.frames[1]))
    assert reply.content == one.frames[1]


@pytest.mark.spec("FRM-5")
def test_frames_of_one_bit_pixels_are_moved_to_byte_boundaries(v2):
    one = image(frames=5, size=(5, 5), bits=1)
    v2.store(one)
    reply = v2.get(f"{one.path}/frames/1,2,3,4,5", several(OCTETS))
    assert tuple(part.body for part in parts(reply)) == one.frames


@pytest.mark.spec("FRM-5", "FRM-6", "FRM-7", "WADO-25", "D-22")
@pytest.mark.parametrize("offset_table", [True, False])
@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("syntax", [JPEG, JPEG_LS, J2K_LOSSLESS])
def test_a_compressed_frame_is_its_fragments_joined(v2, syntax, fragments, offset_table):
    one = image(syntax=syntax, frames=3, fragments=fragments, offset_table=offset_table)
    v2.store(one)

    reply = v2.get(f"{one.path}/frames/3,1", several(OCTETS, "*"))

    assert reply.status_code == 200
    assert multipart_type(reply) == OCTETS
    third, first = parts(reply)
    assert (third.body, first.body) == (one.frames[2], one.frames[0])
    assert third.headers["content-type"] == f"{OCTETS}; transfer-syntax={syntax}"
    assert third.headers["content-location"] == f"{v2.base}/{one.path}/frames/3"


@pytest.mark.spec("WADO-27", "FRM-1", "FRM-5")
def test_frames_come_in_the_requested_order_repeats_repeated(v2):
    one = image(frames=9, bits=16)
    v2.store(one)
    wanted = [9, 1, 1, 2, 3, 8, 9]
    listed = ",".join(map(str, wanted))
    for numbers in (listed, listed.replace(",", "%2C")):
        reply = v2.get(f"{one.path}/frames/{numbers}", several(OCTETS, "*"))
        assert [part.body for part in parts(reply)] == [one.frames[number - 1] for number in wanted]


@pytest.mark.spec("FRM-10", "W-10", "D-22", "WADO-5")
@pytest.mark.parametrize(
    ("syntax", "media_type"),
    [
        (ELE, OCTETS),
        (JPEG, "image/jpeg"),
        (JPEG_LS, "image/jls"),
        (J2K_LOSSLESS, "image/jp2"),
        (RLE, "image/dicom-rle"),
    ],
)
def test_frames_under_any_type_are_as_stored_and_labelled_by_their_image_type(v2, syntax, media_type):
    one = image(syntax=syntax, frames=2)
    v2.store(one)
    accepted = ["*/*", None, several("*/*")]
    if media_type != OCTETS:
        accepted += [several(media_type), several(media_type, syntax)]
    for accept in accepted:
        reply = v2.get(f"{one.path}/frames/1,2", accept)
        assert reply.status_code == 200
        assert multipart_type(reply) == media_type
        assert [part.headers["content-type"] for part in parts(reply)] == [
            f"{media_type}; transfer-syntax={syntax}"
        ] * 2
        assert tuple(part.body for part in parts(reply)) == one.frames


@pytest.mark.spec("W-10", "FRM-10")
@pytest.mark.parametrize(
    "accept", ["multipart/related; type=application/octet-stream; transfer-syntax=*", several(OCTETS, '"*"')]
)
def test_a_viewer_gets_frames_as_stored_with_their_syntax_named(v2, accept):
    one = image(syntax=JPEG_LS)
    v2.store(one)
    (part,) = parts(v2.get(f"{one.path}/frames/1", accept))
    assert part.headers["content-type"] == f"{OCTETS}; transfer-syntax={JPEG_LS}"
    assert part.body == one.frames[0]


@pytest.mark.spec("W-10")
@pytest.mark.parametrize(("syntax", "media_type"), [(JPEG, "image/jpeg"), (JPEG_LS, "image/jls"), (ELE, OCTETS)])
def test_a_slide_viewers_long_list_is_understood(v2, syntax, media_type):
    one = image(syntax=syntax, frames=4)
    v2.store(one)
    accept = ", ".join(
        [
            *(several("image/jls", f"1.2.840.10008.1.2.4.{n}") for n in (80, 81)),
            *(several("image/jp2", f"1.2.840.10008.1.2.4.{n}") for n in (90, 91)),
            *(several("image/jpx", f"1.2.840.10008.1.2.4.{n}") for n in (92, 93)),
            several(OCTETS, "*"),
            several("image/jpeg", JPEG),
        ]
    )
    reply = v2.get(f"{one.path}/frames/2", accept)
    (part,) = parts(reply)
    assert (multipart_type(reply), part.body) == (media_type, one.frames[1])


@pytest.mark.spec("WADO-8", "FRM-10")
@pytest.mark.parametrize(
    "accept",
    [
        DICOM,
        "image/png",
        several("image/jp2", "*"),
        several("image/jpeg", JPEG_LS),
        several(OCTETS, MPEG2),
    ],
)
def test_frames_in_another_form_are_not_acceptable(v2, accept):
    one = image(syntax=J2K_LOSSLESS)
    v2.store(one)
    assert v2.get(f"{one.path}/frames/1", accept).status_code == 406


@pytest.mark.spec("FRM-1", "FRM-2", "FRM-3")
def test_frames_that_are_not_there(v2):
    one, empty = image(frames=2), image(frames=0)
    v2.store(one, empty)
    for numbers in ("0", "-1", "a", "1,a", "1,,2", "1.5", "%20"):
        assert v2.get(f"{one.path}/frames/{numbers}").status_code == 400
    assert v2.get(f"{one.path}/frames/1,3").status_code == 404
    assert v2.get(f"{empty.path}/frames/1").status_code == 404


@pytest.mark.spec("META-10")
def test_an_unchanged_frame_is_not_sent_again(v2):
    one = image(frames=2)
    v2.store(one)
    reply = v2.get(f"{one.path}/frames/1", OCTETS)
    again = v2.get(f"{one.path}/frames/1", OCTETS, If_None_Match=reply.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert reply.headers["Cache-Control"] == "private, no-cache"
