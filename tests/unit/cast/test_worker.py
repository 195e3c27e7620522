"""Attempts at studies: races, failures, parking, the circuit."""

import asyncio
import random

import orjson
import pytest

from shared.cast.dirty_studies import Dirty
from shared.outgoing.failures import Failure, request_failed
from shared.outgoing.server import Answer
from tests.builders.cast import Cast, instance
from tests.fakes.fhir import outcome

STUDY = "2.25.1"


def transactions(answer: Answer, times: int = 10**9):
    """A fault that meets transactions alone, so many times."""
    left = [times]

    def fault(method: str, target: str) -> Answer | None:
        if method == "POST" and not target and left[0] > 0:
            left[0] -= 1
            return answer
        return None

    return fault


def refusing(status: int) -> Answer:
    return Answer(status, {}, outcome("x"))


async def row(cast: Cast, study: str = STUDY) -> Dirty:
    found = await cast.studies.get(cast.key(study))
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------------- order and repetition


@pytest.mark.spec("CAST-EV-4")
async def test_the_same_change_ten_times_is_one_transaction() -> None:
    cast = Cast()
    cast.have(STUDY, instance(STUDY))
    for _ in range(10):
        await cast.studies.mark(cast.key(STUDY), 7)
        await cast.worker.study(cast.key(STUDY), 7)
    assert (cast.fhir.transactions, cast.source.reads) == (1, 1)


async def test_changes_in_any_order_lead_to_the_same_resource() -> None:
    expected = Cast()
    await expected.cast(STUDY, *(instance(STUDY, 1, number) for number in range(1, 6)))
    wanted = expected.fhir.all("ImagingStudy")[0]["series"]
    for seed in range(5):
        cast, shuffled = Cast(), random.Random(seed)
        order = list(range(1, 6))
        shuffled.shuffle(order)
        present: list[int] = []
        for sequence, number in enumerate(order):
            present.append(number)
            cast.have(STUDY, *(instance(STUDY, 1, each) for each in shuffled.sample(present, len(present))))
            await cast.studies.mark(cast.key(STUDY), 100 - sequence)
            await cast.worker.study(cast.key(STUDY))
        cast.have(STUDY, *(instance(STUDY, 1, each) for each in order))
        await cast.studies.mark(cast.key(STUDY), 0, replay=True)
        await cast.worker.study(cast.key(STUDY))
        assert cast.fhir.all("ImagingStudy")[0]["series"] == wanted


async def test_two_workers_make_one_study_and_no_second_patient() -> None:
    cast = Cast()
    await cast.change(STUDY, instance(STUDY))
    await asyncio.gather(*(cast.another_worker().study(cast.key(STUDY)) for _ in range(4)))
    assert [len(cast.fhir.all(kind)) for kind in ("ImagingStudy", "Patient", "Endpoint")] == [1, 1, 1]


@pytest.mark.spec("CAST-EV-5")
async def test_a_taken_lease_leaves_a_message_for_later() -> None:
    cast = Cast()
    await cast.change(STUDY, instance(STUDY))
    await cast.studies.take(await row(cast), "somebody")
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.requests == 0
    assert [delay for _, delay in cast.queue.sent] == [5]
    cast.clock.time += 61
    await cast.worker.study(cast.key(STUDY))
    assert len(cast.fhir.all("ImagingStudy")) == 1


@pytest.mark.spec("CAST-EV-4")
async def test_a_change_that_arrives_meanwhile_stays_dirty() -> None:
    cast = Cast()
    await cast.change(STUDY, instance(STUDY))
    cast.source.during = lambda: cast.mark(STUDY)
    await cast.worker.study(cast.key(STUDY))
    assert await cast.dirty() == {STUDY: ""}
    cast.have(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    await cast.worker.study(cast.key(STUDY))
    assert await cast.dirty() == {}
    assert cast.fhir.all("ImagingStudy")[0]["numberOfInstances"] == 2


async def test_unchanged_metadata_need_no_request() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))
    before = cast.fhir.requests
    await cast.cast(STUDY, instance(STUDY))
    assert cast.fhir.requests == before
    assert await cast.dirty() == {}


async def test_other_settings_are_no_reason_to_keep_what_was_written() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))
    other = Cast(description_target="note", server=cast.fhir)
    other.tables = cast.tables
    other.studies = cast.studies
    other.worker = other.another_worker()
    other.have(STUDY, instance(STUDY))
    await cast.studies.mark(cast.key(STUDY), 9)
    before = cast.fhir.requests
    await other.worker.study(cast.key(STUDY))
    assert cast.fhir.requests > before


@pytest.mark.spec("CAST-EV-10")
async def test_lost_messages_are_made_up_for() -> None:
    cast = Cast()
    for number in range(3):
        await cast.change(f"2.25.{number}", instance(f"2.25.{number}"))
    assert await cast.worker.retry() == 0
    cast.clock.time += 61
    assert await cast.worker.retry() == 3


@pytest.mark.spec("CAST-EV-10")
async def test_a_new_change_takes_the_park_mark_off() -> None:
    cast = Cast()
    cast.fhir.fault = transactions(refusing(422), 1)
    await cast.cast(STUDY, instance(STUDY))
    assert await cast.dirty() == {STUDY: "FhirError"}
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.transactions == 0
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    assert await cast.dirty() == {}


# -------------------------------------------------------------------------------------------------------------- races


async def test_a_patient_created_meanwhile_is_taken() -> None:
    cast = Cast()
    identifier = {"system": cast.settings.patient_system, "value": "COH-001"}
    cast.fhir.before_transaction = lambda: cast.fhir.put({"resourceType": "Patient", "identifier": [identifier]})
    await cast.cast(STUDY, instance(STUDY))
    assert len(cast.fhir.all("Patient")) == 1
    assert await cast.dirty() == {}
    (study,) = cast.fhir.all("ImagingStudy")
    assert study["subject"]["reference"] == f"Patient/{cast.fhir.all('Patient')[0]['id']}"


async def test_a_stale_version_is_read_again() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))

    def meddle() -> None:
        (study,) = cast.fhir.all("ImagingStudy")
        cast.fhir.put({**study, "encounter": {"reference": "Encounter/1"}})

    cast.fhir.before_transaction = meddle
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    (study,) = cast.fhir.all("ImagingStudy")
    assert (study["numberOfInstances"], study["encounter"]) == (2, {"reference": "Encounter/1"})


async def test_races_without_end_are_tried_later() -> None:
    cast = Cast()
    cast.fhir.fault = transactions(refusing(412))
    await cast.cast(STUDY, instance(STUDY))
    assert (await row(cast)).attempts == 1
    assert await cast.dirty() == {STUDY: ""}


async def test_a_conflict_is_tried_three_times_and_parked() -> None:
    cast = Cast()
    cast.fhir.fault = transactions(refusing(409))
    await cast.cast(STUDY, instance(STUDY))
    assert await cast.dirty() == {STUDY: "FhirError"}
    assert sum(method == "POST" and not target for method, target, _, _ in cast.fhir.sent) == 3


async def test_a_study_that_something_refers_to_is_cancelled_instead_of_deleted() -> None:
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))

    def fault(method: str, target: str) -> Answer | None:
        bundle = orjson.loads(cast.fhir.sent[-1][3] or b"{}") if method == "POST" and not target else {}
        deleting = any(entry["request"]["method"] == "DELETE" for entry in bundle.get("entry", []))
        return refusing(409) if deleting else None

    cast.fhir.fault = fault
    await cast.cast(STUDY)
    (study,) = cast.fhir.all("ImagingStudy")
    assert (study["status"], study.get("series"), study["numberOfSeries"]) == ("cancelled", None, 0)
    assert await cast.dirty() == {}


async def test_a_resource_that_is_too_large_is_written_without_instances() -> None:
    cast = Cast()
    cast.fhir.fault = transactions(refusing(413), 1)
    await cast.cast(STUDY, instance(STUDY))
    (study,) = cast.fhir.all("ImagingStudy")
    assert ("instance" in study["series"][0], study["numberOfInstances"]) == (False, 1)
    cast.fhir.fault = transactions(refusing(413))
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    assert await cast.dirty() == {STUDY: "FhirError"}


# ----------------------------------------------------------------------------------------------------------- parking


@pytest.mark.spec("CAST-ER-1", "CAST-ER-2")
@pytest.mark.parametrize("status", [400, 404, 405, 410, 422])
async def test_a_refused_study_is_parked_once_and_resolved_by_success(status: int) -> None:
    cast = Cast()
    cast.fhir.fault = transactions(refusing(status), 2)
    await cast.cast(STUDY, instance(STUDY))
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 1, 2))
    (error,) = await cast.open_errors("FhirError")
    assert (error["HttpStatus"], error["Attempts"], error["SequenceTo"]) == (status, 2, 2)
    assert "told why" in error["Outcome"]
    await cast.cast("2.25.2", instance("2.25.2"))
    assert await cast.dirty() == {STUDY: "FhirError"}
    await cast.cast(STUDY, instance(STUDY))
    assert await cast.open_errors("FhirError") == []
    assert await cast.dirty() == {}


@pytest.mark.spec("CAST-SR-5")
async def test_several_matches_are_never_chosen_from() -> None:
    cast = Cast()
    for name in ("a", "b"):
        identifier = {"system": cast.settings.patient_system, "value": "COH-001"}
        cast.fhir.put({"resourceType": "Patient", "id": name, "identifier": [identifier]})
    await cast.cast(STUDY, instance(STUDY))
    (error,) = await cast.open_errors("FhirError")
    assert "Patient/a, Patient/b" in error["Exception"]


@pytest.mark.spec("CAST-SR-5")
async def test_the_oldest_study_may_be_taken_by_setting() -> None:
    cast = Cast(on_duplicate_study="oldest")
    for name in ("b", "a"):
        identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
        cast.fhir.put({"resourceType": "ImagingStudy", "id": name, "identifier": [identifier], "status": "available"})
    await cast.cast(STUDY, instance(STUDY))
    assert [each.get("numberOfInstances") for each in cast.fhir.all("ImagingStudy")] == [1, None]


async def test_an_internal_error_is_parked_and_does_not_loop() -> None:
    cast = Cast()
    cast.source.failure = KeyError("patient name")
    await cast.cast(STUDY, instance(STUDY))
    (error,) = await cast.open_errors("FhirError")
    assert error["Exception"].startswith("internal: KeyError")
    assert "patient name" not in error["Exception"]


@pytest.mark.parametrize(("ignores", "parked"), [(False, {STUDY: "DicomError"}), (True, {})])
async def test_metadata_that_are_no_json_are_parked_unless_ignored(ignores: bool, parked: dict[str, str]) -> None:
    cast = Cast(ignores_parsing_errors=ignores)
    await cast.cast(STUDY, "not JSON")
    assert await cast.dirty() == parked


# ----------------------------------------------------------------------------------------------------------- circuit


def away(failure: Failure):
    return lambda _method, _target: request_failed(failure, "away")


@pytest.mark.parametrize(
    "fault",
    [
        away(Failure.UNAVAILABLE),
        lambda _m, _t: refusing(503),
        lambda _m, _t: refusing(429),
        lambda _m, _t: refusing(502),
        lambda _m, _t: refusing(504),
        lambda _m, _t: refusing(403),
        away(Failure.AUTHENTICATION),
    ],
    ids=["lost", "503", "429", "502", "504", "403", "401"],
)
@pytest.mark.spec("CAST-ER-6")
async def test_nothing_is_parked_while_the_server_serves_nobody(fault) -> None:
    cast = Cast()
    cast.fhir.fault = fault
    for number in range(5):
        await cast.cast(f"2.25.{number}", instance(f"2.25.{number}"))
    asked = cast.fhir.requests
    assert asked == 1
    for _ in range(20):
        cast.clock.time += 30 * 24 * 3600
        await cast.worker.retry()
    assert set((await cast.dirty()).values()) == {""}
    assert 1 < cast.fhir.requests <= 41
    cast.fhir.fault = None
    cast.clock.time += 61
    await cast.worker.retry()
    hinted = {orjson.loads(message)["study"] for message, _ in cast.queue.sent if b"study" in message.encode()}
    for study in hinted:
        await cast.worker.study(cast.key(study))
    assert await cast.dirty() == {}
    for kind in ("FhirError", "DicomError", "TransientFailure"):
        assert await cast.open_errors(kind) == []


async def test_a_probe_waits_as_long_as_the_server_asks() -> None:
    cast = Cast()
    cast.fhir.fault = lambda _m, _t: Answer(503, {"retry-after": "200"}, b"")
    await cast.cast(STUDY, instance(STUDY))
    assert cast.queue.sent[-1][1] == 200
    cast.clock.time += 190
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.requests == 1
    cast.clock.time += 11
    await cast.worker.study(cast.key(STUDY))
    assert cast.fhir.requests == 2


async def test_a_refusal_of_one_study_closes_the_circuit() -> None:
    cast = Cast()
    cast.fhir.fault = away(Failure.UNAVAILABLE)
    await cast.cast(STUDY, instance(STUDY))
    cast.fhir.fault = transactions(refusing(422))
    cast.clock.time += 10
    await cast.worker.study(cast.key(STUDY))
    assert await cast.dirty() == {STUDY: "FhirError"}
    assert not (await cast.place.circuit.state(fresh=True)).is_open


@pytest.mark.spec("CAST-ER-6")
async def test_a_study_that_alone_gets_no_answer_is_parked_in_the_end() -> None:
    cast = Cast()
    fault = transactions(refusing(500))
    started = cast.clock.time
    while await cast.dirty() in ({}, {STUDY: ""}) and cast.clock.time - started < 3600:
        cast.fhir.fault = fault
        if not await cast.dirty():
            await cast.change(STUDY, instance(STUDY))
        await cast.worker.study(cast.key(STUDY))
        cast.fhir.fault = None
        other = f"2.25.9.{round(cast.clock.time)}"
        await cast.cast(other, instance(other))
        cast.clock.time += 61
    assert await cast.dirty() == {STUDY: "TransientFailure"}
    assert 600 <= cast.clock.time - started < 900
    assert len(await cast.open_errors("TransientFailure")) == 1
    (retry,) = await cast.open_errors("TransientRetry")
    assert retry["RetryNumber"] >= 8
    cast.clock.time += 6 * 3600
    await cast.worker.retry()
    await cast.worker.study(cast.key(STUDY))
    assert await cast.dirty() == {}
    assert await cast.open_errors("TransientFailure") == []


@pytest.mark.spec("CAST-ER-6")
async def test_three_studies_without_answer_open_the_circuit_and_none_is_parked() -> None:
    cast = Cast()
    cast.fhir.fault = lambda _m, _t: refusing(500)
    for number in range(3):
        await cast.cast(f"2.25.{number}", instance(f"2.25.{number}"))
    assert (await cast.place.circuit.state(fresh=True)).is_open
    for _ in range(100):
        cast.clock.time += 61
        await cast.worker.retry()
    assert set((await cast.dirty()).values()) == {""}


@pytest.mark.spec("CAST-EV-11", "CAST-EV-9")
async def test_each_attempt_has_a_message_and_a_longer_pause() -> None:
    cast = Cast()
    cast.fhir.fault = transactions(refusing(500))
    await cast.change(STUDY, instance(STUDY))
    pauses = []
    for _ in range(8):
        await cast.worker.study(cast.key(STUDY))
        await cast.worker.study(cast.key(STUDY))
        pauses.append(cast.queue.sent[-1][1])
        cast.clock.time += 70
    assert len(cast.queue.sent) == 8
    assert all(0.85 * wanted <= pause <= wanted for pause, wanted in zip(pauses, (2, 4, 8, 16, 32), strict=False))
    assert max(pauses) <= 60


@pytest.mark.spec("CAST-SR-4", "CAST-SR-7")
async def test_a_match_is_checked_byte_for_byte_and_versions_are_opaque() -> None:
    cast = Cast()
    system = cast.settings.patient_system
    body = orjson.dumps(
        {
            "resourceType": "Bundle",
            "entry": [
                {
                    "resource": {
                        "resourceType": "Patient",
                        "id": "x",
                        "meta": {"versionId": "9f-uuid"},
                        "identifier": [each],
                    }
                }
                for each in ({"system": system, "value": "coh-001"}, {"system": "urn:other", "value": "COH-001"})
            ],
        }
    )
    cast.fhir.fault = lambda _m, target: Answer(200, {}, body) if target.startswith("Patient") else None
    await cast.cast(STUDY, instance(STUDY))
    assert len(cast.fhir.all("Patient")) == 1
    cast = Cast(patient_update="all")
    cast.fhir.put({"resourceType": "Patient", "id": "x", "identifier": [{"system": system, "value": "COH-001"}]})
    cast.fhir.resources["Patient", "x"]["meta"]["versionId"] = "9f-uuid"
    cast.fhir.fault = transactions(refusing(422), 1)
    await cast.cast(STUDY, instance(STUDY))
    sent = orjson.loads(cast.fhir.sent[-1][3] or b"{}")
    matched = [entry["request"]["ifMatch"] for entry in sent["entry"] if "ifMatch" in entry["request"]]
    assert matched == ['W/"9f-uuid"']
