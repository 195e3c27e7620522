"""Stores of metadata and bulk data: the parts of the request, and what becomes of each instance."""

import orjson
import pytest

from shared.dicom.part10.file_reader import Part10Reader
from shared.dicom.reasons import FailureReason
from shared.dicomweb import xml_model
from shared.errors import InvalidRequest, TooLarge, UnsupportedMedia
from shared.store import bulk_spool, composition
from shared.store.request import MetadataAndBulkData
from tests.builders.images import ELE, JPEG, image
from tests.builders.store import BOUNDARY, StoreService

JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"

pytestmark = pytest.mark.spec("STOW-16")


@pytest.fixture
def service():
    return StoreService()


def part(data, media_type=None, location=None):
    head = f"Content-Type: {media_type}\r\n" if media_type else ""
    head += f"Content-Location: {location}\r\n" if location else ""
    return b"--" + BOUNDARY + b"\r\n" + head.encode() + b"\r\n" + data + b"\r\n"


def body(*parts):
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def metadata_of(one, uri="bulk/1"):
    reader = Part10Reader(strict=False)
    reader.feed(one.data)
    file = reader.finish()
    dataset = orjson.loads(orjson.dumps({**file.attributes, **file.file_meta}))
    if "7FE00010" in dataset:
        dataset["7FE00010"]["BulkDataURI"] = uri
    return dataset


async def send(service, *parts, kind=JSON, **options):
    return await service.send(body(*parts), MetadataAndBulkData(BOUNDARY, kind), **options)


async def test_an_instance_is_composed_and_goes_the_way_of_all_files(service):
    one = image(frames=3)
    [outcome] = await send(
        service, part(orjson.dumps([metadata_of(one)]), JSON), part(b"".join(one.frames), OCTETS, "bulk/1")
    )
    assert outcome.failure is None
    assert outcome.identifier == one.identifier
    stored = await service.instance(one.identifier)
    assert stored.transfer_syntax_uid == ELE
    assert stored.frames.count == 3
    file = await service.content(one.identifier)
    assert file[stored.frames.first :] == b"".join(one.frames)


async def test_xml_comes_in_one_part_for_each_data_set(service):
    images = [image(), image(syntax=JPEG, frames=2)]
    parts = [part(xml_model.dumps(metadata_of(one, f"b{n}")), XML) for n, one in enumerate(images)]
    parts += [part(images[1].frames[0], "image/jpeg", "b1"), part(images[0].frames[0], OCTETS, "b0")]
    outcomes = await send(service, *parts, part(images[1].frames[1], "image/jpeg", "b1"), kind=XML)
    assert [outcome.identifier for outcome in outcomes] == [one.identifier for one in images]
    stored = await service.instance(images[1].identifier)
    assert (stored.transfer_syntax_uid, stored.frames.count) == (JPEG, 2)


async def test_an_array_may_hold_several_instances_that_share_a_value(service):
    images = [image(), image()]
    array = orjson.dumps([metadata_of(one) for one in images])
    outcomes = await send(service, part(array), part(images[0].frames[0], OCTETS, "bulk/1"))
    assert [outcome.failure for outcome in outcomes] == [None, None]


async def test_the_bytes_that_instances_share_are_bounded(service, monkeypatch):
    monkeypatch.setattr(bulk_spool, "_FREE", 0)
    images = [image() for _ in range(6)]
    array = orjson.dumps([metadata_of(one) for one in images])
    outcomes = await send(service, part(array), part(images[0].frames[0], OCTETS, "bulk/1"))
    refused = FailureReason.OUT_OF_RESOURCES
    assert [outcome.failure for outcome in outcomes] == [None] * 4 + [refused] * 2
    assert outcomes[4].comments == ("The metadata refer to the bulk values of the request too often.",)


async def test_a_missing_value_fails_its_instance_alone(service):
    good, bad = image(frames=0), image()
    array = orjson.dumps([metadata_of(bad, "http://192.0.2.1/elsewhere"), metadata_of(good)])
    outcomes = await send(service, part(array, JSON))
    assert [outcome.failure for outcome in outcomes] == [FailureReason.CANNOT_UNDERSTAND, None]
    assert outcomes[0].sop_instance_uid == bad.identifier.sop_instance_uid
    assert outcomes[0].sop_class_uid == metadata_of(bad)["00080016"]["Value"][0]
    assert await service.instance(bad.identifier) is None


async def test_what_is_composed_is_validated_like_any_file(service):
    one = image(frames=0)
    wrong = {**metadata_of(one), "0020000D": {"vr": "UI", "Value": ["abc"]}}
    [outcome] = await send(service, part(orjson.dumps(wrong), JSON))
    assert outcome.failure is FailureReason.VALIDATION_FAILURE
    [outcome] = await send(service, part(orjson.dumps(metadata_of(one)), JSON), study="1.2.3")
    assert outcome.failure is FailureReason.VALIDATION_FAILURE
    [outcome] = await send(service, part(b"{/* nothing */}", JSON))
    assert outcome.failure is FailureReason.VALIDATION_FAILURE


@pytest.mark.spec("STOW-40")
async def test_the_same_instance_twice_is_stored_once(service):
    dataset = metadata_of(image(frames=0))
    outcomes = await send(service, part(orjson.dumps([dataset, dataset]), JSON))
    assert [outcome.failure for outcome in outcomes] == [None, FailureReason.ALREADY_STORED]


@pytest.mark.spec("STOW-11", "W-5")
async def test_no_data_sets_are_no_instances(service):
    assert await send(service, part(b"[]", JSON)) == []
    assert await send(service, part(b"")) == []
    assert await send(service) == []


@pytest.mark.parametrize(
    ("kind", "first"),
    [(JSON, (b"[]", XML)), (XML, (b"[]", JSON)), (JSON, (b"x", "application/dicom")), (JSON, (b"x", OCTETS, "b"))],
)
async def test_the_first_part_is_metadata_of_the_kind_that_the_request_names(service, kind, first):
    with pytest.raises(UnsupportedMedia):
        await send(service, part(*first), kind=kind)


@pytest.mark.parametrize("later", [(b"x", "application/dicom"), (b"x", XML), (b"x", None, "b")])
async def test_later_parts_are_metadata_or_bulk_values(service, later):
    with pytest.raises(UnsupportedMedia):
        await send(service, part(b"[]", JSON), part(*later))


@pytest.mark.parametrize(
    "parts",
    [
        [part(b"[", JSON)],
        [part(b"", JSON)],
        [part(b"[1]", JSON)],
        [part(b"[]", JSON), part(b"x", OCTETS)],
    ],
)
async def test_what_cannot_be_read_is_refused_as_a_whole(service, parts):
    with pytest.raises(InvalidRequest):
        await send(service, part(orjson.dumps([metadata_of(image(frames=0))]), JSON), *parts)
    assert service.blobs.names() == []


async def test_memory_is_bounded_and_large_values_wait_on_disk(service, monkeypatch):
    monkeypatch.setattr(bulk_spool, "_HELD", 1000)
    monkeypatch.setattr(bulk_spool, "_PIECE", 700)
    one = image(size=(100, 30), bits=16)
    dataset = part(orjson.dumps(metadata_of(one)), JSON)
    [outcome] = await send(service, dataset, part(one.frames[0], OCTETS, "bulk/1"), chunk=300)
    assert outcome.failure is None
    assert (await service.content(one.identifier)).endswith(one.frames[0])
    monkeypatch.setattr(composition, "_MAX_METADATA", 100)
    with pytest.raises(TooLarge):
        await send(service, dataset)


async def test_a_value_or_a_file_beyond_the_limit_is_refused():
    service = StoreService(max_file_bytes=3000)
    one = image(size=(100, 30))
    dataset = part(orjson.dumps(metadata_of(one)), JSON)
    for size in (2900, 3001):
        with pytest.raises(TooLarge):
            await send(service, dataset, part(bytes(size), OCTETS, "bulk/1"))
    assert service.blobs.names() == []
