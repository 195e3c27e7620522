"""Between the service and the storage emulator: it counts requests, and does something to the n-th.

It loses a request, loses an answer, answers with an error of its own, does so with everything from the n-th on, or
kills the worker process that sent it. Nothing in the service knows of it: the storage connection string names it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import psutil

from devhost.azurite.emulator import Azurite
from devhost.azurite.storage_account import emulator_connection
from devhost.testing import process_exists

_LONGEST_HEAD: Final = 1 << 20


class Fault(Enum):
    """What happens to a request."""

    LOSE_REQUEST = auto()
    """It never reaches the storage, and the connection is cut."""
    LOSE_ANSWER = auto()
    """The storage serves it, and the connection is cut before the answer."""
    BUSY = auto()
    """503 ServerBusy: the storage has not looked at it."""
    FAIL = auto()
    """500 InternalError, although the storage has served it."""


@dataclass(slots=True)
class FaultPoint:
    """The `at`-th request (from 1) that one of the processes `of` sends from now on meets `fault`."""

    fault: Fault
    at: int
    of: Collection[int]
    kill: bool = False
    """The process that sent it is killed (SIGKILL); no other request of it is served."""
    lasting: bool = False
    """So do all requests after it, until the fault is taken away."""
    writes: bool = False
    """Only requests count that change something."""
    requests: int = 0
    """Those that have come."""
    hit: list[str] = field(default_factory=list)
    """Method and service of those that met the fault."""
    killed: int = 0
    """The process that was killed, when it is gone."""

    def meets(self, method: str) -> bool:
        """Count a request; whether it meets the fault."""
        if self.writes and method in {"GET", "HEAD"}:
            return False
        self.requests += 1
        return self.requests == self.at or (self.lasting and self.requests > self.at)


@dataclass(frozen=True, slots=True)
class _Message:
    head: bytes
    body: bytes
    keep_alive: bool


class StorageProxy:
    """Listens in front of an emulator. `connection_string` is what the service is given."""

    def __init__(self, azurite: Azurite) -> None:
        self._upstream = {
            "blob": azurite.ports.blob,
            "queue": azurite.ports.queue,
            "table": azurite.ports.table,
        }
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._dead: set[int] = set()
        self._point: FaultPoint | None = None
        self.connection_string = ""
        self.requests = 0
        """Requests of all processes, since the start."""

    async def start(self) -> None:
        """Listen on free ports."""
        ports = {}
        for service in self._upstream:
            server = await asyncio.start_server(self._handler(service), "127.0.0.1", 0, limit=_LONGEST_HEAD)
            self._servers.append(server)
            ports[service] = server.sockets[0].getsockname()[1]
        self.connection_string = emulator_connection(ports["blob"], ports["queue"], ports["table"])

    async def stop(self) -> None:
        """Cut all connections and stop listening."""
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def arm(
        self,
        fault: Fault,
        at: int,
        of: Collection[int],
        *,
        kill: bool = False,
        lasting: bool = False,
        writes: bool = False,
    ) -> FaultPoint:
        """Set the fault point; there is one at a time."""
        self._point = FaultPoint(fault, at, frozenset(of), kill, lasting, writes)
        return self._point

    def disarm(self) -> None:
        """Take the fault point away."""
        self._point = None

    # ----------------------------------------------------------------------------------------------------- inside

    def _handler(self, service: str):
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                await self._serve(service, reader, writer)
            except (OSError, EOFError, asyncio.CancelledError):
                pass  # one of the two ends has gone
            finally:
                self._connections.discard(task)
                writer.transport.abort()

        return accept

    async def _serve(self, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[1]
        pid: int | None = None
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                request = await _message(reader, request=True)
                if request is None:
                    return
                self.requests += 1
                point = self._point
                if point is not None and pid not in point.of:
                    pid = await asyncio.to_thread(_owner, peer, point.of)
                if pid in self._dead:
                    return
                method = request.head.partition(b" ")[0].decode()
                fault = None
                # It may have been taken away while the owner was looked for.
                if point is not None and point is self._point and pid in point.of and point.meets(method):
                    fault = point.fault
                    point.hit.append(f"{method} {service}")
                    if point.kill and fault is Fault.LOSE_REQUEST:
                        point.killed = await self._kill(pid)
                if fault is Fault.LOSE_REQUEST:
                    return
                if fault is Fault.BUSY:
                    writer.write(_error(service, 503, "ServerBusy", method))
                    await writer.drain()
                    continue
                if upstream is None:
                    upstream = await asyncio.open_connection("127.0.0.1", self._upstream[service], limit=_LONGEST_HEAD)
                upstream[1].write(request.head + request.body)
                answer = await _message(upstream[0], request=False, method=method)
                if answer is None:
                    return
                if fault is not None and point is not None and point.kill:
                    point.killed = await self._kill(pid)
                if fault is Fault.LOSE_ANSWER or pid in self._dead:
                    return
                if fault is Fault.FAIL:
                    writer.write(_error(service, 500, "InternalError", method))
                else:
                    writer.write(answer.head + answer.body)
                await writer.drain()
                if not answer.keep_alive:
                    return
        finally:
            if upstream is not None:
                upstream[1].close()

    async def _kill(self, pid: int | None) -> int:
        assert pid is not None
        self._dead.add(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        while process_exists(pid):
            await asyncio.sleep(0.002)
        return pid


@asynccontextmanager
async def storage_proxy(azurite: Azurite) -> AsyncIterator[StorageProxy]:
    """A proxy in front of `azurite`."""
    proxy = StorageProxy(azurite)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


def _owner(port: int, pids: Collection[int]) -> int | None:
    """Which of the processes has the connection whose local port is `port`."""
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            if any(each.laddr and each.laddr.port == port for each in psutil.Process(pid).net_connections("tcp")):
                return pid
    return None


async def _message(reader: asyncio.StreamReader, *, request: bool, method: str = "") -> _Message | None:
    """One request or answer, whole; None when the connection ends before it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    keep_alive = fields.get("connection", "").lower() != "close"
    if not request and (method == "HEAD" or first.split(" ")[1] in {"204", "304"}):
        return _Message(head, b"", keep_alive)
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return _Message(head, await _chunked(reader), keep_alive)
    length = int(fields.get("content-length", 0))
    return _Message(head, await reader.readexactly(length), keep_alive)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    """A chunked body as it came, framing included."""
    pieces = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        pieces += [line, await reader.readexactly(size + 2)]
        if size == 0:
            return b"".join(pieces)


def _error(service: str, status: int, code: str, method: str) -> bytes:
    """An error as the service words it."""
    if service == "table":
        content_type, text = "application/json", f'{{"odata.error":{{"code":"{code}","message":{{"value":"-"}}}}}}'
    else:
        content_type, text = "application/xml", f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>"
    body = b"" if method == "HEAD" else text.encode()
    head = (
        f"HTTP/1.1 {status} {code}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"x-ms-error-code: {code}\r\nx-ms-request-id: 0\r\n\r\n"
    )
    return head.encode() + body
