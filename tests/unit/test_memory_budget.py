"""Memory that work shares: nobody takes more than there is, nobody waits for ever, nothing is lost."""

import asyncio

import pytest

from shared import memory_budget
from shared.errors import Unavailable
from shared.memory_budget import Lease, MemoryBudget


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_not_there_is_waited_for_in_order():
    budget, order = MemoryBudget(100, "busy"), []

    async def take(name, size):
        await budget.reserve(size)
        order.append(name)

    await budget.reserve(80)
    waiting = [asyncio.create_task(take("large", 90)), asyncio.create_task(take("small", 10))]
    await settle()
    assert order == []
    budget.release(80)
    await asyncio.gather(*waiting)
    assert order == ["large", "small"]
    assert budget.free == 0


async def test_who_waits_too_long_is_told_so_and_nobody_behind_is_blocked(monkeypatch):
    monkeypatch.setattr(memory_budget, "_WAIT_SECONDS", 0.01)
    budget = MemoryBudget(100, "busy")
    await budget.reserve(50)
    large = asyncio.create_task(budget.reserve(60))
    await settle()
    monkeypatch.undo()
    small = asyncio.create_task(budget.reserve(40))
    with pytest.raises(Unavailable, match="busy"):
        await large
    await small
    assert budget.free == 10


async def test_who_goes_away_while_waiting_takes_nothing():
    budget = MemoryBudget(100, "busy")
    await budget.reserve(100)
    gone = asyncio.create_task(budget.reserve(10))
    await settle()
    budget.release(100)
    gone.cancel()  # at the very moment when its turn has come
    await asyncio.gather(gone, return_exceptions=True)
    assert budget.free == 100


async def test_a_lease_grows_up_to_all_there_is_and_gives_back_once():
    budget = MemoryBudget(100, "busy")
    lease = Lease(budget)
    await lease.grow(30)
    await lease.grow(20)
    assert (lease.size, budget.free) == (30, 70)
    await lease.grow(1000)
    assert (lease.size, budget.free) == (100, 0)
    lease.shrink(10)
    lease.shrink(50)
    assert (lease.size, budget.free) == (10, 90)
    lease.shrink()
    lease.shrink()
    assert budget.free == 100


async def test_who_does_not_want_to_wait_gets_what_is_there_at_once_or_nothing():
    budget = MemoryBudget(100, "busy")
    assert budget.reserve_at_once(60)
    assert not budget.reserve_at_once(41)
    waiting = asyncio.create_task(budget.reserve(50))
    await settle()
    assert not budget.reserve_at_once(1)  # behind those who wait
    budget.release(60)
    await waiting
    assert budget.reserve_at_once(50)
    assert budget.free == 0
