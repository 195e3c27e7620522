"""Runs functions for the triggers that are not HTTP, and writes the log lines of the Functions host."""

import logging
import time
import uuid

from devhost.functions import Function
from devhost.worker.channel import Invocation, Outcome, Value
from devhost.worker.pool import NoWorker, WorkerEnded, WorkerPool

log = logging.getLogger("devhost")


class FunctionFailed(Exception):
    """An invocation failed; the text is the function's error."""


def log_start(function: Function, invocation_id: str, reason: str) -> float:
    """Write the `Executing` line; the answer is the start for `log_end`."""
    log.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, reason, invocation_id)
    return time.perf_counter()


def log_end(function: Function, invocation_id: str, started: float, error: str = "") -> None:
    """Write the `Executed` line: at INFO when the function succeeded, else at ERROR."""
    milliseconds = (time.perf_counter() - started) * 1000
    if error:
        log.error(
            "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms): %s",
            function.name,
            invocation_id,
            milliseconds,
            error,
        )
    else:
        log.info(
            "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)", function.name, invocation_id, milliseconds
        )


class Invoker:
    """Runs one invocation on the next worker."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    async def run(
        self,
        function: Function,
        inputs: dict[str, Value],
        metadata: dict[str, Value] | None = None,
        *,
        reason: str,
        retry: int = 0,
    ) -> None:
        """Run `function` to its end. Raises FunctionFailed."""
        invocation = Invocation(
            str(uuid.uuid4()), function.id, inputs, metadata or {}, retry, function.description.max_retry_count
        )
        started = log_start(function, invocation.id, reason)
        try:
            outcome: Outcome = await (await self._pool.available()).invoke(invocation)
        except (WorkerEnded, NoWorker) as error:
            outcome = Outcome(str(error))
        log_end(function, invocation.id, started, outcome.error)
        if outcome.error:
            log.debug("%s", outcome.stack_trace)
            raise FunctionFailed(outcome.error)
