"""The process dies at any request of a store, and another one makes it good (storage §5)."""

import orjson
import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.index import documents
from shared.index_schema import blob_names
from tests.builders.files import file
from tests.builders.images import JPEG, image, new_uid
from tests.builders.service import PARTITION
from tests.builders.store import StoreService


class Crash(BaseException):
    """The process is gone."""


class Killer:
    """Kills the process at the n-th request to any store: before it is sent, or before its answer arrives."""

    def __init__(self, service, at, *, answered):
        self._requests = 0
        self._at = at
        self.dead = False
        for store in (service.tables, service.blobs):
            store.before = self._before
            store.after = self._after if not answered else None
        self._kill_before = answered

    async def _before(self, *_):
        if self.dead:
            raise Crash
        self._requests += 1
        if self._kill_before and self._requests > self._at:
            self.dead = True
            raise Crash

    async def _after(self, *_):
        if self.dead or self._requests > self._at:
            self.dead = True
            raise Crash


async def survives(service, call):
    """Whether `call` got through before the process was killed."""
    try:
        await call
    except Crash:
        return False
    return True


async def recover(service):
    """Another process gets the events of all blobs, some of them twice."""
    for store in (service.tables, service.blobs):
        store.before = store.after = None
    other = service.again()
    for name in [*service.blobs.names(), *service.blobs.names()[:2]]:
        await other.ingest.ensure(name)
    return other


async def live_blobs(service, studies):
    """What the rows of `studies` name, files and what is beside them; each instance is whole."""
    named = set()
    for study in studies:
        view = await service.lookup.study(PARTITION, study)
        found = await service.lookup.instances(PARTITION, ResourceIdentifier(study), metadata=True)
        assert len(found) == (view.instances if view else 0)
        for stored in found:
            assert len(service.blobs.content(stored.blob)) == stored.length
            assert orjson.loads(await documents.read_metadata(stored, service.blobs))["00100020"]
            named.add(stored.blob)
            if stored.metadata is None:
                named.add(blob_names.metadata_blob(stored.blob))
            if stored.frames_in_blob:
                [(start, end)] = await documents.read_frame_ranges(stored, service.blobs, [stored.frames_in_blob - 1])
                assert start < end <= stored.length
                named.add(blob_names.frames_blob(stored.blob))
    return named


@pytest.mark.spec("P-2", "STOW-42", "STOW-45")
@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("inline", [True, False])
async def test_a_store_that_is_killed_anywhere_leaves_each_instance_whole_or_absent(answered, inline):
    study = new_uid()
    files = [file(study=study), image(frames=40, size=(500, 500)), file(study=study), file()]
    studies = {one.identifier.study_instance_uid for one in files}
    finished = False
    at = 0
    while not finished:
        service = StoreService(metadata_inline=inline)
        Killer(service, at, answered=answered)
        finished = await survives(service, service.store(*(one.data for one in files)))
        durable = {name for name in service.blobs.names() if name.endswith(".dcm")}

        other = await recover(service)

        assert set(service.blobs.names()) == await live_blobs(other, studies)
        stored = [one for one in files if await other.content(one.identifier) is not None]
        assert {(await other.instance(one.identifier)).blob for one in stored} == durable
        for one in stored:
            assert await other.content(one.identifier) == one.data
        at += 1
    assert at > 10
    assert len(stored) == len(files)


@pytest.mark.spec("PUT-2", "P-2")
@pytest.mark.parametrize("answered", [True, False])
async def test_a_put_that_is_killed_anywhere_leaves_the_old_or_the_new_version(answered):
    uids = {"study": new_uid(), "series": new_uid(), "sop_instance": new_uid()}
    old, new = file({0x00081030: "Old"}, **uids), file({0x00081030: "New"}, **uids)
    finished = False
    at = 0
    while not finished:
        service = StoreService()
        await service.store(old.data)
        service.time.seconds += 1
        Killer(service, at, answered=answered)
        finished = await survives(service, service.store(new.data, replace=True))

        other = await recover(service)

        durable = len(service.blobs.names()) == 2
        assert await other.content(old.identifier) == (new if durable else old).data
        view = await other.lookup.study(PARTITION, uids["study"])
        assert view.attributes["00081030"].strip() == ("New" if durable else "Old")
        assert view.instances == 1
        at += 1
    assert at > 5
    assert durable


@pytest.mark.spec("P-2", "STOW-33")
async def test_a_refused_duplicate_that_was_not_removed_is_removed_by_its_event():
    one = file()
    finished = False
    at = 0
    while not finished:
        service = StoreService(metadata_inline=False)
        await service.store(one.data)
        kept = set(service.blobs.names())
        Killer(service, at, answered=False)
        finished = await survives(service, service.store(one.data))

        await recover(service)

        assert set(service.blobs.names()) == kept
        at += 1
    assert at > 3


@pytest.mark.spec("P-2")
@pytest.mark.parametrize("answered", [True, False])
async def test_a_trigger_that_is_killed_anywhere_is_finished_by_its_next_event(answered):
    one = image(frames=3, syntax=JPEG)
    finished = False
    at = 0
    while not finished:
        service = StoreService(metadata_inline=False)
        service.blobs.drop("in/box.dcm", one.data)
        Killer(service, at, answered=answered)
        finished = await survives(service, service.ingest.ensure("in/box.dcm"))

        other = await recover(service)

        assert set(service.blobs.names()) == await live_blobs(other, [one.identifier.study_instance_uid])
        assert await other.content(one.identifier) == one.data
        at += 1
    assert at > 5
