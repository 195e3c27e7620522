import logging
from datetime import UTC, datetime

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.reasons import FailureReason
from shared.dicomweb.versions import ApiVersion
from shared.errors import Unavailable
from shared.index import documents
from shared.index.model import CommitOutcome
from shared.index_schema import blob_names
from shared.ingest.store_options import StoreOptions
from shared.storage.ports import Ambiguous
from tests.builders.files import MODALITY, PATIENT_ID, STUDY_DATE, file
from tests.builders.images import JPEG, image, new_uid
from tests.builders.service import PARTITION, Time
from tests.builders.store import StoreService

ALREADY_STORED = FailureReason.ALREADY_STORED


async def test_a_write_without_an_answer_is_found_out():
    service = StoreService()
    lost = iter([True, False] * 100)

    async def lose(*_):
        if next(lost):
            raise Ambiguous("no answer")

    service.tables.after = lambda kind, operation: lose() if operation == "commit" else _nothing()
    one = file()

    assert (await service.store_one(one.data)).failure is None
    assert await service.content(one.identifier) == one.data


async def _nothing():
    return None


# -------------------------------------------------------------------------------------------------- the blob trigger


async def uncommitted(service, one, **terms):
    """A blob as a process that died before its commit leaves it."""
    name = blob_names.blob_name("0", one.identifier, blob_names.new_upload_id(int(service.time() * 1000)))
    await service.blobs.put(name, one.data, StoreOptions(**({"version": ApiVersion.V2} | terms)).blob_metadata())
    return name


@pytest.mark.spec("P-2")
async def test_an_event_of_an_indexed_instance_costs_one_read():
    service = StoreService()
    await service.store_one(file().data)
    [name] = service.blobs.names()
    other = service.again()
    await other.ingest.ensure(name)
    tables, blobs = service.tables.requests, service.blobs.requests

    await other.ingest.ensure(name)

    assert service.tables.requests - tables == 1
    assert service.blobs.requests == blobs


@pytest.mark.spec("P-2")
async def test_events_of_files_that_this_process_stored_or_refused_cost_nothing():
    service, stored = StoreService(), file()
    await service.store_one(stored.data)
    [name] = service.blobs.names()
    written: list[str] = [name]
    original = service.blobs.delete

    async def delete(blob: str) -> bool:
        written.append(blob)
        return await original(blob)

    service.blobs.delete = delete
    await service.store_one(stored.data)
    assert len(set(written)) > 1
    tables, blobs = service.tables.requests, service.blobs.requests

    for each in written:
        await service.ingest.ensure(each)

    assert (service.tables.requests, service.blobs.requests) == (tables, blobs)


@pytest.mark.spec("P-2", "PUT-1", "EXP-1")
async def test_the_terms_of_the_request_outlive_the_process():
    service, when = StoreService(), datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    one = file({MODALITY: "ct"})
    await service.ingest.ensure(await uncommitted(service, one, version=ApiVersion.V1, expires=when))

    stored = await service.instance(one.identifier)
    assert b'"00080060"' in stored.metadata
    assert (await service.lookup.study(PARTITION, one.identifier.study_instance_uid)).expires == when

    service.time.seconds += 1
    again = await uncommitted(service, one, replace=True)
    await service.ingest.ensure(again)
    stored = await service.instance(one.identifier)
    assert stored.blob == again
    assert b'"00080060"' not in stored.metadata


@pytest.mark.spec("P-2")
async def test_a_young_blob_is_left_to_its_transaction_for_a_moment():
    service = StoreService()
    one = file()
    name = await uncommitted(service, one)
    committed = []

    async def pause(seconds):
        committed.append(await service.instance(one.identifier))
        service.time.seconds += seconds

    service.ingest._pause = pause
    await service.ingest.ensure(name)

    assert committed == [None]
    assert await service.content(one.identifier) == one.data

    old = await uncommitted(service, other := file())
    service.time.seconds += 60
    await service.ingest.ensure(old)
    assert len(committed) == 1
    assert await service.content(other.identifier) == other.data


@pytest.mark.spec("P-2")
async def test_a_late_event_of_a_deleted_instance_changes_nothing():
    service = StoreService()
    one = file()
    await service.store_one(one.data)
    [name] = service.blobs.names()
    await service.index.delete(PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    postings = service.tables.rows("idxi")

    await service.again().ingest.ensure(name)

    assert await service.instance(one.identifier) is None
    assert service.blobs.names() == [name]
    assert service.tables.rows("idxi") == postings  # not even written anew: after the clean-up they would stay


@pytest.mark.spec("P-2", "PUT-2")
async def test_a_late_event_of_a_replaced_version_changes_nothing():
    service = StoreService()
    one = file()
    await service.store_one(one.data)
    [old] = service.blobs.names()
    await service.store_one(one.data, replace=True)
    current = (await service.instance(one.identifier)).blob

    await service.again().ingest.ensure(old)

    assert (await service.instance(one.identifier)).blob == current
    assert set(service.blobs.names()) == {old, current}


@pytest.mark.spec("P-2")
async def test_a_blob_that_is_gone_is_no_failure():
    service = StoreService()

    await service.ingest.ensure(blob_names.blob_name("0", file().identifier, blob_names.new_upload_id(1)))
    await service.ingest.ensure("dropped.dcm")

    assert service.tables.rows("dicom") == []


@pytest.mark.spec("P-2")
@pytest.mark.parametrize("name", ["box/one.dcm", "one", "ä b/%2F.dcm"])
async def test_a_dropped_file_is_indexed_where_it_lies(name):
    service = StoreService()
    one = image(frames=3, syntax=JPEG)
    service.blobs.drop(name, one.data)

    for _ in range(2):
        await service.ingest.ensure(name)

    stored = await service.instance(one.identifier)
    assert stored.blob == name
    assert stored.frames.count == 3
    assert service.blobs.names() == [name]


@pytest.mark.spec("P-2")
async def test_the_second_event_of_a_dropped_file_does_not_read_it_all():
    service = StoreService()
    one = image(frames=40, size=(500, 500))
    service.blobs.drop("one.dcm", one.data)
    await service.ingest.ensure("one.dcm")
    tables = service.tables.requests

    await service.again().ingest.ensure("one.dcm")

    assert service.tables.requests - tables <= 2


@pytest.mark.spec("P-2", "CON-1")
async def test_a_dropped_file_that_is_stored_already_is_left_alone(caplog):
    service = StoreService()
    one = file()
    await service.store_one(one.data)
    before = await service.instance(one.identifier)
    service.blobs.drop("patient-name.dcm", one.data)

    with caplog.at_level(logging.WARNING):
        await service.ingest.ensure("patient-name.dcm")

    assert await service.instance(one.identifier) == before
    assert "patient-name.dcm" in service.blobs.names()
    assert "already-stored" in caplog.text
    assert "patient-name" not in caplog.text


@pytest.mark.spec("P-2")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-readable"),
        (b"nonsense" * 1000, "not-readable"),
        (file().data[:-3], "not-readable"),
        (file({PATIENT_ID: None}).data, "validation"),
    ],
)
async def test_a_dropped_file_that_cannot_be_stored_is_reported_and_left_alone(caplog, data, reason):
    service = StoreService()
    service.blobs.drop("patient-name.dcm", data)

    with caplog.at_level(logging.WARNING):
        await service.ingest.ensure("patient-name.dcm")

    assert reason in caplog.text
    assert "patient-name" not in caplog.text
    assert service.blobs.names() == ["patient-name.dcm"]
    assert service.tables.rows("dicom") == []


@pytest.mark.spec("P-2", "VAL-6")
async def test_a_dropped_file_is_judged_by_the_rules_of_v2():
    service = StoreService()
    one = file({STUDY_DATE: "NotADate"})
    service.blobs.drop("one.dcm", one.data)

    await service.ingest.ensure("one.dcm")

    assert b'"00080020"' not in (await service.instance(one.identifier)).metadata


@pytest.mark.spec("P-2")
async def test_a_file_under_the_name_of_another_instance_is_never_removed():
    service = StoreService()
    one, other = file(), file()
    await service.store_one(one.data)
    name = blob_names.blob_name("0", other.identifier, blob_names.new_upload_id(1))
    service.blobs.drop(name, one.data)

    await service.ingest.ensure(name)

    assert name in service.blobs.names()
    assert await service.instance(other.identifier) is None


@pytest.mark.spec("P-2")
async def test_what_lies_beside_a_file_and_blobs_of_unknown_partitions_are_no_instances(caplog):
    service = StoreService(metadata_inline=False)
    one = file()
    await service.store_one(one.data)
    [_, beside] = service.blobs.names()
    assert beside.endswith(".json")
    requests = service.tables.requests

    await service.ingest.ensure(beside)
    assert service.tables.requests == requests

    foreign = blob_names.blob_name("nosuchspace0", one.identifier, blob_names.new_upload_id(1))
    service.blobs.drop(foreign, one.data)
    with caplog.at_level(logging.WARNING):
        await service.ingest.ensure(foreign)
    assert "unknown-partition" in caplog.text
    assert foreign in service.blobs.names()


@pytest.mark.spec("P-2")
@pytest.mark.parametrize("outcome", [CommitOutcome.BUSY, CommitOutcome.UNAVAILABLE])
async def test_an_instance_that_cannot_be_committed_now_is_tried_again(outcome):
    service = StoreService()
    service.blobs.drop("one.dcm", file().data)

    async def busy(partition, entries, **_):
        return [outcome for _ in entries]

    service.index.commit = busy

    with pytest.raises(Unavailable):
        await service.ingest.ensure("one.dcm")


# ------------------------------------------------------------------------------------------- outcomes of the index


@pytest.mark.spec("STOW-33", "PUT-4", "STOW-42")
@pytest.mark.parametrize(
    ("outcome", "failure", "blobs"),
    [
        (CommitOutcome.STORED, None, 1),
        (CommitOutcome.DELETED, None, 1),
        (CommitOutcome.ALREADY_STORED, ALREADY_STORED, 0),
        (CommitOutcome.BUSY, FailureReason.CREATION_PENDING, 1),
    ],
)
async def test_what_the_index_says_is_the_answer(outcome, failure, blobs):
    service = StoreService()

    async def commit(partition, entries, **options):
        return [outcome for _ in entries]

    service.index.commit = commit

    assert (await service.store_one(file().data)).failure == failure
    assert len(service.blobs.names()) == blobs


async def test_an_index_that_does_not_answer_leaves_the_file_to_the_trigger():
    service = StoreService()

    async def unavailable(kind, operation):
        raise Unavailable("away")

    service.tables.before = unavailable
    one = file()
    with pytest.raises(Unavailable):
        await service.store_one(one.data)

    service.tables.before = None
    [name] = service.blobs.names()
    await service.ingest.ensure(name)
    assert await service.content(one.identifier) == one.data


async def test_metadata_beyond_the_budget_wait_beside_their_files(monkeypatch):
    from shared.ingest import store_batch

    monkeypatch.setattr(store_batch, "_PLAIN_DOCUMENTS", 3000)
    monkeypatch.setattr(store_batch, "_HELD_DOCUMENTS", 5000)
    monkeypatch.setattr(store_batch, "HELD_BYTES", 5000)
    service = StoreService()
    study = new_uid()
    files = [file(study=study) for _ in range(30)]

    outcomes = await service.store(*(one.data for one in files))

    assert {outcome.failure for outcome in outcomes} == {None}
    documents_in = [name for name in service.blobs.names() if name.endswith(".json")]
    assert 0 < len(documents_in) < 30
    for one in files:
        metadata = await documents.read_metadata(await service.instance(one.identifier), service.blobs)
        assert one.identifier.sop_instance_uid.encode() in metadata


async def test_a_store_takes_few_requests_and_a_batch_fewer_for_each_instance():
    service = StoreService()
    known = new_uid()
    await service.store(file(study=known).data)

    async def requests(*files):
        before = service.tables.requests + service.blobs.requests
        await service.store(*(one.data for one in files))
        return service.tables.requests + service.blobs.requests - before

    study = new_uid()
    assert await requests(file()) <= 9
    assert await requests(file(study=known)) <= 7
    assert await requests(*(file(study=study) for _ in range(10))) <= 20


def test_upload_ids_of_one_process_ascend():
    service = StoreService(time=Time())

    ids = [service.ingest._new_upload_id() for _ in range(100)]
    service.time.seconds -= 10
    ids += [service.ingest._new_upload_id() for _ in range(100)]

    assert ids == sorted(set(ids))
