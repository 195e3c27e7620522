"""Videos and documents: given as they are stored, under their own media types, whole and by ranges."""

import io

import pytest
from PIL import Image as Picture

from tests.builders import datasets
from tests.builders.http import content, field
from tests.builders.images import ELE, Image, image, new_uid
from tests.builders.pictures import compressed, data_set, file, ramp
from tests.builders.retrieve import DICOM, OCTETS, multipart_of, parts
from tests.unit.retrieve.test_wado_uri import query

MP4 = "1.2.840.10008.1.2.4.102"
STREAM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8
PDF = b"%PDF-1.7 an odd number of bytes"


def video(**changes):
    return compressed(data_set(ramp(), NumberOfFrames=50, **changes), MP4, [STREAM])


def document(media_type="application/pdf", **changes):
    identifier = image().identifier
    dataset = datasets.attributes(
        StudyInstanceUID=identifier.study_instance_uid,
        SeriesInstanceUID=identifier.series_instance_uid,
        SOPInstanceUID=identifier.sop_instance_uid,
    )
    dataset.MIMETypeOfEncapsulatedDocument = media_type
    dataset.EncapsulatedDocument = PDF + b"\0"
    dataset.EncapsulatedDocumentLength = len(PDF)
    dataset.Modality = "DOC"
    for name, value in changes.items():
        setattr(dataset, name, value)
    return Image(identifier, ELE, datasets.part10(dataset, ELE))


async def got(service, path, accept="*/*", **headers):
    response = await service.get(path, accept, **headers)
    return response.status, field(response, "Content-Type"), await content(response)


@pytest.mark.spec("REND-10", "BULK-6")
@pytest.mark.parametrize(
    ("path", "accept", "label"),
    [
        ("rendered", "*/*", "video/mp4"),
        ("rendered", "video/mp4", "video/mp4"),
        ("rendered", "video/*, image/jpeg;q=0.5", "video/mp4"),
        ("bulkdata/7FE00010", "*/*", "video/mp4"),
        ("bulkdata/7FE00010", "video/mp4", "video/mp4"),
        ("bulkdata/7FE00010", f'video/mp4; transfer-syntax="{MP4}"', "video/mp4"),
        ("bulkdata/7FE00010", OCTETS, OCTETS),
    ],
)
async def test_a_video_is_its_stream(service, path, accept, label):
    one = video()
    await service.archive.store(one)
    assert await got(service, f"{one.path}/{path}", accept) == (200, f"{label}; transfer-syntax={MP4}", STREAM)


@pytest.mark.spec("BULK-6")
@pytest.mark.parametrize("media_type", [OCTETS, "video/mp4"])
async def test_a_video_is_one_part_of_a_multipart(service, media_type):
    one = video()
    await service.archive.store(one)
    for path in ("bulkdata/7FE00010", "pixeldata"):
        body = await service.body(f"{one.path}/{path}", multipart_of(media_type))
        assert parts(body) == [STREAM]
        assert f"Content-Type: {media_type}; transfer-syntax={MP4}\r\n".encode() in body


@pytest.mark.spec("REND-10", "HTTP-1", "HTTP-2")
@pytest.mark.parametrize("path", ["rendered", "bulkdata/7FE00010"])
async def test_a_player_reads_a_video_by_ranges(service, path):
    one = video()
    await service.archive.store(one)
    whole = await service.get(f"{one.path}/{path}", "video/mp4")
    assert field(whole, "Accept-Ranges") == "bytes"
    await content(whole)
    tag, size = field(whole, "ETag"), len(STREAM)
    for asked, start, end in (("bytes=0-", 0, size), ("bytes=100-199", 100, 200), ("bytes=-8", size - 8, size)):
        response = await service.get(f"{one.path}/{path}", "video/mp4", Range=asked, If_Range=tag)
        assert (response.status, await content(response)) == (206, STREAM[start:end])
        assert field(response, "Content-Range") == f"bytes {start}-{end - 1}/{size}"
    assert (await got(service, f"{one.path}/{path}", "video/mp4", Range="bytes=0-1", If_Range='"other"'))[0] == 200
    assert (await got(service, f"{one.path}/{path}", "video/mp4", Range=f"bytes={size}-"))[0] == 416


@pytest.mark.spec("REND-10")
async def test_a_video_or_a_document_is_no_picture(service):
    one, other = video(), document()
    await service.archive.store(one, other)
    for each, accept in ((one, "image/jpeg"), (one, "application/pdf"), (other, "image/png"), (other, "video/mp4")):
        status, _, body = await got(service, f"{each.path}/rendered", accept)
        assert status == 406
        assert (b"video/mp4" if each is one else b"application/pdf") in body
    assert await service.status(f"{one.path}/frames/2/rendered", "video/mp4") == 406


@pytest.mark.spec("REND-10", "BULK-6", "HTTP-1")
async def test_a_pdf_is_shown_and_its_padding_is_not(service):
    one = document()
    await service.archive.store(one)
    pdf = "application/pdf"
    for path, accept in (("rendered", "*/*"), ("rendered", pdf), ("bulkdata/00420011", pdf)):
        assert await got(service, f"{one.path}/{path}", accept) == (200, pdf, PDF)
    status, _, body = await got(service, f"{one.path}/bulkdata/00420011", "application/pdf", Range="bytes=-5")
    assert (status, body) == (206, PDF[-5:])
    assert (await got(service, f"{one.path}/bulkdata/00420011", OCTETS))[2] == PDF + b"\0"


@pytest.mark.spec("BULK-6")
async def test_a_document_that_a_browser_could_run_is_for_saving_or_octets(service):
    cda, html = document("text/XML"), document("text/html")
    await service.archive.store(cda, html)
    response = await service.get(f"{cda.path}/bulkdata/00420011", "text/xml")
    assert (response.status, await content(response)) == (200, PDF)
    assert field(response, "Content-Disposition") == "attachment"
    assert await service.status(f"{html.path}/bulkdata/00420011", "text/html") == 406
    assert (await got(service, f"{html.path}/bulkdata/00420011"))[1].startswith(OCTETS)
    for each in (cda, html):
        assert await service.status(f"{each.path}/rendered", "*/*") == 404


@pytest.mark.spec("REND-12")
async def test_a_thumbnail_of_what_has_no_picture_names_its_kind(service):
    report = data_set(ramp(), Modality="SR")
    del report.PixelData
    kinds = [video(), document(), file(report)]
    await service.archive.store(*kinds)
    shown = set()
    for each in kinds:
        for path in (each.path, f"studies/{each.identifier.study_instance_uid}"):
            picture = Picture.open(io.BytesIO(await service.body(f"{path}/thumbnail", "image/png")))
            assert (picture.size, picture.getpixel((64, 1))) == ((128, 128), 32)
            shown.add(picture.tobytes())
    assert len(shown) == 3
    response = await service.get(f"{kinds[0].path}/thumbnail")
    tag = field(response, "ETag")
    await content(response)
    assert await service.status(f"{kinds[0].path}/thumbnail", If_None_Match=tag) == 304


@pytest.mark.spec("REND-12")
async def test_a_study_of_a_video_and_images_is_shown_by_an_image(service):
    study = new_uid()
    one = file(data_set(ramp(rows=30, columns=40), StudyInstanceUID=study))
    await service.archive.store(video(StudyInstanceUID=study, SeriesNumber=1), one)
    picture = Picture.open(io.BytesIO(await service.body(f"studies/{study}/thumbnail", "image/png")))
    assert picture.size == (128, 96)


@pytest.mark.spec("REND-10", "URI-1")
async def test_wado_uri_gives_a_video_and_a_document(service):
    one, other = video(), document()
    await service.archive.store(one, other)
    for each, changes, body in (
        (one, {}, STREAM),
        (one, {"contentType": "video/mp4"}, STREAM),
        (other, {}, PDF),
        (other, {"contentType": "application/pdf"}, PDF),
    ):
        assert (await got(service, f"wado?{query(each, **changes)}"))[::2] == (200, body)


@pytest.mark.spec("WADO-34", "D-45")
async def test_a_study_with_a_video_comes_by_default(service):
    study = new_uid()
    images = [video(StudyInstanceUID=study), file(data_set(ramp(), StudyInstanceUID=study))]
    await service.archive.store(*images)
    body = await service.body(f"studies/{study}", multipart_of(DICOM))
    assert sorted(parts(body)) == sorted(one.data for one in images)
    assert await service.status(f"studies/{study}", multipart_of(DICOM, ELE)) == 406
    assert (await got(service, f"wado?{query(images[0], contentType=DICOM)}"))[2] == images[0].data
