"""Azurite, the storage emulator, started and ended with the host."""

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from devhost.azurite.storage_account import emulator_connection
from devhost.settings import Unusable

_ROOT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_KEEP_ALIVE_SECONDS: Final = "120"
"""Longer than clients keep idle connections: the default of five seconds resets connections that are being reused."""
_PRELOADED: Final = _ROOT / "devhost/azurite/row_lookup.cjs"
_LISTENING: Final = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at \S+:(\d+)")

_TAKEN: Final = re.compile(r"EADDRINUSE\D*[\d.]*:(\d+)")


def azurite_command(environment: Mapping[str, str]) -> str:
    """The path of Azurite: AZURITE, else where the set-up installs it, else the one on the path. Raises Unusable."""
    candidates = (
        environment.get("AZURITE"),
        shutil.which("azurite", path=str(_ROOT / "node_modules/.bin")),
        shutil.which("azurite", path=str(_ROOT / ".cache/node_modules/.bin")),
        shutil.which("azurite"),
    )
    found = next((candidate for candidate in candidates if candidate), None)
    if found is None:
        raise Unusable("Azurite, the storage emulator, was not found: `make setup` installs it, AZURITE names another")
    return found


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the three services; 0: any that is free."""

    blob: int = 0
    queue: int = 0
    table: int = 0

    @classmethod
    def starting_at(cls, first: int) -> Self:
        """Three ports in a row, or three free ones for 0."""
        return cls(first, first + 1, first + 2) if first else cls()


class Azurite:
    """A running emulator."""

    def __init__(self, process: asyncio.subprocess.Process, ports: Ports) -> None:
        self._process = process
        self.ports = ports
        self.connection_string = emulator_connection(ports.blob, ports.queue, ports.table)
        self._drain = asyncio.create_task(self._discard_output())

    @classmethod
    async def start(
        cls, ports: Ports, data: Path | None, environment: Mapping[str, str] = os.environ, *, lock: int | None = None
    ) -> Self:
        """Start the emulator with its data in `data`, or in memory. It is ready when this returns. Raises Unusable.

        `lock` is the descriptor of a lock that the emulator shares until it has ended.
        """
        place = ["--inMemoryPersistence"]
        if data is not None:
            await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True)
            place = ["--location", str(data)]
        services = [("blob", ports.blob), ("queue", ports.queue), ("table", ports.table)]
        options = [
            text
            for service, port in services
            for text in (f"--{service}Port", str(port), f"--{service}KeepAliveTimeout", _KEEP_ALIVE_SECONDS)
        ]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(_ROOT / "devhost/azurite/supervisor.py"), azurite_command(environment),
            *options, *place, "--skipApiVersionCheck", "--disableTelemetry", "--silent",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True, env=_with_quick_rows(environment), pass_fds=() if lock is None else (lock,),
        )  # fmt: skip  # read at once: one item a line says no more
        try:
            async with asyncio.timeout(_START_SECONDS):
                found = await _listening(process)
        except BaseException:
            await _end(process)
            raise
        return cls(process, found)

    @property
    def pid(self) -> int:
        """The process that supervises Azurite."""
        return self._process.pid

    async def _discard_output(self) -> None:
        assert self._process.stdout is not None
        while await self._process.stdout.read(1 << 16):
            pass

    async def stop(self) -> None:
        """End the emulator in good order: what it holds is on disk when this returns."""
        await _end(self._process)
        self._drain.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._drain


def _with_quick_rows(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a Node.js that looks up rows by their index (see the script)."""
    options = f'{environment.get("NODE_OPTIONS", "")} --require="{_PRELOADED}"'
    return {**environment, "NODE_OPTIONS": options.strip()}


async def _listening(process: asyncio.subprocess.Process) -> Ports:
    assert process.stdout is not None
    ports: dict[str, int] = {}
    said: list[str] = []
    while len(ports) < 3:
        line = (await process.stdout.readline()).decode(errors="replace")
        if not line:
            raise Unusable(_reason("".join(said)))
        said.append(line)
        if match := _LISTENING.search(line):
            ports[match[1]] = int(match[2])
    return Ports(ports["Blob"], ports["Queue"], ports["Table"])


def _reason(said: str) -> str:
    """Why the emulator did not start, from what it said."""
    taken = _TAKEN.search(said)
    if taken is None:
        return "Azurite, the storage emulator, did not start:\n" + said
    return (
        f"port {taken[1]} is taken, which Azurite needs: is another `make run` up? "
        "AZURITE_PORT= chooses the first of three other ports"
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
