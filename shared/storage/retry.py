"""When a request to storage is sent again, and when it must not be.

A read may always be repeated. A write is repeated only when it certainly was not applied: the connection was never
made, or the service said that it was too busy to look. Everything else is for the caller, who re-reads and compares
(storage §5, invariant 9).
"""

import asyncio
import random
from dataclasses import dataclass

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.pipeline.transport import HttpRequest

from shared.storage.transport import StorageResponse

_READS = frozenset({"GET", "HEAD"})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_RETRY_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how soon: `attempts` in all, the first pause about `first` seconds, doubling up to `longest`."""

    attempts: int = 4
    first: float = 0.05
    longest: float = 1.0

    def pause(self, attempt: int) -> float:
        """Seconds to wait after attempt `attempt` (from 0), spread so that clients do not come back together."""
        return min(self.longest, self.first * 2.0**attempt) * random.uniform(0.5, 1.5)


DEFAULT_BACKOFF = Backoff()


def is_read(request: HttpRequest) -> bool:
    """Whether the request changes nothing."""
    return request.method in _READS


def was_turned_away(response: StorageResponse) -> bool:
    """Whether the service answered that it did not begin to process the request."""
    return response.status_code == 429 or (response.status_code == 503 and b"ServerBusy" in response.body)


class RetryPolicy(AsyncHTTPPolicy[HttpRequest, StorageResponse]):
    """A pipeline policy that sends again what may be sent again.

    azure-core's own policy does not fit: it repeats a write whenever the connection breaks before the answer.
    """

    def __init__(self, backoff: Backoff) -> None:
        super().__init__()
        self._backoff = backoff

    async def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, StorageResponse]:
        """Send `request` up to the end of the policy's patience; the last answer or failure counts."""
        attempt = 0
        while True:
            last = attempt + 1 >= self._backoff.attempts
            pause = self._backoff.pause(attempt)
            try:
                response = await self.next.send(request)
            except ServiceRequestError:
                if last:
                    raise
            except ServiceResponseError:
                if last or not is_read(request.http_request):
                    raise
            else:
                if last or not _may_repeat(request.http_request, response.http_response):
                    return response
                pause = max(pause, _retry_after(response.http_response))
            await asyncio.sleep(pause)
            attempt += 1


def _may_repeat(request: HttpRequest, response: StorageResponse) -> bool:
    return was_turned_away(response) or (is_read(request) and response.status_code in _TRANSIENT)


def _retry_after(response: StorageResponse) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_RETRY_AFTER) if value.isdecimal() else 0.0
