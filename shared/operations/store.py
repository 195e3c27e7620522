"""azure-apis §5 Operations as they are stored: durable, leased to one worker at a time (OP-9).

Operations are few; what they work on is not kept here.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.operations.model import (
    Document,
    LeaseLost,
    Operation,
    OperationActive,
    OperationStatus,
    OperationType,
    Paused,
)
from shared.operations.rows import PARTITION, OperationRow, active_rows, is_active, row_in
from shared.storage.optimistic import Rounds, best_effort_commit, commit_all
from shared.storage.ports import Entity, RowWrite, TableStore

LEASE_SECONDS = 60.0
RETENTION = timedelta(days=30)
"""The time for which a finished operation can be read (OP-6, B-21)."""
TASK_RETENTION = timedelta(days=7)
"""How long it is kept what a finished operation was told, values of patients among it; and how long one waits for
somebody to start it.
"""

_MOST = 100


_WITHOUT_PERCENT = frozenset(
    {
        OperationType.EXPORT,
        OperationType.CAST_VERIFY,
        OperationType.CAST_BACKFILL,
        OperationType.REBUILD,
        OperationType.SHARE,
    }
)
"""Those that find out how much there is to do only while they do it."""


class Lease:
    """The right to work on an operation.

    Its methods raise LeaseLost once another process has taken the operation over, and Unavailable while the tables do
    not answer.
    """

    def __init__(self, store: "Operations", operation: Operation, holder: str, attempts: int) -> None:
        self.operation = operation
        """As of the last write."""
        self.attempts = attempts
        """The number of times that it was taken since its last checkpoint: 1 at first, 0 after a checkpoint."""
        self.stopping = asyncio.Event()
        """Set when the work should end at its next checkpoint."""
        self._store = store
        self._holder = holder
        self._writing = asyncio.Lock()

    async def checkpoint(self, state: Document, *, percent: int | None = None, results: Document | None = None) -> None:
        """Note how far the work is: from here another worker goes on. Raises Paused if it is to end here.

        `results`: those so far, where clients may see them.
        """
        shown = self.operation.percent if percent is None else percent
        found = self.operation.results if results is None else results
        await self._write(attempts=0, checkpoint=state, percent=shown, results=found)
        self.attempts = 0
        if self.stopping.is_set():
            raise Paused

    async def renew(self) -> None:
        """Keep the lease while a step takes long."""
        await self._write()

    async def release(self, *, pause_seconds: float = 0.0) -> None:
        """Give the operation back unfinished; nobody takes it before the pause is over."""
        await self._write(holder="", seconds=pause_seconds)

    async def succeed(self, results: Document | None = None) -> None:
        """The work is done."""
        percent = None if self.operation.percent is None else 100
        await self._write(status=OperationStatus.SUCCEEDED, results=results, percent=percent)

    async def fail(self, results: Document | None = None) -> None:
        """The work cannot be done."""
        await self._write(status=OperationStatus.FAILED, results=results)

    async def forget(self, task: Document, state: Document, results: Document) -> None:
        """Keep less of the task of work that is done: what the operation was told need not outlive it."""
        await self._write(attempts=0, input=task, checkpoint=state, results=results)

    async def _write(
        self,
        *,
        holder: str | None = None,
        seconds: float = LEASE_SECONDS,
        attempts: int | None = None,
        **changed: Any,
    ) -> None:
        async with self._writing:
            self.operation = await self._store.write(
                self.operation.id,
                self._holder,
                lambda row: replace(
                    row,
                    operation=replace(row.operation, **changed),
                    holder=row.holder if holder is None else holder,
                    attempts=row.attempts if attempts is None else attempts,
                ),
                seconds=seconds,
            )


class Operations:
    """The operations of the service. `now`: seconds since 1970."""

    def __init__(self, tables: TableStore, now: Callable[[], float]) -> None:
        self._tables = tables
        self._now = now

    async def create(
        self,
        kind: OperationType,
        task: Document,
        *,
        operation_id: str = "",
        resources: Sequence[str] = (),
        results: Document | None = None,
        partition: str | None = None,
        waits: bool = False,
    ) -> Operation:
        """A new operation that is to do `task`; it exists when this returns, whatever happens to the caller.

        `operation_id`: from `new_operation_id`, where something had to be named by it before; `resources`: paths of
        what is worked on, below the version segment; `results`: what clients see of them until there are others;
        `partition`: name of the data partition that it acts in, None for the whole service; `waits`: until `start`
        nobody works on it, and it keeps no other one away. Raises OperationActive (OP-8), Unavailable.
        """
        now = self._time()
        percent = None if kind in _WITHOUT_PERCENT else 0
        operation = Operation(
            operation_id or new_operation_id(),
            kind,
            OperationStatus.NOT_STARTED,
            now,
            now,
            task,
            {},
            percent,
            tuple(resources),
            results,
            partition,
            waits,
        )
        written = RowWrite("insert", PARTITION, f"o!{operation.id}", OperationRow(operation).properties())
        rows = [written] if waits else [written, *active_rows(operation)]
        rounds = Rounds("The operation cannot be created")
        while True:
            await rounds.next()
            if not waits:
                await self._check_alone(operation)
            done = await best_effort_commit(self._tables, "ops", rows)
            if done or await self.get(operation.id) is not None:
                return operation

    async def start(self, operation_id: str, note: Document, results: Document) -> Operation | None:
        """Let an operation that waits be worked on, with `note` added to its task and with these results; one that has
        been started stays as it is. None if there is none, or no longer. Raises OperationActive (OP-8), Unavailable.
        """
        rounds = Rounds("The operation cannot be started")
        while True:
            await rounds.next()
            row = await self._row(operation_id)
            if row is None or not row.operation.waits:
                return row.operation if row else None
            task = {**row.operation.input, **note}
            operation = replace(row.operation, input=task, results=results, waits=False, updated=self._time())
            await self._check_alone(operation)
            properties = replace(row, operation=operation).properties()
            rows = [RowWrite("replace", PARTITION, f"o!{operation.id}", properties, row.etag)]
            await best_effort_commit(self._tables, "ops", [*rows, *active_rows(operation)])

    async def get(self, operation_id: str) -> Operation | None:
        """An operation; None if there is none, or no longer (OP-6)."""
        row = await self._row(operation_id)
        return row.operation if row else None

    async def recent(self, limit: int, offset: int) -> list[Operation]:
        """At most `limit` operations behind the first `offset`, the newest first (B-21). Raises Unavailable."""
        rows = await self._tables.range("ops", PARTITION, "o!", 'o"', select=("created",))
        rows.sort(key=lambda row: (float(str(row.properties["created"])), row.row_key), reverse=True)
        found = await asyncio.gather(*(self.get(row.row_key[2:]) for row in rows[offset : offset + limit]))
        return [each for each in found if each is not None]

    async def is_active(self, operation_id: str) -> bool:
        """Whether an operation has not ended."""
        operation = await self.get(operation_id)
        return operation is not None and operation.status.active

    async def active(self) -> list[tuple[str, OperationType]]:
        """The operations that have not ended, the longest waiting not necessarily first."""
        rows = await self._tables.range("ops", PARTITION, "a!", 'a"')
        return [(row.row_key[2:], OperationType(str(row.properties["type"]))) for row in rows]

    async def claim(self, operation_id: str) -> Lease | None:
        """Take an active operation that nobody works on; None if that is not possible. Raises Unavailable."""
        holder = uuid.uuid4().hex
        rounds = Rounds("The operation cannot be taken")
        while True:
            await rounds.next()
            row = await self._row(operation_id)
            if row is None or not row.operation.status.active or row.operation.waits:
                return None
            if row.holder == holder:  # an earlier attempt got through, only its answer did not
                return Lease(self, row.operation, holder, row.attempts)
            if self._now() < row.until:
                return None
            operation = replace(row.operation, status=OperationStatus.RUNNING)
            taken = replace(row, operation=operation, holder=holder, attempts=row.attempts + 1)
            await self._replace(taken, LEASE_SECONDS)

    async def write(
        self, operation_id: str, holder: str, change: Callable[[OperationRow], OperationRow], *, seconds: float
    ) -> Operation:
        """Change an operation on behalf of `holder`, who keeps it for `seconds` more. Raises LeaseLost, Unavailable."""
        written = uuid.uuid4().hex
        rounds = Rounds("The operation cannot be written")
        while True:
            await rounds.next()
            row = await self._row(operation_id)
            if row is not None and row.written == written:
                return row.operation
            if row is None or row.holder != holder or not row.operation.status.active:
                raise LeaseLost
            await self._replace(replace(change(row), written=written), seconds)

    async def forget(self, accepts: Callable[[Operation], bool]) -> int:
        """Keep nothing of the tasks of operations that nobody works on, as far as `accepts` says so; how many (PHI-1).

        Raises Unavailable.
        """
        forgotten = 0
        for entity in await self._tables.range("ops", PARTITION, "o!", 'o"'):
            row = row_in(entity)
            over = row.operation.waits or not row.operation.status.active
            if not (over and row.operation.input and accepts(row.operation)):
                continue
            operation = replace(row.operation, input={}, checkpoint={}, status=OperationStatus.FAILED, waits=False)
            if not row.operation.waits:
                operation = replace(operation, status=row.operation.status)
            properties = replace(row, operation=operation).properties()
            written = RowWrite("replace", PARTITION, entity.row_key, properties, entity.etag)
            # If not done, it has been started, or purged.
            forgotten += await best_effort_commit(self._tables, "ops", [written])
        return forgotten

    async def purge(self) -> int:
        """Remove the operations whose time is over, and the tasks of others (OP-6); how many operations."""
        now = self._time()
        await self.forget(lambda each: not each.waits and now - each.updated > TASK_RETENTION)

        def is_over(row: Entity) -> bool:
            kept = TASK_RETENTION if row.properties.get("waits") else RETENTION
            return not is_active(row) and float(str(row.properties["updated"])) < (now - kept).timestamp()

        rows = await self._tables.range("ops", PARTITION, "o!", 'o"', select=("status", "updated", "waits"))
        over = [row.row_key for row in rows if is_over(row)]
        for at in range(0, len(over), _MOST):
            await commit_all(self._tables, "ops", [RowWrite("delete", PARTITION, key) for key in over[at : at + _MOST]])
        return len(over)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _check_alone(self, operation: Operation) -> None:
        """Raises OperationActive if another operation excludes this one (OP-8)."""
        exclusion = operation.type.exclusion
        lock = await self._tables.get("ops", PARTITION, f"x!{exclusion}") if exclusion else None
        if lock is not None and lock.properties["operation"] != operation.id:
            raise OperationActive(operation.type, str(lock.properties["operation"]))

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    async def _row(self, operation_id: str) -> OperationRow | None:
        entity = await self._tables.get("ops", PARTITION, f"o!{operation_id}")
        return row_in(entity) if entity else None

    async def _replace(self, row: OperationRow, seconds: float) -> None:
        """Write a row unless somebody else has since it was read: reading it again tells."""
        operation = replace(row.operation, updated=self._time())
        properties = replace(row, operation=operation, until=self._now() + seconds).properties()
        rows = [RowWrite("replace", PARTITION, f"o!{operation.id}", properties, row.etag)]
        if not operation.status.active:
            rows.append(RowWrite("delete", PARTITION, f"a!{operation.id}"))
            if operation.type.exclusion:
                rows.append(RowWrite("delete", PARTITION, f"x!{operation.type.exclusion}"))
        await best_effort_commit(self._tables, "ops", rows)


def new_operation_id() -> str:
    """An id that no other operation has (GEN-21)."""
    return uuid.uuid4().hex
