"""The rebuild of the index from the files (DAT-5)."""

import random
from datetime import UTC, datetime

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.errors import Unavailable
from shared.health_status import CheckResult, Status
from shared.index_schema import blob_names
from shared.index_schema.service_documents import is_service_document, partition_document
from shared.ingest import rebuild
from shared.ingest.rebuild import index_is_whole
from tests.builders.files import PATIENT_ID, STUDY_DATE, file
from tests.builders.images import JPEG, image, new_uid
from tests.builders.rebuilding import LosableService
from tests.builders.store import PARTITION
from tests.fakes.tables import MemoryTableStore
from tests.unit.index.chaos import Crashed

HOUR = 3600
STUDIES = 60
OF_A_STUDY = 5


async def one_of(service, data, **options):
    outcome = await service.store_one(data, **options)
    assert outcome.failure is None
    service.time.seconds += 1


async def filled(rng):
    """300 instances in 60 studies, of which some are replaced, deleted, stored again, or expire."""
    service = LosableService()
    studies = []
    for number in range(STUDIES):
        study, series = new_uid(), new_uid()
        expires = datetime(2090, 1, 1 + number % 28, tzinfo=UTC) if number % 9 == 0 else None
        images = []
        for at in range(OF_A_STUDY):
            if at == 4:
                series = new_uid()
            one = image(
                study,
                series,
                syntax=JPEG if at == 1 else image.__kwdefaults__["syntax"],
                frames=3,
                PatientID=f"P{number % 7}",
                StudyDate=f"2024{1 + number % 12:02}10",
                Modality="CT" if at < 4 else "SR",
                InstanceNumber=str(at),
            )
            await one_of(service, one.data, expires=expires)
            images.append(one)
        studies.append(images)
    for images in rng.sample(studies, 8):  # replaced, with another name
        one = images[2]
        uids = one.identifier
        again = image(uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid, PatientID="P9")
        await one_of(service, again.data, replace=True)
    for images in rng.sample(studies, 8):
        uids = images[0].identifier
        await service.delete(uids)
        if rng.random() < 0.5:
            service.time.seconds += 1
            await one_of(service, images[0].data)
    await service.delete(ResourceIdentifier(studies[3][0].identifier.study_instance_uid))
    service.blobs.drop("dropped by hand/one", file().data)
    await service.ingest.ensure("dropped by hand/one")
    await service.settle()
    return service, [one.identifier for images in studies for one in images]


SEARCHES = (
    "/v2/studies",
    "/v2/studies?PatientID=P3&includefield=all",
    "/v2/studies?StudyDate=20240101-20240630&orderby=-StudyDate",
    "/v2/studies?ModalitiesInStudy=SR&limit=7&offset=3",
    "/v2/series?Modality=SR",
    "/v2/instances?PatientID=P9",
)


def instance_files(service):
    """The names of all blobs but those that name data partitions."""
    return [name for name in service.blobs.names() if not is_service_document(name)]


async def answers(service, identifiers):
    """Everything that a client can see but the feed."""
    seen = {}
    for target in SEARCHES:
        level = target.removeprefix("/v2/").partition("?")[0]
        status, found = await service.answer(f"search_{level}", target)
        # Series and instances of several studies are in the order of their watermarks.
        seen[target] = status, found if level == "studies" else sorted(found, key=str)
    for one in identifiers:
        path = f"/v2/studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"
        seen[path] = (
            await service.answer("retrieve_instance_metadata", f"{path}/metadata"),
            await service.answer("retrieve_frames", f"{path}/frames/1"),
            await service.answer("retrieve_instance", path),
        )
    return seen


@pytest.mark.spec("DAT-5", "DAT-52")
@pytest.mark.parametrize("seed", range(2))
async def test_a_rebuild_killed_again_and_again_makes_the_index_that_was_there(seed):
    rng = random.Random(seed)
    service, identifiers = await filled(rng)
    rows, seen = service.index_rows(), await answers(service, identifiers)
    assert seen["/v2/studies"][0] == 200
    files = instance_files(service)

    tables = MemoryTableStore()
    kills = 0
    while True:
        process = service.on(tables)
        left = rng.randrange(50, 400)

        async def die(*_):
            nonlocal left
            left -= 1
            if left < 0:
                raise Crashed

        if kills < 12:
            tables.before = process.blobs.before = die
        try:
            await process.rebuilt()
            break
        except* Crashed:
            kills += 1
        finally:
            tables.before = process.blobs.before = None
    assert kills > 3
    await process.settle()

    assert process.index_rows() == rows
    assert await answers(process, identifiers) == seen
    assert instance_files(process) == files


@pytest.mark.spec("DAT-5")
async def test_a_second_rebuild_finds_nothing_to_do():
    service, _ = await filled(random.Random(7))
    process = service.on(MemoryTableStore())
    first = await process.rebuilt()
    feed = await process.feed()
    assert {entry["action"] for entry in feed} == {"Create"}
    await process.settle()
    again = await process.rebuilt()
    assert (again.indexed, again.known, again.obsolete) == (0, first.indexed, first.obsolete)
    assert again.files == first.files
    assert await process.feed() == feed


@pytest.mark.spec("DAT-52")
async def test_what_was_deleted_stays_deleted_and_is_erased_in_time():
    service = LosableService()
    one = file()
    await one_of(service, one.data)
    await service.delete(one.identifier)
    await service.settle()
    process = service.on(MemoryTableStore())
    done = await process.rebuilt()
    assert (done.obsolete, done.indexed) == (1, 0)
    assert await process.instance(one.identifier) is None
    [name] = [name for name in process.blobs.names() if blob_names.parse_blob_name(name)]
    await process.ingest.ensure(name)  # an event, or the scrubber
    assert await process.instance(one.identifier) is None
    process.time.seconds += 71 * HOUR
    assert not await process.trash.erase_due(process.blobs)
    process.time.seconds += 2 * HOUR
    assert await process.trash.erase_due(process.blobs)
    assert [name for name in process.blobs.names() if not name.startswith("_feed/")] == ["_partitions/0.json"]


@pytest.mark.spec("DAT-52")
async def test_of_files_without_a_mark_the_newest_is_the_instance_and_the_others_are_kept_for_their_retention():
    service = LosableService()
    one = file({STUDY_DATE: "20240101"})
    uids = one.identifier
    later = file(
        {STUDY_DATE: "20240202"},
        study=uids.study_instance_uid,
        series=uids.series_instance_uid,
        sop_instance=uids.sop_instance_uid,
    )
    await one_of(service, one.data)
    await one_of(service, later.data, replace=True)  # and all is lost before anybody tidies up
    process = service.on(MemoryTableStore())
    done = await process.rebuilt()
    assert (done.indexed, done.superseded) == (1, 1)
    assert await process.content(uids) == later.data
    assert process.noted[0][0] == "superseded"
    assert len([name for name in process.blobs.names() if name.endswith(".dcm")]) == 2
    process.time.seconds += 73 * HOUR
    await process.trash.erase_due(process.blobs)
    assert await process.content(uids) == later.data
    assert len([name for name in process.blobs.names() if name.endswith(".dcm")]) == 1


@pytest.mark.spec("DAT-56")
async def test_data_partitions_come_back_with_their_names_and_keys():
    service = LosableService()
    await service.partitions.check_at_start(enabled=True)
    made = [await service.partitions.resolve(name, create=True) for name in ("Eins", "zwei")]
    process = service.on(MemoryTableStore())
    await process.partitions.check_at_start(enabled=True)
    assert await process.partitions.partitions() == await service.partitions.partitions()
    assert (await process.partitions.resolve("drei", create=True)).key == made[-1].key + 1


@pytest.mark.spec("DAT-56")
async def test_files_of_a_partition_that_nothing_names_are_reported_and_indexed_once_it_is_named():
    service = LosableService()
    partition = await service.partitions.resolve("Eins", create=True)
    one = file()
    name = blob_names.blob_name(partition.namespace, one.identifier, blob_names.new_upload_id(1_700_000_000_000))
    service.blobs.drop(name, one.data)
    await service.blobs.delete(partition_document(partition.namespace))
    process = service.on(MemoryTableStore())
    assert (await process.rebuilt()).unknown_partition == 1
    assert process.noted == [("unknown_partition", name)]
    await process.partitions.resolve("eins", create=True)
    assert (await process.rebuilt()).indexed == 1


@pytest.mark.spec("DAT-5")
async def test_a_dry_run_writes_nothing():
    service = LosableService()
    await one_of(service, file().data)
    service.blobs.drop("by hand", b"no DICOM")
    process = service.on(MemoryTableStore())
    await process.partitions.check_at_start(enabled=True)
    before = process.tables.rows("conf")
    done = await process.rebuilt(dry=True)
    assert (done.files, done.indexed) == (2, 2)
    assert process.tables.rows("conf") == before
    assert process.tables.rows("dicom") == []


@pytest.mark.spec("DAT-5")
async def test_what_is_no_instance_is_reported_and_left_alone():
    service = LosableService()
    service.blobs.drop("by hand", b"no DICOM")
    service.blobs.drop("invalid", file({PATIENT_ID: None, 0x0020000D: ("UI", "not a uid")}).data)
    done = await service.rebuilt()
    assert done.indexed == 0
    assert {what for what, _ in service.noted} <= {"not_readable", "invalid"}
    assert {blob for _, blob in service.noted} == {"by hand", "invalid"}
    assert {"by hand", "invalid"} <= {*service.blobs.names()}


@pytest.mark.spec("DAT-5")
async def test_stores_that_do_not_answer_end_the_rebuild_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr("shared.storage.optimistic.PAUSES", ())
    service = LosableService()
    one = file()
    await one_of(service, one.data)
    process = service.on(MemoryTableStore())

    async def refuse(kind, operation):
        if operation == "open":
            raise Unavailable("busy")

    process.blobs.before = refuse
    with pytest.raises(Unavailable):
        await process.rebuilt()
    process.blobs.before = None
    assert (await process.rebuilt()).indexed == 1


@pytest.mark.spec("DAT-55")
async def test_after_a_failover_rows_without_files_are_found_and_files_without_rows_indexed():
    service = LosableService()
    there, gone, unknown = file(), file(), file()
    for each in (there, gone):
        await one_of(service, each.data)
    await service.settle()
    lost = (await service.instance(gone.identifier)).blob
    await service.blobs.delete(lost)
    service.blobs.drop(
        blob_names.blob_name("0", unknown.identifier, blob_names.new_upload_id(1_700_000_000_000)), unknown.data
    )
    done = await service.rebuilt(restart=True)
    assert (done.known, done.indexed) == (1, 1)
    checked = await service.checked()
    assert (checked.instances, checked.without_file, checked.marked) == (3, (lost,), ())
    assert await service.lookup.instance(PARTITION, gone.identifier, metadata=True) is not None


@pytest.mark.spec("DAT-51")
async def test_until_a_rebuild_has_come_to_its_end_health_is_degraded_and_stores_are_taken(monkeypatch):
    monkeypatch.setattr(rebuild, "_BLOBS_AT_ONCE", 2)
    service = LosableService()
    for at in range(4):
        await service.store(image(f"1.{at}", f"1.{at}.1", f"1.{at}.1.1").data)
    check = index_is_whole(service.tables, service.tables.ping)
    assert await check() is None

    running = service.rebuild.run(restart=True)
    await anext(running)
    degraded = await check()
    later = image("1.9", "1.9.1", "1.9.1.1")
    [outcome] = await service.store(later.data)
    await running.aclose()  # its process is gone
    assert outcome.failure is None
    assert await service.instance(later.identifier)
    assert degraded == CheckResult(Status.DEGRADED, "The index is being made anew: what it lacks is not found yet.")
    assert await index_is_whole(service.tables, service.tables.ping)()

    await service.rebuilt()
    assert await check() is None
