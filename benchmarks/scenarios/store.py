"""Store transaction (PS3.18 §10.5): one and ten CT slices a request."""

import itertools

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import LocalService


async def run(bench: Bench, client: Client, _: LocalService | None) -> None:
    """Each scenario stores into studies of its own, 100 instances in a series."""
    ct = instances.ct()
    counter = itertools.count()

    async def healthy(_: int) -> None:
        await client.health()

    async def one(_: int) -> None:
        number = next(counter)
        await client.store([ct.instance(1_000_000 + number // 100, 0, number % 100)])

    async def one_new_study(_: int) -> None:
        await client.store([ct.instance(2_000_000 + next(counter), 0, 0)])

    async def ten(_: int) -> None:
        number = next(counter)
        await client.store([ct.instance(3_000_000 + number // 10, 0, (number % 10) * 10 + i) for i in range(10)])

    async def again(number: int) -> None:
        number = abs(number) % 100
        await client.store([ct.instance(1_000_000, 0, number)], expect=(200, 202, 409))

    if bench.telemetry and not bench.turns:
        await bench.run("a request that does nothing (health check)", healthy, bench.times(1000), reported=False)
    await bench.run("store 1 CT a request", one, bench.times(500))
    await bench.run("store 1 CT a request, 4 clients", one, bench.times(500), concurrency=4)
    await bench.run("store 1 CT a request, each a new study", one_new_study, bench.times(200))
    await bench.run("store again 1 CT that is there", again, bench.times(200))
    await bench.run("store 10 CT a request (per instance)", ten, bench.times(100), per=10)
    await bench.run("store 10 CT a request, 4 clients (per instance)", ten, bench.times(60), per=10, concurrency=4)
