"""The timer of the service: what is due is done, and nothing waits for what takes long."""

import asyncio
import contextlib

import pytest

from shared.errors import Unavailable
from shared.housekeeping import chores
from shared.housekeeping.chores import Chore, Housekeeping
from tests.fakes.tables import MemoryTableStore


class House:
    """Housekeeping over a clock that the test turns."""

    def __init__(self, tables=None) -> None:
        self.tables = tables or MemoryTableStore()
        self.time = 1_800_000_000.0
        self.done: list[str] = []

    def chore(self, name, seconds=chores.EVERY_RUN, work=None):
        async def run():
            self.done.append(name)
            if work is not None:
                await work()

        return Chore(name, run, seconds)

    async def run(self, *what):
        """One run of the timer, in a process of its own; what it did."""
        self.done.clear()
        await Housekeeping(what, self.tables, lambda: self.time, look_seconds=0.001).run()
        return sorted(self.done)


@pytest.mark.spec("S-6", "DEL-11", "EXP-1")
async def test_what_is_due_is_done_whichever_process_did_it_last():
    house = House()
    often, seldom = house.chore("often"), house.chore("seldom", 600)

    assert await house.run(often, seldom) == ["often", "seldom"]
    house.time += 60
    assert await house.run(often, seldom) == ["often"]
    house.time += 541
    assert await house.run(often, seldom) == ["often", "seldom"]


async def test_a_chore_that_takes_long_keeps_none_waiting():
    house = House()
    swept = 0

    async def sweep():
        nonlocal swept
        swept += 1

    async def long():
        while swept < 4:
            house.time += 61
            await asyncio.sleep(0.002)

    assert (
        await house.run(house.chore("long", 3600, long), house.chore("sweep", work=sweep)) == ["long"] + ["sweep"] * 4
    )


async def test_a_failure_is_of_its_chore_alone_and_the_host_is_told():
    house = House()

    async def fail():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await house.run(house.chore("bad", work=fail), house.chore("good", work=lambda: asyncio.sleep(0.01)))
    assert sorted(house.done) == ["bad", "good"]


async def test_what_ends_its_process_is_not_begun_again_at_once():
    house = House()

    async def die():
        raise asyncio.CancelledError

    with contextlib.suppress(asyncio.CancelledError):
        await house.run(house.chore("deadly", 600, die))
    house.time += 60
    assert await house.run(house.chore("deadly", 600, die)) == []


async def test_without_the_table_everything_is_due():
    class Away(MemoryTableStore):
        async def get(self, *_):
            raise Unavailable("no answer")

        async def commit(self, *_):
            raise Unavailable("no answer")

    house = House(Away())
    assert await house.run(house.chore("seldom", 600)) == ["seldom"]


async def test_a_run_that_is_ended_leaves_nothing_at_work():
    house = House()
    ended = asyncio.Event()

    async def endless():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    run = asyncio.create_task(house.run(house.chore("endless", work=endless)))
    while not house.done:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run])
    assert ended.is_set()


@pytest.mark.spec("DEL-11", "EXP-1")
async def test_what_is_due_is_worked_off_but_not_for_ever():
    left = [3]

    async def erase():
        left[0] -= 1
        return max(left[0], 0)

    async def endless():
        left[0] += 1
        return 500

    await chores.erase_deleted(erase).run()
    assert left == [0]
    await chores.expire_studies(endless).run()
    assert 0 < left[0] < 100
