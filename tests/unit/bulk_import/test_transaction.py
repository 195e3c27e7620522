"""What becomes of files in the import container, rule by rule."""

import json
import logging
import secrets

import pytest

from shared.bulk_import import functions
from shared.dicom.reasons import FailureReason
from shared.errors import Unavailable
from shared.index.model import CommitOutcome
from tests.builders.files import PATIENT_ID, PATIENT_NAME, file
from tests.builders.functions import handler_of
from tests.builders.images import image
from tests.builders.service import PARTITION
from tests.builders.store import StoreService
from tests.unit.bulk_import.inbox import PLACES, Inbox, conflicting, event


@pytest.fixture
def inbox():
    return Inbox()


@pytest.mark.spec("IMP-4", "IMP-5")
async def test_a_file_is_stored_under_whatever_name_and_leaves_the_container(inbox):
    first, second = image(), file()

    await inbox.drop("a.dcm", first.data)
    await inbox.drop("deep/folder/without suffix", second.data)

    for one in (first, second):
        assert await inbox.service.content(one.identifier) == one.data
    assert inbox.files.names() == inbox.errors.names() == []
    assert inbox.error_records == []


@pytest.mark.spec("IMP-4")
async def test_a_file_is_stored_as_v2_would_store_it(inbox):
    preamble = bytes(range(128))
    one = file({0x00080020: "not a date", PATIENT_ID: ""}, preamble=preamble)

    await inbox.drop("a.dcm", one.data)

    stored = await inbox.service.instance(one.identifier)
    metadata = json.loads(stored.metadata)
    assert "00080020" not in metadata
    assert await inbox.service.content(one.identifier) == bytes(128) + one.data[128:]
    assert inbox.error_records == []


@pytest.mark.spec("IMP-4", "IMP-8", "IMP-9")
async def test_a_data_set_without_file_meta_information_is_stored_with_it_and_the_record_says_so(inbox):
    one = file()
    bare = one.data[144 + int.from_bytes(one.data[140:144], "little") :]
    await inbox.queues.ensure_queue("import-results-1")
    for name in ("first", "second"):
        await inbox.drop(name, bare, {"results": "import-results-1"})

    stored = await inbox.service.content(one.identifier)
    assert stored[128:132] == b"DICM"
    assert stored.endswith(bare)
    assert inbox.files.names() == inbox.errors.names() == []
    records = [json.loads(message) for message, _ in inbox.queues.messages["import-results-1"]]
    assert [record["result"] for record in records] == ["stored", "duplicate"]
    assert "file meta information (Explicit VR Little Endian)" in records[0]["added"]


_CUT = "The file ends in the middle of a data element."
_NO_PREAMBLE = "The file does not begin with a preamble and DICM."


@pytest.mark.spec("IMP-6", "IMP-7", "IMP-9")
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", _CUT),
        (b"x", _CUT),
        (b"Not DICOM at all, but longer than a preamble. " * 20, _NO_PREAMBLE),
        (secrets.token_bytes(100_000), _NO_PREAMBLE),
        (b"PK\3\4" * 99, _NO_PREAMBLE),
    ],
    ids=["empty", "one byte", "text", "noise", "archive"],
)
async def test_a_file_that_is_not_dicom_is_moved_and_reported(inbox, data, error):
    await inbox.drop("folder/notes ä.txt", data)

    assert inbox.files.names() == []
    assert inbox.errors.content("folder/notes ä.txt") == data
    [record] = inbox.error_records
    assert record == {
        "blobName": "folder/notes ä.txt",
        "blobUrl": "https://account.blob.core.windows.net/error-container/folder/notes%20%C3%A4.txt",
        "partitionName": "Microsoft.Default",
        "timestamp": "2023-11-14T22:13:20.000Z",
        "result": "refused",
        "status": 409,
        "failureReason": 0xA900,
        "error": error,
    }
    assert inbox.service.blobs.names() == []


@pytest.mark.spec("IMP-6", "IMP-9")
async def test_the_record_of_an_invalid_instance_says_what_is_wrong_but_no_value(inbox):
    one = file({PATIENT_ID: None, PATIENT_NAME: "Secret^Patient", 0x00100030: '19"30. Secret" does not validate'})

    await inbox.drop("a.dcm", one.data)

    [record] = inbox.error_records
    assert record["failureReason"] == FailureReason.VALIDATION_FAILURE
    assert "(0010,0020)" in record["error"]
    assert "(0010,0030) - Content does not validate VR DA: " in record["error"]
    assert record["sopInstanceUid"] == one.identifier.sop_instance_uid
    shown = json.dumps(record) + json.dumps((await inbox.errors.properties("a.dcm")).metadata)
    assert "Secret" not in shown
    assert "1930" not in shown
    assert inbox.errors.content("a.dcm") == one.data


@pytest.mark.spec("IMP-6")
async def test_a_file_in_the_error_container_says_why_it_is_there(inbox):
    await inbox.drop("a.txt", b"no", {"owner": "somebody"})

    metadata = (await inbox.errors.properties("a.txt")).metadata
    assert metadata["importstatus"] == "409"
    assert metadata["importfailure"] == str(0xA900)
    assert metadata["importerror"] == _CUT
    assert metadata["owner"] == "somebody"


@pytest.mark.spec("IMP-6")
async def test_a_file_that_fails_again_replaces_the_one_in_the_error_container(inbox):
    await inbox.drop("a.txt", b"first")
    await inbox.drop("a.txt", b"second")

    assert inbox.errors.content("a.txt") == b"second"
    assert len(inbox.error_records) == 2


@pytest.mark.spec("IMP-8")
@pytest.mark.parametrize("preamble", [bytes(128), bytes(range(128))], ids=["plain", "with a preamble"])
async def test_identical_bytes_of_a_stored_instance_are_success(inbox, preamble):
    one = file(preamble=preamble)
    await inbox.service.store_one(one.data)
    [blob] = inbox.service.blobs.names()

    await inbox.drop("a.dcm", one.data)
    await inbox.drop("b.dcm", one.data)

    assert inbox.files.names() == inbox.errors.names() == []
    assert inbox.error_records == []
    assert inbox.service.blobs.names() == [blob]


@pytest.mark.spec("IMP-8", "IMP-6")
async def test_another_file_of_a_stored_instance_is_a_conflict(inbox):
    one = file()
    await inbox.service.store_one(one.data)
    other = conflicting(one)

    await inbox.drop("a.dcm", other.data)

    [record] = inbox.error_records
    assert (record["status"], record["failureReason"]) == (409, FailureReason.ALREADY_STORED)
    assert record["studyInstanceUid"] == one.identifier.study_instance_uid
    assert record["seriesInstanceUid"] == one.identifier.series_instance_uid
    assert await inbox.service.content(one.identifier) == one.data
    assert inbox.errors.content("a.dcm") == other.data
    assert len(inbox.service.blobs.names()) == 1


@pytest.mark.spec("IMP-8")
async def test_a_file_that_differs_in_its_last_byte_is_a_conflict(inbox):
    one = image(size=(700, 700), bits=16)
    await inbox.service.store_one(one.data)
    inbox.files = type(inbox.files)(others={"error-container": inbox.errors}, chunk_bytes=999)
    inbox.again()

    await inbox.drop("same.dcm", one.data)
    assert inbox.error_records == []
    await inbox.drop("other.dcm", one.data[:-1] + bytes([one.data[-1] ^ 1]))

    assert [record["failureReason"] for record in inbox.error_records] == [FailureReason.ALREADY_STORED]


@pytest.mark.spec("IMP-8")
async def test_a_message_that_comes_twice_changes_nothing(inbox):
    one = file()
    await inbox.drop("a.dcm", one.data)
    await inbox.deliver(event("a.dcm"))

    assert len(inbox.service.blobs.names()) == 1
    assert inbox.error_records == []


@pytest.mark.spec("IMP-10")
async def test_a_transient_failure_is_tried_five_times_with_growing_pauses_then_recorded(inbox):
    async def fail(kind, operation):
        raise Unavailable("away")

    inbox.service.tables.before = fail
    one = file()
    await inbox.drop("a.dcm", one.data)

    assert await inbox.work_off() == [10, 60, 300, 900]
    [record] = inbox.error_records
    assert (record["status"], record["failureReason"]) == (503, FailureReason.PROCESSING_FAILURE)
    assert inbox.errors.content("a.dcm") == one.data
    assert inbox.files.names() == []


@pytest.mark.spec("IMP-10")
async def test_a_failure_that_passes_leaves_no_trace(inbox):
    failures = iter([True] * 3)

    async def fail(kind, operation):
        if operation == "open" and next(failures, False):
            raise Unavailable("away")

    inbox.files.before = fail
    one = file()
    await inbox.drop("a.dcm", one.data)

    assert await inbox.work_off() == [10, 60, 300]
    assert await inbox.service.content(one.identifier) == one.data
    assert inbox.error_records == []


@pytest.mark.spec("IMP-10")
async def test_an_instance_that_somebody_else_is_storing_is_tried_again(inbox, monkeypatch):
    outcomes = iter([CommitOutcome.BUSY])
    commit = inbox.service.index.commit

    async def busy(partition, entries, **options):
        outcome = next(outcomes, None)
        return [outcome] if outcome else await commit(partition, entries, **options)

    monkeypatch.setattr(inbox.service.index, "commit", busy)
    one = file()
    await inbox.drop("a.dcm", one.data)

    assert await inbox.work_off() == [10]
    assert await inbox.service.content(one.identifier) == one.data
    assert len(inbox.service.blobs.names()) == 1


@pytest.mark.spec("IMP-10", "IMP-6")
async def test_a_message_that_the_host_has_given_up_ends_in_a_record_without_reading_the_file(inbox):
    one = file()
    inbox.files.drop("a.dcm", one.data)

    async def check(kind, operation):
        assert operation != "open"

    inbox.files.before = check
    blueprint = functions.blueprint(inbox.bulk_import, PLACES, "DicomStorage")
    await handler_of(blueprint, "import_given_up")._call(Message(event("a.dcm")))
    await handler_of(blueprint, "import_given_up")._call(Message(event("a.dcm")))

    [record] = inbox.error_records
    assert (record["status"], record["failureReason"]) == (500, FailureReason.PROCESSING_FAILURE)
    assert inbox.errors.content("a.dcm") == one.data
    assert inbox.files.names() == []


class Message:
    def __init__(self, text):
        self.text = text

    def get_body(self):
        return self.text.encode() if isinstance(self.text, str) else self.text


@pytest.mark.spec("IMP-3", "IMP-1")
async def test_messages_about_anything_else_are_passed_over(inbox):
    call = handler_of(functions.blueprint(inbox.bulk_import, PLACES, "DicomStorage"), "import_instance")._call
    inbox.files.drop("a.dcm", file().data)
    deleted = event("a.dcm").replace("BlobCreated", "BlobDeleted")
    for text in ("", "not json", "[]", "3", "{}", b"\xff", event("a.dcm", "other-container"), deleted):
        await call(Message(text))
    assert inbox.files.names() == ["a.dcm"]

    await call(Message(event("a.dcm")))
    assert inbox.files.names() == []


@pytest.mark.spec("IMP-11", "AUD-1", "AUD-3")
async def test_each_file_has_one_pair_of_audit_records_whatever_the_number_of_attempts(inbox, caplog):
    caplog.set_level(logging.INFO, "dicom.audit")
    failures = iter([True] * 2)

    async def fail(kind, operation):
        if operation == "open" and next(failures, False):
            raise Unavailable("away")

    inbox.files.before = fail
    await inbox.drop("a b.dcm", file().data)
    await inbox.work_off()
    await inbox.drop("c.txt", b"no")

    records = [json.loads(each.getMessage()) for each in caplog.records if each.name == "dicom.audit"]
    assert [(each["action"], each.get("statusCode")) for each in records] == [
        ("Executing", None),
        ("Executed", 200),
        ("Executing", None),
        ("Executed", 409),
    ]
    assert {each["operation"] for each in records} == {"bulk-import-store"}
    assert records[0]["uri"] == "https://account.blob.core.windows.net/import-container/a%20b.dcm"
    assert records[0]["correlationId"] == records[1]["correlationId"] != records[2]["correlationId"]


@pytest.mark.spec("IMP-11")
async def test_the_ordinary_log_does_not_name_the_file(inbox, caplog):
    caplog.set_level(logging.INFO, "dicom.telemetry")
    await inbox.drop("Doe^Jane/1970.dcm", file().data)
    await inbox.drop("Doe^Jane/notes.txt", b"no")

    assert "Doe" not in caplog.text
    assert caplog.text.count('"event":"import"') == 2


@pytest.mark.spec("IMP-12")
async def test_the_first_folder_names_the_partition_and_the_root_is_the_default_one():
    inbox = Inbox(StoreService(data_partitions=True))
    first, second, third = file(), file(), file()

    await inbox.drop("clinic-a/2024/a.dcm", first.data)
    await inbox.drop("b.dcm", second.data)
    await inbox.drop("Microsoft.Default/c.dcm", third.data)

    partitions, lookup = inbox.service.partitions, inbox.service.lookup
    clinic = await partitions.resolve("clinic-a", create=False)
    assert await lookup.instance(clinic, first.identifier, metadata=False)
    assert not await lookup.instance(PARTITION, first.identifier, metadata=False)
    for one in (second, third):
        assert await lookup.instance(PARTITION, one.identifier, metadata=False)
        assert not await lookup.instance(clinic, one.identifier, metadata=False)


@pytest.mark.spec("IMP-12", "IMP-6")
async def test_a_folder_that_can_be_no_partition_is_a_failure():
    inbox = Inbox(StoreService(data_partitions=True))
    await inbox.drop("no partition!/a.dcm", file().data)

    [record] = inbox.error_records
    assert (record["status"], record["failureReason"]) == (400, FailureReason.PROCESSING_FAILURE)
    assert inbox.service.blobs.names() == []
    assert inbox.errors.names() == ["no partition!/a.dcm"]


@pytest.mark.spec("IMP-12")
async def test_without_partitions_folders_mean_nothing(inbox):
    one = file()
    await inbox.drop("no partition!/a.dcm", one.data)
    assert await inbox.service.content(one.identifier) == one.data


@pytest.mark.spec("IMP-4", "P-4")
async def test_a_file_that_is_too_large_is_refused_unread():
    inbox = Inbox(max_file_bytes=1000)

    async def check(kind, operation):
        assert operation != "open"

    inbox.files.before = check
    await inbox.drop("a.dcm", image(size=(100, 100)).data)

    [record] = inbox.error_records
    assert (record["status"], record["failureReason"]) == (413, FailureReason.OUT_OF_RESOURCES)


@pytest.mark.spec("IMP-7", "P-4")
async def test_of_a_large_foreign_file_no_more_is_read_than_shows_what_it_is(inbox):
    read = 0
    open_file = inbox.files.open

    async def counting(name, *rest):
        source = await open_file(name, *rest)
        chunks = source.chunks

        async def counted():
            nonlocal read
            async for chunk in chunks():
                read += len(chunk)
                yield chunk

        class Counted:
            length, etag, chunks = source.length, source.etag, staticmethod(counted)

        return Counted

    inbox.files.open = counting
    await inbox.drop("backup.tar", b"backup" * 20_000_000)

    assert inbox.error_records[0]["failureReason"] == FailureReason.VALIDATION_FAILURE
    assert read < 70 * 1024**2
