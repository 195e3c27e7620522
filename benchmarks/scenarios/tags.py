"""Extended query tags: what the re-index of one costs, and what searches lose while one is under way."""

import asyncio
import statistics
import time

from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService

_STUDY = 8_500_000
_IN_A_STUDY = 20
_CLIENTS = 4
_ALONE = 300
_START_SECONDS = 400
"""The timer starts the operation, which waits three minutes until every process has heard of the tag."""
_LONGEST_SECONDS = 3600


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Needs a service of its own with everything on. Storage requests of the re-index are those of its operation, waits
    included; its CPU time is that of the worker, less what the searches beside it take when they are alone: before
    it or after it, whichever is less.
    """
    assert service is not None, "only of a service that is started here"
    studies = bench.times(250)
    count = studies * _IN_A_STUDY
    await client.store_studies(_STUDY, studies, _IN_A_STUDY, clients=_CLIENTS)
    await bench.until_quiet()

    async def search(number: int) -> None:
        assert await client.search(f"PatientID=PAT-{_STUDY + number % studies:08d}") == 1

    alone = await bench.run("search by PatientID, no re-index beside", search, _ALONE)
    bench.telemetry.skip()
    await client.post_json("extendedquerytags", [{"path": "InstitutionName", "level": "Study"}], expect=202)
    await bench.telemetry.entries("reindexing", at_least=1, seconds=_START_SECONDS)
    done = asyncio.create_task(bench.telemetry.entries("reindexed", at_least=1, seconds=_LONGEST_SECONDS))
    cpu, begin = bench.processes.cpu_seconds(), time.perf_counter()
    samples: list[float] = []
    with bench.processes:
        while not done.done():
            sent = time.perf_counter()
            await search(len(samples))
            samples.append((time.perf_counter() - sent) * 1000)
    elapsed, cpu = time.perf_counter() - begin, bench.processes.cpu_seconds() - cpu
    await done
    entries = await bench.telemetry.entries("trigger", at_least=1, function="run_operations", seconds=60)
    memory = bench.memory()
    await bench.until_quiet()
    again = await bench.run("search by PatientID, no re-index any more", search, _ALONE)
    alone = min(alone, again, key=lambda result: result.median_ms)
    longer = statistics.median(samples) / alone.median_ms - 1
    longer_on_average = statistics.fmean(samples) / 1000 * alone.per_second - 1
    bench.results.append(
        Result.of(
            "search by PatientID, a re-index beside",
            samples,
            elapsed,
            cpu_rounds_ms=(),
            memory=memory,
            entries=(),
            note=f"a search takes {longer:+.0%} longer than alone, on average {longer_on_average:+.0%}",
        )
    )
    own = max(0.0, cpu * 1000 - len(samples) * (alone.cpu_ms or 0.0))
    bench.results.append(
        Result.of(
            f"re-index of {count} instances in {studies} studies",
            [elapsed * 1000],
            elapsed,
            per=count,
            cpu_rounds_ms=(own / count,),
            memory=memory,
            entries=entries,
        )
    )
    await client.search("InstitutionName=Hospital&limit=200", at_least=min(200, studies))
