"""Series that move into another study of the same patient (data-safety §8, MRG-3)."""

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from pydicom import Dataset

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.operations.model import OperationStatus
from shared.study_updates import study_update
from shared.study_updates.moved_instances import moved_uid
from tests.builders.images import image
from tests.builders.service import PARTITION
from tests.builders.updating import DESCRIPTION
from tests.fakes.events import MemoryEventPublisher
from tests.unit.patient_merge.service import MERGE, MOVE, MergingService
from tests.unit.study_updates.test_killed_at_each_step import dying, taken_up
from tests.unit.study_updates.test_update import dataset, stored

PATIENT = {"PatientID": "4711", "PatientName": "Doe^Jane"}
BODY = {
    "studyInstanceUid": "1.1",
    "seriesInstanceUids": ["1.1.1"],
    "targetStudyInstanceUid": "2.1",
    "reason": "wrong study chosen",
}


async def archive(service, instances=2, **target):
    """A study of two series, and one of the same patient."""
    moving = [
        image("1.1", "1.1.1", f"1.1.1.{number}", StudyDescription="Head", StudyID="7", **PATIENT)
        for number in range(1, instances + 1)
    ]
    staying = image("1.1", "1.1.2", "1.1.2.1", StudyDescription="Head", **PATIENT)
    there = image("2.1", "2.1.1", "2.1.1.1", **{**PATIENT, "StudyDescription": "Chest", **target})
    await stored(service, *moving, staying, there)
    return moving, staying, there


def become(operation, identifier):
    """What an instance is to become."""
    uids = (identifier.series_instance_uid, identifier.sop_instance_uid)
    return InstanceIdentifier("2.1", *(moved_uid(operation.id, uid) for uid in uids))


async def found(service, path):
    status, body = await service.answer("search_studies", f"/v2/studies?{path}")
    return body if status == 200 else []


@pytest.mark.spec("MRG-3", "MRG-4", "MRG-6")
async def test_series_move_with_new_uids_and_all_else_stays(service):
    moving, staying, there = await archive(service)
    operation = await service.done(MOVE, BODY)
    await service.settle()

    assert operation.status is OperationStatus.SUCCEEDED
    new = [become(operation, each.identifier) for each in moving]
    assert operation.results == {
        "studyProcessed": 1,
        "studyUpdated": 1,
        "studyFailed": 0,
        "instanceUpdated": 2,
        "moved": {
            "seriesInstanceUids": {"1.1.1": new[0].series_instance_uid},
            "sopInstanceUids": {
                old.identifier.sop_instance_uid: now.sop_instance_uid for old, now in zip(moving, new, strict=True)
            },
        },
    }
    for old, identifier in zip(moving, new, strict=True):
        assert await service.instance(old.identifier) is None
        now = await service.current(identifier)
        assert now.original is None
        data = dataset(service.blobs.content(now.blob))
        assert (data.StudyInstanceUID, data.SOPInstanceUID) == ("2.1", identifier.sop_instance_uid)
        assert data.file_meta.MediaStorageSOPInstanceUID == identifier.sop_instance_uid
        assert data.PixelData == dataset(old.data).PixelData
        assert (data.StudyDescription, data.StudyID, data.PatientID) == ("Chest", "1", "4711")
        [before] = data.OriginalAttributesSequence[0].ModifiedAttributesSequence
        assert (before.SOPInstanceUID, before.StudyDescription) == (old.identifier.sop_instance_uid, "Head")
        assert "OtherPatientIDsSequence" not in data
        assert json.loads(now.metadata)["00080018"]["Value"] == [identifier.sop_instance_uid]
    for each in (staying, there):
        assert (await service.current(each.identifier)).original is None
    assert [each["0020000D"]["Value"][0] for each in await found(service, "StudyDescription=Head")] == ["1.1"]
    [study] = await found(service, "StudyDescription=Chest&includefield=00201206,00201208")
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([2], [3])


@pytest.mark.spec("MRG-3")
async def test_what_is_of_the_study_becomes_that_of_the_target_and_instances_of_somebody_else_stay(service):
    of_target = {
        "StudyDate": "20260102",
        "StudyTime": "1200",
        "AccessionNumber": "B2",
        "ReferringPhysicianName": "Roe^Ann",
        "StudyID": "9",
    }
    foreign = image("1.1", "1.1.1", "1.1.1.8", PatientID="else")
    await stored(service, foreign)  # first: the newest instance says who the patient is
    moving, _, _ = await archive(service, **of_target)

    operation = await service.done(MOVE, BODY)

    assert operation.results["instanceUpdated"] == 2
    assert service.blobs.content((await service.current(foreign.identifier)).blob) == foreign.data
    now = await service.current(become(operation, moving[0].identifier))
    data = dataset(service.blobs.content(now.blob))
    assert {keyword: data[keyword].value for keyword in of_target} == of_target


@pytest.mark.spec("MRG-3")
async def test_references_among_what_moves_follow(service):
    moving, staying, _ = await archive(service)
    refers = image(
        "1.1",
        "1.1.1",
        "1.1.1.9",
        **PATIENT,
        ReferencedImageSequence=[dataset_of(moving[0].identifier), dataset_of(staying.identifier)],
    )
    await stored(service, refers)
    operation = await service.done(MOVE, BODY)
    now = await service.current(become(operation, refers.identifier))
    items = dataset(service.blobs.content(now.blob)).ReferencedImageSequence
    assert [item.ReferencedSOPInstanceUID for item in items] == [
        become(operation, moving[0].identifier).sop_instance_uid,
        staying.identifier.sop_instance_uid,
    ]


def dataset_of(identifier):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", identifier.sop_instance_uid
    return item


@pytest.mark.spec("MRG-3", "MRG-5")
async def test_the_feed_has_a_create_of_each_new_instance_before_the_delete_of_the_old_one(service):
    moving, _, _ = await archive(service)
    operation = await service.done(MOVE, BODY)
    await service.settle()
    pages = await service.log.pages(1, 100)
    changes = [(change.operation, change.identifier) for page in pages for change in page.changes][4:]
    for each in moving:
        created, deleted = ("create", become(operation, each.identifier)), ("delete", each.identifier)
        assert changes.count(created) == changes.count(deleted) == 1
        assert changes.index(created) < changes.index(deleted)
    assert len(changes) == 2 * len(moving)


@pytest.mark.spec("MRG-3", "EXP-1")
async def test_the_expiry_of_the_target_stays(service):
    await archive(service)
    expires = image("2.1", "2.1.1", "2.1.1.2", **PATIENT)
    when = datetime.fromtimestamp(service.time.seconds + 10**6, UTC)
    await service.store(expires.data, expires=when)
    await service.done(MOVE, BODY)
    await service.settle()
    view = await service.lookup.study(PARTITION, "2.1")
    assert view.expires == when


@pytest.mark.spec("MRG-3")
@pytest.mark.parametrize(
    ("target", "body"),
    [
        ({"PatientID": "else"}, BODY),
        ({"IssuerOfPatientID": "B"}, BODY),
        ({}, {**BODY, "targetStudyInstanceUid": "9.9"}),
    ],
)
async def test_studies_of_two_patients_conflict(service, target, body):
    moving, _, _ = await archive(service, **target)
    if "IssuerOfPatientID" in target:
        await stored(service, image("1.1", "1.1.3", "1.1.3.1", **PATIENT, IssuerOfPatientID="A"))
    response = await service.ask(MOVE, body)
    assert response.status == 409
    assert await service.operations.active() == []
    assert await service.instance(moving[0].identifier) is not None


@pytest.mark.spec("MRG-3")
@pytest.mark.parametrize(
    "change",
    [
        {"seriesInstanceUids": []},
        {"seriesInstanceUids": "1.1.1"},
        {"seriesInstanceUids": ["1.1.1", "1.1.1"]},
        {"seriesInstanceUids": ["x"]},
        {"seriesInstanceUids": [1]},
        {"seriesInstanceUids": [f"1.{number}" for number in range(201)]},
        {"targetStudyInstanceUid": "1.1"},
        {"targetStudyInstanceUid": "y"},
        {"studyInstanceUid": None},
        {"reason": ""},
        {"patient": {"patientId": "4711"}},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(service, change):
    await archive(service)
    assert (await service.ask(MOVE, {**BODY, **change})).status == 400
    assert await service.operations.active() == []


@pytest.mark.spec("MRG-3")
async def test_a_dry_run_says_what_would_move(service):
    await archive(service)
    response = await service.ask(MOVE, BODY, "?dryRun=true")
    told = json.loads(response.body)
    assert (told["seriesInstanceUids"], told["targetStudyInstanceUid"]) == (["1.1.1"], "2.1")
    assert told["changeDataset"]["00081030"] == {"vr": "LO", "Value": ["Chest"]}
    assert await service.operations.active() == []


@pytest.mark.spec("MRG-3", "MRG-8")
async def test_series_that_are_not_there_are_a_success_without_instances(service):
    await archive(service)
    for change in ({"seriesInstanceUids": ["8.8"]}, {"studyInstanceUid": "9.9"}):
        operation = await service.done(MOVE, {**BODY, **change})
        assert operation.status is OperationStatus.SUCCEEDED
        assert operation.results["instanceUpdated"] == 0


@pytest.mark.spec("MRG-3", "DAT-5")
async def test_a_rebuild_finds_what_has_moved_where_it_is_now(service):
    moving, staying, there = await archive(service)
    operation = await service.done(MOVE, BODY)
    await service.settle()
    again = service.on(type(service.tables)())
    await again.rebuilt()
    for each in moving:
        assert await again.instance(each.identifier) is None
        assert await again.instance(become(operation, each.identifier)) is not None
    for each in (staying, there):
        assert await again.instance(each.identifier) is not None


async def taken_up_with(service, operation, moving, new):
    """As `taken_up`; each instance is there before, where it was or where it is to be, and all three in the end."""
    for old, identifier in zip(moving, new, strict=True):
        assert await service.instance(old.identifier) or await service.instance(identifier)
    other, ended = await taken_up(service, operation)
    assert ended.status is OperationStatus.SUCCEEDED
    assert ended.results["instanceUpdated"] == 3
    return other, ended


@pytest.mark.spec("MRG-3", "MRG-10")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("every", [41, pytest.param(1, marks=pytest.mark.nightly)])
async def test_a_move_goes_on_wherever_its_process_died(service, after, every, monkeypatch):
    monkeypatch.setattr(study_update, "_INSTANCES_AT_ONCE", 2)
    for step in count(1, every):
        service = type(service)()
        moving, staying, there = await archive(service, instances=3)
        operation = await service.begun(MOVE, BODY)
        died = await dying(service, step, after=after)
        new = [become(operation, each.identifier) for each in moving]
        other, ended = await taken_up_with(service, operation, moving, new)
        assert len(ended.results["moved"]["sopInstanceUids"]) == 3
        await other.settle()
        for old, identifier in zip(moving, new, strict=True):
            assert await service.instance(old.identifier) is None
            assert len(service.blobs.content((await service.current(identifier)).blob)) > 0
        pages = await other.log.pages(1, 100)
        kinds = [change.operation for page in pages for change in page.changes]
        assert (kinds.count("create"), kinds.count("delete")) == (8, 3)
        assert await service.instance(staying.identifier)
        assert await service.instance(there.identifier)
        if not died:
            assert step > 30
            return


@pytest.mark.spec("EVT-7", "MRG-5")
async def test_each_entry_of_the_feed_has_its_event():
    topic = MemoryEventPublisher()
    service = MergingService(topic=topic)
    await service.publication.prepare()
    moving, _, _ = await archive(service)
    await service.sequencer.catch_up()
    await service.publication.run()
    topic.published.clear()

    await service.updated(["2.1"], {DESCRIPTION: ["Thorax"]})
    move = await service.done(MOVE, BODY)
    other = {"patientId": "1", "attributes": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Roe^Jane"}]}}}
    await service.done(MERGE, {"source": {"patientId": "4711"}, "target": other, "reason": "wrong patient"})
    await service.sequencer.catch_up()
    await service.publication.run()

    entries = await service.feed("/v2/changefeed?includeMetadata=false&offset=4")
    told = [(each.type.rpartition("DicomImage")[2], each.data["sequenceNumber"]) for each in topic.published]
    actions = {"Create": "Created", "Update": "Updated", "Delete": "Deleted"}
    assert told == [(actions[each["action"]], each["sequence"]) for each in entries]
    assert sorted(kind for kind, _ in told) == ["Created"] * 2 + ["Deleted"] * 2 + ["Updated"] * 5
    new = {become(move, each.identifier).sop_instance_uid for each in moving}
    assert {each.data["imageSopInstanceUid"] for each in topic.published if each.type.endswith("Created")} == new


@pytest.mark.spec("MRG-3")
async def test_what_is_replaced_while_it_moves_stays(service, monkeypatch):
    moving, _, _ = await archive(service)
    newer = image("1.1", "1.1.1", "1.1.1.1", **PATIENT, PatientComments="newer")
    delete = service.index.delete_files

    async def replaced_before(*arguments):
        service.time.seconds += 5
        await service.store(newer.data, replace=True)
        return await delete(*arguments)

    monkeypatch.setattr(service.index, "delete_files", replaced_before)
    await service.done(MOVE, BODY)
    kept = await service.current(moving[0].identifier)
    assert service.blobs.content(kept.blob) == newer.data
    assert await service.instance(moving[1].identifier) is None


@pytest.mark.spec("MRG-9")
async def test_a_move_is_undone_with_the_uids_and_the_bytes_that_were(service):
    moving, staying, there = await archive(service)
    moved = await service.done(MOVE, BODY)
    await service.settle()
    undone = await service.reverted("move", moved)
    await service.settle()
    assert undone.status is OperationStatus.SUCCEEDED
    assert undone.results["instanceUpdated"] == 2
    assert "notReverted" not in undone.results
    for each in moving:
        assert service.blobs.content((await service.current(each.identifier)).blob) == each.data
        assert await service.instance(become(moved, each.identifier)) is None
    for each in (staying, there):
        assert await service.instance(each.identifier) is not None


@pytest.mark.spec("MRG-9", "MRG-10")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("every", [89, pytest.param(1, marks=pytest.mark.nightly)])
async def test_undoing_a_move_goes_on_wherever_its_process_died(service, after, every, monkeypatch):
    monkeypatch.setattr(study_update, "_INSTANCES_AT_ONCE", 2)
    for step in count(1, every):
        service = type(service)()
        moving, staying, there = await archive(service, instances=3)
        moved = await service.done(MOVE, BODY)
        new = [become(moved, each.identifier) for each in moving]
        service.time.seconds += 1
        operation = await service.started(await service.ask_back("move", moved.id))
        died = await dying(service, step, after=after)
        other, ended = await taken_up_with(service, operation, moving, new)
        assert "notReverted" not in ended.results
        await other.settle()
        for old, identifier in zip(moving, new, strict=True):
            assert service.blobs.content((await service.current(old.identifier)).blob) == old.data
            assert await service.instance(identifier) is None
        pages = await other.log.pages(1, 100)
        kinds = [change.operation for page in pages for change in page.changes]
        assert (kinds.count("create"), kinds.count("delete")) == (11, 6)
        assert await service.instance(staying.identifier)
        assert await service.instance(there.identifier)
        if not died:
            assert step > 30
            return


@pytest.mark.spec("MRG-9")
async def test_what_has_changed_since_the_move_is_listed_and_stays(service):
    moving, _, _ = await archive(service, instances=3)
    moved = await service.done(MOVE, BODY)
    gone, back = (become(moved, each.identifier) for each in moving[:2])
    await service.index.delete(PARTITION, ResourceIdentifier(*vars_of(gone)))
    undone = await service.reverted("move", moved)
    assert undone.results["instanceUpdated"] == 2
    assert [each["sopInstanceUid"] for each in undone.results["notReverted"]] == [gone.sop_instance_uid]
    assert await service.instance(back) is None


def vars_of(identifier):
    return identifier.study_instance_uid, identifier.series_instance_uid, identifier.sop_instance_uid
