"""Runs the work of operations: claimed by one worker at a time, taken over by another one when that dies (OP-9)."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from shared import telemetry
from shared.errors import DicomServiceError
from shared.operations.model import Document, LeaseLost, OperationFailed, OperationType, Paused
from shared.operations.store import LEASE_SECONDS, Lease, Operations

_MOST_ATTEMPTS = 5
"""Without a checkpoint in between; then the operation has failed."""
_PAUSES = (5.0, 15.0, 60.0, 300.0)
_LOOK_SECONDS = 5.0
_RUN_SECONDS = 20 * 60.0
"""Below the time-out of functions: work that is still going on is paused at its next checkpoint."""


class Work(Protocol):
    """The work of operations of one type.

    It goes on from `lease.operation.checkpoint`, calls `lease.checkpoint` after each step, and may run any step twice:
    steps are idempotent. It returns the results, raises OperationFailed if there is no point in trying again, lets
    LeaseLost and Paused pass, and may raise anything else: then it is called again.
    """

    async def __call__(self, lease: Lease) -> Document | None:
        """Do the work to its end."""
        ...


class Runner:
    """One per process; any number of processes."""

    def __init__(
        self,
        operations: Operations,
        work: Mapping[OperationType, Work],
        *,
        run_seconds: float = _RUN_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
        renew_seconds: float = LEASE_SECONDS / 3,
    ) -> None:
        """`run_seconds`: how long one run may take; `look_seconds`: how often it looks for further operations."""
        self._operations = operations
        self._work = work
        self._run_seconds = run_seconds
        self._look_seconds = look_seconds
        self._renew_seconds = renew_seconds

    async def run(self) -> None:
        """Do the work of every operation that nobody works on, until there is none or the time is over.

        Raises Unavailable.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._run_seconds
        leases: dict[str, Lease] = {}
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                over = loop.time() >= end
                if not over:
                    await self._look(leases, running)
                if not running:
                    return
                if over:
                    for operation_id in running:
                        leases[operation_id].stopping.set()
                await asyncio.wait(running.values(), timeout=self._look_seconds, return_when=asyncio.FIRST_COMPLETED)
                for operation_id in [each for each, task in running.items() if task.done()]:
                    running.pop(operation_id).result()
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _look(self, leases: dict[str, Lease], running: dict[str, asyncio.Task[None]]) -> None:
        """Take what nobody works on."""
        try:
            for operation_id, kind in await self._operations.active():
                if operation_id in running or kind not in self._work:
                    continue
                lease = await self._operations.claim(operation_id)
                if lease is not None:
                    leases[operation_id] = lease
                    running[operation_id] = asyncio.create_task(self._run_one(self._work[kind], lease))
        except DicomServiceError:
            if not running:
                raise

    async def _run_one(self, work: Work, lease: Lease) -> None:
        """One operation; what goes wrong with it is its own affair."""
        operation = lease.operation
        with suppress(LeaseLost):
            try:
                if lease.attempts > _MOST_ATTEMPTS:  # its work has taken the process down with it, again and again
                    await lease.fail(operation.results)
                    return
                results = await self._renewed(work, lease)
            except Paused:
                await lease.release()
            except OperationFailed as failure:
                telemetry.failure("operation-failed", failure, operation=operation.id, type=operation.type.value)
                await lease.fail(failure.results)
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again and then told
                await self._retry(lease, error)
            else:
                await self._finish(lease, results)

    async def _renewed(self, work: Work, lease: Lease) -> Document | None:
        """Work while the lease is kept alive; if it is lost, the work ends where it is."""
        working = asyncio.ensure_future(work(lease))
        renewing = asyncio.create_task(self._renew(lease))
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                renewing.result()
            return await working
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def _renew(self, lease: Lease) -> None:
        """Ends only by LeaseLost."""
        while True:
            await asyncio.sleep(self._renew_seconds)
            with suppress(DicomServiceError):  # the next one may get through before the lease is over
                await lease.renew()

    async def _finish(self, lease: Lease, results: Document | None) -> None:
        try:
            await lease.succeed(results)
        except DicomServiceError as error:  # the lease runs out, and the work ends again
            telemetry.failure("operation-not-written", error, operation=lease.operation.id)

    async def _retry(self, lease: Lease, error: Exception) -> None:
        operation = lease.operation
        last = lease.attempts >= _MOST_ATTEMPTS
        telemetry.failure(
            "operation-interrupted", error, operation=operation.id, type=operation.type.value, last=last or None
        )
        with suppress(DicomServiceError):
            if last:
                await lease.fail(operation.results)
            else:
                await lease.release(pause_seconds=_PAUSES[min(lease.attempts, len(_PAUSES) - 1)])
