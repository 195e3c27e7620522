"""The service under test, started for a run: the local host, one worker process, no data kept."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_ROOT = Path(__file__).parent.parent
_START_SECONDS = 90


@dataclass(frozen=True, slots=True)
class LocalService:
    """A running service: its base URL, its worker processes and the log with their telemetry."""

    url: str
    worker_pids: list[int]
    log: Path


def _free_ports(count: int) -> int:
    """The first of `count` successive free ports."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/check", timeout=5) as response:  # noqa: S310 - our own service
            return bool(response.status == 200)
    except OSError:
        return False


def _workers(pid: int) -> list[int]:
    children = psutil.Process(pid).children(recursive=True)
    return [child.pid for child in children if any("devhost" in part and "worker" in part for part in child.cmdline())]


@asynccontextmanager
async def local_service(workers: int = 1) -> AsyncIterator[LocalService]:
    """Start the service on free ports; it ends with the context."""
    port = _free_ports(4)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "devhost", "--port", str(port), "--azurite-port", str(port + 1)]
        command += ["--workers", str(workers), "--ephemeral"]
        environment = {**os.environ, "TELEMETRY_LEVEL": "INFO"}
        with log.open("wb") as sink:
            host = subprocess.Popen(command, cwd=_ROOT, stdout=sink, stderr=subprocess.STDOUT, env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(_START_SECONDS * 4):
                if await asyncio.to_thread(_healthy, url):
                    break
                if host.poll() is not None:
                    raise RuntimeError(log.read_text())
                await asyncio.sleep(0.25)
            else:
                raise TimeoutError(log.read_text())
            yield LocalService(url, _workers(host.pid), log)
        finally:
            host.terminate()
            host.wait(30)
