"""The resource table, the boundary and the adapter on the published worker runtime."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ClientSession
from yarl import URL

from devhost.testing import RunningService, running_service
from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.service_resources import FALLBACK
from tests.builders.paths import example_path

APP = Path(__file__).parent / "app"
OFF = {"AUTHENTICATION_MODE": "off", "MAX_REQUEST_BYTES": "1000000", "CORS_ALLOWED_ORIGINS": "https://viewer.example"}
ECHOING = sorted(set(RESOURCES) - {FALLBACK.name, "retrieve_study", "store_studies", "health_check"})


@pytest.fixture(scope="module", params=["own", "fastapi"])
def extension(request: pytest.FixtureRequest) -> dict[str, str]:
    """Each of the web extensions that the app can run on: one contract holds for both."""
    return {"WEB_EXTENSION": request.param}


@pytest.fixture(scope="module")
async def service(extension) -> AsyncIterator[RunningService]:
    async with running_service(APP, {**OFF, **extension}) as running:
        yield running


@pytest.fixture(scope="module")
async def partitioned(extension) -> AsyncIterator[RunningService]:
    async with running_service(APP, {**OFF, **extension, "DATA_PARTITIONS_ENABLED": "true"}) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def report(service: RunningService, client: ClientSession) -> dict:
    async with client.get(f"{service.url}/health/check") as response:
        return json.loads(await response.read())


async def until(condition: Callable[[dict], bool], service: RunningService, client: ClientSession) -> None:
    for _ in range(40):
        if condition(await report(service, client)):
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"it never happened: {await report(service, client)}")


@pytest.mark.spec("URL-6", "URL-7", "PART-1")
async def test_the_host_calls_the_function_of_each_row(service, partitioned, client):
    for name, running, data_partitions in [(name, service, False) for name in ECHOING] + [
        (name, partitioned, True) for name in ECHOING
    ]:
        path = example_path(RESOURCES[name].path(data_partitions=data_partitions))
        for method in RESOURCES[name].methods:
            for spelling in (path, path.replace("studies", "Studies").replace("metadata", "METADATA") + "/"):
                async with client.request(method, URL(f"{running.url}/{spelling}?q=%2F", encoded=True)) as response:
                    body = await response.read()
                    assert response.status == 200, (name, method, spelling, body)
                    if method == "HEAD":
                        assert body == b""
                        assert int(response.headers["Content-Length"]) > 0
                        continue
                    answer = json.loads(body)
                    assert (answer["function"], answer["query"]) == (name, "q=%2F"), spelling
                    assert answer["partition"] == ("ward" if "ward" in path else "Microsoft.Default")


@pytest.mark.spec("URL-11", "URL-3", "URL-1", "HDR-1", "HDR-4")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/studies", 404),
        ("GET", "/v9/studies", 400),
        ("DELETE", "/v2/studies", 405),
        ("PUT", "/v1/studies", 405),
        ("PATCH", "/v2/studies/1.2", 405),
        ("GET", "/v2/partitions/ward/studies", 400),
        ("GET", "/v2/studies/abc/metadata", 400),
        ("GET", "/v2/studies?a=%3C", 400),
    ],
)
async def test_refusals_reach_the_client_with_the_common_headers(service, client, method, path, status):
    async with client.request(method, service.url + path, headers={"X-Request-Id": "id-1"}) as response:
        assert response.status == status
        assert ("Allow" in response.headers) == (status == 405)
        assert response.headers["X-Request-Id"] == "id-1"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.spec("HDR-5", "CORS-3")
async def test_a_preflight_reaches_the_fallback(service, client):
    headers = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}

    async with client.options(f"{service.url}/v2/studies/1.2/metadata", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "https://viewer.example"


@pytest.mark.spec("STOW-8")
async def test_an_upload_over_the_limit_is_refused_and_the_connection_stays_usable(service, client):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with client.post(f"{service.url}/v2/studies", data=pieces()) as response:
        assert response.status == 413
    async with client.post(f"{service.url}/v2/studies", data=b"x" * 1_000_000) as response:
        assert (response.status, await response.read()) == (200, b"1000000")


@pytest.mark.spec("WADO-28")
async def test_a_stream_that_fails_cuts_the_connection_and_keeps_its_secret(service, client):
    async with client.get(f"{service.url}/v2/studies/2", headers={"X-Request-Id": "id-77"}) as response:
        assert response.status == 200
        with pytest.raises((ClientPayloadError, ClientConnectionError)):
            await response.read()

    await until(lambda found: "2" in found["closed"], service, client)
    assert "Doe" not in service.log_text
    reported = [line for line in service.log_text.splitlines() if "response-aborted" in line]
    assert any("id-77" in line for line in reported)


async def test_a_stream_is_closed_when_the_client_goes_away(service):
    async with ClientSession() as leaving, leaving.get(f"{service.url}/v2/studies/1") as response:
        await response.content.readexactly(200_000)
        response.close()

    async with ClientSession() as client:
        await until(lambda found: "1" in found["closed"], service, client)


async def test_the_runtime_keeps_nothing_of_invocations_that_are_over(service, client):
    for _ in range(50):
        await report(service, client)

    await until(lambda found: found["kept"] < 20, service, client)
