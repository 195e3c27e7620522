"""Workers are killed (SIGKILL) at each write to storage that they send while they number changes, two at a time.

Between two writes the storage stays as it is: whoever dies at a read has died behind the write before it.

A reader that follows the feed all the while sees each change once, in one order, and nothing that comes late.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest

from tests.integration.change_feed.watching import Follower
from tests.integration.crashes.proxy import Fault
from tests.integration.crashes.service import Watched, check_after_restart, watched
from tests.integration.crashes.transactions import TRANSACTIONS, Attempt

_MOST_STEPS: Final = 100
_FEWEST_KILLS: Final = 3
_WORKERS: Final = 3
"""Two number the changes side by side; when one dies, the third goes on."""
_FEED: Final = "changefeed/latest?includeMetadata=false"


async def read_to_the_end(follower: Follower, entries: int) -> None:
    """Follow the feed until it has so many entries, and fail unless it then has no more."""
    async with asyncio.timeout(120):
        while len(follower.seen) < entries:
            await follower.catch_up()
    await follower.catch_up()
    assert follower.faults == []
    assert len(follower.seen) == entries


async def kill_at_each_step(scene: Watched, transactions: Sequence[str], fault: Fault) -> list[Attempt]:
    """Leave changes to be numbered, have two workers number them, and kill the one that sends the first write, then
    the one that sends the next, … until they come to an end.
    """
    follower, attempts, entries, step = Follower(scene.service.url), [], 0, 1
    for _ in range(_MOST_STEPS):
        for transaction in transactions:
            attempts.append(await (await TRANSACTIONS[transaction](scene.archive))())
            assert attempts[-1].done
            entries += len(attempts[-1].before) + len(attempts[-1].sent) + len(attempts[-1].deleted)
        point = scene.proxy.arm(fault, step, await scene.workers(), kill=True, writes=True)
        replies = await asyncio.gather(*(scene.archive.send("GET", _FEED) for _ in range(2)))
        scene.proxy.disarm()
        await read_to_the_end(follower, entries)
        ended = not point.hit and [reply.status for reply in replies] == [200, 200]
        if ended and point.requests and step > _FEWEST_KILLS:
            return attempts
        step += bool(point.hit)  # else others had numbered the changes before
    raise AssertionError("numbering never came to an end")


async def kill_while_numbering(transactions: Sequence[str], fault: Fault) -> None:
    """The same, and then another service makes good what was left."""
    async with watched(workers=_WORKERS) as scene:
        attempts = await kill_at_each_step(scene, transactions, fault)
        await scene.service.stop()
        await check_after_restart(scene.storage, attempts)


@pytest.mark.timeout(900)
@pytest.mark.spec("A-1", "CF-27", "CF-28", "S-8")
async def test_two_sequencers_of_which_one_dies_on_the_way():
    await kill_while_numbering(["store of one"], Fault.LOSE_ANSWER)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.spec("A-1", "CF-27", "CF-28", "S-8")
@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_ANSWER])
async def test_two_sequencers_of_which_one_dies_at_any_write_over_many_changes(fault):
    await kill_while_numbering(["store of ten", "upsert", "deletion of a study"], fault)
