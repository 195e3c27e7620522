"""Extended query tags: what the re-index of one costs, and what searches lose while one is under way."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.beside import Loss, Searches
from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService

_STUDY = 8_500_000
_IN_A_STUDY = 20
_CLIENTS = 4
_BEHIND_SECONDS = 30.0
"""For so long searches go on after a re-index, at least."""
_START_SECONDS = 400
"""The timer starts the operation, which waits three minutes until every process has heard of the tag."""
_BEFORE_SECONDS = 150
"""A re-index has not begun to walk so long after its tag was added: searches before it begin then."""
_LONGEST_SECONDS = 3600
_TAGS = ("InstitutionName", "StationName")


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Needs a service of its own with everything on. Storage requests of a re-index are those of its operation, waits
    included; its CPU time is that of the worker, less what searches take when they are alone. The last re-index has no
    searches beside it.
    """
    assert service is not None, "only of a service that is started here"
    studies = bench.times(250)
    await client.store_studies(_STUDY, studies, _IN_A_STUDY, clients=_CLIENTS)
    await bench.until_quiet()

    async def search(number: int) -> None:
        assert await client.search(f"PatientID=PAT-{_STUDY + number % studies:08d}") == 1

    for tag in _TAGS:
        await _beside_searches(bench, client, tag, search, studies)
    await _alone(bench, client, "ProtocolName", studies)
    await client.search("InstitutionName=Hospital&limit=200", at_least=min(200, studies))


async def _add(bench: Bench, client: Client, tag: str) -> None:
    """Add a tag, and wait until its re-index walks."""
    bench.telemetry.skip()
    await client.post_json("extendedquerytags", [{"path": tag, "level": "Study"}], expect=202)
    await bench.telemetry.entries("reindexing", at_least=1, seconds=_START_SECONDS)


async def _beside_searches(
    bench: Bench, client: Client, tag: str, search: Callable[[int], Awaitable[None]], studies: int
) -> None:
    searches = Searches(bench, search)
    with bench.processes:
        adding = asyncio.create_task(_add(bench, client, tag))
        await asyncio.sleep(_BEFORE_SECONDS)
        searching = asyncio.create_task(searches.run())
        await adding
        begin = time.perf_counter()
        await bench.telemetry.entries("reindexed", at_least=1, seconds=_LONGEST_SECONDS)
        end = time.perf_counter()
        await searches.stop_after(max(_BEHIND_SECONDS, (end - begin) / 2))
        await searching
    loss: Loss = searches.loss(begin, end)
    bench.results.append(
        Result.of(
            "search by PatientID, a re-index beside",
            loss.samples,
            loss.seconds,
            cpu_rounds_ms=(loss.search_cpu_ms,),
            memory=bench.memory(),
            entries=(),
            note=str(loss),
        )
    )
    await _report(bench, studies, end - begin, loss.work_cpu_seconds, "searches beside")


async def _alone(bench: Bench, client: Client, tag: str, studies: int) -> None:
    await bench.until_quiet()
    await _add(bench, client, tag)
    cpu, begin = bench.processes.cpu_seconds(), time.perf_counter()
    with bench.processes:
        await bench.telemetry.entries("reindexed", at_least=1, seconds=_LONGEST_SECONDS)
    elapsed, cpu = time.perf_counter() - begin, bench.processes.cpu_seconds() - cpu
    await _report(bench, studies, elapsed, cpu, "nothing beside")


async def _report(bench: Bench, studies: int, elapsed: float, cpu: float, beside: str) -> None:
    count = studies * _IN_A_STUDY
    await bench.add_operation(f"re-index of {count} instances in {studies} studies", count, elapsed, cpu, beside)
