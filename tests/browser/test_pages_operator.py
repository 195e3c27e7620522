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
