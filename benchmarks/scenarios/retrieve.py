"""Retrieve transaction (PS3.18 §10.4): instance, series, metadata of 100 and 500 instances, one frame of a hundred."""

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import LocalService

_MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
_JSON = "application/dicom+json"
_PIXELS = 512 * 512 * 2


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Stores what it needs first."""
    ct, small, many = instances.ct(), instances.small(), instances.multi_frame(100)
    for start in range(0, 100, 10):
        await client.store([ct.instance(5_000_000, 0, start + i) for i in range(10)])
    for start in range(0, 500, 20):
        await client.store([small.instance(5_000_001, 0, start + i) for i in range(20)])
    await client.store([many.instance(5_000_002, 0, 0)])
    if service:
        await service.settle(bench.telemetry)

    series = instances.series_path(5_000_000, 0)
    frames = f"{instances.path(5_000_002, 0, 0)}/frames"

    async def instance(number: int) -> None:
        await client.instance(instances.path(5_000_000, 0, number % 100), length=len(ct.content))

    async def whole_series(_: int) -> None:
        assert await client.get(series, _MULTIPART) > 100 * len(ct.content)

    async def metadata_100(_: int) -> None:
        assert await client.get(f"{series}/metadata", _JSON) > 100 * 1000

    async def metadata_100_gzip(_: int) -> None:
        assert await client.get(f"{series}/metadata", _JSON, coding="gzip") > 100 * 1000

    async def metadata_500(_: int) -> None:
        assert await client.get(f"studies/{instances.uid(5_000_001, 0)}/metadata", _JSON) > 500 * 1000

    async def picture(number: int) -> None:
        path = instances.path(5_000_000, 0, number % 100)
        assert await client.get(f"{path}/rendered", "image/jpeg") > 1000

    async def frame(number: int) -> None:
        assert _PIXELS < await client.get(f"{frames}/{number % 100 + 1}", _FRAMES) < _PIXELS + 1000

    await bench.run("retrieve 1 CT", instance, bench.times(500))
    await bench.run("retrieve 1 CT, 8 clients", instance, bench.times(800), concurrency=8)
    await bench.run("retrieve a series of 100 CT (per instance)", whole_series, bench.times(20), per=100)
    await bench.run("metadata of 100 instances", metadata_100, bench.times(100))
    await bench.run("metadata of 100 instances, gzip", metadata_100_gzip, bench.times(100))
    await bench.run("metadata of 500 instances", metadata_500, bench.times(40))
    await bench.run("1 CT as a JPEG picture, as asked for", picture, bench.times(200))
    await bench.run("1 frame of a 100-frame object", frame, bench.times(500), note=f"a frame has {_PIXELS:,} bytes")
