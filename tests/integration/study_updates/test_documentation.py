"""The examples of docs/api/bulk-update.md and docs/api/patient-merge.md, as they stand there, against a service."""

import asyncio

import pytest
import requests

from tests.builders.documented import chores, examples, run, statuses
from tests.builders.files import PATIENT_ID, PATIENT_NAME, file
from tests.integration.devhost.waiting import eventually

OPTIONS = ("--no-blob-events",)
STUDY = "1.2.3"
"""The study of the examples."""


async def store(url, *files):
    for each in files:
        headers = {"Content-Type": "application/dicom"}
        stored = await asyncio.to_thread(requests.post, f"{url}/v2/studies", data=each.data, headers=headers)
        assert stored.status_code == 200


async def found(url, query):
    """Return when the study of the examples is found so."""

    async def search():
        answer = await asyncio.to_thread(requests.get, f"{url}/v2/studies?StudyInstanceUID={STUDY}&{query}")
        return answer.status_code == 200

    await eventually(search, 60)


async def ran(script, **known):
    """What the example knows at its end. It waits for the operation before it as well, while that is active."""
    while True:
        found = await run(script.replace("time.sleep(5)", "time.sleep(0.5)"), **known)
        if found["started"].status_code == 202:
            return found
        assert found["started"].status_code == 409


@pytest.mark.timeout(300)
async def test_the_examples_update_a_study(fresh_service):
    service = await fresh_service(options=OPTIONS)
    await store(service.url, file({PATIENT_NAME: "Old^Name"}, study=STUDY))
    [shell], [script] = (examples("api/bulk-update.md", language) for language in ("sh", "python"))
    assert await statuses(shell, service.url) == [202]
    async with chores(service.url):
        await found(service.url, "PatientName=Doe^Jane")
        known = await ran(script, url=service.url, study=STUDY)
    original = known["original"].json()
    assert original[0]["00080050"]["Value"] == ["A-1"]
    assert known["state"].json()["results"]["instanceUpdated"] == 1


@pytest.mark.timeout(300)
async def test_the_examples_merge_patients(fresh_service):
    service = await fresh_service(options=OPTIONS)
    await store(service.url, file({PATIENT_ID: "4711"}, study=STUDY), file({PATIENT_ID: "4712"}))
    shells, scripts = examples("api/patient-merge.md", "sh"), examples("api/patient-merge.md", "python")
    assert await statuses(shells[0], service.url) == [200, 202]
    async with chores(service.url):
        await store(service.url, file({PATIENT_ID: "4711"}, study="1.2.4"))
        await found(service.url, "PatientID=4712")
        merged, undone = scripts
        known = await run(undone, **await ran(merged, url=service.url))
    assert known["started"].headers["Location"] != known["undone"].headers["Location"]
    assert known["state"].json()["results"]["studyUpdated"] == 1


@pytest.mark.timeout(300)
async def test_the_examples_move_series_and_undo_what_there_is(fresh_service):
    service = await fresh_service(options=OPTIONS)
    await store(service.url, file(study=STUDY, series="1.2.3.4"), file(study="1.2.5"))
    _, moving, undoing = examples("api/patient-merge.md", "sh")
    assert await statuses(undoing, service.url) == [404]
    assert await statuses(moving, service.url) == [202]
    async with chores(service.url):

        async def moved():
            answer = await asyncio.to_thread(requests.get, f"{service.url}/v2/studies/1.2.5/series")
            return len(answer.json()) == 2

        await eventually(moved, 60)
