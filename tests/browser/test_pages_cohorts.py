"""Cohorts in the pages: a question, its readings, a run, its members (VIEW-6)."""

import pytest

from devhost.testing import running_service
from tests.browser import fhir
from tests.browser.conftest import Pages, keep
from tests.browser.fhir import QUESTION
from tests.conftest import ROOT


@pytest.fixture(scope="module")
async def service(azurite):
    """A service that reads a FHIR server."""
    connection = azurite.connection_string
    async with fhir.running_fhir() as patients:
        settings = {"AzureWebJobsStorage": connection, "DicomStorage": connection, **fhir.settings(patients)}
        async with running_service(ROOT, settings) as running:
            yield running


@pytest.mark.spec("VIEW-6")
@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_a_question_is_understood_run_and_answered_with_members(request, browser, service, colours):
    await browser("open")
    await browser("colours", colours)
    pages = Pages(browser, service.url)
    await pages.show("cohorts")
    await browser("fill", "main textarea", QUESTION)

    await browser("click", "main form button.primary")
    await browser("visible", "section[aria-label='Reading'] strong")
    assert "osteosarcoma" in (await browser("texts", "section[aria-label='Reading'] strong"))[0].lower()
    await browser("click", "summary")
    assert '"version": 1' in (await browser("texts", "details pre"))[0]
    assert await browser("violations") == []

    await browser("click", "section[aria-label='Reading'] button.primary")
    await browser("visible", "text=Could not be decided")
    assert any("Patient/" in text for text in await browser("texts", "table th[scope=row]"))
    assert await browser("violations") == []
    await keep(request, browser)

    await pages.show("cohorts")
    await browser("visible", "table >> text=succeeded")
    assert await browser("complaints") == []


@pytest.mark.spec("VIEW-6")
async def test_words_that_are_not_understood_are_named_and_nothing_can_be_run(browser, service):
    await browser("open")
    pages = Pages(browser, service.url)
    await pages.show("cohorts")
    await browser("fill", "main textarea", "CT images of patients with a zyxwvutsr")

    await browser("click", "main form button.primary")

    await browser("visible", "text=These words were not understood")
    assert "zyxwvutsr" in (await browser("texts", ".message.warn"))[0]
    assert await browser("count", "section[aria-label='Reading'] button.primary:not(:disabled)") == 0


@pytest.mark.spec("VIEW-6", "COH-30")
async def test_an_export_is_asked_for_with_its_choices_and_a_refusal_is_told(browser, service):
    await browser("open")
    pages = Pages(browser, service.url)
    await pages.show("cohorts")
    await browser("fill", "main textarea", QUESTION)
    await browser("click", "main form button.primary")
    await browser("visible", "section[aria-label='Reading'] strong")
    await browser("click", "section[aria-label='Reading'] button.primary")
    await browser("visible", "text=Could not be decided")

    await browser("click", ".page-head button >> text=Export")
    await browser("fill", "dialog input[type=url]", "https://nobody.blob.core.windows.net/allowed")
    assert await browser("violations") == []
    await browser("click", "dialog form button.primary")

    await browser("visible", "dialog .message.bad")
    assert await browser("violations") == []
