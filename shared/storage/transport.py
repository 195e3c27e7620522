"""An azure-core transport over aiohttp that says whether a request that failed can have reached the service.

azure-core's own aiohttp transport reports a connection that broke after the request was sent as if nothing had been
sent, aiohttp itself repeats PUT and DELETE on such connections, and both decode and encode URLs again, which breaks
signatures over keys. Here, ServiceRequestError means that nothing was sent; ServiceResponseError that it may have been.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Self, cast

import aiohttp
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AsyncHttpTransport, HttpRequest
from yarl import URL

from shared import telemetry

_POOL = 256
_CONNECT_SECONDS = 5.0
_QUEUE_SECONDS = 15.0
_READ_SECONDS = 10.0
_WRITE_SECONDS = 30.0
_LARGE_BODY = 2**20  # aiohttp wants to send more than this in pieces
# The emulator closes idle connections after 5 s; a request sent at that moment is lost without an answer.
_KEEP_ALIVE_SECONDS = {"http": 3.0, "https": 30.0}


@dataclass(frozen=True, slots=True)
class StorageResponse:
    """An answer, read to its end."""

    status_code: int
    headers: Mapping[str, str]
    """Names compare case-insensitively."""
    body: bytes


class StorageTransport(AsyncHttpTransport[HttpRequest, StorageResponse]):
    """Sends the requests of one pipeline. `requests` counts those sent, repeats included."""

    def __init__(
        self, scheme: str, *, read_seconds: float = _READ_SECONDS, write_seconds: float = _WRITE_SECONDS
    ) -> None:
        self.requests = 0
        self._keep_alive = _KEEP_ALIVE_SECONDS[scheme]
        self._session: aiohttp.ClientSession | None = None
        self._reading, self._writing = (
            aiohttp.ClientTimeout(total=None, connect=_QUEUE_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=seconds)
            for seconds in (read_seconds, write_seconds)
        )

    async def open(self) -> None:
        """Make the connection pool; done by the first request too."""
        self._pool()

    async def close(self) -> None:
        """Close all connections. A later request opens new ones."""
        session, self._session = self._session, None
        if session:
            await session.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()

    async def send(self, request: HttpRequest, **_options: object) -> StorageResponse:
        """One attempt. Raises ServiceRequestError (nothing was sent) or ServiceResponseError (no one knows)."""
        session = self._session or self._pool()
        body = cast("bytes | None", request.data)  # its declared type has forms too, which nobody sends here
        self.requests += 1
        telemetry.count_storage(sent=len(body) if body else 0)
        try:
            async with session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=BytesIO(body) if body and len(body) > _LARGE_BODY else body,
                allow_redirects=False,
                timeout=self._reading if request.method == "GET" else self._writing,
            ) as response:
                answer = await response.read()
                telemetry.count_storage(requests=0, received=len(answer))
                return StorageResponse(response.status, response.headers, answer)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ServiceRequestError(type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Only the kind of failure: the URL in some texts holds keys.
            raise ServiceResponseError(type(error).__name__) from None

    def _pool(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_POOL, keepalive_timeout=self._keep_alive, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
            headers={"User-Agent": "serverless-dicom"},
            trust_env=False,
        )
        # Without this aiohttp repeats GET, PUT and DELETE itself when a kept connection breaks; there is no public
        # switch. Repeats are the retry policy's business.
        session._retry_connection = False  # noqa: SLF001
        self._session = session
        return session
