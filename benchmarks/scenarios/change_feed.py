"""What the change feed costs: reading a page of it, and how soon a stored instance has its entry and its event."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from urllib.parse import quote

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService

_PAGE = 100
_CLIENTS = 8
_STUDY = 6_000_000
_WRITERS = 16
_NEWEST = 10


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
    for newest in (1, _NEWEST, 0):
        await _read_newest(bench, client, newest, bench.times(100))
    await bench.until_quiet()
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


async def _read_newest(bench: Bench, client: Client, newest: int, readings: int) -> None:
    """The last entries, or with 0 those since the latest one of a moment ago, while clients store into a study each."""
    small = instances.small()
    base = _STUDY + 100_000 * (newest + 1)
    reader = client.of_version("v1") if newest else client
    over = asyncio.Event()
    stored = 0

    async def write(study: int) -> None:
        nonlocal stored
        number = 0
        while not over.is_set():
            await client.store([small.instance(study, number // 100, number % 100)])
            number, stored = number + 1, stored + 1

    writers = [asyncio.create_task(write(base + number)) for number in range(_WRITERS)]
    samples: list[float] = []
    try:
        await asyncio.sleep(3)
        bench.telemetry.skip()
        written, begin = stored, time.perf_counter()
        for _ in range(readings):
            latest = await client.json("changefeed/latest?includeMetadata=false")
            assert isinstance(latest, dict)
            window = (
                f"offset={latest['sequence'] - newest}&limit={newest}"
                if newest
                else f"startTime={quote(latest['timestamp'])}"
            )
            sent = time.perf_counter()
            await reader.get(f"changefeed?{window}&includeMetadata=false", "application/json")
            samples.append((time.perf_counter() - sent) * 1000)
        elapsed = time.perf_counter() - begin
        written = stored - written
    finally:
        over.set()
        await asyncio.gather(*writers)
    own = await bench.telemetry.entries("transaction", at_least=readings, function="change_feed")
    cycles = await bench.telemetry.entries("trigger", at_least=1, function="number_changes")
    of_cycle = statistics.mean(float(entry["storageRequests"]) for entry in cycles)
    result = Result.of(
        f"change feed: {f'the newest {newest}' if newest else 'what is new'}, {_WRITERS} clients write",
        samples,
        elapsed,
        cpu_rounds_ms=(),
        memory=bench.memory(),
        entries=own,
        note=f"and {of_cycle:.1f} of the cycle; {written / elapsed:.0f} stored a second",
    )
    bench.results.append(result)


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
