"""The pages for whoever runs the service: change feed, operations, extended query tags, the API."""

import pytest

from tests.browser.conftest import store
from tests.browser.likeness import eventually
from tests.browser.test_pages import count, study


@pytest.mark.spec("VIEW-7")
async def test_the_change_feed_shows_the_newest_first_and_those_of_a_time(pages, archive):
    await store(archive.url, study("Latest^Lou"))
    await pages.show("changes")
    await pages.page("visible", "tbody tr")

    numbers = [int(row.split("\t")[0].replace(",", "")) for row in await pages.page("texts", "tbody tr")]
    assert numbers == sorted(numbers, reverse=True)
    await pages.page("fill", "input[name=to]", "2001-01-01T00:00")
    await pages.page("click", "text=Show")
    await pages.page("visible", "text=Nothing has changed in this time")
    await pages.page("fill", "input[name=to]", "")
    await pages.page("fill", "input[name=from]", "2001-01-01T00:00")
    await pages.page("click", "text=Show")
    await pages.page("visible", "tbody tr >> nth=0 >> td:text-is('1')")
    await pages.page("click", "tbody a")
    await pages.page("visible", ".series-card")


CAST_STATUS = {
    "checkpoint": 40,
    "newestSequence": 52,
    "lagEntries": 12,
    "lagSeconds": 61.4,
    "studiesWaiting": 3,
    "oldestWaitingSince": "2026-01-01T00:00:00Z",
    "studiesParked": 2,
    "queueLength": 1,
    "openErrors": {"FhirError": 2, "DicomError": 0},
    "circuit": {"open": False, "failure": None, "since": None, "nextProbe": None},
    "lastSuccess": "2026-01-01T00:00:00Z",
}
CAST_ERROR = {
    "id": "e1",
    "class": "FhirError",
    "studyUid": "1.2.3.4",
    "httpStatus": 422,
    "exception": "<img src=x onerror=alert(1)>",
    "attempts": 4,
    "createdAt": "2026-01-01T00:00:00Z",
}
CAST_UNMATCHED = {
    "studyUid": "1.2.3.5",
    "patientId": "4711",
    "candidates": [{"reference": "Patient/9", "identifier": []}],
}


@pytest.mark.spec("VIEW-7")
async def test_the_followers_of_the_feed_are_shown_as_far_as_the_service_has_them(pages):
    await pages.show("changes")
    await pages.page("visible", "section[aria-label=Events] >> text=within two minutes")

    assert await pages.page("count", "section[aria-label=DICOMcast]") == 0


@pytest.mark.spec("VIEW-7", "VIEW-12")
async def test_dicomcast_is_shown_with_its_lag_its_errors_and_studies_without_a_patient(pages, archive):
    health = [
        {"name": "events", "status": "Degraded", "description": "The event of the oldest change is 900 seconds late."},
        {"name": "fhir", "status": "Healthy", "description": "OK"},
    ]
    for path, answer in {
        "health/check": {"overallStatus": "Degraded", "details": health},
        "cast/status": CAST_STATUS,
        "cast/errors": [CAST_ERROR],
        "cast/unmatched": [CAST_UNMATCHED],
        "cast/replay": {"studies": 2},
    }.items():
        await pages.page("answer", f"{archive.url}/v2/{path}", answer)
    await pages.show("changes")

    assert "900 seconds late" in await pages.text("section[aria-label=Events]")
    told = await pages.text("section[aria-label=DICOMcast]")
    assert "12 changes, 61 s" in told
    assert "FhirError: 2" in told
    assert "DicomError" not in told
    await pages.page("click", "summary >> text=Errors")
    assert "422 <img src=x onerror=alert(1)>" in await pages.text("table >> text=1.2.3.4 >> xpath=ancestor::tr")
    await pages.page("click", "summary >> text=Studies without a Patient")
    assert "Patient/9" in await pages.text("table >> text=1.2.3.5 >> xpath=ancestor::tr")
    assert await pages.page("violations") == []
    await pages.page("click", "text=Try again what was put aside")
    await pages.page("visible", "text=Tried again: 2 studies")


@pytest.mark.spec("VIEW-7")
async def test_a_tag_is_added_and_its_operation_followed(pages):
    await pages.show("tags")
    await pages.page("click", "text=Add a tag")
    await pages.page("fill", "dialog input", "NoSuchAttribute")
    await pages.page("click", "dialog button.primary")
    assert "Request id:" in await pages.text("dialog .message")
    await pages.page("fill", "dialog input", "PatientSize")
    await pages.page("click", "dialog button.primary")
    await pages.page("visible", "dialog .message")  # the VR of PatientSize is not searchable
    await pages.page("fill", "dialog input", "PatientAge")
    await pages.page("click", "dialog button.primary")

    await pages.page("visible", "h2 >> text=Re-index")
    assert (await pages.page("address")).startswith(f"{pages.url}/ui/#/operations/")
    await pages.show("operations")
    await pages.page("visible", "h2 >> text=Re-index")  # this browser remembers it
    await pages.page("fill", "input[name=operation]", "no id")
    await pages.page("click", "form button")
    await pages.page("visible", "text=An id has 32 hexadecimal digits.")

    await pages.show("tags")
    await pages.page("visible", "tbody >> text=PatientAge")
    await pages.page("click", "tbody button.danger")
    await pages.page("click", "dialog button.danger")
    await pages.page("visible", "text=No query tags")


@pytest.mark.spec("VIEW-1")
async def test_a_request_of_the_api_is_sent_from_its_description(pages, archive):
    await pages.show("api")
    await pages.page("fill", "main input[type=search]", "get /studies ")
    await eventually(lambda: count(pages, "details.operation"), least=1)
    await pages.page("click", "details.operation summary")
    await pages.page("fill", "details.operation .field:has(label:text-is('Further query')) input", "PatientID=ID-BIRCH")
    assert f"'{archive.url}/v2/studies?PatientID=ID-BIRCH'" in await pages.text("details.operation pre")

    await pages.page("click", "details.operation button.primary")

    await pages.page("visible", ".badge >> text=200")
    assert "Birch^Ben" in await pages.text("pre.answer")


@pytest.mark.spec("VIEW-1")
async def test_a_picture_that_the_api_answers_is_shown(pages, archive):
    await pages.show("api")
    await pages.page("fill", "main input[type=search]", "get /studies/{study}/rendered")
    await pages.page("click", "details.operation summary")
    await pages.page("fill", "details.operation input", archive.ct.study_instance_uid)
    await pages.page("click", "details.operation button.primary")

    await pages.page("visible", ".picture img")
