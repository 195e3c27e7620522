"""The connections of the Table client, against a server that misbehaves."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared.storage.http_connection import NoAnswer, NotSent
from shared.storage.transport import StorageRequest, StorageTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
READ = StorageRequest("GET", "/account/Tables?x=1", {"Accept": "text/plain"})
WRITE = StorageRequest("POST", "/account/Tables", {}, b"body")

type Behaviour = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.heads: list[bytes] = []

    async def request(self) -> bytes:
        """Read a request; its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        at = head.find(b"Content-Length: ")
        return await self.reader.readexactly(int(head[at + 16 : head.index(b"\r", at)])) if at >= 0 else b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, data: bytes = OK) -> None:
        await self.request()
        await self.send(data)


class Server:
    """Lets each connection, one after the other, meet the next behaviour; the last one for ever."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours)
        self.visits: list[Visit] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        self.visits.append(visit)
        behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
        try:
            await behaviour(visit)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*behaviours: Behaviour, **options: float) -> AsyncIterator[tuple[StorageTransport, Server]]:
    server = Server(*behaviours)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    transport = StorageTransport(f"http://127.0.0.1:{server.port}", **options)
    try:
        yield transport, server
    finally:
        await transport.close()
        listener.close()
        await listener.wait_closed()


async def polite(visit: Visit) -> None:
    while True:
        await visit.answer()


def once(data: bytes) -> Behaviour:
    """Answer one request, then wait for the client to go."""

    async def behave(visit: Visit) -> None:
        await visit.answer(data)
        await visit.reader.read()

    return behave


def then_close(data: bytes) -> Behaviour:
    async def behave(visit: Visit) -> None:
        await visit.answer(data)

    return behave


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def is_unused(transport: StorageTransport) -> bool:
    """Whether the pool keeps nothing that can be used again."""
    return not any(connection.usable for connection in transport._idle)


async def test_requests_are_sent_as_they_are_and_share_a_connection() -> None:
    async with serving(polite) as (transport, server):
        for request in (READ, WRITE, READ):
            answer = await transport.send(request)
            assert (answer.status_code, answer.body) == (200, b"ok")
        [visit] = server.visits
        host = f"Host: 127.0.0.1:{server.port}\r\nUser-Agent: serverless-dicom\r\n"
        assert visit.heads[0].decode() == f"GET /account/Tables?x=1 HTTP/1.1\r\n{host}Accept: text/plain\r\n\r\n"
        assert visit.heads[1].decode() == f"POST /account/Tables HTTP/1.1\r\n{host}Content-Length: 4\r\n\r\n"
        assert transport.requests == 3


async def test_a_body_of_megabytes_goes_both_ways() -> None:
    body = bytes(range(256)) * 20_000

    async def echo(visit: Visit) -> None:
        got = await visit.request()
        await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(got), 100_000):
            piece = got[at : at + 100_000]
            await visit.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await visit.send(b"0\r\n\r\n")
        await visit.reader.read()

    async with serving(echo) as (transport, _):
        assert (await transport.send(StorageRequest("POST", "/", {}, body))).body == body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        OK[:-1],
        OK[:20],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nends with the connection",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"nonsense\r\n\r\n",
        OK + b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + b"X: " + b"x" * 100_000,
    ],
)
@pytest.mark.parametrize("request_", [READ, WRITE])
async def test_what_ends_or_breaks_before_its_answer_has_none(data: bytes, request_: StorageRequest) -> None:
    async with serving(then_close(data), polite) as (transport, server):
        with pytest.raises(NoAnswer):
            await transport.send(request_)
        assert (await transport.send(READ)).body == b"ok"
        assert len(server.visits) == 2


@pytest.mark.parametrize(
    "data",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"1.1", b"1.0"),
        OK + OK,
        OK + b"HTTP/1.1 200",
    ],
)
async def test_a_connection_that_may_hold_more_than_the_answer_is_not_used_again(data: bytes) -> None:
    async with serving(once(data), polite) as (transport, server):
        assert (await transport.send(READ)).body == b"ok"
        assert (await transport.send(READ)).body == b"ok"
        assert len(server.visits) == 2


async def test_bytes_that_nobody_asked_for_close_an_idle_connection() -> None:
    async def talk(visit: Visit) -> None:
        await visit.answer()
        await asyncio.sleep(0.02)
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        await visit.reader.read()

    async with serving(talk, polite) as (transport, server):
        await transport.send(READ)
        await until(lambda: is_unused(transport))
        assert (await transport.send(READ)).body == b"ok"
        assert len(server.visits) == 2


async def test_a_connection_that_the_server_closed_while_idle_is_not_used_again() -> None:
    async with serving(then_close(OK), polite) as (transport, server):
        await transport.send(READ)
        await until(lambda: is_unused(transport))
        assert (await transport.send(WRITE)).body == b"ok"
        assert len(server.visits) == 2


async def test_an_answer_before_the_whole_request_is_taken_but_ends_the_connection() -> None:
    taken = asyncio.Event()

    async def hasty(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await taken.wait()  # the rest of the request is never read

    async with serving(hasty, polite) as (transport, server):
        answer = await transport.send(StorageRequest("POST", "/", {}, bytes(32 * 1024**2)))
        assert answer.status_code == 413
        taken.set()
        await transport.send(READ)
        assert len(server.visits) == 2


@pytest.mark.parametrize("beginning", [b"", OK[:-1]])
async def test_a_cancelled_request_leaves_no_connection_behind(beginning: bytes) -> None:
    asked = asyncio.Event()

    async def slow(visit: Visit) -> None:
        await visit.request()
        await visit.send(beginning)
        asked.set()
        await visit.reader.read()  # until the client goes

    async with serving(slow, polite) as (transport, server):
        task = asyncio.create_task(transport.send(READ))
        await asked.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await transport.send(READ)).body == b"ok"
        assert len(server.visits) == 2
        async with asyncio.timeout(10):
            await server.visits[0].reader.read()


async def test_silence_is_measured_between_bytes() -> None:
    async def drip(visit: Visit) -> None:
        await visit.request()
        for byte in OK:
            await visit.send(bytes([byte]))
            await asyncio.sleep(0.03)
        await visit.answer(OK[:-1])
        await visit.reader.read()

    async with serving(drip, read_seconds=1.0) as (transport, _):
        assert (await transport.send(READ)).body == b"ok"
        with pytest.raises(NoAnswer, match="TimeoutError"):
            await transport.send(READ)


async def test_no_more_connections_than_allowed_and_who_waits_too_long_has_sent_nothing() -> None:
    going = asyncio.Event()

    async def held(visit: Visit) -> None:
        while True:
            await visit.request()
            await going.wait()
            await visit.send(OK)

    async with serving(held, connections=2, queue_seconds=0.05) as (transport, server):
        waiting = [asyncio.create_task(transport.send(WRITE)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(NotSent, match="TooManyRequests"):
            await transport.send(WRITE)
        going.set()
        assert [(await task).body for task in waiting] == [b"ok"] * 2
        await asyncio.gather(*(transport.send(WRITE) for _ in range(2)))
        assert len(server.visits) == 2
        assert transport.requests == 4


async def test_connections_are_closed_when_nobody_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(StorageTransport.__init__.__globals__["_KEEP_ALIVE_SECONDS"], "http", 0.05)
    async with serving(polite) as (transport, server):
        await asyncio.gather(*(transport.send(READ) for _ in range(4)))
        await until(lambda: is_unused(transport))
        await until(lambda: transport._sweeper is None)
        assert transport._idle == []
        await until(lambda: not transport._open)
        assert await transport.send(READ)
        assert len(server.visits) == 5


async def test_closing_ends_what_is_under_way_and_a_later_request_begins_anew() -> None:
    asked = asyncio.Event()

    async def silent(visit: Visit) -> None:
        await visit.request()
        asked.set()
        await visit.reader.read()

    async with serving(silent, polite) as (transport, _):
        task = asyncio.create_task(transport.send(WRITE))
        await asked.wait()
        await transport.close()
        with pytest.raises(NoAnswer, match="ConnectionClosed"):
            await task
        assert (await transport.send(READ)).body == b"ok"
        assert len(transport._open) == 1
    assert not transport._open


@pytest.mark.parametrize(
    "request_",
    [
        StorageRequest("GET", "/a b", {}),
        StorageRequest("GET", "/a\r\nHost: x", {}),
        StorageRequest("GET", "/ä", {}),
        StorageRequest("GET", "/", {"If-Match": "x\r\nHost: y"}),
        StorageRequest("GET", "/", {"If-Match": "ä"}),
    ],
)
async def test_nothing_can_be_smuggled_into_the_head_of_a_request(request_: StorageRequest) -> None:
    async with serving(polite) as (transport, server):
        with pytest.raises(ValueError, match="character"):
            await transport.send(request_)
        assert server.visits == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate[1], certificate[2])
    server = Server(polite)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    transport = StorageTransport(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    with pytest.raises(NotSent, match="SSLCertVerificationError"):
        await transport.send(WRITE)
    transport._tls = ssl.create_default_context(cafile=certificate[0])
    for _ in range(2):
        assert (await transport.send(WRITE)).body == b"ok"
    assert len(server.visits) == 1
    await transport.close()
    listener.close()
    await listener.wait_closed()


async def test_a_name_that_is_none_is_not_reached() -> None:
    for host in ("name.invalid", "a" * 70 + ".invalid"):
        transport = StorageTransport(f"http://{host}:1")
        with pytest.raises(NotSent):
            await transport.send(READ)
        await transport.close()
