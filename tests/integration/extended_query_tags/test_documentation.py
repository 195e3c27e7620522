"""The examples of docs/api/extended-query-tags.md, as they stand there, against a service."""

import asyncio

import pytest
import requests

from tests.builders.documented import examples, run, statuses
from tests.builders.files import file

PAGE = "api/extended-query-tags.md"
AGE = 0x00101010
OPTIONS = ("--http-only", "--no-blob-events")


async def store(url: str) -> None:
    headers = {"Content-Type": "application/dicom"}
    data = file({AGE: ("AS", "042Y")}).data
    assert (await asyncio.to_thread(requests.post, f"{url}/v2/studies", data=data, headers=headers)).status_code == 200


@pytest.mark.timeout(300)
async def test_the_examples_of_adding_are_answered_as_the_page_says(fresh_service):
    service = await fresh_service(options=OPTIONS)
    await store(service.url)
    adding, errors = examples(PAGE, "sh")
    assert await statuses(adding, service.url) == [202, 200, 400]
    assert await statuses(errors, service.url) == [200, 200]


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_the_example_in_python_waits_until_the_tag_is_ready_and_finds_the_study(fresh_service):
    service = await fresh_service()
    await store(service.url)
    [script] = examples(PAGE, "python")
    studies = (await run(script, url=service.url))["studies"]
    assert isinstance(studies, requests.Response)
    assert (studies.status_code, len(studies.json())) == (200, 1)
