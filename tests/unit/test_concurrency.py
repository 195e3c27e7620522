"""Coroutines side by side."""

import asyncio
from itertools import pairwise

import pytest

from shared import concurrency
from shared.concurrency import in_turns, together


async def at_once(value):
    return value


async def later(value, turns=3):
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


async def fails(turns=0):
    await later(None, turns)
    raise KeyError(turns)


@pytest.mark.parametrize(
    "coroutines", [(), (at_once,), (later,), (at_once, at_once), (later, at_once), (at_once, later, later)]
)
async def test_results_stand_in_the_order_of_what_gave_them(coroutines):
    running = [each(place) for place, each in enumerate(coroutines)]
    assert await together(*running) == tuple(range(len(coroutines)))
    running = [each(place) for place, each in enumerate(coroutines)]
    assert await together(*running, return_exceptions=True) == tuple(range(len(coroutines)))


async def test_they_run_side_by_side():
    waiting, done = asyncio.Event(), asyncio.Event()

    async def one():
        waiting.set()
        await done.wait()

    async def two():
        await waiting.wait()
        done.set()

    async with asyncio.timeout(5):
        await together(one(), two())
        waiting.clear()
        done.clear()
        await together(two(), one())


@pytest.mark.parametrize("turns", [0, 2])
async def test_an_exception_is_raised_and_the_others_go_on(turns):
    finished = asyncio.Event()

    async def other():
        await later(None)
        finished.set()

    with pytest.raises(KeyError):
        await together(fails(turns), other())
    async with asyncio.timeout(5):
        await finished.wait()
    with pytest.raises(KeyError):
        await together(fails(turns))


async def test_exceptions_are_results_where_they_are_wanted():
    one, two, three = await together(fails(), later(2), fails(1), return_exceptions=True)
    assert (type(one), two, type(three)) == (KeyError, 2, KeyError)
    [only] = await together(fails(), return_exceptions=True)
    assert isinstance(only, KeyError)


@pytest.mark.parametrize("count", [1, 2])
async def test_who_is_cancelled_cancels_what_runs(count):
    cancelled = []

    async def endless(number):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(number)

    task = asyncio.create_task(together(*map(endless, range(count))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert cancelled == list(range(count))


@pytest.mark.parametrize("count", [0, 3, 4, 5, 13])
async def test_many_things_are_done_in_turns_between_which_others_have_theirs(monkeypatch, count):
    monkeypatch.setattr(concurrency, "_TURN", 4)
    done, seen = [], []

    async def watch():
        while True:
            seen.append(len(done))
            await asyncio.sleep(0)

    def double(number):
        done.append(number)
        return 2 * number

    watching = asyncio.create_task(watch())
    assert await in_turns(double, range(count)) == [2 * number for number in range(count)]
    await asyncio.sleep(0)
    watching.cancel()
    assert max((after - before for before, after in pairwise([0, *seen])), default=0) <= 4
