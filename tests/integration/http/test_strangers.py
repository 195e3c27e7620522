"""What strangers send to a service that asks for sign-in: none of it parks an invocation or ends a worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devhost.testing import RunningService, running_service

APP = Path(__file__).parent / "app"
TIMEOUT_SECONDS = 3
SETTINGS = {
    "AUTHENTICATION_MODE": "off",
    "AUDIT_QUERY_VALUES": "keep",
    "TELEMETRY_LEVEL": "INFO",
    "AzureFunctionsJobHost__functionTimeout": f"00:00:0{TIMEOUT_SECONDS}",
}
LOGGING = ("--log-level", "INFO")
FOREIGN = (b"swagger", b"uvicorn", b"fastapi", b"aiohttp", b'"detail"', b"Invalid HTTP request")
FORGED = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n"


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[RunningService]:
    async with running_service(APP, SETTINGS, options=LOGGING) as running:
        yield running


async def exchange(service: RunningService, line: str, fields: str = "Host: 127.0.0.1\r\n") -> bytes:
    """Everything that the service answers to a request line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    try:
        writer.write(f"{line} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n".encode("latin-1"))
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


def document(answer: bytes) -> dict:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.spec("URL-15")
async def test_no_stranger_parks_an_invocation_ends_a_worker_or_sees_a_foreign_page(service):
    before = service.processes
    expected = {
        "GET /docs": 404,
        "GET /docs/oauth2-redirect": 404,
        "GET /redoc": 404,
        "GET /openapi.json": 404,
        "GET /v2/studies/1%0A2": 400,
        "GET /%0A": 404,
        "GET /v2/%00": 404,
        "PROPFIND /v2/studies": 405,
        "TRACE /v2/studies": 405,
        "M-SEARCH /docs": 404,
        "CONNECT /v2/studies": 405,
        "CONNECT dicom.example:443": 405,
        "OPTIONS *": 400,
        "FOO /v2/studies": 400,
        "GET /v2/\xe4": 400,
    }
    for line, status in expected.items():
        answer = await exchange(service, line)
        assert answer.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status)), (line, answer)
        assert not any(word in answer.lower() for word in FOREIGN), (line, answer)
        assert b"\nserver:" not in answer.lower()

    await asyncio.sleep(TIMEOUT_SECONDS + 2)  # an invocation that waits would now have cost the worker

    assert service.processes == before
    assert "functionTimeout" not in service.log_text
    assert "Failed" not in service.log_text


async def test_forwarding_headers_of_a_stranger_change_neither_address_nor_scheme_nor_name(service):
    answer = document(await exchange(service, "GET /v2/studies", "Host: 127.0.0.1:1\r\n" + FORGED))

    assert (answer["client"], answer["scheme"], answer["host"]) == ("127.0.0.1", "http", "127.0.0.1:1")
    assert answer["url"] == "http://127.0.0.1:1/v2"
    assert "6.6.6.6" not in service.log_text
    assert "evil.example" not in service.log_text


@pytest.mark.spec("URL-14")
async def test_a_host_without_a_port_stands_for_the_port_that_was_asked(service):
    assert document(await exchange(service, "GET /v2/studies"))["url"] == f"{service.url}/v2"


async def test_a_forged_name_is_not_audited_where_the_service_has_one():
    settings = {**SETTINGS, "PUBLIC_BASE_URL": "https://dicom.example/base"}
    async with running_service(APP, settings, options=LOGGING) as running:
        answer = document(await exchange(running, "GET /v2/studies", "Host: evil.example\r\n" + FORGED))

        assert (answer["url"], answer["host"]) == ("https://dicom.example/base/v2", "dicom.example")
        assert "evil.example" not in running.log_text
        assert "https://dicom.example/v2/studies" in running.log_text
