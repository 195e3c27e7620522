"""The processes of the devhost: what happens when they are killed, and that none stays behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ServerDisconnectedError

from devhost.testing import RunningService, StartFailed, process_exists, running_service
from tests.integration.devhost.waiting import until

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[RunningService]:
    """The HTTP app with two workers."""
    async with running_service(APPS / "http", {"NOTES": str(tmp_path / "notes")}, workers=2) as service:
        yield service


async def _pid(client: ClientSession, service: RunningService) -> int:
    async with client.get(f"{service.url}/pid") as response:
        assert response.status == 200
        return int(await response.text())


async def test_requests_go_to_the_workers_in_turn(pair: RunningService) -> None:
    async with ClientSession() as client:
        answers = [await _pid(client, pair) for _ in range(6)]
    assert sorted(set(answers)) == sorted(await pair.worker_pids())
    assert answers[0::2] == [answers[0]] * 3


async def test_a_killed_worker_fails_its_requests_and_is_replaced(pair: RunningService, tmp_path: Path) -> None:
    async with ClientSession() as client:

        async def wait() -> int:
            async with client.get(f"{pair.url}/wait/30") as response:
                return response.status

        requests = [asyncio.create_task(wait()) for _ in range(2)]
        notes = tmp_path / "notes"
        await until(lambda: notes.exists() and len(notes.read_text().splitlines()) == 2)
        killed = await pair.kill_worker(0)
        done, pending = await asyncio.wait(requests, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [500]
        assert len(pending) == 1, "the request on the other worker goes on"
        assert await _pid(client, pair) != killed
        await pair.await_workers(other_than=killed)
        assert killed not in {await _pid(client, pair) for _ in range(4)}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def test_a_worker_killed_while_it_sends_cuts_the_response() -> None:
    async with (
        running_service(APPS / "http", {}) as service,
        ClientSession() as client,
        client.get(f"{service.url}/drip/1000") as response,
    ):
        assert response.status == 200
        await response.content.readline()
        await service.kill_worker()
        with pytest.raises(ClientError):
            await response.read()


async def test_a_worker_that_ends_itself_is_replaced(pair: RunningService) -> None:
    before = await pair.worker_pids()
    async with ClientSession() as client:
        for _ in range(2):
            async with client.get(f"{pair.url}/crash") as response:
                assert response.status == 500
        assert await _pid(client, pair) not in before, "a request waits for the new worker"


async def test_a_killed_host_leaves_no_process_behind_and_can_be_started_again(tmp_path: Path) -> None:
    settings = {"NOTES": str(tmp_path / "notes"), "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    async with running_service(APPS / "http", settings) as service, ClientSession() as client:
        before = service.processes
        assert len(before) >= 4, "host, worker, supervisor and emulator"
        blocked = asyncio.create_task(client.get(f"{service.url}/block/20").__aenter__())
        await asyncio.sleep(0.3)
        await service.kill()
        assert not [pid for pid in before if process_exists(pid)], "even a worker whose loop is blocked ends"
        with pytest.raises((ServerDisconnectedError, ClientError)):
            await blocked
        url = service.url
        await service.start()
        assert service.url == url
        assert await _pid(client, service) not in before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_host_and_all_its_processes(tmp_path: Path, number: signal.Signals) -> None:
    settings = {"NOTES": str(tmp_path / "notes"), "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    async with running_service(APPS / "http", settings) as service:
        before = service.processes
        await service.stop(number)
        assert not [pid for pid in before if process_exists(pid)]
        assert "Traceback" not in service.log_text


async def test_ctrl_c_while_the_host_starts_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(
        "import time, os\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    service = RunningService(tmp_path, {}, 1, ())
    starting = asyncio.create_task(service.start())
    pid = tmp_path / "pid"
    worker = int(await until(lambda: pid.exists() and pid.read_text()))
    os.kill(service.host_pid, signal.SIGINT)
    with pytest.raises(StartFailed):
        await starting
    assert not process_exists(worker)
    service.forget_log()


CLASSIC = """
import azure.functions as func
app = func.FunctionApp()

@app.route(route="a")
async def a(req: func.HttpRequest) -> func.HttpResponse: ...
"""
TIMER = """
import azure.functions as func
app = func.FunctionApp()

@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
async def tick(timer: func.TimerRequest) -> None: ...
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nothing_like_it", "No module named 'nothing_like_it'"),
        ("app = 1", "Could not find top level function app instances"),
        (CLASSIC, "only functions that stream"),
        (TIMER, "host.json names no extensionBundle"),
    ],
)
async def test_an_app_that_cannot_be_run_is_refused_with_the_reason(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(source)
    with pytest.raises(StartFailed, match=message):
        async with running_service(tmp_path, {}):
            pass


async def test_an_app_that_refuses_its_settings_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(
        "class Misconfigured(Exception): ...\n\n\nraise Misconfigured('LIMIT: no')"
    )
    with pytest.raises(StartFailed) as failed:
        async with running_service(tmp_path, {}, options=["--on-failure", "echo what the doctor says"]):
            pass
    assert str(failed.value).splitlines()[-2:] == [
        "The app cannot be run: Misconfigured: LIMIT: no",
        "what the doctor says",
    ]
    assert "Traceback" not in str(failed.value)


async def test_a_function_that_outlives_its_timeout_costs_its_worker(tmp_path: Path) -> None:
    settings = {"NOTES": str(tmp_path / "notes"), "AzureFunctionsJobHost__functionTimeout": "00:00:01"}
    async with running_service(APPS / "http", settings) as service, ClientSession() as client:
        before = await service.worker_pids()
        async with client.get(f"{service.url}/wait/3600") as response:  # longer than a test may take
            assert response.status == 500
        assert await _pid(client, service) not in before


async def test_the_body_of_a_response_counts_for_the_timeout_of_its_function(tmp_path: Path) -> None:
    settings = {"AzureFunctionsJobHost__functionTimeout": "00:00:01"}
    async with running_service(APPS / "http", settings) as service, ClientSession() as client:
        before = await service.worker_pids()
        async with client.get(f"{service.url}/drip/1000") as response:
            assert response.status == 200
            with pytest.raises(ClientError):
                await response.read()
        assert await _pid(client, service) not in before
