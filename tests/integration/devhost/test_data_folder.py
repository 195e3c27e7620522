"""Two services, one data folder: real processes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from devhost.data_folder import SERVICE_FILE, holder_of, running_service_of

ROOT = Path(__file__).resolve().parents[3]
APP = Path(__file__).parent / "apps" / "http"


async def _start(data: Path, *options: str, **settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devhost", "--app", str(APP), "--data-dir", str(data), "--port", "0",
        "--azurite-port", "0", "--ready-json", *options,
        cwd=ROOT, env={**os.environ, "AzureWebJobsStorage": "UseDevelopmentStorage=true", **settings},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip  # read at once: one item a line says no more


async def _ready(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 120)
    if not line:
        assert process.stderr is not None
        pytest.fail((await process.stderr.read()).decode())
    return json.loads(line)["url"]


async def _stop(processes: Sequence[asyncio.subprocess.Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def test_the_second_service_on_a_data_folder_says_who_holds_it_and_changes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "my data"
    first = await _start(data)
    try:
        url = await _ready(first)
        told = running_service_of(data / SERVICE_FILE)
        assert told is not None
        assert (told["pid"], told["url"], told["port"]) == (first.pid, url, int(url.rpartition(":")[2]))
        assert isinstance(told["azuritePort"], int)
        assert told["azuritePort"] > 0

        second = await _start(data)
        _, errors = await asyncio.wait_for(second.communicate(), 60)

        assert second.returncode == 1
        (line,) = errors.decode().splitlines()
        assert f"the data folder {data} is in use by" in line
        assert f"process {first.pid}" in line
        assert "DATA_DIR=" in line
        assert running_service_of(data / SERVICE_FILE) == told
    finally:
        await _stop([first])
    assert holder_of(data) is None
    assert not (data / SERVICE_FILE).exists()


async def test_a_service_that_was_killed_leaves_the_folder_to_the_next_one(tmp_path: Path) -> None:
    first = await _start(tmp_path)
    await _ready(first)
    first.kill()
    second = await _start(tmp_path)
    try:
        await _ready(second)
        told = running_service_of(tmp_path / SERVICE_FILE)
        assert told is not None
        assert told["pid"] == second.pid
    finally:
        await _stop([first, second])


@pytest.mark.parametrize(
    ("options", "settings", "text"),
    [
        (("--address", "0.0.0.0"), {"AUTHENTICATION_MODE": "off"}, "AUTHENTICATION_MODE is not openid"),
        (("--address", "::"), {}, "AUTHENTICATION_MODE is not openid"),
        (("--port", "abc"), {}, "PORT=abc is no number from 0 to 65535"),
        (("--azurite-port", "99999"), {}, "AZURITE_PORT=99999 is no number from 0 to 65533"),
        (("--data-dir", "/dev/null/data"), {}, "the data folder /dev/null/data cannot be written"),
    ],
)
async def test_what_cannot_be_run_is_refused_in_one_line(
    tmp_path: Path, options: tuple[str, ...], settings: dict[str, str], text: str
) -> None:
    process = await _start(tmp_path, *options, **settings)
    _, errors = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode != 0
    (line,) = errors.decode().splitlines()
    assert text in line
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_a_port_that_is_taken_is_named_with_the_setting_that_chooses_another(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    async with server:
        for option, setting in (("--port", "PORT="), ("--azurite-port", "AZURITE_PORT=")):
            process = await _start(tmp_path, option, str(taken))
            _, errors = await asyncio.wait_for(process.communicate(), 120)

            assert process.returncode == 1
            (line,) = errors.decode().splitlines()
            assert f"port {taken} is taken" in line
            assert "is another `make run` up?" in line
            assert f" {setting}" in line


async def test_set_up_says_in_a_second_that_a_port_is_taken(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    async with server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scripts.doctor", "--before", "run",
            cwd=ROOT, env={**os.environ, "PORT": str(taken), "AZURITE_PORT": "0", "DATA_DIR": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip  # read at once: one item a line says no more
        said, errors = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, said) == (1, b"")
    assert f"port {taken} is taken: is another `make run` up?" in errors.decode()
