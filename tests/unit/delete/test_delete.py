"""Deleting through the real index, and the timers."""

import pytest

from shared.change_log.log import ChangeLog
from shared.change_log.reader import ChangeFeed, EntryState
from shared.delete.functions import blueprint
from shared.delete.transaction import delete_instances
from shared.dicom.identifiers import ResourceIdentifier
from shared.errors import NotFound
from shared.housekeeping.chores import erase_deleted
from shared.index_schema.clock import HybridClock
from shared.upkeep.erasure import Erasure
from tests.builders.functions import handler_of
from tests.builders.http import ALL, boundary
from tests.builders.images import image, new_uid
from tests.builders.retrieve import ImageArchive
from tests.builders.service import PARTITION, SHARDS, sequencer, study_cleanup


@pytest.fixture
def archive():
    return ImageArchive()


async def count(archive, *uids):
    return len(await archive.lookup.instances(PARTITION, ResourceIdentifier(*uids), metadata=False))


@pytest.mark.spec("DEL-2", "DEL-3", "DEL-6")
async def test_each_level_is_deleted_once_and_the_rest_stays(archive):
    study, series = new_uid(), new_uid()
    images = [image(study, series), image(study, series), image(study), image(study)]
    other = image()
    await archive.store(*images, other)
    one = images[0].identifier
    for scope, removed, left in (
        (ResourceIdentifier(study, series, one.sop_instance_uid), 1, 3),
        (ResourceIdentifier(study, series), 1, 2),
        (ResourceIdentifier(study), 2, 0),
    ):
        assert await delete_instances(archive.index, PARTITION, scope) == removed
        assert await count(archive, study) == left
        with pytest.raises(NotFound):
            await delete_instances(archive.index, PARTITION, scope)
    assert await count(archive, other.identifier.study_instance_uid) == 1


@pytest.mark.spec("DEL-3", "WADO-31")
async def test_nothing_is_deleted_under_the_wrong_parent(archive):
    one, other = image(), image()
    await archive.store(one, other)
    mine, theirs = one.identifier, other.identifier
    for scope in (
        ResourceIdentifier(mine.study_instance_uid, theirs.series_instance_uid),
        ResourceIdentifier(mine.study_instance_uid, mine.series_instance_uid, theirs.sop_instance_uid),
        ResourceIdentifier(theirs.study_instance_uid, mine.series_instance_uid, mine.sop_instance_uid),
    ):
        with pytest.raises(NotFound):
            await delete_instances(archive.index, PARTITION, scope)
    assert await count(archive, mine.study_instance_uid) == await count(archive, theirs.study_instance_uid) == 1


@pytest.mark.spec("DEL-11", "S-3")
async def test_the_file_stays_for_the_retention(archive):
    one = image()
    await archive.store(one)
    name = await archive.blob_of(one)
    await delete_instances(archive.index, PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    assert archive.blobs.content(name) == one.data


class Upkeep:
    """What runs beside the transactions, on a clock of its own."""

    def __init__(self, archive, retention_hours):
        self.hours = 0
        clock = HybridClock(lambda: 1_700_000_000 + 10_000 + self.hours * 3600)
        self.trash = Erasure(archive.tables, clock, shards=SHARDS, retention_hours=retention_hours)
        self.log = ChangeLog(archive.tables)
        self.sequencer = sequencer(archive, study_cleanup(archive, self.trash), self.log, clock=clock)
        self.feed = ChangeFeed(self.log, self.sequencer, archive.lookup, clock)


@pytest.mark.spec("DEL-9")
async def test_each_deleted_instance_has_an_entry_in_the_change_feed(archive):
    study = new_uid()
    images = [image(study) for _ in range(3)]
    await archive.store(*images)
    await delete_instances(archive.index, PARTITION, ResourceIdentifier(study))
    feed = Upkeep(archive, 72).feed
    entries = await feed.by_sequence(0, 100)
    deleted = [entry.identifier for entry in entries if entry.operation == "delete"]
    assert sorted(deleted) == sorted(one.identifier for one in images)
    states = {resolved.state for resolved in await feed.resolve(entries, metadata=True)}
    assert states == {EntryState.DELETED}


@pytest.mark.spec("DEL-11", "DEL-12", "S-3")
async def test_only_the_deleted_file_is_erased_and_only_after_its_retention(archive):
    one = image()
    await archive.store(one)
    old = await archive.blob_of(one)
    await delete_instances(archive.index, PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    await archive.store(one)
    new = await archive.blob_of(one)
    upkeep = Upkeep(archive, 72)
    await upkeep.sequencer.catch_up()
    erase = erase_deleted(lambda: upkeep.trash.erase_due(archive.blobs))
    await erase.run()
    assert archive.blobs.names() == sorted([old, new])
    upkeep.hours = 80
    await erase.run()
    assert archive.blobs.names() == [new]


@pytest.mark.spec("DEL-12")
async def test_a_deleted_instance_can_be_stored_again_at_once(archive):
    one = image()
    await archive.store(one)
    before = await archive.lookup.instance(PARTITION, one.identifier, metadata=False)
    await delete_instances(archive.index, PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    await archive.store(one)
    after = await archive.lookup.instance(PARTITION, one.identifier, metadata=False)
    assert after.version > before.version
    assert after.blob != before.blob


@pytest.mark.spec("DEL-1", "DEL-2", "DEL-3", "DEL-4")
async def test_the_function_answers_without_a_body(archive):
    one = image()
    await archive.store(one)
    functions = blueprint(boundary(), archive.index)
    function = handler_of(functions, "delete_instance")
    response = await function.request("DELETE", f"/v2/{one.path}", ALL)
    assert (response.status, response.body) == (204, b"")
    assert (await function.request("DELETE", f"/v2/{one.path}", ALL)).status == 404
    bad = f"/v2/{one.path.replace(one.identifier.series_instance_uid, 'abc')}"
    assert (await function.request("DELETE", bad, ALL)).status == 400
    reader = (("Authorization", "Bearer read"),)
    assert (await function.request("DELETE", f"/v2/{one.path}", reader)).status == 403
