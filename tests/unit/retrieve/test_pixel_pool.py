"""Work with pixels: once for all who wait, in bounded memory, first come first served."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from shared import memory_budget
from shared.errors import NotAcceptable, Unavailable
from shared.retrieve.pixel_pool import PixelPool


class Bench:
    """Work that ends when the test says so."""

    def __init__(self):
        self.started = []
        self.gates = {}

    def work(self, name):
        self.gates[name] = asyncio.Event()

        async def run():
            self.started.append(name)
            await self.gates[name].wait()
            return [name]

        return run


@pytest.fixture
def bench():
    return Bench()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_same_thing_is_made_once_for_all_who_wait(bench):
    pool, work = PixelPool(100), bench.work("a")
    waiting = [asyncio.create_task(pool.make("a", 60, work)) for _ in range(20)]
    await settle()
    bench.gates["a"].set()
    made = await asyncio.gather(*waiting)
    assert bench.started == ["a"]
    assert all(one is made[0] for one in made)
    assert await pool.make("a", 60, work) is made[0]


async def test_memory_is_taken_for_as_long_as_a_result_is_held(bench):
    pool = PixelPool(100)
    first = asyncio.create_task(pool.make("a", 60, bench.work("a")))
    await settle()
    bench.gates["a"].set()
    held = await first
    del first
    second = asyncio.create_task(pool.make("b", 60, bench.work("b")))
    await settle()
    assert bench.started == ["a"]
    assert held.value == ["a"]
    del held
    gc.collect()
    await settle()
    assert bench.started == ["a", "b"]
    bench.gates["b"].set()
    assert (await second).value == ["b"]


async def test_large_work_is_not_overtaken_by_small_work(bench):
    pool = PixelPool(100)
    tasks = {}
    for name, needed in (("a", 60), ("large", 80), ("small", 10)):
        tasks[name] = asyncio.create_task(pool.make(name, needed, bench.work(name)))
        await settle()
    assert bench.started == ["a"]
    bench.gates["a"].set()
    await tasks.pop("a")
    gc.collect()
    await settle()
    assert bench.started == ["a", "large", "small"]
    for name, task in tasks.items():
        bench.gates[name].set()
        await task


async def test_what_could_never_fit_is_refused_at_once(bench):
    with pytest.raises(NotAcceptable):
        await PixelPool(100).make("a", 101, bench.work("a"))
    assert bench.started == []


async def test_failed_work_gives_its_memory_back_and_may_be_tried_again(bench):
    pool = PixelPool(100)

    async def fail():
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):
            await pool.make("a", 90, fail)
    work = bench.work("a")
    bench.gates["a"].set()
    assert (await pool.make("a", 90, work)).value == ["a"]


async def test_who_waits_too_long_is_told_to_come_back(bench, monkeypatch):
    monkeypatch.setattr(memory_budget, "_WAIT_SECONDS", 0.01)
    pool = PixelPool(100)
    first = asyncio.create_task(pool.make("a", 60, bench.work("a")))
    await settle()
    with pytest.raises(Unavailable):
        await pool.make("b", 60, bench.work("b"))
    bench.gates["a"].set()
    await first
    del first
    gc.collect()
    await settle()
    later = bench.work("c")
    bench.gates["c"].set()
    assert (await pool.make("c", 100, later)).value == ["c"]


async def test_one_who_leaves_does_not_spoil_it_for_the_others(bench):
    pool, work = PixelPool(100), bench.work("a")
    leaving, staying = (asyncio.create_task(pool.make("a", 60, work)) for _ in range(2))
    await settle()
    leaving.cancel()
    await settle()
    bench.gates["a"].set()
    assert (await staying).value == ["a"]


async def test_threads_do_the_work_while_the_loop_goes_on():
    pool = PixelPool()
    turns = 0

    def busy():
        time.sleep(0.05)
        return threading.current_thread()

    working = asyncio.create_task(pool.run(busy))
    while not working.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert (await working) is not threading.main_thread()
    assert turns > 1


@pytest.mark.spec("STOW-50", "WADO-12")
async def test_what_failed_work_held_is_gone_although_nobody_looks_for_rings():
    pool, held = PixelPool(100), []

    class File:
        """Something large that is worked on."""

    async def fail():
        file = File()
        held.append(weakref.ref(file))
        raise NotAcceptable("no")

    gc.disable()
    try:
        with pytest.raises(NotAcceptable):
            await pool.make("a", 60, fail)
        await settle()
        assert [each() for each in held] == [None]
    finally:
        gc.enable()
