"""`python -m benchmarks.layers [operation ...]`: where the processor time of an operation goes, by layers (README.md).

The main thread is sampled by its own processor time, so that other work on the machine changes the sums and hardly the
shares; of the other threads the sums are known alone.
"""

import argparse
import asyncio
import itertools
import os
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks import instances, report
from benchmarks.client import Client
from benchmarks.service import local_service

_ROOT: Final = Path(__file__).resolve().parents[1]
_WAIT_SECONDS: Final = 20.0
_LAYERS: Final = (
    ("runtime, line to the host", r"azure_functions_runtime/|azurefunctions/|azure/functions/|/devhost/"),
    ("web extension", r"/shared/web_extension/"),
    ("log lines: audit, telemetry", r"/shared/telemetry|/shared/metrics|/logging/"),
    (
        "boundary: headers, route, caller, record",
        r"/shared/http/|/shared/dicomweb/(?!multipart|json|xml)|/shared/pacing",
    ),
    ("multipart", r"/shared/dicomweb/multipart|/shared/retrieve/response|/shared/store/parts"),
    ("reading and judging files", r"/shared/dicom/|/shared/dicomweb/json|/shared/ingest/(parsing|part10|instance_v)"),
    ("tables: rows to and from the wire", r"/shared/storage/table_entities"),
    ("tables: requests", r"/shared/storage/(azure_tables|transport|http_|retry|authorization|optimistic)"),
    ("files: requests", r"/shared/storage/|/obstore/"),
    ("index", r"/shared/(index|hints|change_log|registry|index_schema)"),
    ("the transaction itself", r"/shared/"),
)
"""Names, and which source files they are; the innermost frame that is of any decides."""
_LOOP: Final = "event loop: turns, sockets"
_TURN: Final = "asyncio/base_events.py:BaseEventLoop._run_once"
_LAYER: Final = tuple((name, re.compile(pattern)) for name, pattern in _LAYERS)
_THREADS: Final = {"tokio": "threads of obstore: bytes of files", "python": "threads of Python: pixels, long JSON"}


@dataclass(frozen=True, slots=True)
class Profile:
    """The processor time of one operation, in microseconds."""

    name: str
    layers: Counter[str]
    kernel: float
    """The share of the main thread that was spent in the system."""
    samples: int


class Worker:
    """The worker process, whose samples go to a folder."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._stacks = folder / f"stacks-{pid}"

    def _times(self) -> Counter[str]:
        """Microseconds so far, by kind of thread; `main` is the main thread, `kernel` its part in the system."""
        found: Counter[str] = Counter()
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            name = (task / "comm").read_text()
            kind = next((kind for kind in _THREADS if name.startswith(kind)), "python")
            spent = int((task / "schedstat").read_text().split()[0]) // 1000
            found["main" if task.name == str(self._pid) else kind] += spent
        fields = Path(f"/proc/{self._pid}/task/{self._pid}/stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        found["kernel"], found["ticks"] = system, user + system
        return found

    async def profile(self, name: str, operation: Callable[[], Awaitable[None]], times: int, per: int) -> Profile:
        """The profile of `times` operations; `per` instances count as that many."""
        for _ in range(3):
            await operation()
        os.kill(self._pid, signal.SIGUSR1)
        await asyncio.sleep(0.1)
        before = self._times()
        for _ in range(times):
            await operation()
        spent = self._times()
        spent.subtract(before)
        os.kill(self._pid, signal.SIGUSR2)
        async with asyncio.timeout(_WAIT_SECONDS):
            while not self._stacks.exists():  # noqa: ASYNC110  (another process writes it)
                await asyncio.sleep(0.05)
        samples = _by_layer(self._stacks.read_text())
        self._stacks.unlink()
        count = samples.total()
        scale = spent["main"] / count / (times * per)
        layers = Counter({layer: round(number * scale) for layer, number in samples.items()})
        for kind, layer in _THREADS.items():
            layers[layer] = round(max(spent[kind], 0) / (times * per))
        return Profile(name, layers, spent["kernel"] / max(spent["ticks"], 1), count)


def _by_layer(stacks: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        found[_layer_of(stack.split(";"))] += int(count)
    return found


def _layer_of(stack: list[str]) -> str:
    """The layer of the innermost frame that has one. What a layer lets libraries do is its own."""
    for frame in reversed(stack):
        if frame.endswith(_TURN):
            break
        for name, pattern in _LAYER:
            if pattern.search(frame):
                return name
    return _LOOP


type Operation = tuple[Callable[[], Awaitable[None]], int, int]
"""What is done, how often, and how many instances it is."""


async def _operations(client: Client) -> dict[str, Operation]:
    """By name. Stores what they need."""
    ct, counter = instances.ct(), itertools.count()
    for start in range(0, 100, 10):
        await client.store([ct.instance(5_000_000, 0, start + number) for number in range(10)])
    series = instances.series_path(5_000_000, 0)

    def path() -> str:
        return instances.path(5_000_000, 0, next(counter) % 100)

    async def store() -> None:
        number = next(counter)
        await client.store([ct.instance(1_000_000 + number // 100, 0, number % 100)])

    async def ten() -> None:
        number = next(counter)
        await client.store([ct.instance(3_000_000 + number // 10, 0, (number % 10) * 10 + each) for each in range(10)])

    async def instance() -> None:
        await client.instance(path(), length=len(ct.content))

    async def whole() -> None:
        await client.get(series, 'multipart/related; type="application/dicom"; transfer-syntax=*')

    async def picture() -> None:
        await client.get(f"{path()}/rendered", "image/jpeg")

    return {
        "nothing": (client.health, 3000, 1),
        "store 1 CT": (store, 600, 1),
        "store 10 CT, each": (ten, 100, 10),
        "retrieve 1 CT": (instance, 1500, 1),
        "series of 100 CT, each": (whole, 30, 100),
        "1 CT as a picture": (picture, 600, 1),
    }


def table(profiles: list[Profile]) -> str:
    """The profiles as a table in Markdown, microseconds per operation."""
    names = [name for name, _ in _LAYERS] + [_LOOP, *_THREADS.values()]
    rows = [[name, *(f"{profile.layers[name]:,}" for profile in profiles)] for name in names]
    rows += [
        ["**all**", *(f"**{profile.layers.total():,}**" for profile in profiles)],
        ["of the main thread in the kernel", *(f"{profile.kernel:.0%}" for profile in profiles)],
        ["samples", *(f"{profile.samples:,}" for profile in profiles)],
    ]
    head = ["µs of processor time", *(profile.name for profile in profiles)]
    rule = ["---", *("---:" for _ in profiles)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


async def _main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.layers", description="Where processor time goes, by layers.")
    parser.add_argument("operations", nargs="*", metavar="operation", help="a part of a name; default: all")
    wanted = parser.parse_args().operations
    print(f"{report.interpreter()}\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(
            f"import sys\nsys.path.append({str(_ROOT)!r})\nfrom benchmarks.sampler import install\ninstall({name!r})\n"
        )
        async with local_service(background=False, settings={"PYTHONPATH": name}) as service:
            worker = Worker(service.worker_pids[0], folder)
            connector = aiohttp.TCPConnector(keepalive_timeout=3)
            async with aiohttp.ClientSession(connector=connector) as session:
                operations = await _operations(Client(f"{service.url}/v2", session, multipart=True))
                profiles = [
                    await worker.profile(title, *operation)
                    for title, operation in operations.items()
                    if not wanted or any(part in title for part in wanted)
                ]
    print(table(profiles))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
