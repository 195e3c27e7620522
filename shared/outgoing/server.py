"""One other server over HTTP: connections, sign-in, time and size limits, and failures in classes (dicomcast §5.1)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from shared.outgoing.failures import Failure, answer_failed, request_failed
from shared.outgoing.settings import ServerSettings
from shared.outgoing.tokens import TokenSource

if TYPE_CHECKING:
    import aiohttp

MOST_BYTES = 64 * 1024**2
"""Largest answer that is taken into memory."""
_CONNECT_SECONDS = 10.0
_STREAM_SECONDS = 3600.0
"""For a body without a limit of size: the metadata of a study of a hundred thousand instances take minutes."""
_CONNECTIONS = 32
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read to its end. Names of header fields are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """Connections to one server. They belong to the event loop of the first request."""

    def __init__(self, settings: ServerSettings, tokens: TokenSource, *, most_bytes: int = MOST_BYTES) -> None:
        """`most_bytes`: largest answer."""
        self._settings = settings
        self._tokens = tokens
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0
        """Requests sent so far, repeats included."""

    @property
    def name(self) -> str:
        """The name for people."""
        return self._settings.name

    @property
    def base(self) -> str:
        """Its address, without a slash at the end."""
        return self._settings.endpoint

    @property
    def tokens(self) -> TokenSource:
        """Where its tokens come from."""
        return self._tokens

    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Send one request and read the answer, whatever its status but 401. `target`: an address of this server, or
        what stands behind its base. Raises RequestFailed.
        """
        async with self._answered(
            method, target, headers or {}, body, total=self._settings.timeout_seconds
        ) as response:
            read = bytearray()
            async for piece in self._pieces(response):
                read += piece
                if len(read) > self._most_bytes:
                    raise request_failed(Failure.UNUSABLE, f"The {self.name} server answered with too many bytes.")
            return Answer(response.status, _lower(response.headers), bytes(read))

    @asynccontextmanager
    async def stream(
        self, target: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """GET whose body comes in pieces and has no limit of size, but one of time. Raises RequestFailed, in between
        too.
        """
        async with self._answered("GET", target, headers or {}, None, total=_STREAM_SECONDS) as response:
            yield Answer(response.status, _lower(response.headers), b""), self._pieces(response)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        await self._tokens.close()

    def address(self, target: str) -> str:
        """The address of a target. Raises RequestFailed when it is another server's: tokens are not sent there."""
        try:
            address = urljoin(f"{self.base}/", target)
            own = urlsplit(address)[:2] == urlsplit(self.base)[:2]
        except ValueError:
            own = False
        if not own:
            raise request_failed(Failure.UNUSABLE, f"The {self.name} server refers to another server.")
        return address

    @asynccontextmanager
    async def _answered(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, *, total: float
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        import aiohttp
        from yarl import URL

        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONNECTIONS))
        timeout = aiohttp.ClientTimeout(
            total=total, sock_connect=_CONNECT_SECONDS, sock_read=self._settings.timeout_seconds
        )
        address = URL(self.address(target), encoded=True)
        renewed = False
        while True:
            token = await self._tokens.token()
            fields = {**self._settings.headers, **headers, **({"Authorization": f"Bearer {token}"} if token else {})}
            self.requests += 1
            try:
                async with self._session.request(
                    method, address, headers=fields, data=body, allow_redirects=False, timeout=timeout
                ) as response:
                    if response.status != 401:
                        yield response
                        return
            except (aiohttp.ServerTimeoutError, TimeoutError) as error:
                connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
                raise request_failed(
                    Failure.UNAVAILABLE if connecting else Failure.TRANSIENT,
                    f"The {self.name} server did not answer in time.",
                ) from error
            except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
                raise request_failed(Failure.UNAVAILABLE, f"The {self.name} server cannot be reached.") from error
            self._tokens.refused(token)
            if renewed or not token:
                raise answer_failed(self.name, 401, {}, b"")
            renewed = True

    @staticmethod
    async def _pieces(response: "aiohttp.ClientResponse") -> AsyncIterator[bytes]:
        async for piece in response.content.iter_chunked(_PIECE):
            yield piece


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
