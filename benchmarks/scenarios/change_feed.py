"""What the change feed costs: reading a page of it, and how soon a stored instance has its entry and its event."""

import asyncio
import statistics
import time
from collections.abc import Sequence

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService

_PAGE = 100
_CLIENTS = 8
_STUDY = 6_000_000


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Needs a service of its own with everything on."""
    assert service is not None, "only of a service that is started here"
    await _fill(bench, client)
    await bench.until_quiet()
    latest = f"changefeed?offset=0&limit={_PAGE}"
    for name, path in (
        (f"change feed: {_PAGE} entries without metadata", f"{latest}&includeMetadata=false"),
        (f"change feed: {_PAGE} entries with metadata", latest),
        ("change feed: the latest entry", "changefeed/latest?includeMetadata=false"),
    ):

        async def read(_number: int, path: str = path) -> None:
            await client.get(path, "application/json")

        await bench.run(name, read, bench.times(100))
    await _until_published(bench, client, bench.times(100))


async def _fill(bench: Bench, client: Client) -> None:
    """Store small instances of many studies, and note how fast changes are numbered and published beside it."""
    small = instances.small()
    bench.telemetry.skip()
    samples: list[float] = []
    cpu = bench.processes.cpu_seconds()
    begin = time.perf_counter()
    with bench.processes:
        requests = iter(range(bench.times(200)))

        async def store() -> None:
            for number in requests:
                sent = time.perf_counter()
                await client.store([small.instance(_STUDY + 500 + number % 50, number, each) for each in range(10)])
                samples.append((time.perf_counter() - sent) * 1000)

        await asyncio.gather(*(store() for _ in range(_CLIENTS)))
        await _published(bench, 10 * len(samples))
    elapsed = time.perf_counter() - begin
    bench.results.append(
        Result.of(
            "change feed: stored, numbered and published",
            samples,
            elapsed,
            per=10,
            concurrency=_CLIENTS,
            cpu_rounds_ms=((bench.processes.cpu_seconds() - cpu) * 1000 / (10 * len(samples)),),
            memory=bench.memory(),
            entries=(),
            note="per s: until the last event was taken",
        )
    )


async def _until_published(bench: Bench, client: Client, operations: int) -> None:
    """From the commit of a change until the topic has taken its event, one store at a time."""
    small = instances.small()
    bench.telemetry.skip()
    begin = time.perf_counter()
    with bench.processes:
        for number in range(operations):
            await client.store([small.instance(_STUDY + 1 + number, 0, 0)])
            await _published(bench, number + 1)
    elapsed = time.perf_counter() - begin
    lags = await _lags(bench)
    bench.results.append(
        Result.of(
            "change feed: from a commit to its event",
            lags,
            elapsed,
            cpu_rounds_ms=(),
            memory=bench.memory(),
            entries=(),
            note=f"latest {max(lags):.0f} ms, mean {statistics.mean(lags):.0f} ms",
        )
    )


async def _published(bench: Bench, events: int) -> None:
    """Wait until so many events have been taken since the telemetry was skipped."""
    batches = 1
    while True:
        entries = await bench.telemetry.entries("events-published", at_least=batches, seconds=60)
        if sum(int(entry["events"]) for entry in entries) >= events:
            return
        batches = len(entries) + 1


async def _lags(bench: Bench) -> Sequence[float]:
    entries = await bench.telemetry.entries("events-published", at_least=1)
    return [float(entry["lagSeconds"]) * 1000 for entry in entries]
