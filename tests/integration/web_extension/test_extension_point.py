"""The worker runtime's side of the extension: what ours relies on, in the version that is installed.

None of it is documented. A change of the runtime fails here before it fails in a deployment.
"""

import ast
import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import azure_functions_runtime.handle_event as events
import pytest
from azure_functions_runtime import http_v2
from azurefunctions.extensions import base

from shared.web_extension import extension, runtime
from shared.web_extension.limits import Limits
from shared.web_extension.messages import INVOCATION_ID, RequestBody, ServerRequest, ServerResponse
from shared.web_extension.server import HttpServer

ROOT = Path(__file__).parents[3]


def test_the_module_that_the_runtime_takes_is_ours():
    assert base.ModuleTrackerMeta.get_module() == extension.__name__
    assert base.HttpV2FeatureChecker.http_v2_enabled()
    assert issubclass(extension.WebApp, base.WebApp)
    assert issubclass(extension.WebServer, base.WebServer)
    assert base.RequestTrackerMeta.get_request_type() is ServerRequest
    assert base.ResponseTrackerMeta.get_standard_response_type() is ServerResponse


def test_the_runtime_looks_for_the_invocation_where_the_server_does():
    from azure_functions_runtime.utils.constants import X_MS_INVOCATION_ID

    assert X_MS_INVOCATION_ID == INVOCATION_ID


def test_the_runtime_makes_the_server_as_ours_expects_it():
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""): len(node.args)
        for node in ast.walk(ast.parse(inspect.getsource(http_v2.initialize_http_server)))
        if isinstance(node, ast.Call)
    }

    assert called["web_app_class"] == 0
    assert called["web_server_class"] == 3
    assert called["serve"] == 0
    assert "catch_all" in inspect.getsource(http_v2.initialize_http_server)
    assert ".sync_route_params(http_request, func_http_request.route_params)" in inspect.getsource(
        http_v2.sync_http_request
    )
    assert "sync_http_request" in inspect.getsource(events.invocation_request)


@pytest.fixture
def coordinator():
    found = http_v2.http_coordinator
    assert runtime._coordinator() is found
    assert runtime.entries(found) == {}
    yield found
    runtime.entries(found).clear()


async def until(condition) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.002)


async def invoke(coordinator, invocation_id: str, response: object) -> ServerRequest:
    """What `invocation_request` of the runtime does for an HTTP function."""
    request = await coordinator.get_http_request_async(invocation_id)
    extension.RequestSynchronizer().sync_route_params(request, {"version": "v2"})
    coordinator.set_http_response(invocation_id, response)
    return request


def catch_all(coordinator):
    """What `initialize_http_server` routes every request to."""

    async def serve(request: ServerRequest) -> object:
        invocation_id = request.headers.get(INVOCATION_ID)
        coordinator.set_http_request(invocation_id, request)
        return await coordinator.await_http_response_async(invocation_id)

    return serve


async def test_a_request_meets_its_invocation_and_nothing_is_kept(coordinator):
    server = HttpServer(catch_all(coordinator), Limits())
    request = ServerRequest(RequestBody(lambda: None), "")
    request.fields = [(INVOCATION_ID, "1")]
    answer = ServerResponse(200, [], b"x")

    response, taken = await asyncio.gather(server.respond(request), invoke(coordinator, "1", answer))

    assert (response, taken) == (answer, request)
    assert (request.claimed, request.path_params) == (True, {"version": "v2"})
    assert runtime.entries(coordinator) == {}


async def test_an_invocation_whose_request_never_comes_is_released(coordinator):
    waiting = asyncio.create_task(invoke(coordinator, "2", ServerResponse(400, [], b"")))
    await until(lambda: runtime.entries(coordinator))
    invocations = runtime.Invocations(30)

    assert [invocations.release(now) for now in (100.0, 129.0)] == [0, 0]
    assert not waiting.done()
    assert invocations.release(131.0) == 1
    request = await waiting
    assert (request.refusal.status, request.headers.get(INVOCATION_ID)) == (400, "2")
    assert invocations.release(132.0) == 0
    assert runtime.entries(coordinator) == {}


async def test_an_invocation_that_has_its_request_is_left_alone(coordinator):
    coordinator.set_http_request("3", ServerRequest(RequestBody(lambda: None), ""))
    invocations = runtime.Invocations(30)

    assert [invocations.release(now) for now in (0.0, 1000.0)] == [0, 0]
    assert "3" in runtime.entries(coordinator)


@pytest.mark.parametrize("chosen", ["own", "fastapi"])
def test_only_what_was_chosen_is_imported(chosen):
    program = f"""
import sys
from shared.http import azure_functions
from shared.settings import Settings
azure_functions.choose(Settings(storage_connection="x", authentication="off", web_extension={chosen!r}))
from azurefunctions.extensions.base import ModuleTrackerMeta
print(ModuleTrackerMeta.get_module(), sorted({{"fastapi", "starlette", "uvicorn"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    expected = {
        "own": "shared.web_extension.extension []",
        "fastapi": "azurefunctions.extensions.http.fastapi.web ['fastapi', 'starlette', 'uvicorn']",
    }
    assert ran.stdout.strip() == expected[chosen]
