"""Retrieve transaction: instance, series, metadata of 100 and 500 instances, one frame of a hundred."""

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.scenarios.store import large_instance

_MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
_JSON = "application/dicom+json"


async def run(bench: Bench, client: Client) -> None:
    """Stores what it needs first."""
    ct, small, many = instances.ct(), instances.small(), instances.multi_frame(100)
    for start in range(0, 100, 10):
        await client.store([ct.instance(5_000_000, 0, start + i) for i in range(10)])
    for start in range(0, 500, 20):
        await client.store([small.instance(5_000_001, 0, start + i) for i in range(20)])
    await client.store([many.instance(5_000_002, 0, 0)])

    series = f"studies/{instances.uid(5_000_000, 0)}/series/{instances.uid(5_000_000, 1)}"
    wide = f"studies/{instances.uid(5_000_001, 0)}"
    frames = (
        f"studies/{instances.uid(5_000_002, 0)}/series/{instances.uid(5_000_002, 1)}"
        f"/instances/{instances.uid(5_000_002_000, 1)}/frames"
    )

    async def instance(number: int) -> None:
        path = f"{series}/instances/{instances.uid(5_000_000_000, number % 100 + 1)}"
        length = await client.get(path, "application/dicom; transfer-syntax=*")
        assert length == len(ct.content)

    async def whole_series(_: int) -> None:
        assert await client.get(series, _MULTIPART) > 100 * len(ct.content)

    async def metadata_100(_: int) -> None:
        await client.get(f"{series}/metadata", _JSON)

    async def metadata_500(_: int) -> None:
        await client.get(f"{wide}/metadata", _JSON)

    async def frame(number: int) -> None:
        assert await client.get(f"{frames}/{number % 100 + 1}", _FRAMES) > 512 * 512 * 2

    await bench.run("retrieve 1 CT", instance, bench.times(500))
    await bench.run("retrieve 1 CT, 8 clients", instance, bench.times(800), concurrency=8)
    await bench.run("retrieve a series of 100 CT (per instance)", whole_series, bench.times(20), per=100)
    await bench.run("metadata of 100 instances", metadata_100, bench.times(100))
    await bench.run("metadata of 500 instances", metadata_500, bench.times(40))
    await bench.run("1 frame of a 100-frame object", frame, bench.times(500))

    size = 1 << (26 if bench.quick else 30)
    await client.store_stream(large_instance(5_000_003, size))
    path = (
        f"studies/{instances.uid(5_000_003, 0)}/series/{instances.uid(5_000_003, 1)}"
        f"/instances/{instances.uid(5_000_003_000, 1)}"
    )

    async def large(_: int) -> None:
        assert await client.get(path, "application/dicom; transfer-syntax=*") > size

    await bench.run(f"retrieve one instance of {size >> 20} MiB", large, 1 if bench.quick else 2, warm=1)
