"""Hostile requests beside searches: what one of them costs everybody else, the worker's memory, and whether it lives.

Answers must be below 500, the worker must stay the one it was. The waits are for people to judge: machines differ.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import aiohttp

from benchmarks.bombs import BOMBS
from benchmarks.client import Client
from benchmarks.hostile_requests import Bomb
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService

_EVERY: Final = 0.05
_ALONE: Final = 2.0
_PATIENCE: Final = 300.0
_BREAKS_OFF: Final = {200, 202, 206}
"""Answers whose body may end early: that something cannot be converted may be found out late (WADO-28)."""


async def run(bench: Bench, client: Client, _: LocalService | None) -> None:
    """All of BOMBS, or those whose names have one of the texts of `BOMBS_OF`, separated by `|`, in them."""
    texts = os.environ.get("BOMBS_OF", "").lower().split("|")
    chosen = {name: make for name, make in BOMBS.items() if any(text in name.lower() for text in texts)}
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(force_close=True)) as session:
        for name, make in chosen.items():
            bomb = await asyncio.to_thread(make)
            alone = await _waits(_searches(client), asyncio.sleep(_ALONE))
            begin = time.perf_counter()
            statuses: list[int] = []
            with bench.processes:
                cpu = bench.processes.cpu_seconds()
                exploding = asyncio.ensure_future(_explode(bench.url, session, bomb, statuses))
                beside, healthy = await asyncio.gather(
                    _waits(_searches(client), exploding), _waits(client.health, exploding)
                )
                cpu = bench.processes.cpu_seconds() - cpu
            bench.processes.resident()  # raises if a worker has ended
            assert all(status < 500 or status == 503 for status in statuses), (name, statuses)
            longest = [max(waits, default=0.0) for waits in (beside, alone, healthy)]
            note = "longest search {:.0f} ms, alone {:.0f}; health {:.0f}; ".format(*longest)
            note += " ".join(map(str, statuses))
            bench.results.append(
                Result.of(
                    name,
                    beside or [0.0],
                    time.perf_counter() - begin,
                    cpu_rounds_ms=[1000 * cpu],
                    memory=(bench.processes.peak, bench.processes.peak - bench.idle),
                    entries=(),
                    note=note,
                )
            )


def _searches(client: Client) -> Callable[[], Awaitable[object]]:
    return lambda: client.search("PatientID=nobody")


async def _waits(operation: Callable[[], Awaitable[object]], work: Awaitable[None]) -> Sequence[float]:
    """How many milliseconds each operation took while `work` was done."""
    waits: list[float] = []
    done = asyncio.ensure_future(work)
    while not done.done():
        begin = time.perf_counter()
        await operation()
        waits.append(1000 * (time.perf_counter() - begin))
        await asyncio.wait([done], timeout=_EVERY)
    await done
    return waits


async def _explode(url: str, session: aiohttp.ClientSession, bomb: Bomb, statuses: list[int]) -> None:
    async def store() -> None:
        headers = {"Content-Type": bomb.content_type, "Accept": "application/dicom+json", **bomb.headers}
        with suppress(aiohttp.ClientOSError):  # an early answer, the connection closed behind it
            async with session.post(f"{url}/studies", data=bomb.body, headers=headers) as response:
                statuses.append(response.status)
                await response.read()

    async def read(path: str, accept: str) -> None:
        where = f"{url}/{bomb.path}/{path}".rstrip("/")
        async with session.get(where, headers={"Accept": accept}) as response:
            statuses.append(response.status)
            with suppress(*((aiohttp.ClientPayloadError,) if response.status in _BREAKS_OFF else ())):
                async for _ in response.content.iter_chunked(1 << 20):
                    pass

    await asyncio.gather(*(store() for _ in range(bomb.copies)))
    for path, accept in bomb.reads:
        await read(path, accept)
