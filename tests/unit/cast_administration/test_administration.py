"""What people ask of DICOMcast, and tell it."""

from collections.abc import AsyncIterator

import pytest

from shared.cast.dirty_studies import StudyKey
from shared.cast.verification import Verification
from shared.cast_administration.request import Choice, ErrorFilter, choice, new_checkpoint, new_verification
from shared.cast_administration.transaction import Administration, Places
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.outgoing.failures import Failure, request_failed
from shared.outgoing.server import Answer
from tests.builders.cast import PARTITION, Cast, instance
from tests.fakes.fhir import outcome

STUDY = "2.25.1"


def administration(cast: Cast, token: str = "") -> Administration:
    async def position() -> tuple[int, int]:
        return 3, 7

    async def lag() -> float:
        return 1.25

    async def reset(sequence: int) -> None:
        cast.moved = sequence

    async def current() -> str:
        return token

    return Administration(cast.place, Places(cast.source, position, lag, reset, current))


def refusing(cast: Cast, status: int) -> None:
    cast.fhir.fault = lambda method, target: (
        Answer(status, {}, outcome("x")) if method == "POST" and not target else None
    )


async def replayed(cast: Cast, study: str = STUDY) -> None:
    await cast.worker.study(cast.key(study))


@pytest.mark.spec("CAST-ER-7")
async def test_errors_are_listed_as_people_can_read_them() -> None:
    cast = Cast()
    refusing(cast, 422)
    await cast.cast(STUDY, instance(STUDY, t00100040="X"))
    (error,) = await administration(cast).errors(ErrorFilter())
    assert {name: error[name] for name in ("class", "studyUid", "partition", "httpStatus", "attempts")} == {
        "class": "FhirError",
        "studyUid": STUDY,
        "partition": PARTITION,
        "httpStatus": 422,
        "attempts": 1,
    }
    assert error["outcome"]["resourceType"] == "OperationOutcome"
    assert "resolvedAt" not in error
    assert await administration(cast).errors(ErrorFilter(study="2.25.9")) == []
    assert await administration(cast).errors(ErrorFilter(since=cast.clock.time + 1)) == []
    cast.fhir.fault = None
    await administration(cast).replay_error(error["id"])
    await replayed(cast)
    found = await administration(cast).errors(ErrorFilter())
    assert [(each["class"], "resolvedAt" in each) for each in found] == [("FhirError", True), ("note", False)]


@pytest.mark.spec("CAST-ER-3")
async def test_what_is_parked_is_tried_again_on_request() -> None:
    cast = Cast()
    refusing(cast, 422)
    for number in range(3):
        await cast.cast(f"2.25.{number}", instance(f"2.25.{number}"))
    cast.fhir.fault = None
    assert await administration(cast).replay_class("DicomError") == 0
    assert await administration(cast).replay_class("FhirError") == 3
    await administration(cast).replay_study("2.25.0", "")
    for number in range(3):
        await replayed(cast, f"2.25.{number}")
    assert await cast.dirty() == {}
    with pytest.raises(NotFound):
        await administration(cast).replay_error("bm90aGluZw")
    with pytest.raises(NotFound):
        await administration(cast).replay_error("%%%")


@pytest.mark.spec("CAST-PM-1", "CAST-PM-4")
async def test_studies_without_patient_are_listed_with_candidates() -> None:
    cast = Cast(patient_mode="matchOnly")
    name = [{"family": "FAMILY1", "given": ["G"]}]
    for value, birth in (("OTHER", "1970-01-02"), ("YOUNGER", "1990-01-02")):
        identifier = [{"system": "urn:x", "value": value}]
        cast.fhir.put(
            {"resourceType": "Patient", "id": value, "identifier": identifier, "name": name, "birthDate": birth}
        )
    await cast.cast(STUDY, instance(STUDY, t00100030="19700102", t00100021="HOSP"))
    (entry,) = await administration(cast).unmatched()
    assert entry == {
        "studyUid": STUDY,
        "partition": PARTITION,
        "patientId": "COH-001",
        "issuer": "HOSP",
        "since": entry["since"],
        "candidates": [{"reference": "Patient/OTHER", "identifier": [{"system": "urn:x", "value": "OTHER"}]}],
    }
    assert entry["since"].endswith("Z")


@pytest.mark.spec("CAST-PM-2", "CAST-PM-3")
async def test_people_choose_a_patient_or_let_one_be_created() -> None:
    for chosen, count in ((Choice(create=True), 2), (Choice(create=False, reference="Patient/x"), 1)):
        cast = Cast(patient_mode="matchOnly")
        cast.fhir.put({"resourceType": "Patient", "id": "x"})
        await cast.cast(STUDY, instance(STUDY))
        link = await administration(cast).connect(STUDY, "", chosen, "somebody")
        await replayed(cast)
        assert await cast.dirty() == {}
        assert len(cast.fhir.all("Patient")) == count
        await cast.cast("2.25.2", instance("2.25.2"))
        assert await cast.dirty() == {}
        await administration(cast).disconnect(link)
        with pytest.raises(NotFound):
            await administration(cast).disconnect(link)


@pytest.mark.spec("CAST-PM-2")
async def test_a_choice_that_cannot_be_is_refused() -> None:
    cast = Cast(patient_mode="matchOnly")
    await cast.cast(STUDY, instance(STUDY))
    looking = administration(cast)
    with pytest.raises(NotFound):
        await looking.connect(STUDY, "", Choice(create=False, reference="Patient/none"), "")
    with pytest.raises(InvalidRequest):
        await looking.connect(STUDY, "", Choice(create=False, reference="Device/1"), "")
    with pytest.raises(NotFound):
        await looking.connect("2.25.404", "", Choice(create=True), "")
    cast = Cast()
    await cast.cast(STUDY, instance(STUDY))
    with pytest.raises(Conflict):
        await administration(cast).connect(STUDY, "", Choice(create=True), "")


@pytest.mark.parametrize("body", [None, [], {"create": 1}, {}, {"create": True, "reference": "Patient/x"}, {"x": 1}])
def test_a_malformed_choice_is_refused(body: object) -> None:
    with pytest.raises(InvalidRequest):
        choice(body)


def test_a_verification_says_whether_it_repairs() -> None:
    assert new_verification({"repair": True}).repair
    assert not new_verification({}).repair
    with pytest.raises(InvalidRequest):
        new_verification({"repair": "yes"})


async def test_the_status_tells_what_waits_and_why() -> None:
    cast = Cast()
    cast.fhir.fault = lambda _m, _t: request_failed(Failure.PERMISSION, "no")
    await cast.cast(STUDY, instance(STUDY))
    status = await administration(cast).status()
    assert (status["checkpoint"], status["newestSequence"], status["lagEntries"]) == (3, 7, 4)
    assert (status["studiesWaiting"], status["studiesParked"]) == (1, 0)
    assert (status["circuit"]["open"], status["circuit"]["failure"]) == (True, "permission")


@pytest.mark.spec("CAST-EV-8")
async def test_the_checkpoint_is_moved_and_a_sweep_follows() -> None:
    cast = Cast()
    await administration(cast).reset(41)
    assert (cast.moved, cast.queue.sent) == (41, [('{"kind":"sweep"}', 0)])


@pytest.mark.parametrize("body", [None, [], {}, {"sequence": -1}, {"sequence": "1"}, {"sequence": True}, {"to": 1}])
def test_a_malformed_checkpoint_is_refused(body: object) -> None:
    assert new_checkpoint({"sequence": 0}) == 0
    with pytest.raises(InvalidRequest):
        new_checkpoint(body)


async def test_a_check_says_what_is_wrong_and_never_shows_the_token() -> None:
    cast = Cast()
    found = await administration(cast, "e30.eyJhdWQiOiJhcGkiLCJpc3MiOiJpIn0.c2ln").check()
    assert found["well"]
    assert found["token"] == {"aud": "api", "iss": "i", "exp": None}
    assert "c2ln" not in str(found)
    cast.fhir.fault = lambda _m, _t: request_failed(Failure.AUTHENTICATION, "no")
    refused = await administration(cast, "e30.eyJhdWQiOiJhcGkiLCJpc3MiOiJpIn0.c2ln").check()
    assert (refused["well"], refused["failure"]["class"]) == (False, "authentication")
    assert refused["token"]["aud"] == "api"  # what to compare with the audience that the server wants


async def test_a_preview_writes_nothing() -> None:
    cast = Cast()
    cast.have(STUDY, instance(STUDY))
    bundle = await administration(cast).preview(STUDY, "")
    assert [entry["request"]["url"] for entry in bundle["entry"]] == ["Endpoint", "Patient", "ImagingStudy"]
    assert (cast.fhir.writes, cast.fhir.transactions) == (0, 0)


@pytest.mark.spec("CAST-OK-2")
async def test_a_series_that_was_left_behind_is_a_difference_and_one_of_others_is_none() -> None:
    cast = Cast()

    async def studies() -> AsyncIterator[StudyKey]:
        yield cast.key(STUDY)

    verification = Verification(studies, cast.source, cast.matching, cast.studies, cast.settings)
    await cast.cast(STUDY, instance(STUDY), instance(STUDY, 2, 1))
    (held,) = cast.fhir.all("ImagingStudy")
    foreign = {"uid": "2.25.9", "modality": held["series"][0]["modality"], "endpoint": [{"reference": "Endpoint/x"}]}
    cast.fhir.put({**held, "series": [*held["series"], foreign]})
    assert [each async for _, each in verification.differences() if each] == []
    cast.have(STUDY, instance(STUDY))
    (found,) = [each async for _, each in verification.differences() if each]
    assert (found.kind, found.expected, found.found) == ("seriesCount", 1, 2)


@pytest.mark.spec("CAST-OK-2")
async def test_a_verification_finds_every_kind_of_difference_and_repairs_them() -> None:
    cast = Cast()

    async def studies() -> AsyncIterator[StudyKey]:
        for uid in sorted(cast.source.held):
            if cast.source.held[uid]:
                yield cast.key(uid)

    verification = Verification(studies, cast.source, cast.matching, cast.studies, cast.settings)
    for number in range(5):
        await cast.cast(f"2.25.{number}", instance(f"2.25.{number}"), instance(f"2.25.{number}", 2, 1))
    assert [each async for _, each in verification.differences() if each] == []
    by_uid = {each["identifier"][0]["value"][-1]: each for each in cast.fhir.all("ImagingStudy")}
    del cast.fhir.resources["ImagingStudy", by_uid["0"]["id"]]
    cast.fhir.put({**by_uid["1"], "series": by_uid["1"]["series"][:1], "subject": {"reference": "Patient/no"}})
    cast.fhir.put({**by_uid["2"], "identifier": by_uid["2"]["identifier"][:1]})
    series = [{**by_uid["3"]["series"][0], "numberOfInstances": 9}, by_uid["3"]["series"][1]]
    cast.fhir.put({**by_uid["3"], "series": series})
    cast.have("2.25.4")
    found = [each async for _, each in verification.differences() if each]
    assert {(each.study[-1], each.kind) for each in found} == {
        ("0", "missing"),
        ("1", "seriesCount"),
        ("1", "instanceCount"),
        ("1", "patient"),
        ("2", "accession"),
        ("3", "instanceCount"),
        ("4", "surplus"),
    }
    before = cast.fhir.writes
    for each in found:
        await verification.repair(each)
    assert cast.fhir.writes == before
    for number in range(5):
        await replayed(cast, f"2.25.{number}")
    assert [each async for _, each in verification.differences() if each] == []


@pytest.mark.spec("CAST-OK-2")
async def test_a_verification_comes_to_its_end_where_the_endpoint_of_the_service_cannot_be_told() -> None:
    cast = Cast()

    async def studies() -> AsyncIterator[StudyKey]:
        for uid in ("2.25.1", "2.25.2"):
            yield cast.key(uid)

    verification = Verification(studies, cast.source, cast.matching, cast.studies, cast.settings)
    for uid in ("2.25.1", "2.25.2"):
        await cast.cast(uid, instance(uid))
    (endpoint,) = cast.fhir.all("Endpoint")
    cast.fhir.put({**endpoint, "address": "https://elsewhere.example/"})
    found = [each async for _, each in verification.differences() if each]
    assert [(each.study, each.kind) for each in found] == [("2.25.1", "missing"), ("2.25.2", "missing")]
