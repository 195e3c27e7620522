"""Ranges of instances and frames as they are stored (RFC 9110 §14)."""

import pytest

from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Headers, Request
from shared.retrieve.byte_ranges import parse_range
from tests.builders.http import content, field
from tests.builders.images import ELE, ILE, JPEG, RLE, image
from tests.builders.pictures import data_set, file, ramp
from tests.builders.retrieve import DICOM, OCTETS

STORED = f"{OCTETS}; transfer-syntax=*"


async def ranged(service, path, accept, asked, **headers):
    response = await service.get(path, accept, Range=asked, **headers)
    return response.status, field(response, "Content-Range"), await content(response)


@pytest.mark.spec("HTTP-1", "HTTP-3")
@pytest.mark.parametrize("size", [(10, 10), (1200, 1100)])
async def test_a_range_of_an_instance(service, size):
    one = image(size=size)
    await service.archive.store(one)
    total = len(one.data)
    for asked, start, end in (("bytes=0-99", 0, 100), ("bytes=200-", 200, total), ("bytes=-10", total - 10, total)):
        expected = (206, f"bytes {start}-{end - 1}/{total}", one.data[start:end])
        assert await ranged(service, one.path, f"{DICOM}; transfer-syntax=*", asked) == expected
    assert (await ranged(service, one.path, DICOM, f"bytes={total}-"))[:2] == (416, f"bytes */{total}")
    assert (await ranged(service, one.path, DICOM, "bytes=0-1,5-6"))[2] == one.data
    head = await service.get(one.path, DICOM, method="HEAD", Range="bytes=0-1")
    assert (head.status, field(head, "Content-Length"), field(head, "Accept-Ranges")) == (200, str(total), "bytes")


@pytest.mark.spec("HTTP-2")
async def test_a_converted_file_and_a_converted_frame_have_no_ranges(service):
    one = file(data_set(ramp()), RLE)
    await service.archive.store(one)
    for path, accept in ((one.path, DICOM), (f"{one.path}/frames/1", OCTETS)):
        response = await service.get(path, accept, Range="bytes=0-9")
        await content(response)
        assert response.status == 200
        assert field(response, "Accept-Ranges") is None
        assert field(response, "ETag").startswith('W/"')


@pytest.mark.spec("FRM-14", "HTTP-1", "HTTP-3")
@pytest.mark.parametrize(("syntax", "fragments"), [(ELE, 1), (ILE, 1), (JPEG, 1), (JPEG, 3)])
async def test_a_range_of_a_frame(service, syntax, fragments):
    one = image(syntax=syntax, frames=3, fragments=fragments)
    await service.archive.store(one)
    frame, path = one.frames[1], f"{one.path}/frames/2"
    size = len(frame)
    for asked, start, end in (("bytes=0-9", 0, 10), ("bytes=5-", 5, size), ("bytes=-4", size - 4, size)):
        expected = (206, f"bytes {start}-{end - 1}/{size}", frame[start:end])
        assert await ranged(service, path, STORED, asked) == expected
    assert (await ranged(service, path, STORED, f"bytes={size}-"))[0] == 416
    head = await service.get(path, STORED, method="HEAD")
    assert (head.status, field(head, "Content-Length"), field(head, "Accept-Ranges")) == (200, str(size), "bytes")


@pytest.mark.spec("FRM-14")
async def test_a_range_of_a_frame_in_one_piece_reads_no_more_of_it(service):
    one = image(syntax=JPEG, size=(300, 300))
    await service.archive.store(one)
    service.archive.forget()
    await ranged(service, f"{one.path}/frames/1", STORED, "bytes=0-999")
    assert service.archive.blobs.bytes_read <= 1100


@pytest.mark.spec("FRM-13", "ACC-7")
@pytest.mark.parametrize(
    "accept", ["image/jpeg", "image/*", f"image/jpeg; transfer-syntax={JPEG}", "image/*, */*;q=0.1"]
)
async def test_one_frame_is_an_image_of_its_own(service, accept):
    one = image(syntax=JPEG, frames=2)
    await service.archive.store(one)
    response = await service.get(f"{one.path}/frames/1", accept)
    assert (response.status, await content(response)) == (200, one.frames[0])
    assert field(response, "Content-Type") == f"image/jpeg; transfer-syntax={JPEG}"
    assert await service.status(f"{one.path}/frames/1,2", "image/jpeg") == 400


@pytest.mark.spec("FRM-1", "WADO-27")
async def test_a_frame_list_repeats_few_frames(service):
    one = image(frames=2)
    await service.archive.store(one)
    multi = f'multipart/related; type="{OCTETS}"'
    assert await service.status(f"{one.path}/frames/{','.join(['1'] * 9)}", multi) == 200
    ten = f"{one.path}/frames/{','.join(['1'] * 10)}"
    assert await service.status(ten, multi) == 400
    assert await service.status(f"{ten}/rendered", 'multipart/related; type="image/png"') == 400


@pytest.mark.spec("HTTP-1")
def test_a_long_range_that_is_none_is_looked_at_once():
    """Of runs of blanks side by side a pattern could try every division: this would take days."""
    for value in (f"bytes={' ' * 1_000_000}x", f"bytes=1{' ' * 1_000_000}x", f"{' ' * 1_000_000}bytes"):
        asked = Request("GET", "http", "h", "/", headers=Headers([("range", value)]))
        assert not parse_range(asked, ApiVersion.V2).given
    blanks = Request("GET", "http", "h", "/", headers=Headers([("range", " Bytes = 1 - 2 ")]))
    assert parse_range(blanks, ApiVersion.V2).of(10, '"a"') == (1, 3)
