"""Cohorts and feedback on a FHIR server of another project, with the data of cohorts §9."""

import orjson
import pytest

from shared.cohorts.feedback.models import models_of
from shared.fhir.client import FhirClient
from shared.outgoing.server import Server
from shared.outgoing.settings import Anonymous, ServerSettings
from shared.outgoing.tokens import NoToken
from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.builders.http import content
from tests.builders.osteosarcoma import STENT_PLANNER, outcomes_of_rep_1, resources, stent_observations


def numbers(entries):
    return {each["id"].removeprefix("Patient/pat-") for each in entries}


@pytest.fixture
async def site(fhir_server):
    client = FhirClient(Server(ServerSettings("FHIR", fhir_server.url, Anonymous()), NoToken()))
    try:
        found = Site(client=client)
        for each in (*resources(), *outcomes_of_rep_1(), *stent_observations()):
            await client.update(each)
        found.models += models_of([STENT_PLANNER])
        yield found
    finally:
        await client.close()


@pytest.mark.spec("COH-2", "COH-3", "COH-6", "COH-7")
async def test_the_example_of_the_page(site):
    found = await site.found(SEED)

    assert numbers(found["patients"]) == {"1", "2", "3", "9", "14"}
    assert numbers(found["indeterminate"]) == {"10", "15", "16"}
    studies = {study["uid"]: study for each in found["patients"] for study in each["studies"]}
    assert set(studies) == {f"2.25.7000.{n}" for n in (1, 2, 4, 5, 11, 17)}
    assert {r["id"]: r["link"] for study in studies.values() for r in study["reports"]} == {
        "DiagnosticReport/rep-1": "imagingStudy",
        "DiagnosticReport/rep-2": "accession",
        "DiagnosticReport/rep-4": "basedOn",
    }
    assert {each["id"] for patient in found["patients"] for each in patient["medications"]} == {
        f"MedicationRequest/med-{n}" for n in range(1, 6)
    }
    later = await site.found(SEED | {"asOf": "2026-07-01"})
    assert numbers(later["patients"]) == {"1", "2", "4", "9", "14"}
    without = await site.found(SEED | {"imaging": {"required": False, "modality": ["CT"]}})
    assert numbers(without["patients"]) == {"1", "2", "3", "8", "9", "14"}


@pytest.mark.spec("COH-14", "COH-34")
async def test_what_became_of_a_read(site):
    answer = await site.ask("retrieve_reader_feedback", "GET", "/v2/feedback/reader?practitioner=tele-1")
    found = orjson.loads(await content(answer))

    (case,) = found["cases"]
    assert [(each["outcome"], each["strength"], each["date"]) for each in case["outcomes"]] == [
        ("Procedure/biopsy-1", "explicit", "2025-03-05"),
        ("DiagnosticReport/path-1", "time", "2025-03-05"),
    ]
    assert found["coverage"] == "1 of 1"
    body = {"practitioner": "tele-1"}
    told = [await site.ask("deliver_reader_feedback", "POST", "/v2/feedback/reader/deliver", body) for _ in range(2)]
    assert [orjson.loads(each.body) for each in told] == [
        {"delivered": 2, "existing": 0},
        {"delivered": 0, "existing": 2},
    ]
    assert len(await site.client.search("Communication", [])) == 2


@pytest.mark.spec("COH-36")
async def test_an_assessment_is_kept(site):
    document = {
        "report": "DiagnosticReport/rep-1",
        "outcome": "Procedure/biopsy-1",
        "agreement": "concordant",
        "comment": "Seen and named.",
    }
    answer = await site.ask("store_feedback", "POST", "/v2/feedback", document)

    kept = await site.client.read(*orjson.loads(answer.body)["id"].split("/"))
    assert kept is not None
    assert [each["reference"] for each in kept["focus"]] == ["DiagnosticReport/rep-1", "Procedure/biopsy-1"]


@pytest.mark.spec("COH-15", "COH-35")
async def test_what_became_of_a_prediction(site):
    answer = await site.ask("retrieve_model_feedback", "GET", "/v2/feedback/model?device=StentPlanner")

    line, summary = (orjson.loads(each) for each in (await content(answer)).splitlines())
    assert (line["prediction"], line["outcome"], line["delta"], line["agree"]) == (3.0, 3.5, 0.5, False)
    assert (line["studyUid"], line["outcomeSource"]) == ("2.25.7000.11", "Observation/stent-implanted")
    assert summary["summary"]["count"] == 1
