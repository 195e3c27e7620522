"""Cohorts in the pages: a question, its readings, a run, its members (VIEW-6)."""

import pytest
from aiohttp import web

from devhost.testing import running_service
from tests.browser.conftest import Pages, keep
from tests.builders.osteosarcoma import BASE, resources
from tests.conftest import ROOT
from tests.fakes.fhir import FakeFhirServer

QUESTION = "CT images and reports of anybody over 45 whose osteosarcoma was diagnosed in the past 24 months"


@pytest.fixture(scope="module")
async def fhir():
    """A FHIR server with the patients of cohorts §9; its address."""
    server = FakeFhirServer()
    for each in resources():
        server.put(each)

    async def answer(request: web.Request) -> web.Response:
        found = await server.request(
            request.method, str(request.url), headers=dict(request.headers), body=await request.read() or None
        )
        return web.Response(status=found.status, body=found.body, headers=found.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.base = f"http://{host}:{port}/fhir"
    yield server.base
    await runner.cleanup()


@pytest.fixture(scope="module")
async def service(azurite, fhir):
    """A service that reads it."""
    connection = azurite.connection_string
    settings = {
        "AzureWebJobsStorage": connection,
        "DicomStorage": connection,
        "Fhir__Endpoint": fhir,
        "Fhir__Authentication__Enabled": "false",
        "Cohort__AllowedEndpoints": BASE,
    }
    async with running_service(ROOT, settings) as running:
        yield running


@pytest.mark.spec("VIEW-6")
async def test_a_question_is_understood_run_and_answered_with_members(request, browser, service):
    await browser("open")
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
