"""Repetition of requests to storage: when one is sent again, and when it must not be.

A read may always be repeated. A write is repeated only when it certainly was not applied: the connection was never
made, or the service said that it was too busy to look. Everything else is for the caller, who re-reads and compares
(storage §5, invariant 9).
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared import telemetry
from shared.storage.http_answer import StorageResponse
from shared.storage.http_connection import NoAnswer, NotSent

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_RETRY_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """The attempts at a request: `attempts` in all, the first pause about `first` seconds, doubling up to `longest`."""

    attempts: int = 4
    first: float = 0.05
    longest: float = 1.0
    more_for_reads: int = 0
    """Attempts more at what only reads."""

    def pause(self, attempt: int) -> float:
        """Seconds to wait after attempt `attempt` (from 0), spread so that clients do not come back together."""
        return min(self.longest, self.first * 2.0**attempt) * random.uniform(0.5, 1.5)


DEFAULT_BACKOFF = Backoff(more_for_reads=2)
"""A partition that the service moves to another server is away for seconds: a read waits for it for about two."""


def was_turned_away(response: StorageResponse) -> bool:
    """Whether the service answered that it did not begin to process the request."""
    return response.status_code == 429 or (response.status_code == 503 and b"ServerBusy" in response.body)


async def send_with_retries(
    send: Callable[[], Awaitable[StorageResponse]], backoff: Backoff, *, is_read: bool
) -> StorageResponse:
    """Call `send`, which makes one attempt, as often as it may be and `backoff` has it; the last answer counts.

    Raises NotSent or NoAnswer, as `send` does.
    """
    attempt = 0
    while True:
        last = attempt + 1 >= (backoff.attempts + backoff.more_for_reads if is_read else backoff.attempts)
        least = 0.0
        begun = time.perf_counter()
        try:
            response = await send()
        except (NotSent, NoAnswer) as error:
            _report(str(error), begun, is_read=is_read)
            if last or not (is_read or isinstance(error, NotSent)):
                raise
        else:
            if response.status_code in _TRANSIENT:
                _report(str(response.status_code), begun, is_read=is_read)
            if last or not (was_turned_away(response) or (is_read and response.status_code in _TRANSIENT)):
                return response
            least = _retry_after(response)
        await asyncio.sleep(max(least, backoff.pause(attempt)))
        attempt += 1


def _report(reason: str, begun: float, *, is_read: bool) -> None:
    """An attempt that was not served. What was asked for stays out: keys are patient data."""
    milliseconds = round((time.perf_counter() - begun) * 1000)
    telemetry.event(
        "storage-attempt-failed", level=logging.WARNING, read=is_read, reason=reason, milliseconds=milliseconds
    )


def _retry_after(response: StorageResponse) -> float:
    value = response.headers.get("retry-after", "")
    return min(float(value), _LONGEST_RETRY_AFTER) if value.isdecimal() else 0.0
