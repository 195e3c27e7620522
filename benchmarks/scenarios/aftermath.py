"""What a stored instance costs in all: the transaction, the blob trigger, and the sequencer."""

import asyncio
import time

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService

_FOLLOWING = frozenset({"append_changes", "finish_changes", "index_instance", "number_changes", "sweep_changes"})
"""What follows a store. Other work of the timer follows none: all of it comes in the first minute, then by the hour."""


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Needs a service of its own with everything on. Storage requests and bytes are those of the functions together."""
    assert service is not None, "only of a service that is started here"
    for name, requests, per, pause in (
        ("1 CT a request", 200, 1, 0.0),
        ("10 CT a request", 30, 10, 0.0),
        ("1 CT a request, five a second,", 150, 1, 0.2),
        ("1 CT a request, each alone,", 30, 1, 1.5),
    ):
        await _measure(bench, client, f"store {name} and all that follows", bench.times(requests), per, pause=pause)


async def _measure(bench: Bench, client: Client, name: str, requests: int, per: int, *, pause: float) -> None:
    """`pause`: seconds from one request to the next."""
    template = instances.ct()
    base = 7_000_000 + 1000 * len(bench.results)
    await bench.until_quiet()
    bench.telemetry.skip()
    samples: list[float] = []
    cpu = bench.processes.cpu_seconds()
    begin = time.perf_counter()
    with bench.processes:
        for number in range(requests):
            files = [template.instance(base + at // 100, 0, at % 100) for at in range(number * per, (number + 1) * per)]
            sent = time.perf_counter()
            await client.store(files)
            samples.append((time.perf_counter() - sent) * 1000)
            await asyncio.sleep(max(0.0, pause - (time.perf_counter() - sent)))
        elapsed = time.perf_counter() - begin
        await bench.telemetry.entries("trigger", at_least=requests * per, function="index_instance", seconds=120)
        await bench.until_quiet()
    used = bench.processes.cpu_seconds() - cpu
    entries = await bench.telemetry.entries("transaction", at_least=requests)
    triggers = await bench.telemetry.entries("trigger", at_least=0)
    entries += [entry for entry in triggers if entry["function"] in _FOLLOWING]
    bench.results.append(
        Result.of(
            name,
            samples,
            elapsed,
            per=per,
            cpu_rounds_ms=(used * 1000 / (requests * per),),
            memory=bench.memory(),
            entries=entries,
        )
    )
