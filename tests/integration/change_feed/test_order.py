"""A reader that polls while many write never misses an entry and never sees one come late (A-1, CF-28)."""

import asyncio
import random

import pytest

from tests.integration.change_feed.watching import Follower, Writers


async def follow(service, *, writers: int, seconds: float, kills: int = 0) -> Follower:
    """Write and read for a while, with workers dying, then read to the end and check.

    `kills`: at most so many, as worker after worker comes up again, but two in any case.
    """
    clients, follower, over = Writers(service.url, writers), Follower(service.url), asyncio.Event()
    work = [asyncio.create_task(clients.run()), asyncio.create_task(follower.run(over))]
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    for number in range(kills):
        if number >= 2 and loop.time() >= end:
            break
        await asyncio.sleep(seconds / (kills + 1) * random.uniform(0.2, 1.1))
        killed = await service.kill_worker(random.randrange(2))
        await service.await_workers(other_than=killed)
    await asyncio.sleep(max(0.0, end - loop.time()))
    clients.stopped.set()
    await work[0]
    over.set()
    await work[1]
    await follower.catch_up(clients)
    follower.check(clients)
    assert len(clients.stored) > 10
    return follower


@pytest.mark.spec("A-1", "CF-20", "CF-27", "CF-28")
async def test_sixteen_writers_and_two_sequencers(fresh_service):
    service = await fresh_service(workers=2)
    await follow(service, writers=16, seconds=6)


@pytest.mark.spec("A-1", "CF-28")
async def test_workers_are_killed_while_they_number_changes(fresh_service):
    service = await fresh_service(workers=2)
    await follow(service, writers=16, seconds=8, kills=2)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.spec("A-1", "CF-28")
async def test_workers_are_killed_for_minutes(fresh_service):
    service = await fresh_service(workers=2)
    await follow(service, writers=16, seconds=240, kills=30)
