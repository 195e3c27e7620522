import asyncio
import itertools
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.dicom.reasons import FailureReason
from shared.dicomweb.versions import ApiVersion
from shared.errors import DependencyRefused, InvalidRequest, TooLarge, Unavailable, UnsupportedMedia
from shared.store.request import Multipart, SingleFile
from shared.store.response import store_response
from tests.builders.files import PATIENT_ID, file
from tests.builders.http import context
from tests.builders.images import image, multipart, new_uid
from tests.builders.store import BOUNDARY, StoreService

B = BOUNDARY.decode()
FILES = Multipart(BOUNDARY, "application/dicom")
INVALID, ALREADY_STORED = FailureReason.VALIDATION_FAILURE, FailureReason.ALREADY_STORED


def part(data, content_type="application/dicom"):
    head = "" if content_type is None else f"Content-Type: {content_type}\r\n"
    return f"--{B}\r\n{head}\r\n".encode() + data + b"\r\n"


def parts(*each):
    return b"".join(each) + f"--{B}--\r\n".encode()


@pytest.fixture
def service():
    return StoreService()


def failures(outcomes):
    return [outcome.failure for outcome in outcomes]


@pytest.mark.spec("STOW-1", "STOW-13", "CON-4")
async def test_a_file_is_stored_with_its_metadata(service):
    one = image()

    outcome = await service.store_one(one.data)

    assert outcome.failure is None
    assert outcome.identifier == one.identifier
    stored = await service.instance(one.identifier)
    assert stored.length == len(one.data)
    assert b'"00100020":{"vr":"LO"' in stored.metadata
    assert stored.frames.count == 1
    assert service.blobs.names() == [stored.blob]
    assert service.blobs.content(stored.blob) == one.data


@pytest.mark.spec("STOW-7", "STOW-34")
async def test_the_outcomes_are_in_the_order_of_the_request(service):
    files = [file(), file({PATIENT_ID: None}), file(), file()]

    outcomes = await service.store(*(one.data for one in files))

    assert [outcome.sop_instance_uid for outcome in outcomes] == [one.identifier.sop_instance_uid for one in files]
    assert failures(outcomes) == [None, INVALID, None, None]
    assert len(service.blobs.names()) == 3


@pytest.mark.spec("STOW-3", "STOW-7")
@pytest.mark.parametrize("content_type", ["image/jpeg", None, "nonsense"])
async def test_one_part_of_another_type_leaves_nothing_behind(service, content_type):
    body = parts(part(file().data), part(image(size=(3000, 4000)).data), part(b"...", content_type), part(file().data))

    with pytest.raises(UnsupportedMedia):
        await service.send(body, FILES)

    assert service.blobs.names() == []
    assert service.tables.requests == 0


@pytest.mark.spec("STOW-6")
async def test_a_body_that_is_cut_short_leaves_nothing_behind(service):
    body, _ = multipart([file().data, image(size=(3000, 4000)).data])

    with pytest.raises(InvalidRequest):
        await service.send(body[:-10], FILES)

    assert service.blobs.names() == []
    assert service.tables.requests == 0


@pytest.mark.spec("STOW-6")
async def test_a_client_that_goes_away_leaves_nothing_behind(service):
    async def body():
        yield parts(part(file().data), part(image(size=(3000, 4000)).data))[:-200]
        raise InvalidRequest("The client has cancelled the request.")

    with pytest.raises(InvalidRequest):
        await service.send(body(), FILES)

    assert service.blobs.names() == []


@pytest.mark.spec("STOW-8", "D-9", "P-4")
async def test_a_file_that_is_too_large_fails_the_whole_request():
    service = StoreService(max_file_bytes=5000)

    with pytest.raises(TooLarge):
        await service.store(file().data, image(size=(100, 100)).data, file().data)
    with pytest.raises(TooLarge):
        await service.store_one(image(size=(100, 100)).data)
    assert service.blobs.names() == []

    assert failures(await service.store(file().data, file().data)) == [None, None]


@pytest.mark.spec("STOW-8")
async def test_a_request_of_too_many_parts_is_refused(service, monkeypatch):
    monkeypatch.setattr("shared.store.parts.MAX_PARTS", 3)

    with pytest.raises(TooLarge):
        await service.store(*(file().data for _ in range(4)))
    assert failures(await service.store(*(file().data for _ in range(3)))) == [None] * 3


@pytest.mark.spec("STOW-11", "W-5", "D-37")
@pytest.mark.parametrize(
    "body", [f"--{B}--", f"--{B}--\r\n", f"--{B}\r\n\r\n--{B}--", f"--{B}\r\n\r\n\r\n--{B}--", f"--{B}\r\n--{B}--"]
)
@pytest.mark.parametrize("part_type", ["application/dicom", None])
async def test_no_part_or_one_bare_part_is_no_instance(service, body, part_type):
    assert await service.send(body.encode(), Multipart(BOUNDARY, part_type)) == []


@pytest.mark.spec("STOW-12", "W-5")
async def test_a_bare_first_part_counts_when_another_follows(service):
    body = parts(part(b"", None), part(file().data))

    assert failures(await service.send(body, FILES)) == [INVALID, None]

    with pytest.raises(UnsupportedMedia):
        await service.send(body, Multipart(BOUNDARY, None))


@pytest.mark.spec("STOW-12")
async def test_an_empty_file_is_a_failed_instance(service):
    assert (await service.store_one(b"")).failure == INVALID
    assert failures(await service.send(parts(part(b"")), FILES)) == [INVALID]


@pytest.mark.spec("STOW-4")
async def test_a_bare_part_with_bytes_takes_the_type_of_the_request(service):
    body = parts(part(file().data, None))

    assert failures(await service.send(body, FILES)) == [None]
    with pytest.raises(UnsupportedMedia):
        await service.send(body, Multipart(BOUNDARY, None))


BODY_FILES = [file().data, image(frames=3, syntax="1.2.840.10008.1.2.4.50").data, b"", b"nonsense", file().data[:-3]]
BODY = multipart(BODY_FILES)[0]


@pytest.mark.spec("STOW-6", "STOW-13")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=12))
def test_it_does_not_matter_where_the_body_is_cut(cuts):
    ends = [0, *sorted(cuts), len(BODY)]
    chunks = [BODY[start:end] for start, end in itertools.pairwise(ends)]

    async def run():
        service = StoreService()
        outcomes = await service.send(chunks, FILES)
        assert failures(outcomes) == [None, None, INVALID, INVALID, INVALID]
        assert {service.blobs.content(name) for name in service.blobs.names()} == set(BODY_FILES[:2])

    asyncio.run(run())


@pytest.mark.spec("STOW-13", "P-4")
async def test_it_does_not_matter_if_every_byte_comes_alone(service):
    one = file()

    assert failures(await service.send(multipart([one.data])[0], FILES, chunk=1)) == [None]
    assert await service.content(one.identifier) == one.data


@pytest.mark.spec("STOW-14", "D-10", "P-6")
@pytest.mark.parametrize("chunk", [50, 100, 131, 4096])
async def test_the_preamble_is_cleared_unless_the_setting_keeps_it(chunk):
    one = file(preamble=bytes(range(128)))

    clearing, keeping = StoreService(), StoreService(clear_preamble=False)
    for service in (clearing, keeping):
        await service.send(one.data, SingleFile(), chunk=chunk)

    assert await clearing.content(one.identifier) == bytes(128) + one.data[128:]
    assert await keeping.content(one.identifier) == one.data


@pytest.mark.spec("STOW-40")
async def test_of_the_same_instance_twice_the_first_wins(service):
    uids = {"study": new_uid(), "series": new_uid(), "sop_instance": new_uid()}
    first, second = file(**uids), file({0x00081030: "Second"}, **uids)

    outcomes = await service.store(first.data, file().data, second.data, second.data)

    assert failures(outcomes) == [None, None, ALREADY_STORED, ALREADY_STORED]
    assert outcomes[2].warning is None
    assert await service.content(first.identifier) == first.data
    assert len(service.blobs.names()) == 2


@pytest.mark.spec("STOW-33", "CON-1")
async def test_an_instance_that_exists_is_refused_and_its_blob_removed(service):
    one = image()
    await service.store_one(one.data)
    [before] = service.blobs.names()

    for version in ApiVersion:
        outcome = await service.again().store_one(file(**_uids(one)).data, version=version)
        assert outcome.failure == ALREADY_STORED
        assert outcome.comments == ()

    assert service.blobs.names() == [before]
    assert await service.content(one.identifier) == one.data


def _uids(one):
    identifier = one.identifier
    return {
        "study": identifier.study_instance_uid,
        "series": identifier.series_instance_uid,
        "sop_instance": identifier.sop_instance_uid,
    }


@pytest.mark.spec("PUT-1", "PUT-2", "CON-2")
async def test_put_replaces_an_instance_every_time(service):
    one = image()
    versions = []
    for number in range(4):
        new = file({0x00081030: f"Version {number}"}, **_uids(one))
        assert (await service.store_one(new.data, replace=True)).failure is None
        assert await service.content(one.identifier) == new.data
        versions.append((await service.instance(one.identifier)).version)

    assert versions == sorted(set(versions))


@pytest.mark.spec("EXP-1")
async def test_a_study_expires_as_the_last_store_says(service):
    from datetime import UTC, datetime

    study = new_uid()
    when = datetime(2030, 1, 1, tzinfo=UTC)
    from tests.builders.service import PARTITION

    await service.store_one(file(study=study).data, expires=when)
    assert (await service.lookup.study(PARTITION, study)).expires == when
    await service.store_one(file(study=study).data)
    assert (await service.lookup.study(PARTITION, study)).expires is None


async def generated(size):
    """A multipart body with one native image of `size` bytes of pixels, made while it is read."""
    one = image(size=(2, 2), bits=16)
    head = one.data[: -len(one.frames[0])]
    at = head.rindex(b"\xe0\x7f\x10\x00OW\x00\x00") + 8
    head = head[:at] + size.to_bytes(4, "little")
    yield f"--{B}\r\nContent-Type: application/dicom\r\n\r\n".encode() + head
    chunk = bytes(64 * 1024)
    for _ in range(size // len(chunk)):
        yield chunk
    yield f"\r\n--{B}--\r\n".encode()


class Sink:
    """A blob store that forgets what it is given."""

    def __init__(self, blobs):
        self._blobs = blobs

    async def stage_block(self, name, block, data):
        await asyncio.sleep(0)

    async def commit_blocks(self, name, blocks, length, metadata):
        return await self._blobs.write_blob(name, b"", metadata)

    async def write_blob(self, name, data, metadata):
        return await self._blobs.write_blob(name, b"", metadata)


def forgetful(service):
    from shared.storage.blob_upload import StagedUpload

    sink = Sink(service.blobs)
    service.blobs.upload = lambda name: StagedUpload(sink, name)
    return service


async def peak_of(call):
    tracemalloc.start()
    try:
        result = await call
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.spec("P-4", "STOW-7")
async def test_a_large_file_takes_little_memory(service):
    outcomes, peak = await peak_of(forgetful(service).send(generated(200 * 1024**2), FILES))

    assert failures(outcomes) == [None]
    assert peak < 64 * 1024**2


async def many(count, size):
    for _ in range(count):
        yield part(file({0x7FE00010: ("OB", bytes(size))}).data)
    yield parts()


@pytest.mark.spec("P-4", "STOW-7")
async def test_many_small_files_take_little_memory(service):
    outcomes, peak = await peak_of(forgetful(service).send(many(100, 1024**2), FILES))

    assert failures(outcomes) == [None] * 100
    assert peak < 80 * 1024**2


# ------------------------------------------------------------------------------------------------- stores that fail


def failing(kind, operation, error, *, times=1, skip=0):
    """A hook that raises `error` at some requests."""
    count = iter(range(10**9))

    async def hook(*seen):
        if seen == (kind, operation) and skip <= next(count) < skip + times:
            raise error

    return hook


@pytest.mark.spec("STOW-33")
async def test_a_fault_of_one_instance_is_its_own(service):
    files = [file() for _ in range(3)]
    service.blobs.before = failing("blob", "put", RuntimeError("a fault"), skip=1)

    outcomes = await service.store(*(one.data for one in files))

    assert failures(outcomes) == [None, FailureReason.PROCESSING_FAILURE, None]


@pytest.mark.spec("STOW-33")
async def test_a_fault_of_the_index_is_sought_instance_by_instance(service):
    files = [file() for _ in range(3)]
    commit = service.index.commit

    async def trips(partition, entries, **options):
        if any(entry.identifier == files[1].identifier for entry in entries):
            raise RuntimeError("a fault")
        return await commit(partition, entries, **options)

    service.index.commit = trips

    outcomes = await service.store(*(one.data for one in files))

    assert failures(outcomes) == [None, FailureReason.PROCESSING_FAILURE, None]


async def test_when_storage_is_away_the_request_fails_as_a_whole(service):
    service.blobs.before = failing("blob", "put", Unavailable("away"), times=10)

    with pytest.raises(Unavailable):
        await service.store(file().data, file().data)


@pytest.mark.spec("STOW-44")
@pytest.mark.parametrize("where", ["blobs", "tables"])
async def test_when_access_to_storage_is_withdrawn_the_request_fails_as_a_whole(service, where):
    async def refuse(*_):
        raise DependencyRefused("refused")

    getattr(service, where).before = refuse
    with pytest.raises(DependencyRefused):
        await service.store(file().data, file().data)


@pytest.mark.spec("STOW-44")
async def test_what_was_stored_before_access_was_withdrawn_stays_and_is_told(service):
    service.blobs.before = failing("blob", "put", DependencyRefused("refused"), skip=1)
    assert failures(await service.store(file().data, file().data)) == [None, FailureReason.PROCESSING_FAILURE]


async def test_when_storage_fails_for_some_the_others_are_stored(service):
    service.blobs.before = failing("blob", "put", Unavailable("away"))

    assert failures(await service.store(file().data, file().data)) == [FailureReason.PROCESSING_FAILURE, None]


@pytest.mark.spec("STOW-33")
async def test_when_the_index_fails_for_one_study_the_others_are_stored_and_its_file_stays(service):
    files = [file() for _ in range(3)]
    commit, away = service.tables.commit, True

    async def fails(kind, operations):
        if away and files[1].identifier.study_instance_uid in operations[0].partition_key:
            raise Unavailable("away")
        await commit(kind, operations)

    service.tables.commit = fails

    outcomes = await service.store(*(one.data for one in files))

    assert failures(outcomes) == [None, FailureReason.PROCESSING_FAILURE, None]
    assert store_response(outcomes, context()).status == 202
    assert len(service.blobs.names()) == 3

    away = False
    for name in service.blobs.names():
        await service.ingest.ensure(name)
    assert [await service.content(one.identifier) for one in files] == [one.data for one in files]


async def test_a_repeated_instance_shares_the_fate_of_the_first(service):
    one = file()
    service.blobs.before = failing("blob", "put", RuntimeError("a fault"))

    outcomes = await service.store(one.data, one.data)

    assert failures(outcomes) == [FailureReason.PROCESSING_FAILURE] * 2
