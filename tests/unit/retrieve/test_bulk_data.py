"""Bulk data behind the boundary: every value that metadata name, its forms, ranges, validators, and what is refused."""

import io
import struct

import orjson
import pydicom
import pytest
from pydicom.dataset import Dataset

from shared.http.exchange import ResponseAborted
from shared.retrieve import deflated
from tests.builders import datasets, pictures
from tests.builders.http import content, field
from tests.builders.images import DEFL, EBE, ELE, ILE, JPEG, MPEG2, Image, image, new_uid
from tests.builders.retrieve import JSON, OCTETS

MULTIPART = 'multipart/related; type="application/octet-stream"'
DOCUMENT = bytes(range(256)) * 3
SAMPLES = (1, -2, 3, -4, 5, -6)
WAVE = struct.pack("<6h", *SAMPLES)


def with_values(syntax: str = ELE, **options: object) -> Image:
    """An image with a document, a waveform inside a sequence, an icon inside another, and long text."""
    wave = Dataset()
    wave.WaveformBitsAllocated = 16
    wave.WaveformData = struct.pack(">6h", *SAMPLES) if syntax == EBE else WAVE  # pydicom swaps no bytes
    wave["WaveformData"].VR = "OW"
    other = Dataset()
    other.WaveformBitsAllocated = 8
    icon = Dataset()
    icon.Rows = icon.Columns = 4
    icon.BitsAllocated = 8
    icon.PixelData = bytes(range(16))
    icon["PixelData"].VR = "OB"
    return image(
        syntax=syntax,
        WaveformSequence=[other, wave],
        IconImageSequence=[icon],
        EncapsulatedDocument=DOCUMENT,
        TextValue="long text " * 200,
        ImageComments="short",
        **options,
    )


DOCUMENT_PATH, WAVE_PATH, ICON_PATH, TEXT_PATH = (
    "00420011",
    "54000100/2/54001010",
    "00880200/1/7FE00010",
    "0040A160",
)


def parts_of(response, body):
    boundary = field(response, "Content-Type").rpartition("boundary=")[2].encode()
    pieces = (b"\r\n" + body).removesuffix(b"\r\n--" + boundary + b"--\r\n").split(b"\r\n--" + boundary + b"\r\n")
    found = []
    for piece in pieces[1:]:
        head, _, value = piece.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        found.append((fields["Content-Type"], fields["Content-Location"], value))
    return found


async def uris(service, one):
    def walk(dataset):
        for element in dataset.values():
            if "BulkDataURI" in element:
                yield element["BulkDataURI"]
            for item in element.get("Value", []) if element["vr"] == "SQ" else []:
                yield from walk(item)

    response = await service.get(f"{one.path}/metadata", JSON)
    (dataset,) = orjson.loads(await content(response))
    return list(walk(dataset))


@pytest.mark.spec("BULK-1", "BULK-2", "BULK-5", "W-3", "W-17")
@pytest.mark.parametrize("syntax", [ELE, ILE, DEFL, EBE, JPEG])
async def test_every_uri_of_the_metadata_is_answered_with_the_value_in_little_endian(service, syntax):
    one = with_values(syntax)
    await service.archive.store(one)
    found = await uris(service, one)
    assert len(found) == 4
    expected = {DOCUMENT_PATH: DOCUMENT, WAVE_PATH: WAVE, ICON_PATH: bytes(range(16)), "7FE00010": one.frames[0]}
    for uri in found:
        response = await service.get(uri.removeprefix("https://dicom.example/v2/"))
        assert response.status == 200
        body = await content(response)
        path = uri.partition("/bulkdata/")[2]
        if path == "7FE00010" and syntax == JPEG:
            [(media_type, location, value)] = parts_of(response, body)
            assert (media_type, location) == (
                f"image/jpeg; transfer-syntax={JPEG}",
                uri.partition("/bulk")[0] + "/frames/1",
            )
        elif path == "7FE00010":
            [(media_type, location, value)] = parts_of(response, body)
            assert (media_type, location) == (f"{OCTETS}; transfer-syntax={ELE}", uri)
        else:
            value = body
            assert field(response, "Content-Type") == f"{OCTETS}; transfer-syntax={ELE}"
            assert field(response, "Content-Location") == uri
            assert field(response, "Content-Length") == str(len(value))
        assert value == expected[path]


@pytest.mark.spec("BULK-2")
@pytest.mark.parametrize("accept", [OCTETS, "*/*", f"{OCTETS}; transfer-syntax=*", f"image/png, {OCTETS};q=0.1"])
async def test_a_value_comes_alone(service, accept):
    one = with_values()
    await service.archive.store(one)
    response = await service.get(f"{one.path}/bulkdata/{WAVE_PATH}", accept)
    assert (response.status, await content(response)) == (200, WAVE)


@pytest.mark.spec("BULK-2", "W-9")
@pytest.mark.parametrize(
    "accept", [MULTIPART, 'multipart/related; type="*/*"', "multipart/related; type=application/octet-stream"]
)
async def test_a_value_comes_as_a_part_for_whoever_asks_for_multipart(service, accept):
    one = with_values()
    await service.archive.store(one)
    response = await service.get(f"{one.path}/bulkdata/{WAVE_PATH}", accept)
    [(media_type, location, value)] = parts_of(response, await content(response))
    assert value == WAVE
    assert media_type == f"{OCTETS}; transfer-syntax={ELE}"
    assert location == f"https://dicom.example/v2/{one.path}/bulkdata/{WAVE_PATH}"


@pytest.mark.spec("BULK-1")
async def test_long_text_has_an_address_and_short_text_has_none(service):
    one = with_values()
    await service.archive.store(one)
    response = await service.get(f"{one.path}/bulkdata/{TEXT_PATH}")
    assert await content(response) == b"long text " * 200
    assert await service.status(f"{one.path}/bulkdata/00204000") == 404


@pytest.mark.spec("BULK-2")
@pytest.mark.parametrize(
    "path",
    [
        "00080060",
        "54000100",
        "54000100/3/54001010",
        "54000100/2/54001011",
        "00420012",
        "nonsense",
        "7FE00010/1/00080060",
    ],
)
async def test_a_path_without_a_value_is_not_found(service, path):
    one = with_values()
    await service.archive.store(one)
    assert await service.status(f"{one.path}/bulkdata/{path}") == 404


@pytest.mark.spec("BULK-2", "WADO-31", "UID-1")
async def test_what_cannot_be_sent_is_refused_in_the_order_of_the_checks(service):
    one = with_values(JPEG, frames=2)
    await service.archive.store(one)
    elsewhere = f"studies/{new_uid()}/series/1/instances/1/bulkdata/{WAVE_PATH}"
    assert await service.status("studies/abc/series/1/instances/1/bulkdata/7FE00010", "image/png") == 400
    assert await service.status(elsewhere, "image/png") == 406
    assert await service.status(elsewhere) == 404
    for accept in ("image/jpeg", "application/dicom", f"{OCTETS}; transfer-syntax={JPEG}", f"{OCTETS};q=0"):
        assert await service.status(f"{one.path}/bulkdata/{WAVE_PATH}", accept) == 406
    assert await service.status(f"{one.path}/bulkdata/7FE00010", f"{OCTETS}; transfer-syntax=*") == 400
    assert await service.status(f"{one.path}/bulkdata", OCTETS) == 406
    assert await service.status(f"studies/{new_uid()}/bulkdata") == 404


@pytest.mark.spec("BULK-2")
async def test_a_range_of_a_value_is_a_206(service):
    one = with_values(EBE)
    await service.archive.store(one)
    path = f"{one.path}/bulkdata/{WAVE_PATH}"
    for asked, start, end in (("bytes=0-3", 0, 4), ("bytes=5-", 5, 12), ("bytes=-3", 9, 12), ("bytes=3-99", 3, 12)):
        response = await service.get(path, Range=asked)
        assert (response.status, await content(response)) == (206, WAVE[start:end])
        assert field(response, "Content-Range") == f"bytes {start}-{end - 1}/12"
        assert field(response, "Content-Length") == str(end - start)
    for asked in ("bytes=0-1,4-5", "bytes=9-3", "lines=1-2", "bytes=-"):
        response = await service.get(path, Range=asked)
        assert (response.status, await content(response)) == (200, WAVE)
        assert field(response, "Accept-Ranges") == "bytes"
    response = await service.get(path, Range="bytes=12-")
    assert (response.status, field(response, "Content-Range")) == (416, "bytes */12")


@pytest.mark.spec("BULK-2", "META-10", "D-24")
async def test_a_value_has_a_tag_that_ranges_and_revalidation_use(service):
    one = with_values()
    await service.archive.store(one)
    path = f"{one.path}/bulkdata/{DOCUMENT_PATH}"
    tag = field(await service.get(path), "ETag")
    assert tag.startswith('"')
    service.archive.forget()
    again = await service.get(path, If_None_Match=tag)
    assert (again.status, again.body, field(again, "ETag")) == (304, b"", tag)
    assert service.archive.blobs.calls == []
    assert (await service.get(path, MULTIPART, If_None_Match=tag)).status == 200
    assert (await service.get(path, Range="bytes=0-1", If_Range=tag)).status == 206
    assert (await service.get(path, Range="bytes=0-1", If_Range='"other"')).status == 200
    head = await service.get(path, method="HEAD", Range="bytes=0-1")
    assert (head.status, field(head, "Content-Length"), field(head, "ETag")) == (200, str(len(DOCUMENT)), tag)


@pytest.mark.spec("BULK-2", "W-17", "FRM-4", "FRM-5")
async def test_native_pixel_data_are_one_value_and_compressed_ones_a_part_for_each_frame(service):
    native, compressed = image(frames=3, bits=16), image(frames=3, syntax=JPEG, fragments=2)
    await service.archive.store(native, compressed)
    response = await service.get(f"{native.path}/bulkdata/7FE00010", OCTETS)
    assert await content(response) == b"".join(native.frames)
    assert field(response, "Content-Type") == f"{OCTETS}; transfer-syntax={ELE}"
    assert (await service.get(f"{native.path}/bulkdata/7FE00010", OCTETS, Range="bytes=2-5")).status == 206
    response = await service.get(f"{compressed.path}/bulkdata/7FE00010", 'multipart/related; type="image/jpeg"')
    found = parts_of(response, await content(response))
    assert [value for _, _, value in found] == list(compressed.frames)
    assert found[2][1] == f"https://dicom.example/v2/{compressed.path}/frames/3"
    assert field(response, "ETag").startswith('W/"')


@pytest.mark.spec("BULK-2", "W-17")
async def test_compressed_pixel_data_are_decoded_for_whoever_wants_plain_octets(service):
    identifier = image().identifier
    data = datasets.f2(
        StudyInstanceUID=identifier.study_instance_uid,
        SeriesInstanceUID=identifier.series_instance_uid,
        SOPInstanceUID=identifier.sop_instance_uid,
    )
    one = Image(identifier, datasets.J2K_LOSSLESS, data)
    await service.archive.store(one)
    pixels = b"".join(datasets.native_frames(8, 6, 8, 3))
    response = await service.get(f"{one.path}/bulkdata/7FE00010", OCTETS)
    assert (response.status, await content(response)) == (200, pixels)
    assert field(response, "Content-Type") == f"{OCTETS}; transfer-syntax={ELE}"
    for path in (f"{one.path}/bulkdata/7FE00010", f"{one.path}/pixeldata", f"{one.path}/bulkdata"):
        response = await service.get(path, MULTIPART)
        [(media_type, location, value)] = parts_of(response, await content(response))
        assert (media_type, value) == (f"{OCTETS}; transfer-syntax={ELE}", pixels)
        assert location.endswith(f"{one.path}/bulkdata/7FE00010")
    noise = image(identifier.study_instance_uid, syntax=MPEG2)
    await service.archive.store(noise)
    for path, count in (
        (f"studies/{identifier.study_instance_uid}/pixeldata", 2),
        (f"{noise.path}/bulkdata/7FE00010", 1),
    ):
        response = await service.get(path, MULTIPART)
        found = parts_of(response, await content(response))
        assert len(found) == count
        assert (f"{OCTETS}; transfer-syntax={MPEG2}", noise.frames[0]) in [(each[0], each[2]) for each in found]


def unmarked(data):
    """Without the markers that code streams begin and end with."""
    return data.replace(b"\xff\xd8", bytes(2)).replace(b"\xff\xd9", bytes(2))


@pytest.mark.spec("BULK-5")
async def test_frames_that_nothing_tells_apart_are_sent_as_one_part(service):
    one = image(syntax=JPEG, frames=2, fragments=3, offset_table=False)
    plain = Image(one.identifier, JPEG, unmarked(one.data))
    await service.archive.store(plain)
    response = await service.get(f"{plain.path}/bulkdata/7FE00010")
    [(media_type, _, value)] = parts_of(response, await content(response))
    assert media_type == f"image/jpeg; transfer-syntax={JPEG}"
    assert value == b"".join(map(unmarked, one.frames))


@pytest.mark.spec("BULK-3", "BULK-4", "W-9")
async def test_all_values_of_a_study_come_in_parts_with_their_locations(service):
    study = new_uid()
    images = [image(study, syntax=JPEG, frames=2), image(study, EncapsulatedDocument=DOCUMENT), image(study, frames=0)]
    await service.archive.store(*images)
    response = await service.get(f"studies/{study}/bulkdata")
    found = {location: (kind, value) for kind, location, value in parts_of(response, await content(response))}
    base = "https://dicom.example/v2/"
    jpeg, octets = f"image/jpeg; transfer-syntax={JPEG}", f"{OCTETS}; transfer-syntax={ELE}"
    pixels = {
        f"{base}{images[0].path}/frames/1": (jpeg, images[0].frames[0]),
        f"{base}{images[0].path}/frames/2": (jpeg, images[0].frames[1]),
        f"{base}{images[1].path}/bulkdata/7FE00010": (octets, images[1].frames[0]),
    }
    assert found == pixels | {f"{base}{images[1].path}/bulkdata/00420011": (octets, DOCUMENT)}
    response = await service.get(f"studies/{study}/pixeldata")
    assert {place: (kind, value) for kind, place, value in parts_of(response, await content(response))} == pixels
    series = images[1].identifier.series_instance_uid
    response = await service.get(f"studies/{study}/series/{series}/bulkdata", MULTIPART)
    assert [place for _, place, _ in parts_of(response, await content(response))] == [
        f"{base}{images[1].path}/bulkdata/00420011",
        f"{base}{images[1].path}/bulkdata/7FE00010",
    ]
    for path in (f"{images[2].path}/bulkdata", f"{images[2].path}/pixeldata"):
        assert await service.status(path) == 404


@pytest.mark.spec("BULK-3", "BULK-4", "WADO-28")
async def test_damaged_pixel_data_are_refused_before_any_other_value_is_sent(service):
    good = pictures.file(pictures.data_set(pictures.ramp()), pictures.JPEG_LS)
    codestream = bytes(pydicom.dcmread(io.BytesIO(good.data)).PixelData[16:60])
    dataset = pictures.data_set(pictures.ramp(), EncapsulatedDocument=DOCUMENT)
    damaged = pictures.compressed(dataset, pictures.JPEG_LS, [codestream])
    await service.archive.store(damaged)
    for path in (f"{damaged.path}/bulkdata", f"{damaged.path}/pixeldata"):
        assert await service.status(path, MULTIPART) == 406
        response = await service.get(path, f"{MULTIPART}; transfer-syntax=*")
        values = [value for _, _, value in parts_of(response, await content(response))]
        assert values == ([DOCUMENT, codestream] if path.endswith("bulkdata") else [codestream])


async def until_broken_off(body):
    """What has come of a body that is broken off."""
    received = bytearray()
    while True:
        try:
            received += await anext(body)
        except ResponseAborted:
            return bytes(received)


@pytest.mark.spec("BULK-3", "BULK-4", "WADO-28")
@pytest.mark.parametrize("resource", ["bulkdata", "pixeldata"])
async def test_what_a_later_instance_shows_beforehand_refuses_the_study_and_late_damage_breaks_it_off(
    service, resource
):
    ramp = pictures.data_set(pictures.ramp(), SOPInstanceUID="1.2.3.1")
    good = pictures.file(ramp, pictures.JPEG_LS)
    codestream = bytes(pydicom.dcmread(io.BytesIO(good.data)).PixelData[16:60])
    same = {"StudyInstanceUID": ramp.StudyInstanceUID, "SeriesInstanceUID": ramp.SeriesInstanceUID}
    later = pictures.data_set(pictures.ramp(), SOPInstanceUID="1.2.3.2", **same)
    path = f"studies/{ramp.StudyInstanceUID}/{resource}"
    for one in (good, pictures.compressed(later, pictures.JPEG_LS, [codestream])):
        await service.archive.store(one)
    response = await service.get(path, MULTIPART)
    received = await until_broken_off(response.body)
    assert response.status == 200
    boundary = field(response, "Content-Type").rpartition("boundary=")[2].encode()
    assert ramp.PixelData in received
    assert b"--" + boundary + b"--" not in received
    response = await service.get(path, f"{MULTIPART}; transfer-syntax=*")
    assert len(parts_of(response, await content(response))) == 2

    del later.BitsAllocated
    later.SOPInstanceUID = "1.2.3.3"
    await service.archive.store(pictures.compressed(later, pictures.JPEG_LS, [codestream]))
    assert await service.status(path, MULTIPART) == 406


@pytest.mark.spec("BULK-3", "META-10")
async def test_the_bulk_data_of_a_study_have_a_tag_that_changes_with_each_instance(service):
    study = new_uid()
    await service.archive.store(image(study))
    path = f"studies/{study}/bulkdata"
    first = field(await service.get(path), "ETag")
    assert (await service.get(path, If_None_Match=first)).status == 304
    await service.archive.store(image(study))
    assert (await service.get(path, If_None_Match=first)).status == 200
    assert field(await service.get(path, f"{MULTIPART}; transfer-syntax=*"), "ETag") != field(
        await service.get(path), "ETag"
    )


@pytest.mark.spec("BULK-2")
async def test_a_large_value_is_found_and_cut_without_reading_the_rest(service):
    one = image(size=(2000, 1000), bits=16, EncapsulatedDocument=bytes(3_000_000))
    await service.archive.store(one)
    service.archive.forget()
    response = await service.get(f"{one.path}/bulkdata/7FE00010", OCTETS, Range="bytes=1000000-1000009")
    assert await content(response) == one.frames[0][1_000_000:1_000_010]
    assert service.archive.blobs.bytes_read < 400_000
    response = await service.get(f"{one.path}/bulkdata/7FE00010", OCTETS)
    assert not isinstance(response.body, bytes)
    assert await content(response) == one.frames[0]


@pytest.mark.spec("BULK-5")
async def test_a_value_behind_compressed_pixel_data_is_found_by_the_frame_table(service):
    one = image(syntax=JPEG, frames=400, DataSetTrailingPadding=bytes(300))
    await service.archive.store(one)
    service.archive.forget()
    response = await service.get(f"{one.path}/bulkdata/FFFCFFFC")
    assert await content(response) == bytes(300)
    assert len(service.archive.blobs.calls) == 3


async def test_a_deflated_file_is_not_inflated_without_limit(service, monkeypatch):
    one = image(syntax=DEFL, ImageComments="a" * 9000)
    await service.archive.store(one)
    monkeypatch.setattr(deflated, "WHOLE", 5000)
    assert await service.status(f"{one.path}/bulkdata/7FE00010") == 406


async def test_a_video_is_one_part(service):
    one = image(syntax=MPEG2, frames=1, NumberOfFrames=25)
    await service.archive.store(one)
    for accept, media_type in (("video/mpeg2", "video/mpeg2"), ("video/*", "video/mpeg")):
        response = await service.get(f"{one.path}/bulkdata/7FE00010", f'multipart/related; type="{accept}"')
        [(label, _, value)] = parts_of(response, await content(response))
        assert (label, value) == (f"{media_type}; transfer-syntax={MPEG2}", one.frames[0])
