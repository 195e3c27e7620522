"""Validators, and how answers are put together."""

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.multipart import MultipartReader, PartData, PartHeaders
from shared.http.entity_tags import EntityTags
from shared.retrieve.negotiation import Encoding
from shared.retrieve.response import Part, not_modified, one_part, resource_tag, several_parts, single_part

ELE = "1.2.840.10008.1.2.1"


@pytest.mark.spec("META-6", "META-8", "D-24", "D-25")
def test_the_tag_of_metadata_tells_highest_watermark_and_count_and_whether_it_is_the_original():
    study, instance = ResourceIdentifier("1"), ResourceIdentifier("1", "2", "3")
    assert resource_tag(instance, [7], original=False) == '"7"'
    assert resource_tag(study, [7, 12, 9], original=False) == '"12-3"'
    assert resource_tag(study, [7], original=True) == '"7-1-o"'


@pytest.mark.spec("D-24", "META-7")
@pytest.mark.parametrize(
    "held",
    [
        ['"12-3"'],
        ["12-3"],
        ['W/"12-3"'],
        ["*"],
        [' "1" , "12-3"'],
        ['"1"', '"12-3"'],
        ['"a,b","12-3"'],
        ["1,12-3"],
    ],
)
def test_the_client_holds_the_current_representation(held):
    assert EntityTags.parse(held).has('"12-3"')
    assert EntityTags.parse(held).has('W/"12-3"')


@pytest.mark.spec("D-24", "META-7")
@pytest.mark.parametrize(
    "held", [[], [""], ['"12-4"'], ['"12-3'], ['"12-3" x"'], ['"a, "12-3"'], ["**"], ['"12-3-o"'], [","]]
)
def test_another_tag_or_a_malformed_one_is_no_match(held):
    assert not EntityTags.parse(held).has('"12-3"')


@pytest.mark.spec("W-6", "D-24")
def test_not_modified_has_the_tag_and_neither_body_nor_length():
    response = not_modified('"1"')
    names = [name for name, _ in response.headers]
    assert response.status == 304
    assert response.body == b""
    assert "ETag" in names
    assert "Content-Length" not in names
    assert "Content-Type" not in names


@pytest.mark.spec("WADO-20", "WADO-26", "META-10")
def test_a_single_part_names_type_syntax_and_length():
    headers = dict(single_part(Encoding("application/dicom", ELE), 3, b"abc", '"1"').headers)
    assert headers["Content-Type"] == f"application/dicom; transfer-syntax={ELE}"
    assert headers["Content-Length"] == "3"
    assert headers["Cache-Control"] == "private, no-cache"
    assert "Content-Length" not in dict(single_part(Encoding("application/dicom", ELE), None, b"", '"1"').headers)


async def streamed(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.mark.spec("WADO-21", "WADO-22", "WADO-23", "WADO-24", "W-9", "D-21")
async def test_a_multipart_answer_frames_each_part_with_its_own_type_and_location():
    async def parts():
        yield Part(Encoding("application/dicom", ELE), "http://x/1", b"one")
        yield Part(Encoding("application/dicom", "1.2.5"), "http://x/2", streamed(b"tw", b"o"))
        yield Part(Encoding("application/dicom", ELE), "http://x/3", b"3" * 100_000)

    response = several_parts("application/dicom", parts())
    content_type = dict(response.headers)["Content-Type"]
    boundary = content_type.partition("boundary=")[2]
    body = b"".join([chunk async for chunk in response.body])

    assert content_type.startswith('multipart/related; type="application/dicom"; boundary=')
    first = f"--{boundary}\r\nContent-Type: application/dicom; transfer-syntax={ELE}\r\nContent-Location: http://x/1\r\n\r\none"
    second = f"\r\n--{boundary}\r\nContent-Type: application/dicom; transfer-syntax=1.2.5\r\nContent-Location: http://x/2\r\n\r\ntwo"
    assert body.startswith((first + second).encode())
    assert body.endswith(f"\r\n--{boundary}--\r\n".encode())
    reader = MultipartReader(boundary.encode())
    events = list(reader.feed(body))
    reader.finish()
    assert len([event for event in events if isinstance(event, PartHeaders)]) == 3
    assert b"".join(event.data for event in events if isinstance(event, PartData)).endswith(b"3" * 100_000)


@pytest.mark.spec("WADO-21", "WADO-22", "D-21")
@pytest.mark.parametrize(
    ("body", "whole"), [(b"x" * 1024, True), (b"x" * 1024**2, True), (b"x" * (1024**2 + 1), False), (None, False)]
)
async def test_the_only_part_is_whole_where_it_is_small_and_at_hand(body, whole):
    response = one_part(Part(Encoding("application/dicom", ELE), "http://x/1", body or streamed(b"a", b"b")), 'W/"1"')
    content = response.body if whole else b"".join([chunk async for chunk in response.body])
    reader = MultipartReader(dict(response.headers)["Content-Type"].partition("boundary=")[2].encode())
    events = list(reader.feed(content))
    reader.finish()

    assert isinstance(response.body, bytes) == whole
    assert dict(response.headers)["ETag"] == 'W/"1"'
    assert [dict(event.headers)["content-location"] for event in events if isinstance(event, PartHeaders)] == [
        "http://x/1"
    ]
    assert b"".join(event.data for event in events if isinstance(event, PartData)) == (body or b"ab")


@pytest.mark.spec("WADO-28")
async def test_closing_an_answer_early_closes_what_it_reads_from():
    closed = []

    async def parts():
        try:
            while True:
                yield Part(Encoding("application/dicom", ELE), "http://x/1", b"one")
        finally:
            closed.append(True)

    body = several_parts("application/dicom", parts()).body
    await anext(body)
    await body.aclose()
    assert closed == [True]
