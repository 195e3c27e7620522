"""Photographs and videos as metadata and one part: the transfer syntax comes from the part or from its header."""

import io
import struct

import imagecodecs
import numpy as np
import orjson
import pytest
from PIL import Image as Picture

from shared.store import pixel_parts
from tests.builders.images import ELE, JPEG, image
from tests.builders.store import StoreService
from tests.unit.store.test_composition import JSON, OCTETS, metadata_of, part, send

pytestmark = pytest.mark.spec("W-15", "STOW-16")

RAMP = (np.arange(16 * 24) % 256).astype(np.uint8).reshape(16, 24)
J2K, JLS, HTJ2K, RLE, MP4 = (
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.102",
)


def jp2():
    stream = io.BytesIO()
    Picture.fromarray(RAMP).save(stream, "JPEG2000")
    return stream.getvalue()


def progressive():
    stream = io.BytesIO()
    Picture.fromarray(RAMP).save(stream, "JPEG", progressive=True)
    return stream.getvalue()


def mp4(profile=100, level=41, configuration=b"avcC"):
    if configuration == b"avcC":
        body = bytes((1, profile, 0, level))
    else:
        body = bytes((1, profile)) + bytes(10) + bytes((level,))
    box = struct.pack(">L4s", 8 + len(body), configuration) + body
    movie = struct.pack(">L4s", 8 + len(box), b"moov") + box
    media = struct.pack(">L4s", 1, b"mdat") + struct.pack(">Q", 16 + 300_000) + bytes(300_000)
    return b"\0\0\0\x18ftypmp42" + bytes(12) + media + movie


STREAMS = {
    "jpeg": bytes(imagecodecs.jpeg8_encode(RAMP)),
    "lossless": bytes(imagecodecs.ljpeg_encode(RAMP)),
    "jls": bytes(imagecodecs.jpegls_encode(RAMP)),
    "near": bytes(imagecodecs.jpegls_encode(RAMP, level=2)),
    "j2k": bytes(imagecodecs.jpeg2k_encode(RAMP, codecformat="J2K", reversible=True)),
    "lossy": bytes(imagecodecs.jpeg2k_encode(RAMP, codecformat="J2K", level=30)),
    "htj2k": bytes(imagecodecs.htj2k_encode(RAMP)),
    "jp2": jp2(),
    "rle": struct.pack("<16L", 1, 64, *[0] * 14) + b"\x00\x01",
    "mp4": mp4(),
    "hevc": mp4(1, 120, b"hvcC"),
    "mpeg": b"\0\0\x01\xb3" + bytes((0x50, 0x01, 0xE0)) + bytes(40),
}


BOXES = (
    struct.pack(">L4sQ", 1, b"mdat", 2**64 - 16),  # beyond where any file ends
    struct.pack(">L4sQ", 1, b"free", 0),
    struct.pack(">L4s", 0, b"mdat"),
    struct.pack(">L4s", 4, b"free"),
    struct.pack(">L4s", 9, b"moof") + bytes(1),
)


def metadata(**changes):
    one = image(size=(16, 24))
    found = metadata_of(one)
    del found["00020010"]
    return one, found | {key: value for key, value in changes.items() if value}


async def stored(media_type, data, **changes):
    service = StoreService()
    one, found = metadata(**changes)
    [outcome] = await send(service, part(orjson.dumps([found]), JSON), part(data, media_type, "bulk/1"))
    if outcome.failure is not None:
        return None, outcome.comments
    return (await service.instance(one.identifier)).transfer_syntax_uid, await service.content(one.identifier)


@pytest.mark.parametrize(
    ("media_type", "stream", "syntax"),
    [
        ("image/jpeg", "jpeg", JPEG),
        (f"image/jpeg; transfer-syntax={JPEG}", "jpeg", JPEG),
        ("image/jpeg", "lossless", "1.2.840.10008.1.2.4.57"),
        ("image/jls", "jls", JLS),
        ("image/jls", "near", "1.2.840.10008.1.2.4.81"),
        ("image/jp2", "j2k", J2K),
        ("image/jp2", "lossy", "1.2.840.10008.1.2.4.91"),
        ("image/jphc", "htj2k", HTJ2K),
        ("image/dicom-rle", "rle", RLE),
        ("video/mp4", "mp4", MP4),
        ("video/mp4", "hevc", "1.2.840.10008.1.2.4.107"),
        ("video/mpeg", "mpeg", "1.2.840.10008.1.2.4.101"),
        (f'video/mp4; transfer-syntax="{MP4}"', "mp4", MP4),
        (f"{OCTETS}; transfer-syntax={JPEG}", "jpeg", JPEG),
    ],
)
async def test_the_part_or_its_header_says_the_transfer_syntax(media_type, stream, syntax):
    found, file = await stored(media_type, STREAMS[stream])
    assert found == syntax, file
    assert STREAMS[stream] in file


async def test_a_jp2_file_becomes_its_codestream():
    found, file = await stored("image/jp2", STREAMS["jp2"])
    assert found in {J2K, "1.2.840.10008.1.2.4.91"}
    assert b"jP  " not in file
    assert STREAMS["jp2"][STREAMS["jp2"].index(b"\xff\x4f\xff\x51") :] in file


@pytest.mark.parametrize(
    ("media_type", "stream"),
    [
        ("image/jpeg", "j2k"),
        ("image/jp2", "jpeg"),
        ("image/jp2", "htj2k"),
        ("image/jls", "jpeg"),
        ("video/mp4", "mpeg"),
        (f"image/jpeg; transfer-syntax={J2K}", "jpeg"),
    ],
)
async def test_a_type_and_a_codestream_that_contradict_each_other_are_refused(media_type, stream):
    found, comments = await stored(media_type, STREAMS[stream])
    assert found is None
    assert "contradict" in comments[0]


@pytest.mark.parametrize(
    ("media_type", "syntax", "stream"),
    [
        ("image/jpeg", "1.2.840.10008.1.2.4.70", "jpeg"),
        ("image/jpeg", JPEG, "lossless"),
        ("image/jls", JLS, "near"),
        ("image/jp2", J2K, "lossy"),
        (OCTETS, J2K, "jpeg"),
        (OCTETS, RLE, "jls"),
    ],
)
@pytest.mark.parametrize("in_metadata", [False, True])
async def test_a_transfer_syntax_that_the_codestream_is_not_of_is_refused(media_type, syntax, stream, in_metadata):
    named = {"00020010": {"vr": "UI", "Value": [syntax]}} if in_metadata else {}
    said = media_type if in_metadata else f"{media_type}; transfer-syntax={syntax}"
    found, comments = await stored(said, STREAMS[stream], **named)
    assert found is None
    assert "contradict" in comments[0]


@pytest.mark.parametrize(
    ("media_type", "syntax", "stream"),
    [
        ("image/jpeg", "1.2.840.10008.1.2.4.51", "jpeg"),
        ("image/jls", "1.2.840.10008.1.2.4.81", "jls"),
        ("image/jp2", "1.2.840.10008.1.2.4.91", "j2k"),
        ("image/jphc", "1.2.840.10008.1.2.4.202", "htj2k"),
        ("video/mp4", "1.2.840.10008.1.2.4.103", "mp4"),
        (OCTETS, HTJ2K, "htj2k"),
    ],
)
async def test_a_transfer_syntax_that_holds_the_codestream_is_believed(media_type, syntax, stream):
    found, file = await stored(f"{media_type}; transfer-syntax={syntax}", STREAMS[stream])
    assert found == syntax, file


async def test_metadata_and_a_part_that_name_different_transfer_syntaxes_are_refused():
    other = {"00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.51"]}}
    found, comments = await stored(f"image/jpeg; transfer-syntax={JPEG}", STREAMS["jpeg"], **other)
    assert found is None
    assert "contradict" in comments[0]


async def test_a_type_and_metadata_that_contradict_each_other_are_refused():
    found, comments = await stored("image/jpeg", STREAMS["jpeg"], **{"00020010": {"vr": "UI", "Value": [J2K]}})
    assert found is None
    assert "contradict" in comments[0]


@pytest.mark.parametrize(
    ("media_type", "data", "reason"),
    [
        ("image/png", b"\x89PNG", "carried by no transfer syntax"),
        ("image/jpeg", progressive(), "Progressive"),
        ("image/jpeg", b"\xff\xd8\xff", "ends within its header"),
        ("image/jpeg", b"none", "no codestream"),
        ("video/mp4", mp4(profile=244), "profile or level"),
        ("video/mp4", b"\0\0\0\x18ftypmp42" + bytes(12), "ends within its header"),
        *(("video/mp4", b"\0\0\0\x18ftypmp42" + bytes(12) + each + bytes(64), "does not tell") for each in BOXES),
        (OCTETS, bytes(100), "Neither the metadata nor the part"),
    ],
)
async def test_a_refusal_says_why(media_type, data, reason):
    found, comments = await stored(media_type, data)
    assert found is None
    assert reason in comments[0]


async def test_octets_of_the_length_of_the_frames_are_uncompressed():
    one = image(size=(16, 24))
    found, _ = await stored(OCTETS, one.frames[0])
    assert found == ELE


async def test_frames_of_different_syntaxes_are_refused():
    service = StoreService()
    _, found = metadata()
    parts = [part(STREAMS["jpeg"], "image/jpeg", "bulk/1"), part(STREAMS["lossless"], "image/jpeg", "bulk/1")]
    [outcome] = await send(service, part(orjson.dumps([found]), JSON), *parts)
    assert "different transfer syntaxes" in outcome.comments[0]


async def test_the_octets_of_very_many_parts_are_counted_once(monkeypatch):
    counted, count = [], pixel_parts._of_octets

    def watched(*arguments):
        counted.append(arguments[-1])
        return count(*arguments)

    monkeypatch.setattr(pixel_parts, "_of_octets", watched)
    [frame] = image(size=(16, 24)).frames
    _, found = metadata()
    parts = [part(frame[at : at + 12], OCTETS, "bulk/1") for at in range(0, len(frame), 12)]
    await send(StoreService(), part(orjson.dumps([found]), JSON), *parts)
    assert len(parts) == 32
    assert counted == [""]
