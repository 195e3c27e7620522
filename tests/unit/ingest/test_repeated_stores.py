"""Instances that are stored again: their refusal sends nothing, and loses nothing when they are deleted meanwhile."""

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.reasons import FailureReason
from shared.errors import Unavailable
from shared.ingest.repeated_stores import RepeatedStores
from shared.storage import blob_upload
from shared.store.request import SingleFile
from tests.builders.files import PATIENT_ID, file
from tests.builders.images import new_uid
from tests.builders.service import PARTITION
from tests.builders.store import StoreService

ALREADY_STORED = FailureReason.ALREADY_STORED


class Repeated:
    """A service that has stored files of one study, and has refused the first of them since."""

    def __init__(self, files) -> None:
        self.service = StoreService()
        self.files = files
        self.deleted = False

    async def prepare(self) -> "Repeated":
        await self.service.store(*(one.data for one in self.files))
        assert (await self.service.store_one(self.files[0].data)).failure is ALREADY_STORED
        return self

    async def requests(self, *files, **options):
        """The outcomes of a store, and its requests to tables and blobs."""
        tables, blobs = self.service.tables.requests, self.service.blobs.requests
        outcomes = await self.service.store(*(one.data for one in files), **options)
        failures = [outcome.failure for outcome in outcomes]
        return failures, self.service.tables.requests - tables, self.service.blobs.requests - blobs

    async def delete(self, one) -> None:
        scope = ResourceIdentifier(*_uids(one.identifier))
        assert await self.service.index.delete(PARTITION, scope) == 1

    def interrupted(self, one, then, *, at: float = 0.5):
        """The bytes of a file in small pieces; `then` runs when so much of them has been sent."""

        async def body():
            step = max(len(one.data) // 16, 1)
            for start in range(0, len(one.data), step):
                if not self.deleted and start >= at * len(one.data):
                    self.deleted = True
                    await then(one)
                yield one.data[start : start + step]

        return body()


def _uids(identifier):
    return identifier.study_instance_uid, identifier.series_instance_uid, identifier.sop_instance_uid


def slice_of(study: str):
    """A file whose pixels come long after its UIDs."""
    return file({0x7FE00010: ("OW", bytes(4096))}, study=study)


async def repeated(count: int = 3) -> Repeated:
    study = new_uid()
    return await Repeated([slice_of(study) for _ in range(count)]).prepare()


@pytest.fixture
def small_uploads(monkeypatch):
    """Files of some kilobytes are too large for one request: they are sent while they arrive."""
    from shared.ingest import repeated_stores

    for module in (blob_upload, repeated_stores):
        monkeypatch.setattr(module, "SINGLE_PUT_BYTES", 64)
    monkeypatch.setattr(blob_upload, "BLOCK_BYTES", 32)


@pytest.mark.spec("STOW-49")
async def test_after_a_refusal_the_next_ones_of_the_study_cost_one_request_each():
    state = await repeated()

    failures, tables, blobs = await state.requests(*state.files[1:])

    assert failures == [ALREADY_STORED] * 2
    assert (tables, blobs) == (2, 0)
    assert len(state.service.blobs.names()) == 3


@pytest.mark.spec("STOW-49")
async def test_the_first_that_is_not_there_costs_one_request_more_and_ends_the_looking(monkeypatch):
    state, other = await repeated(), await repeated()
    study = state.files[0].identifier.study_instance_uid

    first = await state.requests(slice_of(study))
    second = await state.requests(slice_of(study))

    monkeypatch.setattr(RepeatedStores, "expected", lambda *_: False)
    study = other.files[0].identifier.study_instance_uid
    [failures], tables, blobs = await other.requests(slice_of(study))
    assert first == ([failures], tables + 1, blobs)
    assert second == await other.requests(slice_of(study))


@pytest.mark.spec("PUT-1")
async def test_put_replaces_after_a_refusal():
    state = await repeated()
    one = state.files[1]
    before = await state.service.instance(one.identifier)

    failures, _, _ = await state.requests(one, replace=True)

    assert failures == [None]
    assert (await state.service.instance(one.identifier)).version > before.version


@pytest.mark.spec("STOW-49")
async def test_an_instance_that_is_deleted_while_it_is_sent_again_is_stored():
    state = await repeated()
    one = state.files[1]

    outcome = await state.service.send(state.interrupted(one, state.delete), SingleFile())

    assert [each.failure for each in outcome] == [None]
    assert await state.service.content(one.identifier) == one.data


@pytest.mark.spec("STOW-49")
@pytest.mark.usefixtures("small_uploads")
async def test_a_large_file_that_is_stored_is_not_sent_while_it_arrives():
    state = await repeated()

    failures, tables, blobs = await state.requests(state.files[1])

    assert failures == [ALREADY_STORED]
    assert (tables, blobs) == (2, 0)


@pytest.mark.spec("STOW-49")
@pytest.mark.usefixtures("small_uploads")
async def test_a_large_file_whose_instance_is_deleted_after_its_bytes_were_dropped_has_to_be_sent_again():
    state = await repeated()
    one = state.files[1]

    with pytest.raises(Unavailable):
        await state.service.send(state.interrupted(one, state.delete, at=0.9), SingleFile())

    assert await state.service.content(one.identifier) is None
    [outcome] = await state.service.send(one.data, SingleFile())
    assert outcome.failure is None
    assert await state.service.content(one.identifier) == one.data


@pytest.mark.spec("STOW-49")
@pytest.mark.usefixtures("small_uploads")
async def test_a_large_file_that_is_not_stored_after_all_is_stored_whole():
    state = await repeated()
    new = slice_of(state.files[0].identifier.study_instance_uid)

    failures, _, _ = await state.requests(new)

    assert failures == [None]
    assert await state.service.content(new.identifier) == new.data


@pytest.mark.spec("STOW-49")
async def test_files_that_would_wait_as_staged_blocks_are_looked_for_instead(monkeypatch):
    from shared.ingest import store_batch

    monkeypatch.setattr(store_batch, "HELD_BYTES", 1)
    state = await repeated()

    failures, tables, blobs = await state.requests(*state.files[1:])

    assert failures == [ALREADY_STORED] * 2
    assert (tables, blobs) == (4, 0)


@pytest.mark.spec("STOW-49")
async def test_a_look_that_is_not_answered_makes_the_store_unavailable():
    state = await repeated()

    async def unavailable(kind, operation):
        raise Unavailable("away")

    state.service.tables.before = unavailable
    with pytest.raises(Unavailable):
        await state.service.store_one(state.files[1].data)


@pytest.mark.spec("STOW-49")
async def test_an_instance_that_fails_validation_costs_no_request():
    state = await repeated(1)

    failures, tables, blobs = await state.requests(file({PATIENT_ID: None}))

    assert failures == [FailureReason.VALIDATION_FAILURE]
    assert (tables, blobs) == (0, 0)
