"""Search transaction with 100, 1,000 and 5,000 studies in the index."""

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench

_BASE = 6_000_000
_OHIF = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"


async def run(bench: Bench, client: Client) -> None:
    """Fills the index step by step and runs the same queries at each size."""
    small = instances.small()
    stored = 0
    for size in (100, 500) if bench.quick else (100, 1000, 5000):
        while stored < size:
            files = [small.instance(_BASE + stored + i, 0, 0, name=_name(stored + i)) for i in range(20)]
            await client.store(files)
            stored += 20
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

    await bench.run(f"search by PatientID, {size} studies", by_patient, bench.times(100))
    await bench.run(f"search by StudyInstanceUID, {size} studies", by_uid, bench.times(100))
    await bench.run(f"search a year, {size} studies", by_date, bench.times(40))
    await bench.run(f"search a name prefix, {size} studies", by_name, bench.times(40))
    await bench.run(f"OHIF study list, {size} studies", ohif, bench.times(40))
