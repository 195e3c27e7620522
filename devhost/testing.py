"""The service and the emulator as async context managers, for tests and benchmarks.

async with running_azurite() as azurite:
    settings = {"AzureWebJobsStorage": azurite.connection_string, ...}
    async with running_service(app_directory, settings, workers=2) as service:
        service.url, service.connection_string, service.processes
        await service.kill_worker(0)     # SIGKILL; the host starts another
        await service.kill()             # SIGKILL of the host; its workers die with it, the storage stays
        await service.start()            # again, at the same URL
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession

from devhost.azurite.emulator import Azurite, Ports
from devhost.data_folder import process_exists
from devhost.log import LOST

_ROOT: Final = Path(__file__).resolve().parent.parent
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
LOG_FOLDER: Final = "DEVHOST_TEST_LOGS"
"""An environment variable: the folder where the logs of services are kept for whoever wants to read them all."""


class StartFailed(Exception):
    """The service did not start; the text ends with what it logged."""


class RunningService:
    """An app on the devhost, in processes of its own."""

    def __init__(self, app: Path, settings: Mapping[str, str], workers: int, options: Sequence[str]) -> None:
        self._app = app
        self._settings = dict(settings)
        self._workers = workers
        self._options = tuple(options)
        self._process: asyncio.subprocess.Process | None = None
        self._kept = os.environ.get(LOG_FOLDER)
        self._log = tempfile.NamedTemporaryFile(prefix="devhost-", suffix=".log", dir=self._kept, delete=False)  # noqa: SIM115 - forget_log() closes it
        self.url = ""
        self.tokens: Mapping[str, str] = {}
        """A token of each user, where the option `--sign-in` is given."""
        self.connection_string = settings.get("DicomStorage") or settings.get("AzureWebJobsStorage", "")

    @property
    def log_path(self) -> Path:
        """The file with everything that the host and its workers have logged."""
        return Path(self._log.name)

    @property
    def log_text(self) -> str:
        """Its content."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def kept_log_text(self) -> str:
        """The lines of it that Application Insights would be given on Azure, and the host's own."""
        return "".join(line for line in self.log_text.splitlines(keepends=True) if LOST not in line)

    @property
    def host_pid(self) -> int:
        """The process id of the host."""
        assert self._process is not None, "the service was never started"
        return self._process.pid

    @property
    def processes(self) -> list[int]:
        """The process ids that are alive: the host first, then everything that it started."""
        host = self.host_pid
        found = [host, *_descendants(host)]
        return [pid for pid in found if process_exists(pid)]

    async def start(self) -> None:
        """Start the host, after `kill` or `stop` at the URL that it had. It is ready when this returns.

        Raises StartFailed.
        """
        file = self._app / "local.settings.sample.json"
        port = self.url.rpartition(":")[2] or "0"
        with tempfile.NamedTemporaryFile(suffix=".json") as nothing, tempfile.NamedTemporaryFile() as no_webhooks:
            nothing.write(json.dumps({"Values": {}}).encode())
            nothing.flush()
            no_webhooks.write(b"[]")
            no_webhooks.flush()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "devhost", "--app", str(self._app), "--port", port,
                "--workers", str(self._workers), "--settings", str(file if file.exists() else nothing.name),
                "--azurite-port", "0", "--ephemeral", "--under-parent", "--ready-json",
                "--webhooks", no_webhooks.name, *self._options,
                cwd=_ROOT, env={**os.environ, **self._settings}, start_new_session=True,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=self._log.fileno(),
            )  # fmt: skip  # read at once: one item a line says no more
            assert self._process.stdout is not None
            try:
                async with asyncio.timeout(_START_SECONDS):
                    line = await self._process.stdout.readline()
            except TimeoutError:
                line = b""
        if not line:
            await self.kill()
            raise StartFailed(f"the service did not start:\n{self.log_text[-8000:]}")
        ready = json.loads(line)
        self.url = ready["url"]
        self.tokens = ready["tokens"]
        self.connection_string = ready["connectionString"] or self.connection_string

    async def worker_pids(self) -> list[int]:
        """The process ids of the workers that are up, in the order of their places."""
        async with ClientSession() as session, session.get(f"{self.url}/admin/host/status") as response:
            status = await response.json()
        return [worker["pid"] for worker in sorted(status["workers"], key=lambda worker: int(worker["number"]))]

    async def kill_worker(self, number: int = 0) -> int:
        """SIGKILL the worker of one place; the answer is its process id. It is dead when this returns."""
        pid = (await self.worker_pids())[number]
        os.kill(pid, signal.SIGKILL)
        await _gone([pid])
        return pid

    async def await_workers(self, *, other_than: int = 0) -> None:
        """Wait until every worker is up and none of them is the process `other_than`."""
        async with asyncio.timeout(_START_SECONDS):
            while True:
                with contextlib.suppress(ClientError):
                    pids = await self.worker_pids()
                    if len(pids) == self._workers and other_than not in pids:
                        return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """SIGKILL the host. Its workers, and an emulator that it started, notice and end: they are gone on return."""
        assert self._process is not None, "the service was never started"
        pids = self.processes
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._collect()
        await _gone(pids)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the host to end, as Ctrl-C does with SIGINT. All its processes are gone on return."""
        if self._process is None or self._process.returncode is not None:
            return
        pids = self.processes
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._collect()
        except TimeoutError:
            await self.kill()
            raise
        await _gone(pids)

    async def _collect(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        await self._process.wait()
        self._process.stdin.close()

    def forget_log(self) -> None:
        """Remove the log file, unless somebody wants to read it."""
        self._log.close()
        if not self._kept:
            self.log_path.unlink(missing_ok=True)


def _parents() -> dict[int, int]:
    """Each process and its parent, from /proc, or from ps where there is none."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            stat = entry.read_text(encoding="ascii", errors="replace")
            parents[int(entry.parent.name)] = int(stat.rpartition(")")[2].split()[1])
    if not parents:
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout  # noqa: S607 - of the machine
        parents = {int(pid): int(parent) for pid, parent in map(str.split, listing.splitlines())}
    return parents


def _descendants(pid: int) -> list[int]:
    """All processes under `pid`."""
    parents = _parents()
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


async def _gone(pids: Sequence[int]) -> None:
    """Wait until none of the processes exists. Raises TimeoutError."""
    deadline = time.monotonic() + _STOP_SECONDS
    while left := [pid for pid in pids if process_exists(pid)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes did not end: {left}")
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running_azurite() -> AsyncIterator[Azurite]:
    """An emulator on free ports, in memory."""
    azurite = await Azurite.start(Ports(), None)
    try:
        yield azurite
    finally:
        await azurite.stop()


@asynccontextmanager
async def running_service(
    app: Path, settings: Mapping[str, str], workers: int = 1, options: Sequence[str] = ()
) -> AsyncIterator[RunningService]:
    """The app of a directory on the devhost, on a free port.

    `settings` win over the app's local.settings.sample.json; where a setting says `UseDevelopmentStorage=true`, the
    host starts an emulator of its own. `options` are further options of `python -m devhost`.
    """
    service = RunningService(app, settings, workers, options)
    try:
        await service.start()
        yield service
    finally:
        await service.stop()
        service.forget_log()
