"""The server on real connections, with clients that do not behave."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.web_extension.limits import Limits
from tests.integration.web_extension.world import GET, HEAD, MIB, POST, QUICK, Stream, serving, until


@pytest.mark.spec("URL-15", "ERR-2")
@pytest.mark.parametrize(
    ("line", "status"),
    [(b"FOO /docs", 400), (b"PROPFIND /docs", 200), (b"CONNECT /docs", 200), (b"GET /a%0Ab", 200), (b"GET a", 400),
     (b"GET /" + b"a" * 70_000, 431)],
)  # fmt: skip  # a table
async def test_whatever_arrives_its_invocation_has_a_request_and_its_client_an_answer(line, status):
    async with serving() as world:
        client = await world.connect()
        await client.send(line + b" HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
        assert (await client.answer())[0] == status
        assert [request.headers.get("X-MS-Invocation-ID") for request in world.app.seen] == ["0a-1b"]
        assert await client.ended()


async def test_a_request_that_no_host_has_sent_is_refused():
    async with serving() as world:
        client = await world.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.answer())[0] == 400
        assert await client.ended()
        assert world.app.seen == []


async def test_a_function_that_raises_is_a_500_that_tells_nothing():
    async with serving() as world:
        client = await world.connect()
        await client.send(GET.replace(b"/whole", b"/raises"))
        status, _, body = await client.answer()
        assert (status, b"Doe" in body) == (500, False)


async def test_a_head_that_stops_is_refused_in_time_and_silence_is_not_kept_open():
    async with serving(QUICK) as world:
        client = await world.connect()
        await client.send(b"GET / HTTP/1.1\r\n" + HEAD)
        assert (await client.answer())[0] == 408
        assert await client.ended()


async def test_a_connection_without_requests_is_closed_in_time():
    async with serving(Limits(keep_alive_seconds=0.2, idle_seconds=0.2)) as world:
        fresh, used = await world.connect(), await world.connect()
        await used.send(GET)
        await used.answer()
        assert await fresh.ended()
        assert await used.ended()


async def test_an_upload_that_stops_is_cut_and_its_reader_told():
    async with serving(QUICK) as world:
        client = await world.connect()
        await client.send(POST + b"Content-Length: 10\r\n\r\nabc")
        assert await client.ended()
        await until(lambda: world.app.gone == 1)


async def test_a_reader_that_does_not_read_is_cut_and_its_stream_closed():
    async with serving(QUICK) as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"x" * MIB, endless=True)
        client = await world.connect()
        client.reader._transport.pause_reading()
        await client.send(b"GET /chunks HTTP/1.1\r\n" + HEAD + b"\r\n")
        await until(lambda: [stream.closed for stream in world.app.made] == [1])
        assert world.app.made[0].given < 32 * MIB


async def test_a_whole_answer_that_nobody_reads_is_not_kept_for_ever():
    async with serving(QUICK) as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"x" * 16 * MIB)
        client = await world.connect()
        client.reader._transport.pause_reading()
        await client.send(b"GET /chunks HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
        await until(lambda: not world.server._open)


async def test_whole_answers_that_nobody_reads_are_not_made_one_after_the_other():
    async with serving() as world:
        world.app.whole = b"x" * 8 * MIB
        client = await world.connect()
        client.reader._transport.pause_reading()
        await client.send(GET * 10)
        await until(lambda: world.app.seen)
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert len(world.app.seen) == 1
        client.reader._transport.resume_reading()
        for _ in range(10):
            assert (await client.answer())[2] == world.app.whole


async def test_what_takes_longer_than_the_total_is_cut():
    async with serving(Limits(total_seconds=0.3, idle_seconds=0.2)) as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"x" * 1000, endless=True)
        client = await world.connect()
        await client.send(b"GET /chunks HTTP/1.1\r\n" + HEAD + b"\r\n")
        with contextlib.suppress(ConnectionError):
            while await client.reader.read(MIB):
                pass
        await until(lambda: [stream.closed for stream in world.app.made] == [1])


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 67108864\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n4000000\r\n"]
)
async def test_a_body_that_nobody_reads_is_not_taken(framing):
    async with serving() as world:
        client = await world.connect()
        client.writer.write(b"POST /slow HTTP/1.1\r\n" + HEAD + framing + b"x" * 64 * MIB)
        await until(lambda: world.app.seen and world.app.seen[0].body.buffered > 0)
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert world.app.seen[0].body.buffered < MIB


async def test_an_answer_before_the_end_of_an_upload_reaches_the_client():
    async with serving(QUICK) as world:
        client = await world.connect()
        client.writer.write(b"POST /whole HTTP/1.1\r\n" + HEAD + b"Content-Length: 400000\r\n\r\n" + b"x" * 400_000)
        status, fields, body = await client.answer()
        assert (status, fields["connection"], body) == (200, "close", b"whole")
        assert await client.ended()
        await until(lambda: not world.server._open)


async def test_a_client_that_never_stops_sending_after_its_answer_is_left():
    async with serving() as world:
        client = await world.connect()
        await client.send(b"POST /whole HTTP/1.1\r\n" + HEAD + b"Content-Length: 999999999\r\n\r\n")
        assert (await client.answer())[2] == b"whole"
        with contextlib.suppress(ConnectionError):
            while True:
                await client.send(b"x" * 65536)
        await until(lambda: not world.server._open)


@pytest.mark.parametrize("failing", [b"/chunks", b"/known"])
async def test_a_stream_that_fails_cuts_the_connection(failing):
    async with serving() as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"one", ValueError("Doe"))
        world.app.streams[b"/known"] = lambda: Short(b"one")
        client = await world.connect()
        await client.send(b"GET " + failing + b" HTTP/1.1\r\n" + HEAD + b"\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
        await until(lambda: [stream.closed for stream in world.app.made] == [1])


class Short(Stream):
    """A stream that ends before the length that was told."""

    async def __anext__(self) -> bytes:
        piece = await super().__anext__()
        return piece[:-1]


async def test_a_client_that_goes_away_while_it_waits_leaves_nothing_behind():
    async with serving() as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"x", asyncio.Event())
        client = await world.connect()
        await client.send(b"GET /chunks HTTP/1.1\r\n" + HEAD + b"\r\n")
        await client.reader.readuntil(b"x\r\n")
        client.writer.transport.abort()
        await until(lambda: [stream.closed for stream in world.app.made] == [1])
        await until(lambda: not world.server._open)


async def test_an_answer_whose_client_has_gone_meanwhile_is_closed_unsent():
    async with serving() as world:
        world.app.streams[b"/slow"] = lambda: Stream(b"x")
        client = await world.connect()
        await client.send(b"GET /slow HTTP/1.1\r\n" + HEAD + b"\r\n")
        await until(lambda: len(world.app.seen) == 1)
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        world.app.go.set()
        await until(lambda: [(stream.closed, stream.given) for stream in world.app.made] == [(1, 0)])
        await until(lambda: not world.server._open)


async def test_an_upload_whose_client_goes_away_fails_its_reader():
    async with serving() as world:
        client = await world.connect()
        await client.send(POST + b"Content-Length: 10\r\n\r\nabc")
        await until(lambda: world.app.sizes == [3])
        client.writer.transport.abort()
        await until(lambda: world.app.gone == 1)


async def test_a_request_that_no_invocation_takes_is_answered():
    async with serving(QUICK) as world:
        client = await world.connect()
        await client.send(GET.replace(b"/whole", b"/unclaimed"))
        assert (await client.answer())[0] == 503
        assert await client.ended()


async def test_there_are_no_more_connections_than_allowed():
    async with serving(Limits(connections=2)) as world:
        kept = [await world.connect() for _ in range(2)]
        for client in kept:
            await client.send(GET)
            await client.answer()
        refused = await world.connect()
        assert (await refused.answer())[0] == 503
        assert await refused.ended()
        kept[0].writer.close()
        await until(lambda: len(world.server._open) == 1)
        again = await world.connect()
        await again.send(GET)
        assert (await again.answer())[0] == 200


# ------------------------------------------------------------------------------------------ fuzzing

SCRIPTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                GET, GET[:20], GET[20:], b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b"\r\n", b"FOO / HTTP/1.1\r\n",
                POST + b"Content-Length: 3\r\n\r\nabc", POST + b"Content-Length: 3\r\n\r\n",
                POST + b"Transfer-Encoding: chunked\r\n\r\n",
                POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                b"HEAD /chunks HTTP/1.1\r\n" + HEAD + b"\r\n", b"GET /chunks HTTP/1.1\r\n" + HEAD + b"\r\n",
                b"GET /fails HTTP/1.1\r\n" + HEAD + b"\r\n",
                b"GET /whole HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n",
            ]
        ),
        st.sampled_from(["wait", "read", "end"]),
        st.binary(max_size=8),
    ),
    max_size=10,
)  # fmt: skip  # read at once: one item a line says no more


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(SCRIPTS)
async def test_whatever_a_client_does_the_next_one_is_served_and_nothing_is_left(script):
    async with serving(QUICK) as world:
        world.app.streams[b"/chunks"] = lambda: Stream(b"one", b"two" * 1000)
        world.app.streams[b"/fails"] = lambda: Stream(b"one", ValueError("Doe"))
        client = await world.connect()
        with contextlib.suppress(OSError):
            for step in script:
                if step == "wait":
                    await asyncio.sleep(0.001)
                elif step == "read":
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.005):
                            await client.reader.read(100)
                elif step == "end":
                    client.writer.write_eof()
                    break
                else:
                    await client.send(step)
        client.writer.transport.abort()

        other = await world.connect()
        await other.send(GET)
        assert (await other.answer())[2] == b"whole"
        other.writer.close()
        await until(lambda: not world.server._open)
        assert all(stream.closed == 1 for stream in world.app.made)
