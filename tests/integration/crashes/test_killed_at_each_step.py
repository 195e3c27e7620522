"""The worker process is killed (SIGKILL) at each request to storage of a transaction, and another one goes on.

Each instance is there once, whole, or not there at all; what was acknowledged is there. A transaction is tried with its
first request killing the worker, then its second, … until one comes through unharmed.
"""

from collections.abc import Iterable
from typing import Final

import pytest

from tests.integration.crashes.proxy import Fault
from tests.integration.crashes.service import Watched, check_after_restart, watched
from tests.integration.crashes.transactions import TRANSACTIONS, Attempt

_MOST_STEPS: Final = 100
_WORKERS: Final = 3
"""While one is started anew the others go on."""


async def kill_at_each_step(scene: Watched, transaction: str, fault: Fault, attempts: list[Attempt]) -> int:
    """Try a transaction until it comes through; in how many requests."""
    step = 1
    while step < _MOST_STEPS:
        act = await TRANSACTIONS[transaction](scene.archive)
        point = scene.proxy.arm(fault, step, await scene.workers(), kill=True)
        attempt = await act()
        scene.proxy.disarm()
        attempts.append(attempt)
        if not point.requests:
            continue  # a worker served it that has come up since
        if not point.hit:
            assert attempt.done
            return point.requests
        step += 1
    raise AssertionError("the transaction never came to an end")


async def kill_in_each(transactions: Iterable[str], fault: Fault) -> None:
    """The same with several transactions; then another service makes good what they left."""
    attempts: list[Attempt] = []
    async with watched(workers=_WORKERS) as scene:
        for transaction in transactions:
            assert await kill_at_each_step(scene, transaction, fault, attempts) >= 3
        await scene.service.stop()
        await check_after_restart(scene.storage, attempts)


@pytest.mark.spec("P-2", "STOW-42", "STOW-45", "CON-3", "DEL-9")
async def test_a_worker_that_dies_after_any_request_leaves_each_instance_whole_or_absent():
    await kill_in_each(["store of one", "deletion of an instance"], Fault.LOSE_ANSWER)


@pytest.mark.nightly
@pytest.mark.spec("P-2", "STOW-42", "STOW-45", "CON-3", "PUT-2", "PUT-3", "DEL-9", "DEL-13")
@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_ANSWER])
async def test_a_worker_that_dies_at_any_request_of_any_transaction_leaves_nothing_halved(fault):
    await kill_in_each(TRANSACTIONS, fault)
