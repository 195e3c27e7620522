"""The handlers behind the boundary: the order of checks, validators, and what each answer carries."""

import json

import pytest

from shared.dicomweb.resources import RESOURCES
from tests.builders.http import content, field
from tests.builders.images import ELE, JPEG, image, new_uid
from tests.builders.retrieve import DICOM, JSON, OCTETS

AS_STORED = f"{DICOM}; transfer-syntax=*"


def test_every_retrieve_resource_has_a_handler(service):
    others = ("workitem", "share", "labels")
    rows = {
        name
        for name, row in RESOURCES.items()
        if (row.audit or "").startswith("retrieve") and not any(each in name for each in others)
    }
    assert set(service.transactions) == rows


@pytest.mark.spec("FRM-1", "FRM-4", "D-18", "META-2")
async def test_the_first_failing_check_decides(service):
    one = image(frames=2)
    await service.archive.store(one)
    service.archive.forget()
    nowhere = f"studies/{new_uid()}/series/1/instances/1"
    weak = (("Authorization", "Bearer delete"),)
    assert await service.status("studies/abc/series/1/instances/1/frames/x", "image/png", credentials=weak) == 400
    assert await service.status("studies/abc/series/1/instances/1/frames/0", "image/png", credentials=weak) == 403
    assert await service.status("studies/abc/series/1/instances/1", "image/png") == 400
    assert await service.status(f"{nowhere}/frames/0", "image/png") == 400
    assert await service.status(f"{nowhere}/frames/1,2", "image/png") == 406
    assert await service.status(f"{nowhere}/frames/1,2", OCTETS) == 400
    assert await service.status(nowhere, "image/png") == 406
    assert await service.status("studies/abc/metadata", "image/png", credentials=weak) == 406
    assert await service.status("studies/abc/metadata", JSON, credentials=weak) == 403
    assert service.archive.tables.requests == 0
    assert await service.status(f"{nowhere}/frames/1", OCTETS) == 404
    assert await service.status(nowhere) == 404
    assert await service.status(f"{nowhere}/metadata", JSON) == 404
    assert await service.status(f"{one.path}/frames/3", OCTETS) == 404
    assert service.archive.blobs.calls == []


@pytest.mark.spec("WADO-20", "WADO-26", "META-10")
async def test_an_instance_as_a_single_part_tells_its_length_and_its_tag(service):
    one = image(syntax=JPEG)
    await service.archive.store(one)
    response = await service.get(one.path, AS_STORED)
    assert await content(response) == one.data
    assert field(response, "Content-Type") == f"{DICOM}; transfer-syntax={JPEG}"
    assert field(response, "Content-Length") == str(len(one.data))
    tag = field(response, "ETag")
    service.archive.forget()
    again = await service.get(one.path, AS_STORED, If_None_Match=tag)
    assert (again.status, again.body, field(again, "ETag")) == (304, b"", tag)
    assert service.archive.blobs.calls == []


@pytest.mark.spec("META-10", "D-24")
async def test_representations_of_one_url_have_tags_of_their_own(service):
    one = image()
    await service.archive.store(one)
    tags = {
        field(await service.get(path, accept), "ETag").removeprefix("W/")
        for path, accept in (
            (one.path, AS_STORED),
            (one.path, "*/*"),
            (f"{one.path}/frames/1", OCTETS),
            (f"{one.path}/frames/1", f"multipart/related; type={OCTETS}"),
            (f"{one.path}/metadata", JSON),
        )
    }
    assert len(tags) == 5  # a weak tag and a strong one are the same to If-None-Match


@pytest.mark.spec("WADO-24", "W-9", "URL-10")
async def test_parts_are_located_by_the_urls_of_the_request(service):
    one = image(frames=3)
    await service.archive.store(one)
    for path, location in (
        (f"studies/{one.identifier.study_instance_uid}", one.path),
        (one.path, one.path),
        (f"{one.path}/frames/3", f"{one.path}/frames/3"),
    ):
        body = await content(await service.get(path))
        assert f"\r\nContent-Location: https://dicom.example/v2/{location}\r\n\r\n".encode() in body


@pytest.mark.spec("URL-12", "W-18")
async def test_head_reads_nothing_beyond_what_get_would_check(service):
    study = new_uid()
    images = [image(study, frames=3) for _ in range(8)]
    await service.archive.store(*images)
    for path in (f"studies/{study}", images[0].path, f"{images[0].path}/frames/1", f"studies/{study}/metadata"):
        get, head = await service.get(path), await service.get(path, method="HEAD")
        await content(get)
        assert (head.status, head.body) == (200, b"")
        assert field(head, "ETag") == field(get, "ETag")
    service.archive.forget()
    head = await service.get(f"studies/{study}", method="HEAD")
    assert len(service.archive.blobs.calls) == 1
    head = await service.get(images[0].path, AS_STORED, method="HEAD")
    assert field(head, "Content-Length") == str(len(images[0].data))


@pytest.mark.spec("META-6", "META-7", "D-25", "WADO-32")
async def test_metadata_are_tagged_by_watermark_and_count(service):
    study = new_uid()
    images = [image(study), image(study)]
    await service.archive.store(*images)
    response = await service.get(f"studies/{study}/metadata", JSON)
    assert len(json.loads(await content(response))) == 2
    tag = field(response, "ETag")
    assert tag.endswith('-2"')
    assert field(response, "Vary") == "Accept, Accept-Encoding, msdicom-request-original"
    assert (await service.get(f"studies/{study}/metadata", JSON, If_None_Match=tag)).status == 304
    original = await service.get(f"studies/{study}/metadata", JSON, msdicom_request_original="True")
    await content(original)
    assert field(original, "ETag") == tag[:-1] + '-o"'
    assert (
        await service.status(f"studies/{study}/metadata", JSON, If_None_Match=tag, msdicom_request_original="true")
        == 200
    )


@pytest.mark.spec("D-41", "ERR-4")
async def test_a_lost_file_is_an_internal_error_that_tells_nothing(service):
    study = new_uid()
    one = image(study)
    await service.archive.store(one)
    await service.archive.blobs.delete(await service.archive.blob_of(one))
    for path in (one.path, f"studies/{study}", f"{one.path}/frames/1"):
        response = await service.get(path)
        assert response.status == 500
        assert b"file" not in await content(response)


@pytest.mark.spec("ACC-6")
async def test_the_accept_parameter_stands_for_the_header(service):
    one = image()
    await service.archive.store(one)
    response = await service.get(f"{one.path}?accept=application/dicom%3Btransfer-syntax%3D*", "image/png")
    assert field(response, "Content-Type") == f"{DICOM}; transfer-syntax={ELE}"
    assert await content(response) == one.data
