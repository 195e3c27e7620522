"""One instance of a gigabyte up and down: what matters is the memory that it takes."""

from collections.abc import AsyncIterator

import psutil

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import LocalService

_LARGE = 1 << 30
_SMALLER = 1 << 28
_NEEDED = 8 << 30
"""The emulator holds the objects in memory."""
_FRAME = 512 * 512 * 2


async def run(bench: Bench, client: Client, _: LocalService | None) -> None:
    """Nothing runs before, so that what is above idle is all that was ever needed."""
    roomy = psutil.virtual_memory().available > _NEEDED
    size = _LARGE if roomy and not bench.quick else _SMALLER

    async def up(number: int) -> None:
        await client.store_stream(stream_of(4_000_000 + number, size))

    async def down(number: int) -> None:
        path = instances.path(4_000_000 + number, 0, 0)
        assert await client.get(path, "application/dicom; transfer-syntax=*") > size

    times = 1 if bench.quick else 3
    await bench.run(f"store one instance of {size >> 20} MiB", up, times, warm=0)
    await bench.run(f"retrieve one instance of {size >> 20} MiB", down, times, warm=0)


async def stream_of(study: int, size: int) -> AsyncIterator[bytes]:
    """An instance with `size` bytes of pixel data, made while it is read."""
    content = instances.multi_frame(1).instance(study, 0, 0)
    head = content[: len(content) - _FRAME]
    assert head[-4:] == _FRAME.to_bytes(4, "little")
    yield head[:-4] + size.to_bytes(4, "little")
    for _ in range(size // _FRAME):
        yield content[-_FRAME:]
