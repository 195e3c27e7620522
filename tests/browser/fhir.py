"""A FHIR server with the patients of cohorts §9, at an address of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.builders.osteosarcoma import BASE, resources
from tests.fakes.fhir import FakeFhirServer

QUESTION = "CT images and reports of anybody over 45 whose osteosarcoma was diagnosed in the past 24 months"


@asynccontextmanager
async def running_fhir() -> AsyncIterator[str]:
    """Its base URL."""
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
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.base = f"http://{host}:{port}/fhir"
        yield server.base
    finally:
        await runner.cleanup()


def settings(fhir: str) -> dict[str, str]:
    """Of a service that reads it."""
    return {
        "Fhir__Endpoint": fhir,
        "Fhir__Authentication__Enabled": "false",
        "Cohort__AllowedEndpoints": BASE,
    }
