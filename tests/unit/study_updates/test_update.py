"""Updates of studies on stores in memory: files, rows, both versions, and what becomes of them."""

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from shared import metrics
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.part10.file_meta import IMPLEMENTATION_CLASS_UID
from shared.index import documents
from shared.index_schema import blob_names
from shared.index_schema.indexed_attributes import IndexedAttribute
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.index_schema.service_documents import is_service_document
from shared.operations.model import OperationStatus, OperationType
from shared.study_updates.task import UpdateTask
from tests.builders.images import EBE, ELE, ILE, Image, image
from tests.builders.service import PARTITION
from tests.builders.updating import DESCRIPTION, IDENTIFIER, NAME, UpdatingService, name
from tests.fakes.events import MemoryEventPublisher
from tests.unit.test_metrics import Counted

JPEG = "1.2.840.10008.1.2.4.50"
DEFLATED = "1.2.840.10008.1.2.1.99"
STUDY = "1.2.3"


def study_of(instances: int, study: str = STUDY, **options) -> list[Image]:
    numbers = count(1)
    return [image(study, f"{study}.1", f"{study}.1.{next(numbers)}", **options) for _ in range(instances)]


async def stored(service: UpdatingService, *images: Image) -> None:
    outcomes = await service.store(*(each.data for each in images))
    assert not [each for each in outcomes if each.failure]


def dataset(data: bytes):
    return dcmread(DicomBytesIO(data))


@pytest.mark.spec("TEL-1")
async def test_instances_that_were_updated_are_counted(service):
    await stored(service, *study_of(3))
    counted = Counted()
    metrics.collect(counted)
    try:
        await service.updated([STUDY, "1.9"], name("New^Name"))
    finally:
        metrics.collect(None)
    assert counted.added[(metrics.INSTANCES_UPDATED,)] == 3


@pytest.mark.spec("UPD-20", "UPD-21", "UPD-22")
@pytest.mark.parametrize("syntax", [ELE, ILE, JPEG, EBE, DEFLATED])
async def test_every_instance_gets_a_new_version_with_the_values_and_all_else_as_it_was(service, syntax):
    images = study_of(3, syntax=syntax, frames=2)
    await stored(service, *images)
    before = [await service.current(each.identifier) for each in images]

    operation = await service.updated([STUDY], {**name("New^Name"), DESCRIPTION: ["Head"]})

    assert operation.status is OperationStatus.SUCCEEDED
    assert operation.results == {"studyProcessed": 1, "studyUpdated": 1, "studyFailed": 0, "instanceUpdated": 3}
    for each, old in zip(images, before, strict=True):
        now = await service.current(each.identifier)
        assert now.version > old.version
        data = service.blobs.content(now.blob)
        assert len(data) == now.length
        new, was = dataset(data), dataset(each.data)
        assert new.PatientName == "New^Name"
        assert new.StudyDescription == "Head"
        assert new.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        for changed in ("PatientName", "StudyDescription"):
            del new[changed]
            was.pop(changed, None)
        assert new == was
        assert new.PixelData == was.PixelData
        assert (now.frames is None) is (syntax == DEFLATED)
        assert syntax == DEFLATED or [data[slice(*frame)] for frame in spans(now.frames)] == [
            each.data[slice(*frame)] for frame in spans(old.frames)
        ]


def spans(table):
    if table.encapsulated:
        return list(zip(table.offsets, table.offsets[1:], strict=False))
    size = table.bits // 8
    return [(table.first + size * frame, table.first + size * (frame + 1)) for frame in range(table.count)]


@pytest.mark.spec("UPD-23", "UPD-24", "WADO-32")
async def test_the_version_that_was_stored_stays_and_those_between_go(service):
    [one] = study_of(1)
    await stored(service, one)
    before = await service.current(one.identifier)

    await service.updated([STUDY], name("First"))
    between = await service.current(one.identifier)
    await service.updated([STUDY], name("Second"))
    original = await service.original(one.identifier)

    assert original.version == before.version
    assert service.blobs.content(original.blob) == one.data
    assert original.frames == before.frames
    assert await documents.read_metadata(original, service.blobs) == before.metadata
    now = await service.current(one.identifier)
    assert json.loads(now.metadata)[NAME]["Value"] == [{"Alphabetic": "Second"}]
    await service.outlive_retention()
    names = service.blobs.names()
    assert between.blob not in names
    assert {now.blob, original.blob} <= set(names)


@pytest.mark.spec("UPD-25")
async def test_a_deleted_instance_leaves_neither_version(service):
    [one] = study_of(1)
    await stored(service, one)
    await service.updated([STUDY], name("New"))

    await service.index.delete(PARTITION, ResourceIdentifier(STUDY))
    await service.outlive_retention()

    assert await service.instance(one.identifier) is None
    assert [each for each in service.blobs.names() if not is_service_document(each)] == []


@pytest.mark.spec("UPD-26")
async def test_searches_find_the_new_values_and_not_the_old_ones(service):
    images = study_of(3, PatientName="Old^Name", PatientID="old", StudyDescription="Chest")
    await stored(service, *images)

    await service.updated([STUDY], {**name("New^Name"), IDENTIFIER: ["new"], DESCRIPTION: []})
    await service.settle()

    for query, found in (
        ("PatientName=New*", 1),
        ("PatientID=new", 1),
        ("PatientName=Old*", 0),
        ("PatientID=old", 0),
        ("StudyDescription=Chest", 0),
    ):
        status, body = await service.answer("search_studies", f"/v2/studies?{query}")
        assert (len(body) if status == 200 else 0) == found, query


@pytest.mark.spec("UPD-27")
@pytest.mark.parametrize("level", ["study", "series", "instance"])
async def test_the_lists_of_extended_query_tags_have_the_new_value_and_not_the_old_one(service, level):
    age = IndexedAttribute("t2x0", "AS", level, ("t2x0",), since=2, path="00101010")
    service.schemas.known = IndexSchema.of(2, [*BUILT_IN.attributes.values(), age], frozenset({1, 2}))
    await stored(service, *study_of(2, PatientAge="042Y"))
    await service.updated([STUDY], {"00101010": ["043Y"]})
    await service.settle()
    rows = [*service.tables.rows("idx"), *service.tables.rows("idxi")]
    listed = [row.row_key for row in rows if row.row_key.startswith("t2x0!")]
    assert [row_key.split("!")[1] for row_key in listed] == ["043y"] * (2 if level == "instance" else 1)


@pytest.mark.spec("UPD-30")
async def test_an_unknown_study_is_processed_and_nothing_else(service):
    operation = await service.updated(["9.9"], name("New"))
    assert operation.status is OperationStatus.SUCCEEDED
    assert operation.results == {"studyProcessed": 1, "studyUpdated": 0, "studyFailed": 0, "instanceUpdated": 0}


@pytest.mark.spec("UPD-28", "UPD-29", "UPD-31")
async def test_a_study_with_an_instance_that_cannot_be_changed_stays_and_the_others_are_updated(service):
    images = study_of(8, SpecificCharacterSet="ISO_IR 100", PatientComments="Größe")
    others = study_of(2, "1.2.4")
    await stored(service, *images, *others)
    names = set(service.blobs.names())

    operation = await service.updated([STUDY, "1.2.4"], name("山田"))

    assert operation.status is OperationStatus.FAILED
    assert operation.results is not None
    assert operation.results["studyProcessed"] == 2
    assert operation.results["studyUpdated"] == 1
    assert operation.results["studyFailed"] == 1
    assert operation.results["instanceUpdated"] == 2
    assert len(operation.results["errors"]) == 7
    for each in images:
        assert (await service.current(each.identifier)).original is None
    left = {each for each in set(service.blobs.names()) - names if STUDY + "/" in each and each.endswith(".dcm")}
    assert left == set()
    new = dataset(service.blobs.content((await service.current(others[0].identifier)).blob))
    assert new.PatientName == "山田"
    assert new.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.spec("UPD-28")
async def test_an_instance_that_could_be_changed_stays_as_it_is_beside_one_that_cannot(service):
    [able] = study_of(1)
    unable = image(STUDY, f"{STUDY}.1", f"{STUDY}.1.2", SpecificCharacterSet="ISO_IR 100", PatientComments="Größe")
    await stored(service, able, unable)

    operation = await service.updated([STUDY], name("山田"))

    assert operation.results["instanceUpdated"] == 0
    assert [(await service.current(each.identifier)).original for each in (able, unable)] == [None, None]


@pytest.mark.spec("DP-8", "DP-11")
async def test_an_update_acts_in_its_data_partition_alone():
    service = UpdatingService(data_partitions=True)
    ward = await service.partitions.resolve("Ward-7", create=True)
    [here] = study_of(1)
    await stored(service, here)
    await service.store(here.data, partition=ward)

    task = UpdateTask(ward.namespace, [STUDY], name("New^Name"))
    service.time.seconds += 1
    operation = await service.operations.create(OperationType.UPDATE, task.document(), partition=ward.name)
    ended = await service.finished(operation)

    assert ended.results["instanceUpdated"] == 1
    assert (await service.current(here.identifier)).original is None
    there = await service.lookup.instance(ward, here.identifier, metadata=True)
    assert dataset(service.blobs.content(there.blob)).PatientName == "New^Name"
    assert service.blobs.content(there.first_version.blob) == here.data


@pytest.mark.spec("UPD-32")
async def test_the_feed_has_one_update_for_each_instance(service):
    images = study_of(2)
    await stored(service, *images)
    await service.updated([STUDY], name("New"))
    await service.settle()
    pages = await service.log.pages(1, 100)
    operations = [change.operation for page in pages for change in page.changes]
    assert operations == ["create", "create", "update", "update"]


@pytest.mark.spec("UPD-22", "UPD-24", "UPD-32", "CF-25")
async def test_a_second_update_has_entries_and_events_of_its_own():
    topic = MemoryEventPublisher()
    service = UpdatingService(topic=topic)
    await service.publication.prepare()
    images = study_of(2)
    await stored(service, *images)
    for each in ("First", "Second"):
        await service.updated([STUDY], name(each))
    await service.sequencer.catch_up()
    await service.publication.run()

    entries = await service.feed("/v2/changefeed?includeMetadata=true")
    told = [(each.type.rpartition("DicomImage")[2], each.data["sequenceNumber"]) for each in topic.published]
    assert told == [({"Create": "Created"}.get(each["action"], "Updated"), each["sequence"]) for each in entries]
    assert [each["action"] for each in entries] == ["Create"] * 2 + ["Update"] * 4
    assert [each["state"] for each in entries] == ["Replaced"] * 4 + ["Current"] * 2
    assert {each["metadata"][NAME]["Value"][0]["Alphabetic"] for each in entries} == {"Second"}
    for each in images:
        assert service.blobs.content((await service.original(each.identifier)).blob) == each.data


@pytest.mark.spec("UPD-20", "UPD-32")
async def test_the_value_that_is_there_already_is_an_update_as_any_other(service):
    [one] = study_of(1, PatientName="Doe^Jane")
    await stored(service, one)
    before = await service.current(one.identifier)

    operation = await service.updated([STUDY], name("Doe^Jane"))

    now = await service.current(one.identifier)
    assert operation.results["instanceUpdated"] == 1
    assert now.version > before.version
    assert service.blobs.content(now.first_version.blob) == one.data
    assert dataset(service.blobs.content(now.blob)) == dataset(one.data)


@pytest.mark.spec("UPD-36")
@pytest.mark.parametrize("copies", [True, False])
async def test_a_large_file_is_updated_twice(service, copies):
    service.blobs.copies_ranges = copies
    one = image(STUDY, "1.2.3.1", "1.2.3.1.1", size=(1024, 1024), frames=9)
    assert len(one.data) > 9 * 1024**2
    await stored(service, one)
    for number in ("First", "Second"):
        await service.updated([STUDY], name(number))
        now = await service.current(one.identifier)
        data = service.blobs.content(now.blob)
        assert dataset(data).PatientName == number
        assert [data[slice(*frame)] for frame in spans(now.frames)] == list(one.frames)


@pytest.mark.spec("UPD-34")
async def test_what_is_stored_after_the_list_was_taken_is_not_touched(service):
    first, later = study_of(2)
    await stored(service, first)
    operation = await service.begin([STUDY], name("New"))
    prepared = service.update._stores.index.commit

    async def commit_after_a_store(partition, entries, **options):
        service.index.commit = prepared
        await stored(service, later)
        return await prepared(partition, entries, **options)

    service.index.commit = commit_after_a_store
    await service.finished(operation)

    assert (await service.current(first.identifier)).original is not None
    assert (await service.current(later.identifier)).original is None


@pytest.mark.spec("UPD-34")
async def test_what_replaces_an_instance_meanwhile_is_not_touched(service):
    first, other = study_of(2)
    await stored(service, first, other)
    operation = await service.begin([STUDY], name("New"))
    commit = service.index.commit

    async def commit_after_a_put(partition, entries, **options):
        service.index.commit = commit
        service.time.seconds += 10
        await service.store(first.data, replace=True)
        return await commit(partition, entries, **options)

    service.index.commit = commit_after_a_put
    ended = await service.finished(operation)

    assert ended.results["instanceUpdated"] == 1
    assert (await service.current(first.identifier)).original is None
    assert (await service.current(other.identifier)).original is not None
    made = [each for each in service.blobs.names() if blob_names.parse_blob_name(each) and "committed" not in each]
    assert len(made) == 4  # of each instance the file as it was stored, and the one that replaced or updated it


@pytest.mark.spec("EXP-1")
async def test_a_study_expires_as_it_would_have(service):
    [one] = study_of(1)
    expires = datetime.fromtimestamp(service.time() + 5000, UTC)
    await service.store(one.data, expires=expires)
    await service.updated([STUDY], name("New"))
    view = await service.lookup.study(PARTITION, STUDY)
    assert view is not None
    assert view.expires == expires


@pytest.mark.spec("PUT-1")
async def test_what_replaces_an_updated_instance_ends_both_versions(service):
    [one] = study_of(1)
    await stored(service, one)
    await service.updated([STUDY], name("New"))
    service.time.seconds += 10
    await service.store(one.data, replace=True)
    await service.outlive_retention()
    now = await service.current(one.identifier)
    assert now.original is None
    assert [each for each in service.blobs.names() if each.endswith(".dcm")] == [now.blob]


@pytest.mark.spec("DAT-52")
async def test_a_rebuild_brings_back_both_versions(service):
    images = study_of(3, syntax=JPEG, frames=2)
    await stored(service, *images)
    await service.updated([STUDY], {**name("First"), DESCRIPTION: []})
    await service.updated([STUDY], name("Second"))
    await service.settle()
    rows = service.index_rows()
    originals = [await service.original(each.identifier) for each in images]

    rebuilt = service.on(type(service.tables)())
    done = await rebuilt.rebuilt()
    await rebuilt.settle()

    assert done.indexed == 6
    assert done.obsolete == 3
    again = rebuilt.index_rows()
    for row in (*rows.values(), *again.values()):
        if isinstance(row, dict):
            row["index"] = json.loads(row["index"])
            row["original"] = {**json.loads(row["original"]), "v": 0}
        elif isinstance(row, tuple):
            row[1].pop("newest")  # of instances that were updated together, any may be the newest
    assert again == rows
    for each, original in zip(images, originals, strict=True):
        found = await rebuilt.original(each.identifier)
        assert (found.blob, found.length, found.frames) == (original.blob, original.length, original.frames)
    assert (await rebuilt.checked()).marked == ()


@pytest.mark.spec("DAT-52")
async def test_a_rebuild_leaves_out_what_an_update_had_not_committed(service):
    [one] = study_of(1)
    await stored(service, one)
    await service.updated([STUDY], name("New"))
    now = await service.current(one.identifier)
    await service.blobs.delete(blob_names.committed_mark(now.blob))

    rebuilt = service.on(type(service.tables)())
    done = await rebuilt.rebuilt()

    assert (done.indexed, done.unfinished) == (1, 1)
    assert (await rebuilt.current(one.identifier)).blob != now.blob
