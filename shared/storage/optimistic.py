"""Optimistic writes: repeating what lost a race or got no answer (storage §1, §5), and positions of durable work."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import batched
from typing import Any, Protocol

from shared import telemetry
from shared.concurrency import together
from shared.errors import Unavailable
from shared.storage.ports import Ambiguous, CastTable, Kind, PreconditionFailed, RowWrite, TableStore, Value

ROUNDS = 30
"""Optimistic rounds before a caller gives up."""

PAUSES = (0.25, 1.0, 4.0)
"""Seconds between two attempts at what a data store did not let be done."""

_RETRY_SECONDS = 90.0
"""Nothing is begun again after that: the request must be answered while somebody waits."""
_ANSWERS = 6
_BATCH = 100


async def pause(round_number: int) -> None:
    """Wait before optimistic round `round_number` (0: no wait); the jitter grows."""
    if round_number:
        await asyncio.sleep(random.random() * min(0.005 * 1.5**round_number, 1.0))


class Rounds:
    """Rounds of an optimistic write: `while True: await rounds.next()`, then read, decide, commit, return if it was."""

    def __init__(self, refusal: str, *, rounds: int = 0, longest_pause: int = ROUNDS) -> None:
        """`refusal`: what Unavailable says in the end; `rounds`: how many there are, 0 for ROUNDS; `longest_pause`: the
        round from which on pauses grow no more.
        """
        self._refusal = refusal
        self._rounds = rounds or ROUNDS
        self._longest_pause = longest_pause
        self._next = 0

    async def next(self) -> int:
        """Begin a round, each but the first after a pause; its number, from 0. Raises Unavailable after the last."""
        attempt = self._next
        if attempt == self._rounds:
            raise Unavailable(self._refusal)
        self._next += 1
        await pause(min(attempt, self._longest_pause))
        return attempt


class RetryBudget:
    """The retries of one request at data stores that fail. A write that they refuse for being busy, they often take a
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

    async def retry[T](self, act: Callable[[], Awaitable[T]]) -> T:
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
        return self._time() - self._begun > _RETRY_SECONDS


class Commits[K: (Kind, CastTable)](Protocol):
    """Tables that transactions are committed to; `K` names them."""

    async def commit(self, kind: K, operations: Sequence[RowWrite]) -> str:
        """As `TableStore.commit`."""
        ...


async def commit_once[K: (Kind, CastTable)](tables: Commits[K], kind: K, operations: Sequence[RowWrite]) -> str | None:
    """Commit one transaction, once: the etag of a single row; None if it is not known to be applied.

    Then another writer was faster, or no answer came and it may have been applied all the same: reading again tells.
    Raises Unavailable.
    """
    try:
        return await tables.commit(kind, operations)
    except (PreconditionFailed, Ambiguous):
        return None


async def best_effort_commit[K: (Kind, CastTable)](tables: Commits[K], kind: K, operations: Sequence[RowWrite]) -> bool:
    """`commit_once`; whether it is known to be applied."""
    return await commit_once(tables, kind, operations) is not None


async def commit_each[K: (Kind, CastTable)](tables: Commits[K], kind: K, operations: Sequence[RowWrite]) -> None:
    """Apply writes of one partition of which each may fail for itself: together if that is possible, else one by one.

    What is then not applied was not as expected any more, or got no answer: reading again tells. Raises Unavailable.
    """
    for batch in batched(operations, _BATCH, strict=False):
        if not await best_effort_commit(tables, kind, batch) and len(batch) > 1:
            for operation in batch:
                await best_effort_commit(tables, kind, [operation])


async def commit_all[K: (Kind, CastTable)](tables: Commits[K], kind: K, operations: Sequence[RowWrite]) -> None:
    """Apply writes of one partition whose repetition does no harm, as many transactions as it takes, side by side.

    A write without answer is repeated. Raises PreconditionFailed, and Unavailable when no answer comes.
    """
    batches = [operations[at : at + _BATCH] for at in range(0, len(operations), _BATCH)]
    if len(batches) == 1:
        await _commit_batch(tables, kind, batches[0])
    elif batches:
        await together(*(_commit_batch(tables, kind, batch) for batch in batches))


async def _commit_batch[K: (Kind, CastTable)](tables: Commits[K], kind: K, operations: Sequence[RowWrite]) -> None:
    rounds = Rounds("Table Storage does not answer", rounds=_ANSWERS)
    while True:
        await rounds.next()
        try:
            await tables.commit(kind, operations)
        except Ambiguous:
            continue
        return


class Cursor:
    """Position of durable work: one row of `conf`."""

    def __init__(self, tables: TableStore, partition_key: str, row_key: str) -> None:
        self._tables = tables
        self._key = partition_key, row_key

    async def read(self) -> tuple[Mapping[str, Any], str] | None:
        """Properties and etag of the row; None if there is none. Raises Unavailable."""
        row = await self._tables.get("conf", *self._key)
        return (row.properties, row.etag) if row else None

    async def save(self, properties: Mapping[str, Value]) -> None:
        """Write the row, whatever it held. Raises Unavailable."""
        await commit_all(self._tables, "conf", [RowWrite("upsert", *self._key, properties)])

    async def begin(self, properties: Mapping[str, Value]) -> bool:
        """Make the row unless there is one; whether that is known to have been done. Raises Unavailable."""
        return await best_effort_commit(self._tables, "conf", [RowWrite("insert", *self._key, properties)])

    async def move(self, properties: Mapping[str, Value], etag: str) -> str:
        """Replace the row as it was read. The new etag; '' if that is not known to have been done: reading again tells.

        Raises Unavailable.
        """
        return await commit_once(self._tables, "conf", [RowWrite("replace", *self._key, properties, etag)]) or ""

    async def remove(self, etag: str) -> bool:
        """Remove the row as it was read; whether that is known to have been done. Raises Unavailable."""
        return await best_effort_commit(self._tables, "conf", [RowWrite("delete", *self._key, etag=etag)])
