"""Store transaction: one and ten CT slices a request, and one large object that streams."""

import itertools
from collections.abc import AsyncIterator

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench

_LARGE = 1 << 30


async def run(bench: Bench, client: Client) -> None:
    """Each scenario stores into studies of its own."""
    ct = instances.ct()
    counter = itertools.count()

    async def one(_: int) -> None:
        number = next(counter)
        await client.store([ct.instance(1_000_000 + number // 100, 0, number % 100)])

    async def one_fresh_study(_: int) -> None:
        await client.store([ct.instance(2_000_000 + next(counter), 0, 0)])

    async def ten(_: int) -> None:
        number = next(counter)
        await client.store([ct.instance(3_000_000 + number // 10, 0, (number % 10) * 10 + i) for i in range(10)])

    await bench.run("store 1 CT a request, study of 100", one, bench.times(300))
    await bench.run("store 1 CT a request, new study", one_fresh_study, bench.times(200))
    await bench.run("store 1 CT a request, 4 clients", one, bench.times(400), concurrency=4)
    await bench.run("store 10 CT a request (per instance)", ten, bench.times(60), per=10)

    size = _LARGE // 16 if bench.quick else _LARGE

    async def large(_: int) -> None:
        await client.store_stream(large_instance(4_000_000 + next(counter), size))

    await bench.run(f"store one instance of {size >> 20} MiB", large, 1 if bench.quick else 2, warm=1)


async def large_instance(study: int, size: int) -> AsyncIterator[bytes]:
    """An instance with `size` bytes of pixel data, made while it is read."""
    content = instances.multi_frame(1).instance(study, 0, 0)
    pixels = 512 * 512 * 2
    head = content[: len(content) - pixels]
    frames = size // pixels
    assert head[-4:] == pixels.to_bytes(4, "little")
    yield head[:-4] + (frames * pixels).to_bytes(4, "little")
    block = content[-pixels:] * 2
    for _ in range(frames // 2):
        yield block
