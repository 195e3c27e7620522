"""Similar patients, and the timeline of one."""

import orjson
import pytest

from tests.builders.cohort_runs import Site
from tests.builders.osteosarcoma import BASE

FIXTURE = [
    (65, ["15", "9"]),
    (60, ["13", "14", "2", "3"]),
    (50, ["12", "16", "4", "5", "8"]),
    (45, ["10", "17"]),
]


@pytest.fixture
def site():
    return Site()


async def similar(site, patient="pat-1", role="all", body=None):
    target = f"/v2/fhir-patients/{patient}/similar"
    answer = await site.ask("find_similar_patients", "POST", target, body or {"asOf": "2026-06-30"}, role=role)
    return answer.status, orjson.loads(answer.body) if answer.status == 200 else answer.body


@pytest.mark.spec("COH-13", "COH-32")
async def test_the_fixture_of_the_page(site):
    status, found = await similar(site)

    assert status == 200
    assert [(each["score"], each["id"]) for each in found] == [
        (score, f"Patient/pat-{number}") for score, numbers in FIXTURE for number in numbers
    ]
    assert found[0] == {
        "id": "Patient/pat-15",
        "score": 65,
        "facets": {"diagnosis": 1, "modality": 0.5, "age": 1, "sex": 1},
        "unknown": ["site", "stage"],
        "treatments": [],
        "outcomes": [],
    }
    tenth = next(each for each in found if each["id"] == "Patient/pat-10")
    assert tenth["unknown"] == ["age", "site", "stage"]


@pytest.mark.spec("COH-32")
async def test_a_patient_without_a_usable_condition_is_400_and_an_unknown_one_404(site):
    assert (await similar(site, "pat-7"))[0] == 400
    assert (await similar(site, "pat-99"))[0] == 400
    assert (await similar(site, "nobody"))[0] == 404
    assert (await similar(site, body={"asOf": "today"}))[0] == 400


@pytest.mark.spec("COH-13")
async def test_without_cohort_identified_nobody_is_named_and_a_small_group_is_a_count(site):
    _, many = await similar(site, role="cohort")
    _, few = await similar(site, "pat-6", role="cohort")

    assert [each["score"] for each in many] == [score for score, numbers in FIXTURE for _ in numbers]
    assert "pat-" not in orjson.dumps(many).decode()
    assert few == {"count": 0}


async def timeline(site, query="", accept=None):
    target = f"/v2/fhir-patients/pat-1/timeline{query}"
    return await site.ask("retrieve_timeline", "GET", target + (f"&accept={accept}" if accept else ""))


def entries(answer):
    return orjson.loads(answer.body)["entries"]


@pytest.mark.spec("COH-12", "COH-31")
async def test_a_timeline_is_sorted_and_linked(site):
    found = entries(await timeline(site))

    dates = [each["date"] for each in found]
    assert [date[:10] for date in dates] == sorted((date[:10] for date in dates), reverse=True)
    first = next(each for each in found if each["reference"] == "ImagingStudy/img-1")
    assert first == {
        "date": "2025-02-12T09:30:00+01:00",
        "precision": "second",
        "kind": "ImagingStudy",
        "title": "CT chest",
        "status": "available",
        "reference": "ImagingStudy/img-1",
        "links": {
            "wado": f"{BASE}/studies/2.25.7000.1",
            "viewer": "https://viewer.example.org/viewer?StudyInstanceUIDs=2.25.7000.1",
            "report": ["DiagnosticReport/rep-1"],
        },
    }


@pytest.mark.spec("COH-12")
async def test_a_year_stands_before_its_months_and_days_and_what_has_no_date_comes_last(site):
    for name, date in (("y", "2024"), ("m", "2024-03"), ("d", "2024-03-05"), ("n", None)):
        procedure = {
            "resourceType": "Procedure",
            "id": name,
            "status": "completed",
            "subject": {"reference": "Patient/pat-1"},
        }
        site.server.put(procedure | ({"performedDateTime": date} if date else {}))
    found = [each["reference"] for each in entries(await timeline(site))]

    assert [each for each in found if each.startswith("Procedure/")] == [f"Procedure/{each}" for each in "ymdn"]
    assert found[-1] == "Procedure/n"


@pytest.mark.spec("COH-31")
async def test_the_priors_of_a_study_come_first_with_their_reports(site):
    found = [each["reference"] for each in entries(await timeline(site, "?forStudy=2.25.7000.2"))]

    assert found[:4] == ["ImagingStudy/img-1", "DiagnosticReport/rep-1", "ImagingStudy/img-3", "DiagnosticReport/rep-3"]
    assert found == [each["reference"] for each in entries(await timeline(site, "?for-study=2.25.7000.2"))]


@pytest.mark.spec("COH-31")
async def test_what_is_later_than_the_day_is_left_out(site):
    found = [each["date"][:10] for each in entries(await timeline(site, "?asOf=2025-02-12"))]

    assert found
    assert max(found) <= "2025-02-12"
    assert (await timeline(site, "?asOf=yesterday")).status == 400
    assert (await site.ask("retrieve_timeline", "GET", "/v2/fhir-patients/nobody/timeline")).status == 404


@pytest.mark.spec("COH-31")
async def test_a_timeline_is_a_bundle_or_a_page_too(site):
    collection = await timeline(site, "?x=1", "application/fhir%2Bjson")
    page = await timeline(site, "?x=1", "text/html")

    assert orjson.loads(collection.body)["type"] == "collection"
    kinds = [each["resource"]["resourceType"] for each in orjson.loads(collection.body)["entry"]]
    assert kinds[0] == "Patient"
    assert b"CT chest" in page.body
    assert b"<script" not in page.body
