"""Instances and frames that are transcoded, and pictures of them, behind the boundary on an archive in memory."""

import asyncio
import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image as Picture

from shared.retrieve.instances import conversion
from tests.builders.http import content, field
from tests.builders.pictures import (
    DEFL,
    EBE,
    ELE,
    ILE,
    J2K_LOSSLESS,
    JPEG,
    JPEG_LS,
    RLE,
    compressed,
    data_set,
    file,
    ramp,
)
from tests.builders.retrieve import DICOM, OCTETS, RetrieveService, multipart_of, parts

FRAMES = np.stack([ramp(), ramp()[::-1], ramp() // 2])


def octets(data):
    return np.frombuffer(data, "u1").reshape(40, 56)


# ---------------------------------------------------------------------------------------------------------- instances


@pytest.mark.spec("WADO-11", "WADO-15", "WADO-25", "D-18")
async def test_an_instance_is_sent_in_the_syntax_that_is_asked_for(service):
    one = file(data_set(ramp()), J2K_LOSSLESS)
    await service.archive.store(one)
    for syntax, asked in ((ELE, DICOM), (J2K_LOSSLESS, f"{DICOM}; transfer-syntax={J2K_LOSSLESS}"),
                          (JPEG_LS, f"{DICOM}; transfer-syntax={JPEG_LS}")):  # fmt: skip  # pairs
        response = await service.get(one.path, asked)
        data = await content(response)
        dataset = pydicom.dcmread(io.BytesIO(data))
        assert np.array_equal(dataset.pixel_array, ramp())
        assert dataset.file_meta.TransferSyntaxUID == syntax
        assert field(response, "Content-Type") == f"{DICOM}; transfer-syntax={syntax}"
        assert field(response, "Content-Length") == str(len(data))
        assert (data == one.data) == (syntax == J2K_LOSSLESS)


@pytest.mark.spec("WADO-13", "WADO-14", "WADO-34")
async def test_what_cannot_be_converted_is_not_acceptable(service):
    empty = data_set(ramp())
    del empty.PixelData
    one, video, broken = (
        file(empty),
        compressed(data_set(ramp()), "1.2.840.10008.1.2.4.100", [b"\0\0\1\xb3 frame"]),
        compressed(data_set(ramp()), J2K_LOSSLESS, [b"no codestream"]),
    )
    await service.archive.store(one, video, broken)
    assert await service.status(one.path, f"{DICOM}; transfer-syntax={J2K_LOSSLESS}") == 406
    assert await service.status(one.path, DICOM) == 200
    for each in (video, broken):
        assert await service.status(each.path, f"{DICOM}; transfer-syntax={ELE}") == 406
        for accept in (DICOM, multipart_of(DICOM)):
            response = await service.get(each.path, accept)
            assert each.data in await content(response)
            assert "1 of 1 instances are sent in their stored transfer syntax." in field(response, "Warning")
    assert await service.status(one.path, f"{DICOM}; transfer-syntax={JPEG}") == 406
    for each in (one, video):
        assert await service.status(each.path, f"{DICOM}, {DICOM}; transfer-syntax=*; q=0.1") == 200


@pytest.mark.spec("D-19", "D-45", "WADO-10", "WADO-28", "WADO-34")
async def test_a_study_of_several_syntaxes_is_sent_in_one(service):
    images = [file(data_set(ramp() // n, StudyInstanceUID="1.2.3"), syntax)
              for n, syntax in enumerate((ELE, J2K_LOSSLESS, RLE, ILE, EBE, DEFL), 1)]  # fmt: skip  # one list
    await service.archive.store(*images)
    for accept in (multipart_of(DICOM), multipart_of(DICOM, JPEG_LS)):
        found = parts(await service.body("studies/1.2.3", accept))
        read = [pydicom.dcmread(io.BytesIO(data)) for data in found]
        assert {each.file_meta.TransferSyntaxUID for each in read} == {JPEG_LS if JPEG_LS in accept else ELE}
        by_uid = {each.SOPInstanceUID: each.pixel_array for each in read}
        for n, each in enumerate(images, 1):
            assert np.array_equal(by_uid[each.identifier.sop_instance_uid], ramp() // n)
    await service.archive.store(
        compressed(data_set(ramp(), StudyInstanceUID="1.2.3"), "1.2.840.10008.1.2.4.100", [b"00"])
    )
    assert await service.status("studies/1.2.3", multipart_of(DICOM, ELE)) == 406
    for accept in (multipart_of(DICOM), f"{multipart_of(DICOM, ELE)}, {multipart_of(DICOM, '*')}; q=0.5"):
        response = await service.get("studies/1.2.3", accept)
        body = await content(response)
        found = [pydicom.dcmread(io.BytesIO(data)) for data in parts(body)]
        assert sorted(each.file_meta.TransferSyntaxUID for each in found) == [ELE] * 6 + ["1.2.840.10008.1.2.4.100"]
        assert b"transfer-syntax=1.2.840.10008.1.2.4.100" in body
        warning = '299 x: "1 of 7 instances are sent in their stored transfer syntax."'
        assert field(response, "Warning").partition('"')[2] == warning.partition('"')[2]


def told(response):
    return (field(response, "Warning") or "").partition('"')[2]


@pytest.mark.spec("WADO-34", "WADO-23", "WADO-28")
async def test_pixels_that_nobody_can_decode_are_counted_as_far_as_that_is_known(service, caplog):
    good = file(data_set(ramp(), StudyInstanceUID="1.2.4"), JPEG_LS)
    stored = pydicom.dcmread(io.BytesIO(good.data))
    damaged = compressed(data_set(ramp(), StudyInstanceUID="1.2.4"), JPEG_LS, [bytes(stored.PixelData[16:60])])
    await service.archive.store(damaged)
    response = await service.get("studies/1.2.4", multipart_of(DICOM))
    assert told(response) == '1 of 1 instances are sent in their stored transfer syntax."'
    assert parts(await content(response)) == [damaged.data]
    assert await service.status("studies/1.2.4", multipart_of(DICOM, ELE)) == 406
    await service.archive.store(good)
    with caplog.at_level("INFO"):
        response = await service.get("studies/1.2.4", multipart_of(DICOM))
        body = await content(response)
    found = [pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID for data in parts(body)]
    assert sorted(found) == [ELE, JPEG_LS]
    assert damaged.data in parts(body)
    assert f"transfer-syntax={JPEG_LS}".encode() in body
    assert any("instance-not-converted" in record.getMessage() for record in caplog.records)


@pytest.mark.spec("WADO-12")
async def test_large_objects_are_not_converted_and_none_when_memory_is_short():
    one = file(data_set(FRAMES, frames=3), RLE)
    limited, poor = RetrieveService(largest_file=len(one.data) - 1), RetrieveService(memory=5000)
    for service in (limited, poor):
        await service.archive.store(one)
        for path in (one.path, f"studies/{one.identifier.study_instance_uid}"):
            assert await service.status(path, multipart_of(DICOM, ELE)) == 406
            assert await service.status(path, multipart_of(DICOM)) == 200
            assert await service.status(path, multipart_of(DICOM, "*")) == 200
        assert await service.status(f"{one.path}/frames/1", multipart_of(OCTETS)) == 406
        assert await service.status(f"{one.path}/rendered", "image/png") == 406
    assert await limited.status(f"{one.path}/frames/1", multipart_of(OCTETS, "*")) == 200


async def test_many_clients_share_one_conversion_and_its_memory_is_given_back(service, monkeypatch):
    one = file(data_set(ramp()), RLE)
    await service.archive.store(one)
    calls = []
    original = conversion.transcode_file

    def counted(*arguments, **options):
        calls.append(arguments[3])
        return original(*arguments, **options)

    monkeypatch.setattr(conversion, "transcode_file", counted)
    answers = await asyncio.gather(*(service.get(one.path, DICOM) for _ in range(20)))
    bodies = {await content(answer) for answer in answers}
    del answers
    assert (len(bodies), calls) == (1, [ELE])
    await asyncio.sleep(0)
    assert service.pool.free == service.pool.memory


async def test_a_conversion_follows_an_instance_that_is_replaced(service, monkeypatch):
    one = file(dataset := data_set(ramp()), RLE)
    await service.archive.store(one)
    assert np.array_equal(pydicom.dcmread(io.BytesIO(await service.body(one.path, DICOM))).pixel_array, ramp())
    dataset.PixelData = (ramp() // 2).tobytes()
    await service.archive.store(file(dataset, RLE), replace_existing=True)
    again = pydicom.dcmread(io.BytesIO(await service.body(one.path, DICOM)))
    assert np.array_equal(again.pixel_array, ramp() // 2)


# ------------------------------------------------------------------------------------------------------------- frames


@pytest.mark.spec("FRM-5", "FRM-7", "FRM-10", "W-10")
@pytest.mark.parametrize(
    ("media_type", "syntax", "decode"),
    [
        ("image/jls", "", imagecodecs.jpegls_decode),
        ("image/jp2", "", imagecodecs.jpeg2k_decode),
        ("image/jp2", "1.2.840.10008.1.2.4.91", imagecodecs.jpeg2k_decode),
        ("image/jphc", "", imagecodecs.htj2k_decode),
        ("image/jphc", "1.2.840.10008.1.2.4.202", imagecodecs.htj2k_decode),
        ("image/jpeg", "", imagecodecs.jpeg8_decode),
        ("image/jpeg", "1.2.840.10008.1.2.4.57", imagecodecs.jpeg8_decode),
        ("image/jpeg", JPEG, imagecodecs.jpeg8_decode),
        (
            "image/dicom-rle",
            "",
            lambda data: octets(imagecodecs.dicomrle_decode(data, "u1")),
        ),
        (OCTETS, "", octets),
    ],
)
@pytest.mark.parametrize("source", [ELE, EBE, DEFL, RLE, J2K_LOSSLESS])
async def test_frames_are_sent_in_every_form_that_the_table_lists(service, source, media_type, syntax, decode):
    one = file(data_set(FRAMES, frames=3), source)
    await service.archive.store(one)
    service.archive.forget()
    found = parts(await service.body(f"{one.path}/frames/3,1,3", multipart_of(media_type, syntax)))
    tolerance = 12 if syntax == JPEG else 0
    for data, frame in zip(found, FRAMES[[2, 0, 2]], strict=True):
        assert np.abs(decode(data).astype(int) - frame).max() <= tolerance


@pytest.mark.spec("FRM-7")
async def test_transcoding_one_frame_reads_only_its_bytes(service):
    one = file(data_set(np.stack([FRAMES[0]] * 50), frames=50), RLE)
    await service.archive.store(one)
    service.archive.forget()
    await service.body(f"{one.path}/frames/7", multipart_of("image/jls"))
    assert service.archive.blobs.bytes_read < len(one.data) / 20
    assert service.archive.blobs.calls == ["read"]


@pytest.mark.spec("FRM-10", "WADO-3")
async def test_stored_bytes_come_before_converted_ones_of_equal_quality(service):
    one = file(data_set(ramp()), RLE)
    await service.archive.store(one)
    accept = f"{multipart_of('image/jls')}, {multipart_of('image/dicom-rle')}"
    stored = parts(await service.body(f"{one.path}/frames/1", accept))[0]
    assert one.data.count(stored) == 1
    preferred = parts(await service.body(f"{one.path}/frames/1", f"{accept};q=0.9"))[0]
    assert np.array_equal(imagecodecs.jpegls_decode(preferred), ramp())


@pytest.mark.spec("FRM-10", "WADO-13")
async def test_a_form_that_does_not_suit_the_pixels_gives_way_to_the_next_or_is_refused(service):
    one = file(data_set(ramp(bits=16)))
    await service.archive.store(one)
    jpeg = multipart_of("image/jpeg", JPEG)
    assert await service.status(f"{one.path}/frames/1", jpeg) == 406
    (data,) = parts(await service.body(f"{one.path}/frames/1", f"{jpeg}, {multipart_of('image/jls')}"))
    assert np.array_equal(imagecodecs.jpegls_decode(data), ramp(bits=16))


# ----------------------------------------------------------------------------------------------------------- pictures


def shown(data):
    return np.asarray(Picture.open(io.BytesIO(data)))


@pytest.mark.spec("REND-1", "REND-3", "REND-7", "REND-8")
@pytest.mark.parametrize("source", [ELE, ILE, EBE, DEFL, RLE, J2K_LOSSLESS])
async def test_an_instance_is_shown_by_its_first_frame_and_each_frame_by_itself(service, source):
    one = file(data_set(FRAMES, frames=3, WindowCenter="128", WindowWidth="256"), source)
    await service.archive.store(one)
    response = await service.get(f"{one.path}/rendered", "image/png")
    assert field(response, "Content-Type") == "image/png"
    assert np.array_equal(shown(await content(response)), FRAMES[0])
    for number in (1, 2, 3):
        data = await service.body(f"{one.path}/frames/{number}/rendered", "image/png")
        assert np.array_equal(shown(data), FRAMES[number - 1])
    found = parts(await service.body(f"{one.path}/frames/3,1/rendered", multipart_of("image/png")))
    assert [np.array_equal(shown(data), FRAMES[n]) for data, n in zip(found, (2, 0), strict=True)] == [True, True]
    assert len(parts(await service.body(f"{one.path}/rendered", multipart_of("image/jpeg")))) == 3


@pytest.mark.spec("REND-2", "REND-3", "REND-4", "REND-5", "REND-6")
async def test_the_first_failing_check_of_a_picture_decides(service):
    empty = data_set(ramp())
    del empty.PixelData
    one, bare, broken = file(data_set(ramp())), file(empty), compressed(data_set(ramp()), J2K_LOSSLESS, [b"none"])
    await service.archive.store(one, bare, broken)
    nowhere = "studies/1/series/1/instances/1"
    assert await service.status("studies/abc/rendered", query="quality=x") == 400
    assert await service.status(f"{nowhere}/frames/a/rendered") == 400
    assert await service.status(f"{nowhere}/frames/0/rendered", "text/html") == 400
    assert await service.status(f"{nowhere}/rendered", "text/html", "quality=0") == 400
    assert await service.status(f"{nowhere}/rendered", "text/html") == 406
    for path in (nowhere, "studies/1", "studies/1/series/1", f"{nowhere}/frames/1"):
        assert await service.status(f"{path}/rendered") == 404
        assert await service.status(f"{path}/thumbnail") == 404
    assert await service.status(f"{one.path}/frames/2/rendered") == 404
    assert await service.status(f"{bare.path}/rendered") == 404
    assert await service.status(f"{bare.path}/thumbnail") == 200
    assert await service.status(f"{broken.path}/rendered") == 406
    assert await service.status(f"{one.path}/frames/1,1/rendered", "image/png") == 400


async def test_parameters_shape_the_picture(service):
    one = file(data_set(ramp(), WindowCenter="128", WindowWidth="256"))
    await service.archive.store(one)
    path = f"{one.path}/rendered"
    small = shown(await service.body(path, "image/png", "viewport=28,28&whatever=1"))
    assert small.shape == (20, 28)
    windowed = shown(await service.body(path, "image/png", "window=10,1,linear"))
    assert np.array_equal(windowed, np.where(ramp() > 9.5, 255, 0))
    sizes = [len(await service.body(path, "image/jpeg", f"quality={n}")) for n in (1, 100)]
    assert sizes[0] < sizes[1]
    accepted = await service.get(path, "*/*", "accept=image%2Fpng")
    assert field(accepted, "Content-Type") == "image/png"
    warned = await service.get(path, "*/*", "annotation=patient&iccprofile=adobergb")
    assert field(warned, "Warning").startswith("299 ")
    assert "annotation, iccprofile" in field(warned, "Warning")


async def test_an_unchanged_picture_is_not_made_again(service):
    one = file(data_set(ramp()))
    await service.archive.store(one)
    first = await service.get(f"{one.path}/rendered", "image/png", "viewport=10,10")
    service.archive.forget()
    again = await service.get(f"{one.path}/rendered", "image/png", "viewport=10,10", If_None_Match=field(first, "ETag"))
    other = await service.get(f"{one.path}/rendered", "image/png", "viewport=11,11")
    assert (again.status, other.status) == (304, 200)
    assert field(other, "ETag") != field(first, "ETag")


async def test_a_study_is_shown_by_the_middle_image_of_its_first_series(service):
    def instance(series, number, level, **changes):
        keywords = {"SeriesInstanceUID": f"1.2.{series}", "SeriesNumber": series, "InstanceNumber": number} | changes
        return file(data_set(np.full((8, 8), level, np.uint8), StudyInstanceUID="1.2", WindowCenter="128",
                             WindowWidth="256", **keywords))  # fmt: skip  # one call

    def report(series):
        dataset = data_set(ramp(), StudyInstanceUID="1.2", SeriesInstanceUID=f"1.2.{series}", SeriesNumber=series)
        del dataset.PixelData
        return file(dataset)

    await service.archive.store(
        report(1),
        *(instance(10, n, n) for n in (1, 2, 3)),
        *(instance(2, n, 100 + n % 150) for n in (10, 9, 30, 4, 200)),
    )
    assert shown(await service.body("studies/1.2/rendered", "image/png"))[0, 0] == 110
    assert shown(await service.body("studies/1.2/thumbnail", "image/png"))[0, 0] == 110
    assert shown(await service.body("studies/1.2/series/1.2.10/rendered", "image/png"))[0, 0] == 2
    assert await service.status("studies/1.2/series/1.2.1/rendered") == 404
    assert shown(await service.body("studies/1.2/series/1.2.1/thumbnail", "image/png")).shape == (128, 128)
    assert len(parts(await service.body("studies/1.2/rendered", multipart_of("image/png")))) == 8
    assert len(parts(await service.body("studies/1.2/thumbnail", multipart_of("image/png")))) == 1


async def test_thumbnails_fit_128_pixels_at_every_level(service):
    one = file(data_set(ramp(rows=400, columns=200)))
    await service.archive.store(one)
    study = f"studies/{one.identifier.study_instance_uid}"
    for path in (study, f"{study}/series/{one.identifier.series_instance_uid}", one.path, f"{one.path}/frames/1"):
        response = await service.get(f"{path}/thumbnail")
        assert field(response, "Content-Type") == "image/jpeg"
        assert shown(await content(response)).shape == (128, 64)
        assert shown(await service.body(f"{path}/thumbnail", "image/png", "viewport=10,10")).shape == (10, 5)


async def test_tables_are_read_from_the_head_of_the_file_alone(service):
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [256, 0, 8], bytes(range(255, -1, -1))
    item["LUTData"].VR = "OW"
    one = file(data_set(np.stack([FRAMES[0]] * 60), frames=60, VOILUTSequence=[item]), RLE)
    await service.archive.store(one)
    service.archive.forget()
    data = await service.body(f"{one.path}/frames/30/rendered", "image/png")
    assert np.array_equal(shown(data), 255 - FRAMES[0])
    assert service.archive.blobs.bytes_read < len(one.data) / 10


@pytest.mark.spec("REND-11")
@pytest.mark.parametrize(
    ("changes", "plain", "fitted"),
    [
        ({"PixelAspectRatio": [2, 1]}, (80, 20), (100, 25)),
        ({"PixelAspectRatio": [1, 2]}, (40, 40), (100, 100)),
        ({"PixelAspectRatio": [1, 1]}, (40, 20), (100, 50)),
        ({"PixelSpacing": [1, 2]}, (40, 40), (100, 100)),
        ({"PixelAspectRatio": [1, 1], "PixelSpacing": [1, 2]}, (40, 20), (100, 50)),
        ({"PixelAspectRatio": [0, 1]}, (40, 20), (100, 50)),
        ({"PixelAspectRatio": [1, 1000]}, (40, 20), (100, 50)),
    ],
)
async def test_a_pixel_that_is_not_square_is_shown_in_its_true_shape(service, changes, plain, fitted):
    one = file(data_set(ramp(rows=40, columns=20), **changes))
    await service.archive.store(one)
    for query, expected in (("", plain), ("viewport=100,100", fitted)):
        assert shown(await service.body(f"{one.path}/rendered", "image/png", query)).shape[:2] == expected


@pytest.mark.spec("STOW-50", "WADO-11")
async def test_the_attributes_of_a_study_that_is_converted_are_not_kept_until_its_last_file(service):
    one = file(data_set(ramp()), J2K_LOSSLESS)
    await service.archive.store(one)
    snapshot = await service.archive.view.snapshot(one.identifier)
    await conversion.convert_file(snapshot, ELE)
    assert snapshot._attributes is None
    assert await snapshot.attributes_once() == await snapshot.attributes()
    assert snapshot._attributes is not None
    assert await snapshot.attributes_once() is snapshot._attributes
