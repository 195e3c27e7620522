"""The pages in Chromium, with 5,000 studies in the index: until what they are for is drawn, and what they ask for."""

import asyncio
import time

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService
from tests.browser.page import Page, running_browser

_BASE = 7_000_000
_ROW = "tr.opens"
_PLACES = (
    ("home", "", "main table tbody tr", 1),
    ("study list", "#/studies", _ROW, 25),
    ("study list of a year", "#/studies?from=2010-01-01&to=2010-12-31", _ROW, 10),
    ("study", f"#/studies/{instances.uid(_BASE, 0)}", ".series-card", 1),
    ("change feed", "#/changes", "main table tbody tr", 50),
)
"""Name, place, and so many of which elements are drawn when it is ready."""


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Fills the index and shows each page, as somebody who comes for the first time and as somebody who comes again."""
    size = 300 if bench.quick else 5000
    small = instances.small()
    starts = iter(range(0, size, 10))

    async def fill() -> None:
        for start in starts:
            await client.store([small.instance(_BASE + number, 0, 0) for number in range(start, start + 10)])

    await asyncio.gather(fill(), fill())
    if service:
        await service.settle(bench.telemetry)
    async with running_browser() as page:
        await page("open")
        for name, place, selector, least in _PLACES:
            url = f"{bench.url.removesuffix('/v2')}/ui/{place}"
            for visit in ("first visit", "again"):
                result = await _shown(bench, page, f"{name}, {visit}", (url, selector, least), first=visit != "again")
                bench.results.append(result)


async def _shown(bench: Bench, page: Page, name: str, shown: tuple[str, str, int], *, first: bool) -> Result:
    await page("ready", *shown)
    await page("asked")
    samples: list[float] = []
    begin = time.perf_counter()
    drawn = requests = of_api = length = 0
    with bench.processes:
        for _ in range(bench.times(20)):
            if first:
                await page("forget")
            took, drawn = await page("ready", *shown)
            samples.append(took)
            requests, of_api, length = await page("asked")
    return Result.of(
        name,
        samples,
        time.perf_counter() - begin,
        cpu_rounds_ms=(),
        memory=bench.memory(),
        entries=[],
        note=f"{requests} requests, {of_api} of them to the API; {length / 1000:.0f} kB; {drawn:,} elements",
    )
