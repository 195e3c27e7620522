"""Patient merge and study move: which instances change, and what of them (data-safety §8)."""

import json

import pytest

from shared.operations.model import OperationStatus
from tests.builders.images import image
from tests.builders.service import PARTITION
from tests.unit.patient_merge.service import MERGE, MOVE
from tests.unit.study_updates.test_update import dataset, stored

OLD = {"PatientID": "old", "PatientName": "Doe^Jane", "PatientBirthDate": "19700102", "PatientAge": "042Y"}
NEW = {"PatientID": "new", "PatientName": "Roe^Jane", "PatientBirthDate": "19710102", "PatientSex": "F"}
BODY = {"source": {"patientId": "old"}, "target": {"patientId": "new"}, "reason": "registered twice"}
NAMED = {"PatientName": {"vr": "PN", "Value": [{"Alphabetic": "Poe^Jane"}]}}


async def archive(service, *, target=True, **more):
    """Two studies of the source, and one of the target."""
    images = [image(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **{**OLD, **more}) for number in (1, 2)]
    if target:
        images.append(image("2.1", "2.1.1", "2.1.1.1", **NEW))
    await stored(service, *images)
    return images


async def file_of(service, each):
    return dataset(service.blobs.content((await service.current(each.identifier)).blob))


async def found(service, query):
    status, body = await service.answer("search_studies", f"/v2/studies?{query}")
    return sorted(each["0020000D"]["Value"][0] for each in body) if status == 200 else []


@pytest.mark.spec("MRG-1", "MRG-4", "MRG-5", "MRG-6")
async def test_all_studies_of_the_source_become_those_of_the_target(service):
    one, other, target = await archive(service)
    operation = await service.done(MERGE, BODY)
    await service.settle()

    assert operation.status is OperationStatus.SUCCEEDED
    assert operation.results == {"studyProcessed": 2, "studyUpdated": 2, "studyFailed": 0, "instanceUpdated": 2}
    assert await found(service, "PatientID=old") == []
    assert await found(service, "PatientID=new") == ["1.1", "1.2", "2.1"]
    assert (await service.current(target.identifier)).original is None
    for each in (one, other):
        now = await file_of(service, each)
        assert (now.PatientID, now.PatientName, now.PatientBirthDate, now.PatientSex) == tuple(
            NEW[key] for key in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
        )
        assert now.PatientAge == "042Y"
        [former] = now.OtherPatientIDsSequence
        assert former.PatientID == "old"
        [record] = now.OriginalAttributesSequence
        [before] = record.ModifiedAttributesSequence
        assert (before.PatientID, before.PatientName, before.PatientBirthDate) == ("old", "Doe^Jane", "19700102")
        assert record.ReasonForTheAttributeModification == "CORRECT"
        assert record.ModifyingSystem
        assert record.AttributeModificationDateTime.endswith("+0000")
        metadata = json.loads((await service.current(each.identifier)).metadata)
        assert metadata["00101002"]["Value"][0]["00100020"]["Value"] == ["old"]
    pages = await service.log.pages(1, 100)
    assert [change.operation for page in pages for change in page.changes].count("update") == 2


@pytest.mark.spec("MRG-4")
async def test_a_further_merge_adds_to_what_is_recorded(service):
    one, _, _ = await archive(service)
    await service.done(MERGE, BODY)
    back = {"source": {"patientId": "new"}, "target": {"patientId": "third", "attributes": NAMED}, "reason": "again"}
    await service.done(MERGE, back)
    now = await file_of(service, one)
    assert [item.PatientID for item in now.OtherPatientIDsSequence] == ["old", "new"]
    assert len(now.OriginalAttributesSequence) == 2
    assert (now.PatientID, now.PatientName, now.PatientBirthDate) == ("third", "Poe^Jane", "")


@pytest.mark.spec("MRG-1")
async def test_name_birth_date_and_sex_of_the_source_never_stay_and_what_is_of_the_study_does(service):
    of_study = {"PatientSize": "1.7", "PatientWeight": "70", "Occupation": "Miner"}
    one, _ = await archive(service, target=False, PatientSex="F", PatientBirthTime="1200", **of_study)
    given = {**BODY, "target": {"patientId": "third", "attributes": NAMED}}
    await service.done(MERGE, given)
    now = await file_of(service, one)
    assert (now.PatientID, now.PatientName, now.PatientBirthDate, now.PatientSex) == ("third", "Poe^Jane", "", "")
    assert (now.PatientAge, str(now.PatientSize), str(now.PatientWeight), now.Occupation) == (
        "042Y",
        "1.7",
        "70",
        "Miner",
    )


@pytest.mark.spec("MRG-1", "GEN-11")
async def test_a_member_that_is_there_twice_is_refused(service):
    await archive(service)
    for body in (
        {**BODY, "Target": {"patientId": "third"}},
        {**BODY, "target": {"patientId": "new", "PatientID": "x"}},
    ):
        assert (await service.ask(MERGE, body)).status == 400
    assert await service.operations.active() == []


@pytest.mark.spec("MRG-1")
async def test_what_the_request_says_of_the_target_comes_first(service):
    one, _, _ = await archive(service)
    await service.done(MERGE, {**BODY, "target": {"patientId": "new", "issuer": "H", "attributes": NAMED}})
    now = await file_of(service, one)
    assert (now.PatientName, now.IssuerOfPatientID) == ("Poe^Jane", "H")


@pytest.mark.spec("MRG-1")
async def test_a_target_that_nobody_knows_needs_attributes(service):
    await archive(service, target=False)
    response = await service.ask(MERGE, BODY)
    assert response.status == 400
    assert await service.operations.active() == []


@pytest.mark.spec("MRG-1")
async def test_the_issuer_tells_patients_of_one_identifier_apart(service):
    one, other, _ = await archive(service)
    third = image("1.3", "1.3.1", "1.3.1.1", **OLD, IssuerOfPatientID="A")
    await stored(service, third)
    await service.done(MERGE, {**BODY, "source": {"patientId": "old", "issuer": "A"}})
    assert (await file_of(service, third)).PatientID == "new"
    for each in (one, other):
        assert (await service.current(each.identifier)).original is None


@pytest.mark.spec("MRG-1")
async def test_instances_of_somebody_else_in_a_study_of_the_source_stay(service):
    one, _, _ = await archive(service)
    foreign = image("1.1", "1.1.1", "1.1.1.2", **{**OLD, "PatientID": "else"})
    await stored(service, foreign)
    await service.done(MERGE, BODY)
    assert (await file_of(service, one)).PatientID == "new"
    assert (await service.current(foreign.identifier)).original is None


@pytest.mark.spec("MRG-1", "MRG-2")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MERGE, BODY),
        (MOVE, {"studyInstanceUid": "1.1", "patient": {"patientId": "new"}, "reason": "wrong patient chosen"}),
    ],
)
async def test_a_dry_run_says_what_would_be_done_and_does_nothing(service, path, body):
    await archive(service)
    response = await service.ask(path, body, "?dryRun=true")
    assert response.status == 200
    told = json.loads(response.body)
    assert sorted(told["studyInstanceUids"]) == (["1.1", "1.2"] if path == MERGE else ["1.1"])
    assert told["changeDataset"]["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Roe^Jane"}]}
    assert await service.operations.active() == []


@pytest.mark.spec("MRG-2")
async def test_one_study_is_given_to_another_patient(service):
    one, other, _ = await archive(service)
    body = {"studyInstanceUid": "1.1", "patient": {"patientId": "new"}, "reason": "wrong patient chosen"}
    operation = await service.done(MOVE, body)
    assert operation.results == {"studyProcessed": 1, "studyUpdated": 1, "studyFailed": 0, "instanceUpdated": 1}
    now = await file_of(service, one)
    assert (now.PatientID, now.StudyInstanceUID) == ("new", "1.1")
    assert (await service.current(other.identifier)).original is None


@pytest.mark.spec("MRG-6")
async def test_shares_of_a_study_end_when_it_becomes_that_of_another_patient(service):
    await archive(service)
    body = {"studyInstanceUid": "1.1", "patient": {"patientId": "new"}, "reason": "wrong patient chosen"}

    moved = await service.done(MOVE, body)
    assert service.ended == [("0", "1.1")]
    await service.reverted("move", moved)
    assert service.ended == [("0", "1.1")] * 2


@pytest.mark.spec("MRG-6")
async def test_shares_of_a_study_stay_when_it_is_given_to_the_patient_that_it_is_of(service):
    await archive(service)

    await service.done(MOVE, {"studyInstanceUid": "1.2", "patient": {"patientId": "old"}, "reason": "spelling"})

    assert service.ended == []


@pytest.mark.spec("MRG-6")
async def test_shares_stay_when_two_identifiers_of_one_patient_are_merged(service):
    await archive(service)

    await service.done(MERGE, BODY)

    assert service.ended == []


@pytest.mark.spec("MRG-8")
async def test_an_unknown_source_is_a_success_without_studies(service):
    await archive(service)
    operation = await service.done(MERGE, {**BODY, "source": {"patientId": "nobody"}})
    assert operation.status is OperationStatus.SUCCEEDED
    assert operation.results == {"studyProcessed": 0, "studyUpdated": 0, "studyFailed": 0, "instanceUpdated": 0}


@pytest.mark.spec("MRG-8", "OP-8")
async def test_one_update_merge_or_move_is_active_at_a_time(service):
    await archive(service)
    started = await service.begin(["1.1"], {"00081030": ["x"]})
    response = await service.ask(MERGE, BODY)
    assert response.status == 409
    assert started.id in response.body.decode()


@pytest.mark.spec("MRG-8")
@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "target": {"patientId": "old"}},
        {**BODY, "target": {"patientId": "old", "attributes": NAMED}},
        {**BODY, "source": {}},
        {**BODY, "source": {"patientId": "a\\b"}},
        {**BODY, "source": {"patientId": "x" * 65}},
        {**BODY, "reason": ""},
        {**BODY, "more": 1},
        {key: value for key, value in BODY.items() if key != "target"},
        [],
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(service, body):
    await archive(service)
    response = await service.ask(MERGE, body)
    assert response.status == 400
    assert b"xxx" not in response.body
    assert await service.operations.active() == []


@pytest.mark.spec("MRG-1", "UPD-7")
async def test_attributes_that_are_not_of_a_patient_are_refused(service):
    attributes = {"StudyDescription": {"vr": "LO", "Value": ["x"]}, "PatientID": {"vr": "LO", "Value": ["y"]}}
    response = await service.ask(MERGE, {**BODY, "target": {"patientId": "new", "attributes": attributes}})
    assert response.status == 400
    assert len(json.loads(response.body)["00741048"]["Value"]) == 2


@pytest.mark.spec("MRG-1")
async def test_the_first_version_has_no_merges(service):
    assert (await service.ask(MERGE, BODY, version="v1")).status in {404, 405}


@pytest.mark.spec("MRG-8")
async def test_the_workitems_of_the_source_are_listed_and_stay(service):
    await archive(service)
    workitems = {
        "2.25.1": {"00100020": {"vr": "LO", "Value": ["old"]}},
        "2.25.2": {"00100020": {"vr": "LO", "Value": ["OLD"]}},
        "2.25.3": {"00100020": {"vr": "LO", "Value": ["new"]}},
    }
    for uid, attributes in workitems.items():
        await service.workitems.create(PARTITION.namespace, uid, attributes)
    told = json.loads((await service.ask(MERGE, BODY, "?dryRun=true")).body)
    assert told["workitems"] == ["2.25.1"]
    operation = await service.done(MERGE, BODY)
    assert operation.results["workitems"] == ["2.25.1"]
    now = await service.workitems.get(PARTITION.namespace, "2.25.1")
    assert now.workitem.attributes["00100020"]["Value"] == ["old"]
