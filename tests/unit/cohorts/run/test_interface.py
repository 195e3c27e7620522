"""Cohorts over HTTP: who may do what, and what is answered."""

import orjson
import pytest

from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.builders.http import error, field

QUESTION = "CT images, reports and drugs of anybody over 45 whose osteosarcoma was diagnosed in the past 24 months"


def read(response):
    assert isinstance(response.body, bytes)
    return orjson.loads(response.body)


@pytest.fixture
def site():
    return Site()


async def run(site, role="all"):
    started = await site.ask("run_cohort", "POST", "/v2/cohorts", SEED, role=role)
    assert started.status == 202
    await site.runner.run()
    return read(started)["id"], started


@pytest.mark.spec("COH-16", "OP-4")
async def test_a_cohort_runs_as_an_operation_and_is_kept(site):
    cohort_id, started = await run(site)

    assert field(started, "Location") == f"http://dicom.example/v2/operations/{cohort_id}"
    one = read(await site.ask("retrieve_cohort", "GET", f"/v2/cohorts/{cohort_id}"))
    assert (one["status"], one["counts"]["patients"], one["exports"]) == ("succeeded", 5, [])
    assert one["definitionHash"].startswith("sha256:ac117a11")
    assert [each["id"] for each in read(await site.ask("list_cohorts", "GET", "/v2/cohorts"))] == [cohort_id]
    manifest = read(await site.ask("retrieve_cohort_manifest", "GET", f"/v2/cohorts/{cohort_id}/manifest"))
    assert manifest["engine"]
    assert manifest["definition"]["asOf"] == "2026-06-30"
    assert manifest["definitionHash"] == one["definitionHash"]
    assert {"system": "http://snomed.info/sct", "code": "307576001"} in manifest["valueSets"]["osteosarcoma"]
    assert (await site.ask("delete_cohort", "DELETE", f"/v2/cohorts/{cohort_id}")).status == 204
    assert (await site.ask("retrieve_cohort", "GET", f"/v2/cohorts/{cohort_id}")).status == 404
    assert (await site.ask("delete_cohort", "DELETE", f"/v2/cohorts/{cohort_id}")).status == 404


@pytest.mark.spec("COH-16")
async def test_each_patient_whose_data_was_read_into_a_result_is_audited(site):
    cohort_id, _ = await run(site)

    assert {name for name, _ in site.audited} == {cohort_id}
    read_patients = sorted(each for _, patients in site.audited for each in patients)
    assert read_patients == sorted(f"Patient/pat-{n}" for n in (1, 2, 3, 9, 14, 10, 15, 16))


async def test_there_is_no_manifest_before_the_run_has_ended(site):
    cohort_id = await site.start(SEED)

    status, text = error(await site.ask("retrieve_cohort_manifest", "GET", f"/v2/cohorts/{cohort_id}/manifest"))
    assert (status, "notStarted" in text) == (409, True)


@pytest.mark.spec("COH-1", "COH-17", "AERR-3")
@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ({"version": 1}, "$"),
        (SEED | {"conditions": [{"code": {"valueSet": "nobody-knows"}}]}, "conditions[0].code.valueSet"),
        (SEED | {"consent": {"mode": "perhaps"}}, "consent.mode"),
        (SEED | {"Patient": {}}, "Patient"),
    ],
)
async def test_an_invalid_definition_is_refused_and_nothing_runs(site, definition, path):
    status, text = error(await site.ask("run_cohort", "POST", "/v2/cohorts", definition))

    assert (status, f"'{path}'" in text) == (400, True)
    assert await site.operations.active() == []


@pytest.mark.spec("COH-10")
async def test_explain_answers_the_searches_and_sends_none(site):
    await site.terms.dictionary()
    before = site.server.requests
    answer = await site.ask("run_cohort", "POST", "/v2/cohorts?explain=true", SEED)

    searches = [each["search"] for each in read(answer)["searches"]]
    assert searches == ["Condition", "Patient", "Condition", "MedicationRequest", "ImagingStudy", "DiagnosticReport"]
    assert "http://snomed.info/sct|307576001" in read(answer)["searches"][0]["parameters"]["code"]
    assert site.server.requests == before
    assert await site.operations.active() == []


@pytest.mark.spec("COH-29")
async def test_files_are_listed_where_they_are_asked_for(site):
    cohort_id, _ = await run(site)
    plain = read(await site.ask("retrieve_cohort_manifest", "GET", f"/v2/cohorts/{cohort_id}/manifest"))
    listed = read(await site.ask("retrieve_cohort_manifest", "GET", f"/v2/cohorts/{cohort_id}/manifest?files=true"))

    assert all("files" not in study for each in plain["patients"] for study in each["studies"])
    files = [file for each in listed["patients"] for study in each["studies"] for file in study["files"]]
    assert len(files) == 13
    base = "https://imaging.example.org/v2/studies/2.25.7000.2"
    assert next(each for each in files if each["studyInstanceUid"] == "2.25.7000.2") == {
        "studyInstanceUid": "2.25.7000.2",
        "seriesInstanceUid": "2.25.7000.2.1",
        "sopInstanceUid": "2.25.7000.2.1.1",
        "sopClassUid": "1.2.840.10008.5.1.4.1.1.2",
        "url": f"{base}/series/2.25.7000.2.1/instances/2.25.7000.2.1.1",
    }


async def test_a_caller_without_cohort_identified_sees_nobody_who_could_be_named(site):
    cohort_id, _ = await run(site, role="cohort")
    answer = await site.ask(
        "retrieve_cohort_manifest", "GET", f"/v2/cohorts/{cohort_id}/manifest?files=true", role="cohort"
    )

    manifest = read(answer)
    assert manifest["counts"]["patients"] == 5
    text = orjson.dumps([manifest["patients"], manifest["indeterminate"]]).decode()
    for told in ("pat-", "2.25.7000", "2025-", "1980", "imaging.example.org", "med-", "cond-", "rep-"):
        assert told not in text
    again = read(await site.ask("retrieve_cohort_manifest", "GET", f"/v2/cohorts/{cohort_id}/manifest", role="cohort"))
    assert [each["id"] for each in again["patients"]] == [each["id"] for each in manifest["patients"]]


@pytest.mark.spec("AUTH-20")
async def test_studies_outside_the_scopes_of_a_caller_are_left_out_and_counted(site):
    cohort_id, _ = await run(site)
    answer = await site.ask(
        "retrieve_cohort_manifest",
        "GET",
        f"/v2/cohorts/{cohort_id}/manifest",
        role="cohort@ward+cohortIdentified@ward",
    )

    manifest = read(answer)
    assert (manifest["counts"]["studies"], manifest["counts"]["instances"]) == (0, 0)
    assert all(each["studies"] == [] for each in manifest["patients"])
    assert manifest["warnings"] == ["6 studies are outside your scopes and left out"]


@pytest.mark.parametrize(
    ("name", "method", "target", "body"),
    [
        ("run_cohort", "POST", "/v2/cohorts", SEED),
        ("list_cohorts", "GET", "/v2/cohorts", None),
        ("translate_question", "POST", "/v2/cohorts/translate", {"text": QUESTION}),
        ("find_similar_patients", "POST", "/v2/fhir-patients/pat-1/similar", {}),
        ("retrieve_timeline", "GET", "/v2/fhir-patients/pat-1/timeline", None),
    ],
)
@pytest.mark.spec("AUTH-14")
async def test_everything_needs_its_data_action(site, name, method, target, body):
    assert (await site.ask(name, method, target, body, role="read+write+delete")).status == 403


@pytest.mark.spec("AUTH-14")
async def test_a_timeline_needs_the_right_to_see_who_it_is_about(site):
    target = "/v2/fhir-patients/pat-1/timeline"

    assert (await site.ask("retrieve_timeline", "GET", target, role="cohort")).status == 403
    assert (await site.ask("retrieve_timeline", "GET", target, role="cohortIdentified")).status == 200


@pytest.mark.spec("NL-10", "NL-2")
async def test_a_question_is_translated_with_the_words_of_the_site(site):
    answer = await site.ask("translate_question", "POST", "/v2/cohorts/translate", {"text": QUESTION})

    found = read(answer)
    assert (answer.status, found["unmatched"]) == (200, [])
    assert found["definitionHash"].startswith("sha256:ac117a11")
    assert found["sentence"].startswith("Patients aged 46 or more")
    assert {each["path"] for each in found["spans"]} >= {"patient.age", "conditions[0].when", "imaging"}
    drug = read(await site.ask("translate_question", "POST", "/v2/cohorts/translate", {"text": "women on ibuprofen"}))
    assert drug["definition"]["medications"][0]["code"]["codes"][0]["code"] == "5640"


@pytest.mark.spec("NL-2")
async def test_what_is_new_at_the_site_can_be_asked(site):
    text = {"text": "patients with Köhler disease"}
    before = read(await site.ask("translate_question", "POST", "/v2/cohorts/translate", text))
    coding = {"system": "urn:x", "code": "k1", "display": "Köhler disease"}
    site.server.put(
        {
            "resourceType": "Condition",
            "id": "new",
            "subject": {"reference": "Patient/pat-1"},
            "code": {"coding": [coding]},
        }
    )
    site.time.seconds += 60
    after = read(await site.ask("translate_question", "POST", "/v2/cohorts/translate", text))

    assert [each["text"] for each in before["unmatched"]] == ["Köhler disease"]
    assert after["definition"]["conditions"] == [{"code": {"codes": [{"system": "urn:x", "code": "k1"}]}}]


@pytest.mark.spec("NL-10", "NL-11")
async def test_several_readings_are_a_conflict_and_unknown_words_are_not(site):
    two = await site.ask(
        "translate_question", "POST", "/v2/cohorts/translate", {"text": "patients with a CT last month"}
    )
    none = await site.ask(
        "translate_question", "POST", "/v2/cohorts/translate", {"text": "patients with a CT or osteosarcoma"}
    )

    assert (two.status, len(read(two)["readings"])) == (409, 2)
    assert none.status == 200
    assert "definition" not in read(none)
    assert [(each["text"], each["reason"]) for each in read(none)["unmatched"]] == [("or", "alternative")]


@pytest.mark.spec("NL-10")
@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": "x" * 2001}, {"text": 1}, {"text": "CT", "asOf": "2026"}, {"text": "a", "b": 1}]
)
async def test_a_bad_question_is_refused(site, body):
    assert (await site.ask("translate_question", "POST", "/v2/cohorts/translate", body)).status == 400


@pytest.mark.spec("NL-10")
async def test_the_day_of_the_request_is_in_the_definition_and_that_of_the_question_wins(site):
    body = {"text": "patients with a CT", "asOf": "2026-01-31"}
    named = {"text": "as of 2025-05-05, patients with a CT", "asOf": "2026-01-31"}

    one = read(await site.ask("translate_question", "POST", "/v2/cohorts/translate", body))
    other = read(await site.ask("translate_question", "POST", "/v2/cohorts/translate", named))
    assert (one["definition"]["asOf"], other["definition"]["asOf"]) == ("2026-01-31", "2025-05-05")
