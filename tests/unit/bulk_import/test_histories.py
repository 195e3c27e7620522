"""Files that are replaced, deleted or forgotten while they are imported, and what their uploader hears."""

import json

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.errors import Unavailable
from shared.housekeeping.chores import sweep_imports
from tests.builders.files import file
from tests.builders.service import PARTITION
from tests.unit.bulk_import.inbox import Inbox, event


@pytest.fixture
def inbox():
    return Inbox()


async def drop_and_die(inbox, one):
    """The file is imported, and the process killed before it is removed from the container."""

    async def die(_kind, operation):
        if operation == "delete":
            raise Unavailable("killed before the file is removed")

    inbox.files.before = die
    with pytest.raises(Unavailable):
        await inbox.drop("a.dcm", one.data)


async def test_a_file_that_is_replaced_while_it_is_imported_is_not_lost(inbox):
    first, second = file(), file()
    seen = iter([True])

    async def replace(kind, operation):
        if operation == "delete" and next(seen, False):
            inbox.files.drop("a.dcm", second.data)

    inbox.files.before = replace
    await inbox.drop("a.dcm", first.data)

    assert inbox.files.names() == ["a.dcm"]
    await inbox.deliver(event("a.dcm"))
    for one in (first, second):
        assert await inbox.service.content(one.identifier) == one.data
    assert inbox.files.names() == []


async def test_an_instance_that_was_deleted_after_its_import_is_not_brought_back_by_a_late_message(inbox):
    one = file()

    await drop_and_die(inbox, one)
    assert await inbox.service.content(one.identifier) == one.data
    await inbox.service.index.delete(PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    [blob] = inbox.service.blobs.names()
    inbox.files.before = None
    inbox.again()

    await inbox.deliver(event("a.dcm"))

    assert await inbox.service.content(one.identifier) is None
    assert inbox.files.names() == []
    assert inbox.service.blobs.names() == [blob], "it can be restored until its retention is over"


async def test_the_file_of_a_deleted_instance_is_not_left_when_a_late_message_finds_it_erased(inbox):
    one = file()

    await drop_and_die(inbox, one)
    await inbox.service.index.delete(PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    [blob] = inbox.service.blobs.names()
    await inbox.service.blobs.delete(blob)  # the retention is over
    inbox.files.before = None
    inbox.again()

    await inbox.deliver(event("a.dcm"))

    assert await inbox.service.content(one.identifier) is None
    assert inbox.service.blobs.names() == []


@pytest.mark.spec("IMP-4")
async def test_the_same_file_dropped_again_after_a_deletion_is_stored_again(inbox):
    one = file()
    await inbox.drop("a.dcm", one.data)
    await inbox.service.index.delete(PARTITION, ResourceIdentifier(one.identifier.study_instance_uid))
    inbox.service.time.seconds += 5
    await inbox.drop("a.dcm", one.data)
    assert await inbox.service.content(one.identifier) == one.data


async def test_an_uploader_can_ask_for_the_result_of_each_file(inbox):
    queue = "import-results-0a1b"
    await inbox.queues.ensure_queue(queue)
    one = file()
    asked = {"results": queue}
    await inbox.drop("a.dcm", one.data, asked)
    await inbox.drop("b.dcm", one.data, asked)
    await inbox.drop("c.dcm", b"no", asked)
    await inbox.drop("d.dcm", file().data, {"results": "import-results-gone"})
    await inbox.drop("e.dcm", file().data, {"results": "error-queue"})

    records = [json.loads(message) for message, _ in inbox.queues.messages[queue]]
    assert [(each["blobName"], each["result"], each["status"]) for each in records] == [
        ("a.dcm", "stored", 200),
        ("b.dcm", "duplicate", 200),
        ("c.dcm", "refused", 409),
    ]
    assert len(inbox.error_records) == 1
    assert inbox.files.names() == []


@pytest.mark.spec("IMP-10")
async def test_a_file_whose_announcement_was_lost_is_announced_again(inbox):
    sweep = sweep_imports(inbox.bulk_import.sweep)
    old, young = file(), file()
    inbox.files.drop("old ü.dcm", old.data)
    inbox.service.time.seconds += 700
    inbox.files.drop("young.dcm", young.data)

    await inbox.queues.send("import-queue", event("young.dcm"))
    await sweep.run()
    assert inbox.queues.messages["import-queue"] == [(event("young.dcm"), 0)], "the queue has not been worked off"
    inbox.queues.messages["import-queue"].clear()
    await sweep.run()
    assert await inbox.work_off() == [0]

    assert await inbox.service.content(old.identifier) == old.data
    assert inbox.files.names() == ["young.dcm"]


@pytest.mark.spec("IMP-5")
async def test_an_import_is_announced_and_numbered_like_every_store(inbox):
    one = file()
    await inbox.drop("a.dcm", one.data)
    pending = [row.row_key for row in inbox.service.tables.rows("dicom") if row.row_key[:2] == "D!"]
    hints = inbox.service.tables.rows("hint")
    folded = [row.row_key for row in inbox.service.tables.rows("dicom") if row.row_key[:2] == "E!"]
    assert len(pending) + len(folded) == 1
    assert [hint.row_key.rpartition("!")[0] for hint in hints] == [f"0!{one.identifier.study_instance_uid}"]
