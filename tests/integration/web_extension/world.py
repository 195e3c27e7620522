"""The server with an app that does as it is told, and clients that go byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from shared.web_extension.limits import Limits
from shared.web_extension.messages import ClientGone, ServerRequest, ServerResponse
from shared.web_extension.server import HttpServer
from tests.builders.errors import said

HEAD = b"Host: dicom.example\r\nx-ms-invocation-id: 0a-1b\r\n"
GET = b"GET /whole HTTP/1.1\r\n" + HEAD + b"\r\n"
POST = b"POST /read HTTP/1.1\r\n" + HEAD
QUICK = Limits(
    head_bytes=48 * 1024,
    head_seconds=0.2,
    idle_seconds=0.2,
    total_seconds=60,
    keep_alive_seconds=60,
    claim_seconds=0.2,
    linger_seconds=0.2,
    linger_bytes=1024 * 1024,
    drain_seconds=5,
)
MIB = 1024 * 1024


class Stream:
    """A body that waits where it is told to, and remembers its end."""

    def __init__(self, *pieces: bytes | Exception | asyncio.Event, endless: bool = False) -> None:
        self.pieces = list(pieces)
        self.endless = endless
        self.given = self.closed = 0

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        piece = self.pieces[0] if self.endless else self.pieces.pop(0) if self.pieces else None
        if piece is None:
            raise StopAsyncIteration
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, asyncio.Event):
            await piece.wait()
            return await self.__anext__()
        self.given += len(piece)
        return piece

    async def aclose(self) -> None:
        self.closed += 1


class App:
    """What the runtime and the function do, without them."""

    def __init__(self) -> None:
        self.seen: list[ServerRequest] = []
        self.sizes: list[int] = []
        self.gone = 0
        self.go = asyncio.Event()
        self.streams: dict[bytes, Callable[[], Stream]] = {}
        self.made: list[Stream] = []
        self.whole = b"whole"

    async def serve(self, request: ServerRequest) -> ServerResponse:
        self.seen.append(request)
        if request.target == b"/unclaimed":
            await asyncio.Event().wait()
        request.claimed = True
        if request.refusal is not None:
            return request.refusal
        if request.target == b"/read":
            return await self._read(request)
        if request.target == b"/slow":
            await self.go.wait()
        if request.target == b"/raises":
            raise ValueError("PatientName is Doe")
        if request.target in self.streams:
            stream = self.streams[request.target]()
            self.made.append(stream)
            length = [("Content-Length", str(sum(map(len, stream.pieces))))] if request.target == b"/known" else []
            return ServerResponse(200, length, stream)
        return ServerResponse(200, [("X-Method", request.method)], self.whole)

    async def _read(self, request: ServerRequest) -> ServerResponse:
        size = 0
        try:
            async for piece in request.body:
                self.sizes.append(len(piece))
                size += len(piece)
        except ClientGone:
            self.gone += 1
        return ServerResponse(200, [], str(size).encode())


class Client:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next answer; an error of the server's own has the shape of all errors (ERR-1)."""
        status, fields, body = await self._answer(head=head)
        if status >= 400 and not head and fields.get("connection") == "close":
            said(status, fields, body)
        return status, fields, body

    async def _answer(self, *, head: bool) -> tuple[int, dict[str, str], bytes]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        if head or status in {100, 204, 304}:
            return status, fields, b""
        if "content-length" in fields:
            return status, fields, await self.reader.readexactly(int(fields["content-length"]))
        if "transfer-encoding" in fields:
            return status, fields, await self._chunks()
        return status, fields, await self.reader.read()

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def ended(self) -> bool:
        """Whether the server closes the connection now, with nothing more to say."""
        try:
            async with asyncio.timeout(10):
                return await self.reader.read() == b""
        except ConnectionError:
            return True


class World:
    def __init__(self, app: App, server: HttpServer) -> None:
        self.app, self.server = app, server
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self.clients.append(client)
        return client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@asynccontextmanager
async def serving(limits: Limits = Limits()) -> AsyncIterator[World]:  # noqa: B008 - frozen
    app = App()
    server = HttpServer(app.serve, limits)
    running = asyncio.create_task(server.run("127.0.0.1", 0))
    await until(lambda: server.port > 0)
    world = World(app, server)
    try:
        yield world
    finally:
        app.go.set()
        for client in world.clients:
            client.writer.transport.abort()
        server.end()
        await running


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.002)
