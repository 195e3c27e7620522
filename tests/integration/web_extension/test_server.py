"""The server on real connections, with clients that behave, and its end."""

import asyncio
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.integration.web_extension.world import GET, HEAD, POST, Stream, serving, until

ROOT = Path(__file__).parents[3]


async def test_requests_share_a_connection():
    async with serving() as world:
        client = await world.connect()
        for _ in range(3):
            await client.send(GET)
            status, fields, body = await client.answer()
            assert (status, body) == (200, b"whole")
            assert "connection" not in fields
            assert "server" not in fields
        assert [request.peer for request in world.app.seen] == ["127.0.0.1"] * 3


async def test_a_client_library_is_served_both_ways():
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    async with serving() as world, ClientSession(headers={"x-ms-invocation-id": "1"}) as session:
        world.app.streams[b"/chunks"] = lambda: Stream(*[b"y" * 100_000] * 20)
        for _ in range(3):
            async with session.post(f"{world.url}/read", data=pieces()) as response:
                assert await response.read() == b"2000000"
            async with session.post(f"{world.url}/read", data=b"z" * 900_000, expect100=True) as response:
                assert await response.read() == b"900000"
            async with session.get(f"{world.url}/chunks") as response:
                assert await response.read() == b"y" * 2_000_000
        assert len(world.server._open) == 1


@pytest.mark.parametrize("path", [b"/chunks", b"/known"])
async def test_a_stream_is_followed_by_the_next_answer(path):
    async with serving() as world:
        world.app.streams[path] = lambda: Stream(b"one", b"", b"two")
        client = await world.connect()
        for _ in range(2):
            await client.send(b"GET " + path + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
            assert (await client.answer())[2] == b"onetwo"
        assert [stream.closed for stream in world.app.made] == [1, 1]


@pytest.mark.parametrize("size", [1, 2, 16 * 1024 - 5, 16 * 1024, 100_000, 3_000_000])
@pytest.mark.parametrize("path", [b"/chunks", b"/known"])
async def test_pieces_of_all_sizes_arrive_in_their_order(path, size):
    """Also when the client takes them all at once, and when it makes the server wait."""
    pieces = [bytes([65 + number]) * (size if number % 2 else 200) for number in range(8)]
    async with serving() as world:
        world.app.streams[path] = lambda: Stream(*pieces)
        client = await world.connect()
        for pause in (0.0, 0.05):
            await client.send(b"GET " + path + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
            await asyncio.sleep(pause)
            assert (await client.answer())[2] == b"".join(pieces)
        await client.send(GET)
        assert (await client.answer())[2] == b"whole"


@pytest.mark.parametrize("path", [b"/chunks", b"/known", b"/whole"])
async def test_head_has_no_body_and_the_connection_goes_on(path):
    async with serving() as world:
        world.app.streams = {b"/chunks": lambda: Stream(b"one"), b"/known": lambda: Stream(b"one")}
        client = await world.connect()
        for _ in range(2):
            await client.send(b"HEAD " + path + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
            status, fields, _ = await client.answer(head=True)
            assert (status, fields.get("content-length")) == (200, {b"/known": "3"}.get(path))
        await client.send(GET)
        assert (await client.answer())[2] == b"whole"
        assert all(stream.closed == 1 for stream in world.app.made)


async def test_a_client_that_asks_first_is_told_to_go_on_only_when_its_body_is_wanted():
    async with serving() as world:
        client = await world.connect()
        await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert (await client.answer())[0] == 100
        await client.send(b"abc")
        assert (await client.answer())[2] == b"3"

        await client.send(GET.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"))
        status, fields, _ = await client.answer()
        assert (status, fields["connection"]) == (200, "close")


async def test_requests_that_do_not_wait_are_answered_in_their_order():
    async with serving() as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"one", b"two")
        client = await world.connect()
        await client.send(
            GET + b"GET /chunks HTTP/1.1\r\n" + HEAD + b"\r\n" + POST + b"Content-Length: 2\r\n\r\nab" + GET
        )
        assert [(await client.answer())[2] for _ in range(4)] == [b"whole", b"onetwo", b"2", b"whole"]


async def test_an_old_client_is_answered_and_left():
    async with serving() as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"one", b"two")
        client = await world.connect()
        await client.send(b"GET /chunks HTTP/1.0\r\n" + HEAD + b"\r\n")
        assert (await client.answer())[2] == b"onetwo"


async def test_what_is_under_way_is_finished_before_the_server_ends():
    async with serving() as world:
        idle, slow, sending = [await world.connect() for _ in range(3)]
        await idle.send(GET)
        await idle.answer()
        held = asyncio.Event()
        world.app.streams[b"/chunks"] = lambda: Stream(b"one", held, b"two")
        await slow.send(GET.replace(b"/whole", b"/slow"))
        await sending.send(b"GET /chunks HTTP/1.1\r\n" + HEAD + b"\r\n")
        await until(lambda: len(world.app.seen) == 3 and bool(world.app.made) and world.app.made[0].given == 3)

        world.server.end()

        assert await idle.ended()
        with pytest.raises(OSError, match="Connect"):
            await world.connect()
        world.app.go.set()
        held.set()
        status, fields, body = await slow.answer()
        assert (status, fields["connection"], body) == (200, "close", b"whole")
        assert (await sending.answer())[2] == b"onetwo"
        assert await sending.ended()


def test_a_process_that_is_told_to_end_finishes_what_is_under_way_then_ends_as_told():
    program = textwrap.dedent("""
        import asyncio, sys
        from shared.web_extension.limits import Limits
        from shared.web_extension.messages import ServerResponse
        from shared.web_extension.server import HttpServer

        async def serve(request):
            request.claimed = True
            print("asked", flush=True)
            await asyncio.sleep(0.5)
            return ServerResponse(200, [], b"done")

        async def main():
            server = HttpServer(serve, Limits())
            running = asyncio.create_task(server.run("127.0.0.1", 0))
            while not server.port:
                await asyncio.sleep(0)
            print(server.port, flush=True)
            await running

        asyncio.run(main())
    """)
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(GET)
            assert process.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGTERM)
            received = b""
            while piece := client.recv(65536):
                received += piece
        assert received.endswith(b"done")
        assert b"connection: close" in received
        assert process.wait(timeout=30) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
