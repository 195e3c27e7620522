"""Requests to one storage endpoint over a pool of connections, each sent once.

A client library's transport did not fit: a write may be repeated only if it certainly was not applied (storage §5,
invariant 9), so that NotSent (it has not left) and NoAnswer (nobody knows) must be told apart, and half of what a
request cost was the library (decision 0006).
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from shared import telemetry
from shared.storage.http_answer import StorageResponse
from shared.storage.http_connection import Connection, NotSent

_CONNECTIONS: Final = 256
_CONNECT_SECONDS: Final = 5.0
"""For the name, the connection and TLS together."""
_NEXT_ADDRESS_SECONDS: Final = 0.25
_QUEUE_SECONDS: Final = 15.0
_READ_SECONDS: Final = 10.0
_WRITE_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 1.0
# The emulator closes idle connections after 5 s; a request sent at that moment is lost without an answer.
_KEEP_ALIVE_SECONDS: Final = {"http": 3.0, "https": 30.0}
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """One request, and nothing that an attempt adds to it."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"


class StorageTransport:
    """Sends requests to one endpoint. `requests` counts those sent, repeats included."""

    def __init__(
        self,
        endpoint: str,
        *,
        read_seconds: float = _READ_SECONDS,
        write_seconds: float = _WRITE_SECONDS,
        queue_seconds: float = _QUEUE_SECONDS,
        connections: int = _CONNECTIONS,
    ) -> None:
        parts = urlsplit(endpoint)
        self.requests = 0
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._fixed = f" HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: serverless-dicom\r\n"
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds
        self._queue_seconds = queue_seconds
        self._keep_alive = _KEEP_ALIVE_SECONDS[parts.scheme]
        self._tls: ssl.SSLContext | None = None
        self._slots = asyncio.Semaphore(connections)
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        """The one that was used last is the last."""
        self._sweeper: asyncio.TimerHandle | None = None

    async def send(self, request: StorageRequest) -> StorageResponse:
        """One attempt. Raises NotSent or NoAnswer."""
        head = self._head(request)
        seconds = self._read_seconds if request.is_read else self._write_seconds
        await self._enter()
        try:
            self.requests += 1
            telemetry.count_storage(sent=len(request.body))
            connection = self._take() or await self._connect()
            answer = await connection.exchange(head, request.body, seconds)
            if connection.usable:
                self._idle.append(connection)
                self._sweep_later()
        finally:
            self._slots.release()
        telemetry.count_storage(requests=0, received=len(answer.body))
        return answer

    async def close(self) -> None:
        """Close all connections. A later request opens new ones."""
        if self._sweeper:
            self._sweeper.cancel()
            self._sweeper = None
        self._idle.clear()
        closing = list(self._open)
        for connection in closing:
            connection.close()
        if closing:
            _, left = await asyncio.wait([connection.lost for connection in closing], timeout=_CLOSE_SECONDS)
            for connection in closing if left else ():
                connection.abort()

    # --------------------------------------------------------------------------------------------------------- inside

    def _head(self, request: StorageRequest) -> bytes:
        """The request without its body. Raises ValueError for what could be taken for another field or request."""
        texts = (request.target, *request.headers.values())
        if not all(text.isascii() and text.isprintable() for text in texts) or " " in request.target:
            raise ValueError("A request has a character that its head cannot hold")
        fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        length = "" if request.is_read else f"Content-Length: {len(request.body)}\r\n"
        return f"{request.method} {request.target}{self._fixed}{fields}{length}\r\n".encode("ascii")

    async def _enter(self) -> None:
        """Wait for one of the places that there are. Raises NotSent."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise NotSent("TooManyRequests") from None

    def _take(self) -> Connection | None:
        """A kept connection that the service will not have closed."""
        latest = asyncio.get_running_loop().time() - self._keep_alive
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > latest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        """Open a connection. Raises NotSent."""
        if self._scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    ssl_shutdown_timeout=_CLOSE_SECONDS if self._tls else None,
                    happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS,
                )
        except (OSError, UnicodeError) as error:  # a name that is none; TimeoutError and TLS's are of OSError
            raise NotSent(type(error).__name__) from None
        if not connection.usable:
            raise NotSent("ServerDisconnected")
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._keep_alive, self._sweep)

    def _sweep(self) -> None:
        """Close what has not been used for long, and look again as long as there is something."""
        self._sweeper = None
        latest = asyncio.get_running_loop().time() - self._keep_alive
        for connection in self._idle:
            if connection.idle_since <= latest:
                connection.close()
        self._idle = [connection for connection in self._idle if connection.usable]
        if self._idle:
            self._sweep_later()
