"""What a retrieve costs in requests to the index: one look-up, whatever is made of the instance."""

import pytest

from tests.builders.http import content
from tests.builders.images import ELE, RLE, image
from tests.builders.pictures import J2K_LOSSLESS, data_set, file, ramp
from tests.builders.retrieve import DICOM, JSON, OCTETS, multipart_of
from tests.unit.retrieve.test_wado_uri import query


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("", f"{DICOM}; transfer-syntax=*"),
        ("", DICOM),
        ("", f"{DICOM}; transfer-syntax={J2K_LOSSLESS}"),
        ("/metadata", JSON),
        ("/frames/1", f"{OCTETS}; transfer-syntax=*"),
        ("/frames/1", OCTETS),
        ("/frames/1", multipart_of("image/jp2")),
        ("/frames/1/rendered", "image/png"),
        ("/rendered", "image/jpeg"),
        ("/rendered", multipart_of("image/png")),
        ("/thumbnail", "image/jpeg"),
        ("/bulkdata/7FE00010", OCTETS),
        ("/bulkdata/7FE00010", multipart_of("image/jp2")),
    ],
)
async def test_a_request_for_one_instance_is_one_look_up(service, path, accept):
    one = file(data_set(ramp()), RLE)
    await service.archive.store(one)
    service.archive.forget()
    await service.body(f"{one.path}{path}", accept)
    assert service.archive.tables.requests == 1


@pytest.mark.spec("URI-1")
@pytest.mark.parametrize(
    "changes",
    [
        {"contentType": DICOM, "transferSyntax": ELE},
        {"contentType": "image/png", "frameNumber": "1"},
        {"contentType": "image/png", "region": "0.25,0.25,0.75,0.75", "rows": "10"},
    ],
)
async def test_a_wado_uri_request_is_one_look_up(service, changes):
    one = file(data_set(ramp()), RLE)
    await service.archive.store(one)
    service.archive.forget()
    response = await service.get(f"wado?{query(one, **changes)}")
    await content(response)
    assert (response.status, service.archive.tables.requests) == (200, 1)


@pytest.mark.spec("WADO-29")
async def test_a_version_that_is_gone_costs_one_look_up_more(service):
    one = image()
    await service.archive.store(one)
    blob = await service.archive.blob_of(one)

    async def replace_it(_, _operation):
        service.archive.blobs.before = None
        await service.archive.store(one, replace_existing=True)
        await service.archive.blobs.delete(blob)
        service.archive.tables.requests = 0

    service.archive.blobs.before = replace_it
    assert await service.body(one.path, f"{DICOM}; transfer-syntax=*") == one.data
    assert service.archive.tables.requests == 1
