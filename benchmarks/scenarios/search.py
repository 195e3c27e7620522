"""Search transaction (PS3.18 §10.6) with 100, 1,000 and 5,000 studies in the index."""

import asyncio
from collections.abc import Iterator

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import LocalService
from shared.hints import QUIET_SECONDS

_BASE = 6_000_000
_AT_REST_SECONDS = QUIET_SECONDS + 1
"""After so long without a store a process lets go of its hints: the study lists are complete then."""
_OHIF = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Fills the index step by step and runs the same queries at each size."""
    small = instances.small()
    stored = 0

    async def fill(starts: Iterator[int]) -> None:
        for start in starts:
            await client.store([small.instance(_BASE + n, 0, 0, name=_name(n)) for n in range(start, start + 10)])

    for size in (100, 300) if bench.quick else (100, 1000, 5000):
        starts = iter(range(stored, size, 10))
        await asyncio.gather(fill(starts), fill(starts))
        stored = size
        if service:
            await service.settle(bench.telemetry)
            await asyncio.sleep(_AT_REST_SECONDS)
            await service.settle(bench.telemetry)
        await _queries(bench, client, size)


def _name(number: int) -> str:
    return f"{chr(65 + number % 26)}{number:05d}^GIVEN"


async def _queries(bench: Bench, client: Client, size: int) -> None:
    async def by_patient(number: int) -> None:
        study = _BASE + (number * 7) % size
        assert await client.search(f"PatientID=PAT-{study:08d}") == 1

    async def by_date(_: int) -> None:
        await client.search("StudyDate=20100101-20101231", at_least=1)

    async def by_name(_: int) -> None:
        await client.search("PatientName=B*", at_least=1)

    async def ohif(_: int) -> None:
        await client.search(_OHIF, at_least=100)

    async def by_uid(number: int) -> None:
        study = _BASE + (number * 7) % size
        assert await client.search(f"StudyInstanceUID={instances.uid(study, 0)}") == 1

    await bench.run(f"search by PatientID, {size} studies", by_patient, bench.times(200))
    await bench.run(f"search by StudyInstanceUID, {size} studies", by_uid, bench.times(200))
    await bench.run(f"search a year, {size} studies", by_date, bench.times(40))
    await bench.run(f"search a name prefix, {size} studies", by_name, bench.times(40))
    await bench.run(f"OHIF study list, {size} studies", ohif, bench.times(40))
