"""One emulator for the storage tests, and the adapters and fakes that the contract suites run over."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.storage.connection import StorageConnection

_AZURITE = Path(__file__).parents[3] / ".cache" / "node_modules" / ".bin" / "azurite"
_START_SECONDS = 60


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    while True:
        assert process.returncode is None, "azurite ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            await writer.wait_closed()
            return


@asynccontextmanager
async def _running_azurite() -> AsyncIterator[StorageConnection]:
    ports = _free_ports(3)
    options = [f"--{name}Port={port}" for name, port in zip(("blob", "queue", "table"), ports, strict=True)]
    process = await asyncio.create_subprocess_exec(
        str(_AZURITE), "--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry", *options,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_START_SECONDS):
            for port in ports:
                await _answers(port, process)
        emulator = StorageConnection.from_connection_string("UseDevelopmentStorage=true")
        blob, queue, table = (f"http://127.0.0.1:{port}/devstoreaccount1" for port in ports)
        yield StorageConnection(blob, table, queue, emulator.credential)
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="session")
async def connection() -> AsyncIterator[StorageConnection]:
    """An emulator that nobody else uses."""
    async with _running_azurite() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """A name that no other test has."""
    return "t" + secrets.token_hex(6)
