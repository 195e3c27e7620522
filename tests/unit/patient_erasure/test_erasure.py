"""Patient erasure: what goes, what stays, and who has to agree (data-safety §6)."""

import json

import pytest

from shared import telemetry
from shared.operations.model import OperationStatus
from shared.registry.patient_hashes import PatientHashes
from shared.workitems.rows import event_in
from tests.builders.http import ALL, error
from tests.builders.images import image
from tests.builders.service import PARTITION
from tests.builders.worklist import element, new_workitem
from tests.unit.patient_erasure.service import ErasingService
from tests.unit.study_updates.test_update import name, stored

GONE = {"PatientID": "zz-4711", "PatientName": "Erasee^Emil", "PatientBirthDate": "19700102"}
KEPT = {"PatientID": "kk-0815", "PatientName": "Keeper^Kim", "PatientBirthDate": "19710102"}
BODY = {"patientId": "zz-4711", "reason": "request of 3 March"}


async def archive(service, **more):
    """Two studies of the patient, and one of somebody else."""
    gone = [
        image(f"1.{number}", f"1.{number}.1", f"1.{number}.1.{at}", **{**GONE, **more})
        for number in (1, 2)
        for at in (1, 2)
    ]
    kept = [image("2.1", "2.1.1", "2.1.1.1", **KEPT)]
    await stored(service, *gone, *kept)
    return gone, kept


async def found(service, query):
    status, body = await service.answer("search_studies", f"/v2/studies?{query}")
    return sorted(each["0020000D"]["Value"][0] for each in body) if status == 200 else []


@pytest.mark.spec("PHI-1", "PHI-12")
async def test_nothing_is_left_of_a_patient_and_everything_of_others(service):
    _, kept = await archive(service)
    await service.settle()
    before = service.places_with("Keeper")
    assert service.places_with("zz-4711", "Erasee")

    operation = await service.erased(BODY)

    assert operation.status is OperationStatus.SUCCEEDED
    assert operation.results == {
        "studiesErased": 2,
        "instancesErased": 4,
        "filesErased": 4,
        "studiesUntouched": 0,
        "deletedFilesErased": 0,
        "workitemsErased": 0,
        "importFilesErased": 0,
        "importFilesNotReadable": 0,
        "operationsForgotten": 0,
        "remaining": [],
    }
    assert service.places_with("zz-4711", "Erasee") == []
    assert service.places_with("Keeper") == before
    assert await found(service, "PatientID=kk-0815") == ["2.1"]
    assert await found(service, "PatientID=zz-4711") == []
    assert not [each for each in service.blobs.names() if "/1.1/" in each or "/1.2/" in each]
    assert await service.instance(kept[0].identifier)
    pages = await service.log.pages(1, 100)
    assert [change.operation for page in pages for change in page.changes].count("delete") == 4


@pytest.mark.spec("PHI-1")
async def test_versions_before_and_files_in_the_trash_go_too(service):
    """A corrected name, a replaced file, a deleted instance, and a study deleted as a whole."""
    gone, _ = await archive(service)
    await service.updated(["1.1"], name("Erasee^Corrected"))
    other = image("1.3", "1.3.1", "1.3.1.1", **GONE)
    await stored(service, other)
    await service.delete(gone[2].identifier)
    await service.delete(other.identifier)
    await service.settle()

    operation = await service.erased(BODY)

    # of the first study two versions of two instances; of the second one its instance, and one that was deleted
    assert (operation.results["filesErased"], operation.results["deletedFilesErased"]) == (6, 1)
    assert operation.results["instancesErased"] == 3
    assert service.places_with("zz-4711", "Erasee") == []
    assert not [
        each for each in service.blobs.names() if each.endswith((".obsolete", ".committed")) and "2.1" not in each
    ]


@pytest.mark.spec("PHI-1")
async def test_what_a_rebuild_makes_afterwards_is_the_index_as_it_was(service):
    await archive(service)
    await service.updated(["1.1"], name("Erasee^Corrected"))
    await service.erased(BODY)
    await service.settle()
    before = service.index_rows()
    again = service.on(type(service.tables)())
    await again.rebuilt()
    await again.settle()
    assert again.index_rows() == {key: value for key, value in before.items() if "I!1." not in key}


@pytest.mark.spec("PHI-11")
async def test_a_study_that_mixes_patients_is_listed_and_not_touched(service):
    """One instance of thousands decides: studies are read by instance, not by what their summary says."""
    await archive(service)
    odd = image("1.2", "1.2.1", "1.2.1.9", **KEPT)
    await stored(service, odd)

    planned = json.loads((await service.ask(BODY, "?dryRun=true")).body)
    assert planned == {
        "studies": 1,
        "instances": 2,
        "workitems": 0,
        "studyInstanceUids": ["1.1"],
        "untouched": ["1.2"],
    }
    operation = await service.erased(BODY)
    assert (operation.results["studiesErased"], operation.results["untouched"]) == (1, ["1.2"])
    view = await service.lookup.study(PARTITION, "1.2")
    assert view.instances == 3


@pytest.mark.spec("PHI-11")
@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ({"patientId": "zz-4711", "issuer": "Hospital"}, 2),
        ({"patientId": "zz-4711", "issuer": "Elsewhere"}, 0),
        ({"patientId": "ZZ-4711"}, 0),
        ({"patientId": "zz-471"}, 0),
        ({"patientId": "zz-4711*"}, 0),
    ],
)
async def test_identifier_and_issuer_are_compared_exactly(service, patient, expected):
    await archive(service, IssuerOfPatientID="Hospital")
    response = await service.ask({**BODY, **patient}, "?dryRun=true")
    assert json.loads(response.body)["studies"] == expected


@pytest.mark.spec("PHI-11")
async def test_a_dry_run_changes_nothing(service):
    await archive(service)
    await service.settle()
    before = service.tables.rows("dicom"), service.tables.rows("ops"), service.blobs.names()
    response = await service.ask(BODY, "?dryRun=true")
    assert (response.status, json.loads(response.body)["instances"]) == (200, 4)
    assert before == (service.tables.rows("dicom"), service.tables.rows("ops"), service.blobs.names())


@pytest.mark.spec("PHI-12")
async def test_nothing_happens_before_somebody_else_has_confirmed(service):
    await archive(service)
    operation_id = json.loads((await service.ask(BODY)).body)["id"]

    waiting = await service.ended(operation_id)
    assert (waiting.status, waiting.waits) == (OperationStatus.NOT_STARTED, True)
    assert (waiting.results["studyInstanceUids"], waiting.results["waitsForConfirmation"]) == (["1.1", "1.2"], True)
    assert await found(service, "PatientID=zz-4711") == ["1.1", "1.2"]

    assert (await service.confirm(operation_id, ALL)).status == 403
    for actions in ("read", "delete", "manageRetention", "write+delete"):
        assert (await service.confirm(operation_id, (("Authorization", f"Bearer {actions}"),))).status == 403
    assert (await service.confirm("0" * 32)).status == 404
    assert (await service.ended(operation_id)).status is OperationStatus.NOT_STARTED

    assert [(await service.confirm(operation_id)).status for _ in range(2)] == [202, 202]
    assert "waitsForConfirmation" not in (await service.operations.get(operation_id)).results
    assert (await service.ended(operation_id)).status is OperationStatus.SUCCEEDED
    assert (await service.confirm(operation_id)).status == 202
    assert await found(service, "PatientID=zz-4711") == []


@pytest.mark.spec("PHI-1", "DAT-51")
@pytest.mark.parametrize("query", ["", "?dryRun=true"])
async def test_while_the_index_lacks_what_is_stored_an_erasure_is_refused(service, query):
    await archive(service)
    other = service.on(type(service.tables)())
    running = other.rebuild.run()
    await anext(running)
    await running.aclose()  # its process is gone

    assert (await other.ask(BODY, query)).status == 409
    assert await other.operations.active() == []
    await other.rebuilt()
    assert (await other.erased(BODY)).results["studiesErased"] == 2


@pytest.mark.spec("PHI-12")
async def test_a_request_that_nobody_confirms_is_over_after_seven_days(service):
    await archive(service)
    operation_id = json.loads((await service.ask(BODY)).body)["id"]
    service.time.seconds += 7 * 86_400 + 1
    await service.operations.purge()
    assert (await service.confirm(operation_id)).status == 404
    assert service.tables.rows("ops") == []


@pytest.mark.spec("PHI-12")
async def test_a_deployment_may_do_without_the_second_person():
    service = ErasingService(two_persons=False)
    await archive(service)
    operation = await service.erased(BODY)
    assert (operation.status, operation.results["studiesErased"]) == (OperationStatus.SUCCEEDED, 2)


@pytest.mark.spec("PHI-12", "OP-8")
async def test_an_erasure_does_not_begin_beside_an_update(service):
    await archive(service)
    operation_id = json.loads((await service.ask(BODY)).body)["id"]
    await service.begin(["1.1"], name("Other"))
    response = await service.confirm(operation_id)
    assert response.status == 409
    await service.runner.run()
    assert (await service.confirm(operation_id)).status == 202


@pytest.mark.spec("PHI-1")
@pytest.mark.parametrize("actions", ["read", "write", "delete", "manageRetention", "delete@ward+manageRetention@ward"])
async def test_an_erasure_takes_both_data_actions(service, actions):
    headers = (("Authorization", f"Bearer {actions}"),)
    assert (await service.ask(BODY, "?dryRun=true", headers)).status == 403
    assert (await service.ask(BODY, headers=headers)).status == 403


@pytest.mark.spec("PHI-1")
@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"patientId": "zz-4711"},
        {"patientId": "", "reason": "r"},
        {"patientId": 4711, "reason": "r"},
        {"patientId": "a\\b", "reason": "r"},
        {"patientId": "x" * 65, "reason": "r"},
        {"patientId": "zz-4711", "reason": " "},
        {"patientId": "zz-4711", "reason": "r" * 1025},
        {"patientId": "zz-4711", "reason": "asked for by zz-4711"},
        {"patientId": "zz-4711", "issuer": 1, "reason": "r"},
        {"patientId": "zz-4711", "reason": "r", "more": True},
        {"patientId": "zz-4711", "reason": "r", "despiteRetention": False},
    ],
)
async def test_bad_requests_are_refused_and_change_nothing(service, body):
    assert (await service.ask(body)).status == 400
    assert service.tables.rows("ops") == []


@pytest.mark.spec("PHI-1")
@pytest.mark.parametrize("query", ["", "?dryRun=true"])
async def test_who_would_override_a_retention_learns_that_there_is_none(service, query):
    response = await service.ask({**BODY, "despiteRetention": True}, query)

    status, said = error(response)
    assert status == 400
    assert said.startswith("The field 'despiteRetention' in request body is invalid: The service keeps no retention")


@pytest.mark.spec("PHI-1")
async def test_workitems_of_the_patient_go_in_any_state(service):
    await archive(service)
    mine, others = (
        new_workitem(t00100020=element("LO", each), t00100010=element("PN", {"Alphabetic": each}))
        for each in ("zz-4711", "kk-0815")
    )
    for number in range(3):
        await service.workitems.create("0", f"3.{number}", mine)
    await service.workitems.create("0", "4.1", others)
    operation = await service.erased(BODY)
    assert operation.results["workitemsErased"] == 3
    assert await service.workitems.get("0", "3.1") is None
    assert await service.workitems.get("0", "4.1")
    kept = [event_in(row) for row in service.tables.rows("worklist") if row.row_key.startswith("e!")]
    assert {(event.uid, bool(event.searched)) for event in kept if not event.removed} == {("4.1", True)}
    assert not any(event.searched for event in kept if event.removed)
    assert service.places_with("zz-4711") == []


@pytest.mark.spec("PHI-1", "WK-7")
async def test_a_workitem_whose_retention_ends_meanwhile_is_no_hindrance(service):
    await archive(service)
    await service.workitems.create("0", "3.1", new_workitem(t00100020=element("LO", "zz-4711")))
    [posting] = [row for row in service.tables.rows("worklist") if row.row_key.startswith("pi!")]
    stored = await service.workitems.get("0", "3.1")

    async def retire(kind, operation):
        if (kind, operation) == ("worklist", "get"):
            service.tables.before = None
            await service.workitems.retire(stored)

    service.tables.before = retire
    operation = await service.erased(BODY)
    assert operation.results["workitemsErased"] == 0
    assert posting.row_key not in {row.row_key for row in service.tables.rows("worklist")}


@pytest.mark.spec("PHI-1")
async def test_files_that_wait_to_be_imported_or_were_refused_go(service):
    gone, kept = await archive(service)
    service.imports.drop("ward/one.dcm", gone[0].data, None)
    service.imports.drop("ward/two.dcm", kept[0].data, None)
    service.refused.drop("bare", gone[1].data[132:], None)
    service.refused.drop("text.txt", b"no DICOM file", None)
    operation = await service.erased(BODY)
    assert operation.results["importFilesErased"] >= 1
    assert operation.results["importFilesNotReadable"] >= 1
    assert service.imports.names() == ["ward/two.dcm"]
    assert "text.txt" in service.refused.names()


@pytest.mark.spec("PHI-1")
async def test_files_that_were_dropped_under_other_names_go(service):
    each = image("1.9", "1.9.1", "1.9.1.1", **GONE)
    service.blobs.drop("SCAN01", each.data, None)
    await service.ingest.ensure("SCAN01")
    operation = await service.erased(BODY)
    assert operation.results["filesErased"] == 1
    assert [each for each in service.blobs.names() if "SCAN" in each or "1.9" in each] == []


@pytest.mark.spec("PHI-1")
async def test_an_upload_that_never_became_an_instance_goes_with_its_study(service):
    """Its process died between file and row: the ingest takes it in, and it is erased as every other instance."""
    gone, _ = await archive(service)
    lost = image("1.1", "1.1.1", "1.1.1.7", **GONE)
    template = next(each for each in service.blobs.names() if each.endswith(".dcm") and "/1.1.1.1/" in each)
    service.blobs.drop(template.replace("/1.1.1.1/", "/1.1.1.7/"), lost.data, None)
    operation = await service.erased(BODY)
    assert operation.results["instancesErased"] == len(gone) + 1
    assert service.places_with("zz-4711") == []


@pytest.mark.spec("PHI-14")
async def test_a_study_that_is_stored_meanwhile_stays(service):
    await archive(service)
    operation_id = await service.begun(BODY)
    later = image("1.7", "1.7.1", "1.7.1.1", **GONE)
    await stored(service, later)
    await service.ended(operation_id)
    assert await found(service, "PatientID=zz-4711") == ["1.7"]
    assert await service.instance(later.identifier)


@pytest.mark.spec("PHI-13")
async def test_audit_records_name_a_keyed_hash_and_nothing_of_the_patient_stays_in_the_operation(service, caplog):
    caplog.set_level("INFO", telemetry.AUDIT_LOGGER)
    await archive(service)
    operation = await service.erased(BODY)
    records = [json.loads(each.message) for each in caplog.records if each.name == telemetry.AUDIT_LOGGER]
    details = [each for each in records if each["action"] == "Detail"]
    assert [each["details"]["event"] for each in details] == ["requested", "confirmed"]
    hashed = details[0]["details"]["patient"]
    assert (len(hashed), hashed) == (32, details[1]["details"]["patient"])
    assert details[0]["details"]["studies"] == ["1.1", "1.2"]
    assert (details[0]["correlationId"], details[0]["callerClaims"]) == (operation.id, {"sub": "user-all"})
    assert "zz-4711" not in json.dumps(records)
    assert "zz-4711" not in json.dumps([operation.input, operation.checkpoint, operation.results])
    other = ErasingService()
    assert await PatientHashes(other.tables).of("0", "zz-4711", "") != hashed
    assert await PatientHashes(service.tables).of("0", "zz-4711", "") == hashed


@pytest.mark.spec("PHI-1")
async def test_again_there_is_nothing_to_erase(service):
    await archive(service)
    await service.erased(BODY)
    operation = await service.erased(BODY)
    assert operation.status is OperationStatus.SUCCEEDED
    assert (operation.results["studiesErased"], operation.results["filesErased"]) == (0, 0)


@pytest.mark.spec("PHI-1")
async def test_a_request_for_the_same_patient_that_still_waits_is_over(service):
    await archive(service)
    waiting = json.loads((await service.ask(BODY)).body)["id"]
    operation = await service.erased(BODY)
    assert operation.results["operationsForgotten"] == 1
    assert (await service.confirm(waiting)).status == 404
    assert (await service.ended(waiting)).status is OperationStatus.FAILED
