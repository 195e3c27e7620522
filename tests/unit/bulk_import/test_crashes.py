"""A process may die before or behind any of its requests, and every message comes again (IMP-8, P-2)."""

import asyncio

import pytest

from shared.dicom.reasons import FailureReason
from shared.index_schema import blob_names, keys
from tests.builders.files import file
from tests.builders.images import image
from tests.unit.bulk_import.inbox import Inbox, conflicting, event


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Ends the process at its n-th request to any store: before the request, or when it has been applied."""

    def __init__(self, inbox, number, *, applied):
        self.number = number
        self.dead = False
        self.count = 0
        self.stores = (inbox.files, inbox.errors, inbox.queues, inbox.service.blobs, inbox.service.tables)
        for store in self.stores:
            if applied:
                store.after = self
            store.before = self._refuse if applied else self

    async def __call__(self, *_):
        await self._refuse()
        self.count += 1
        if self.count == self.number:
            self.dead = True
            raise Killed

    async def _refuse(self, *_):
        if self.dead:
            raise Killed

    def off(self):
        for store in self.stores:
            store.before = store.after = None


async def crash_everywhere(prepare, check, *, applied, **rules):
    """Run an import again and again, with a death at request 1, 2, 3, … until it comes through."""
    for number in range(1, 200):
        inbox = Inbox(**rules)
        message = await prepare(inbox)
        killer = Killer(inbox, number, applied=applied)
        try:
            await inbox.deliver(message)
        except BaseException:  # whatever wraps it
            if not killer.dead:
                raise
        killer.off()
        survived = not killer.dead
        inbox.again()
        await inbox.deliver(message)
        await inbox.work_off()
        await check(inbox)
        if survived:
            return number
    raise AssertionError("the import never came to its end")


@pytest.mark.spec("IMP-8", "IMP-5", "P-2")
@pytest.mark.parametrize("applied", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("kind", ["plain", "large", "metadata beside"])
async def test_a_file_is_stored_once_wherever_the_process_dies(kind, applied):
    one = {
        "plain": file,
        "large": lambda: image(frames=24, size=(512, 512), bits=16),
        "metadata beside": file,
    }[kind]()

    async def prepare(inbox):
        inbox.files.drop("a.dcm", one.data)
        return event("a.dcm")

    async def check(inbox):
        assert await inbox.service.content(one.identifier) == one.data
        assert len([name for name in inbox.service.blobs.names() if name.endswith(".dcm")]) == 1
        assert inbox.files.names() == inbox.errors.names() == []
        assert inbox.error_records == []
        rows = [row.row_key[0] for row in inbox.service.tables.rows("dicom")]
        assert rows.count("I") == 1
        assert rows.count("D") + rows.count("E") == 1, "one entry of the change feed"

    inline = kind != "metadata beside"
    assert await crash_everywhere(prepare, check, applied=applied, metadata_inline=inline) > 8


@pytest.mark.spec("IMP-6", "IMP-8")
@pytest.mark.parametrize("applied", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("kind", ["foreign", "conflict"])
async def test_no_record_of_a_refused_file_is_lost_wherever_the_process_dies(kind, applied):
    one = file()
    data, reason = {
        "foreign": (b"not DICOM" * 50, FailureReason.VALIDATION_FAILURE),
        "conflict": (conflicting(one).data, FailureReason.ALREADY_STORED),
    }[kind]

    async def prepare(inbox):
        await inbox.service.store_one(one.data)
        inbox.files.drop("a.dcm", data)
        return event("a.dcm")

    async def check(inbox):
        assert {record["failureReason"] for record in inbox.error_records} == {reason}
        assert inbox.errors.content("a.dcm") == data
        assert inbox.files.names() == []
        assert await inbox.service.content(one.identifier) == one.data
        assert len(inbox.service.blobs.names()) == 1

    assert await crash_everywhere(prepare, check, applied=applied) > 4


@pytest.mark.spec("IMP-8")
@pytest.mark.parametrize("applied", [False, True], ids=["before", "behind"])
async def test_a_duplicate_stays_one_wherever_the_process_dies(applied):
    one = file()

    async def prepare(inbox):
        await inbox.service.store_one(one.data)
        inbox.files.drop("a.dcm", one.data)
        return event("a.dcm")

    async def check(inbox):
        assert inbox.error_records == []
        assert inbox.files.names() == inbox.errors.names() == []
        assert len(inbox.service.blobs.names()) == 1

    assert await crash_everywhere(prepare, check, applied=applied) > 4


@pytest.mark.spec("IMP-8", "IMP-10")
async def test_several_messages_at_once_store_a_file_once():
    one = file()
    inbox = Inbox()
    inbox.files.drop("a.dcm", one.data)
    others = [Inbox.__new__(Inbox) for _ in range(3)]
    for other in others:
        other.__dict__.update(inbox.__dict__)
        other.again()

    await asyncio.gather(*(each.deliver(event("a.dcm")) for each in (inbox, *others)))
    await inbox.work_off()

    assert await inbox.service.content(one.identifier) == one.data
    assert len(inbox.service.blobs.names()) == 1
    assert inbox.files.names() == inbox.errors.names() == []
    assert inbox.error_records == []


async def test_a_blob_of_an_earlier_attempt_is_taken_only_if_it_is_whole():
    """What removes uploads that were never committed puts a blob of no bytes in their place for a moment."""
    inbox, one = Inbox(), file()
    inbox.files.drop("a.dcm", one.data)
    properties = await inbox.files.properties("a.dcm")
    upload_id = blob_names.dropped_upload_id(
        f"import-container/a.dcm/{properties.etag}", int(properties.created.timestamp() * 1000)
    )
    name = blob_names.blob_name(keys.DEFAULT_NAMESPACE, one.identifier, upload_id)
    inbox.service.blobs.drop(name, b"")
    await inbox.deliver(event("a.dcm"))
    assert inbox.files.names() == ["a.dcm"]
    assert await inbox.service.blobs.remove_staged(name) is True

    assert await inbox.work_off() == [10]

    assert inbox.service.blobs.content(name) == one.data
    assert inbox.files.names() == []
