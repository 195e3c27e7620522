"""Repeating what lost a race or got no answer (storage §1, §5)."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from shared import telemetry
from shared.concurrency import together
from shared.errors import Unavailable
from shared.storage.ports import Ambiguous, Kind, Operation, TableStore

ROUNDS = 30
"""Optimistic rounds before a caller gives up."""

PAUSES = (0.25, 1.0, 4.0)
"""Seconds between two attempts at what a data store did not let be done."""

_PATIENCE_SECONDS = 90.0
"""Nothing is begun again after that: the request must be answered while somebody waits."""
_ANSWERS = 6
_BATCH = 100


async def pause(round_number: int) -> None:
    """Wait before optimistic round `round_number` (0: no wait); the jitter grows."""
    if round_number:
        await asyncio.sleep(random.random() * min(0.005 * 1.5**round_number, 1.0))


class RetryBudget:
    """How long one request puts up with data stores that fail. What they refuse for being busy, they often take a
    second later, and only who sent the files could begin anew.
    """

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._begun = self._time()
        self._lost = False

    @property
    def is_lost(self) -> bool:
        """Whether something was given up, and no time is left to begin anything else."""
        return self._lost and self._is_late()

    async def attempt[T](self, act: Callable[[], Awaitable[T]]) -> T:
        """Do what may be done again until the data stores let it. Raises Unavailable."""
        # rule: what a data store refuses for a moment is tried again
        for seconds in PAUSES:
            try:
                return await act()
            except Unavailable as error:
                if self._is_late():
                    self._lost = True
                    raise
                telemetry.failure("storage-retry", error, level=logging.WARNING)
            await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
        try:
            return await act()
        except Unavailable:
            self._lost = True
            raise

    def _is_late(self) -> bool:
        return self._time() - self._begun > _PATIENCE_SECONDS


async def settle(tables: TableStore, kind: Kind, operations: Sequence[Operation]) -> None:
    """Apply writes of one partition whose repetition does no harm, as many transactions as it takes, side by side.

    A write without answer is repeated. Raises PreconditionFailed, and Unavailable when no answer comes.
    """
    batches = [operations[at : at + _BATCH] for at in range(0, len(operations), _BATCH)]
    if len(batches) == 1:
        await _settle(tables, kind, batches[0])
    elif batches:
        await together(*(_settle(tables, kind, batch) for batch in batches))


async def _settle(tables: TableStore, kind: Kind, operations: Sequence[Operation]) -> None:
    for attempt in range(_ANSWERS):
        await pause(attempt)
        try:
            await tables.commit(kind, operations)
        except Ambiguous:
            continue
        return
    raise Unavailable("Table Storage does not answer")
