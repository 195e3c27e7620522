"""A merge, or a move, that is undone (data-safety §8, MRG-9)."""

from itertools import count

import pytest

from shared.dicom.identifiers import ResourceIdentifier
from shared.operations.model import OperationStatus
from tests.builders.images import image
from tests.builders.service import PARTITION
from tests.builders.updating import DESCRIPTION
from tests.unit.patient_merge.service import MERGE, MOVE
from tests.unit.patient_merge.test_merge import BODY, OLD, archive, file_of, found
from tests.unit.study_updates.test_killed_at_each_step import dying, taken_up
from tests.unit.study_updates.test_update import dataset, stored

GIVEN = {"studyInstanceUid": "1.1", "patient": {"patientId": "new"}, "reason": "wrong patient chosen"}


async def content(service, each):
    return service.blobs.content((await service.current(each.identifier)).blob)


@pytest.mark.spec("MRG-9")
async def test_every_instance_of_a_merge_becomes_again_what_it_was(service):
    one, other, target = await archive(service)
    merged = await service.done(MERGE, BODY)
    await service.settle()
    versions = [(await service.current(each.identifier)).version for each in (one, other)]
    undone = await service.reverted("merge", merged)
    await service.settle()

    assert undone.status is OperationStatus.SUCCEEDED
    assert undone.results == {"studyProcessed": 2, "studyUpdated": 2, "studyFailed": 0, "instanceUpdated": 2}
    for each, version in zip((one, other), versions, strict=True):
        assert await content(service, each) == each.data
        now = await service.current(each.identifier)
        assert now.version > version
        assert service.blobs.content(now.first_version.blob) == each.data
    assert await found(service, "PatientID=old") == ["1.1", "1.2"]
    assert await found(service, "PatientID=new") == ["2.1"]
    assert await content(service, target) == target.data
    pages = await service.log.pages(1, 100)
    assert [change.operation for page in pages for change in page.changes].count("update") == 4


@pytest.mark.spec("MRG-9")
async def test_values_between_the_store_and_the_move_come_back(service):
    one, _, _ = await archive(service)
    await service.updated(["1.1"], {DESCRIPTION: ["Head"]})
    between = await content(service, one)
    moved = await service.done(MOVE, GIVEN)
    assert (await file_of(service, one)).PatientID == "new"
    undone = await service.reverted("move", moved)
    assert undone.results["instanceUpdated"] == 1
    assert await content(service, one) == between
    assert service.blobs.content((await service.current(one.identifier)).first_version.blob) == one.data


@pytest.mark.spec("MRG-9")
async def test_instances_with_a_later_version_are_listed_and_stay(service):
    one, other, _ = await archive(service)
    third = image("1.2", "1.2.1", "1.2.1.2", **OLD)
    await stored(service, third)
    merged = await service.done(MERGE, BODY)
    await service.updated(["1.1"], {DESCRIPTION: ["Head"]})
    scope = ResourceIdentifier("1.2", "1.2.1", "1.2.1.2")
    await service.index.delete(PARTITION, scope)
    undone = await service.reverted("merge", merged)

    assert undone.status is OperationStatus.SUCCEEDED
    assert (undone.results["instanceUpdated"], undone.results["instanceNotReverted"]) == (1, 2)
    assert {each["sopInstanceUid"] for each in undone.results["notReverted"]} == {"1.1.1.1", "1.2.1.2"}
    assert (await file_of(service, one)).PatientID == "new"
    assert (await file_of(service, other)).PatientID == "old"
    assert await service.instance(third.identifier) is None


@pytest.mark.spec("MRG-9")
async def test_instances_whose_former_file_has_been_erased_are_listed_and_stay(service):
    one, other, _ = await archive(service)
    await service.updated(["1.1"], {DESCRIPTION: ["Head"]})
    merged = await service.done(MERGE, BODY)
    await service.outlive_retention()
    undone = await service.reverted("merge", merged)
    assert [each["sopInstanceUid"] for each in undone.results["notReverted"]] == [one.identifier.sop_instance_uid]
    assert (await file_of(service, one)).PatientID == "new"
    assert await content(service, other) == other.data


@pytest.mark.spec("MRG-9")
async def test_what_was_undone_is_done_again_by_undoing_that(service):
    one, _, _ = await archive(service)
    merged = await service.done(MERGE, BODY)
    new = await content(service, one)
    undone = await service.reverted("merge", merged)
    again = await service.reverted("merge", undone)
    assert again.results["instanceUpdated"] == 2
    assert await content(service, one) == new


@pytest.mark.spec("MRG-9")
async def test_twice_is_once(service):
    one, _, _ = await archive(service)
    merged = await service.done(MERGE, BODY)
    await service.reverted("merge", merged)
    version = (await service.current(one.identifier)).version
    twice = await service.reverted("merge", merged)
    assert (twice.results["instanceUpdated"], twice.results["instanceNotReverted"]) == (0, 2)
    assert (await service.current(one.identifier)).version == version


@pytest.mark.spec("MRG-9", "OP-8")
async def test_only_a_merge_or_move_of_the_partition_that_has_ended_is_undone(service):
    await archive(service)
    merged = await service.done(MERGE, BODY)
    update = await service.updated(["1.1"], {DESCRIPTION: ["Head"]})
    assert (await service.ask_back("move", merged.id)).status == 404
    assert (await service.ask_back("merge", update.id)).status == 404
    assert (await service.ask_back("merge", "0" * 32)).status == 404
    assert (await service.ask_back("merge", "x")).status == 400
    assert (await service.ask_back("merge", merged.id, "/partitions/ward")).status == 404
    active = await service.begun(MERGE, BODY)
    assert (await service.ask_back("merge", active.id)).status == 409
    assert await service.operations.active() == [(active.id, active.type)]


@pytest.mark.spec("MRG-9", "OP-6")
async def test_what_is_over_for_a_week_cannot_be_undone(service):
    await archive(service)
    merged = await service.done(MERGE, BODY)
    service.time.seconds += 7 * 86_400 + 1
    await service.operations.purge()
    assert (await service.ask_back("merge", merged.id)).status == 404


@pytest.mark.spec("MRG-9", "DAT-52")
async def test_a_rebuild_finds_what_was_undone(service):
    one, other, _ = await archive(service)
    merged = await service.done(MERGE, BODY)
    await service.reverted("merge", merged)
    await service.settle()
    again = service.on(type(service.tables)())
    await again.rebuilt()
    for each in (one, other):
        now = await again.current(each.identifier)
        assert now.original is not None
        assert dataset(again.blobs.content(now.blob)).PatientID == "old"


@pytest.mark.spec("MRG-9", "MRG-10")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("every", [37, pytest.param(1, marks=pytest.mark.nightly)])
async def test_it_goes_on_wherever_its_process_died(service, after, every):
    for step in count(1, every):
        service = type(service)()
        one, other, _ = await archive(service)
        merged = await service.done(MERGE, BODY)
        service.time.seconds += 1
        operation = await service.started(await service.ask_back("merge", merged.id))
        died = await dying(service, step, after=after)
        process, ended = await taken_up(service, operation)
        assert ended.results == {"studyProcessed": 2, "studyUpdated": 2, "studyFailed": 0, "instanceUpdated": 2}
        for each in (one, other):
            assert await content(process, each) == each.data
        await process.settle()
        pages = await process.log.pages(1, 100)
        assert [change.operation for page in pages for change in page.changes].count("update") == 4
        if not died:
            assert step > 20
            return
