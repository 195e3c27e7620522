"""Repeating what lost a race or got no answer (storage §1.6, §5)."""

import asyncio
import random
from collections.abc import Sequence

from shared.errors import Unavailable
from shared.storage.ports import Ambiguous, Kind, Operation, TableStore

ROUNDS = 30
"""Optimistic rounds before a caller gives up."""

_ANSWERS = 6
_BATCH = 100


async def pause(round_number: int) -> None:
    """Wait before optimistic round `round_number` (0: no wait); the jitter grows."""
    if round_number:
        await asyncio.sleep(random.random() * min(0.005 * 1.5**round_number, 1.0))


async def settle(tables: TableStore, kind: Kind, operations: Sequence[Operation]) -> None:
    """Apply writes of one partition whose repetition does no harm, as many transactions as it takes, side by side.

    A write without answer is repeated. Raises PreconditionFailed, and Unavailable when no answer comes.
    """
    batches = [operations[at : at + _BATCH] for at in range(0, len(operations), _BATCH)]
    if len(batches) == 1:
        await _settle(tables, kind, batches[0])
    elif batches:
        await asyncio.gather(*(_settle(tables, kind, batch) for batch in batches))


async def _settle(tables: TableStore, kind: Kind, operations: Sequence[Operation]) -> None:
    for attempt in range(_ANSWERS):
        await pause(attempt)
        try:
            await tables.commit(kind, operations)
        except Ambiguous:
            continue
        return
    raise Unavailable("Table Storage does not answer")
