"""The channel of event reports: the SDK of Web PubSub against the local host's stand-in."""

import asyncio
import hmac
import secrets
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devhost import web_pub_sub
from devhost.web_pub_sub import WebPubSub
from devhost.web_pub_sub_events import EventHandler
from shared.errors import DependencyRefused, Unavailable
from shared.subscriptions.web_pub_sub import HUB, WebPubSubChannel

SECONDS = 60


@asynccontextmanager
async def channel():
    """A channel to a service of its own."""
    sockets = WebPubSub()
    await sockets.start()
    made = WebPubSubChannel(sockets.endpoint, sockets.key)
    try:
        yield made, sockets
    finally:
        await made.close()
        await sockets.stop()


async def until(condition):
    """Wait until something is so."""
    async with asyncio.timeout(SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.mark.spec("WE-2", "WE-10")
async def test_a_subscriber_gets_texts_as_they_are_and_in_their_order():
    async with channel() as (made, _):
        url = await made.url("user", "ticket")
        assert not await made.is_opened("ticket")
        assert not await made.is_connected("user")
        async with connect(url) as socket:
            await until(lambda: made.is_opened("ticket"))
            assert await made.is_connected("user")
            assert not await made.is_opened("other")
            assert not await made.is_connected("other")
            for number in range(20):
                await made.send("user", f'{{"é": {number}}}')
            await made.send("other", "not for this one")
            assert [await socket.recv() for _ in range(20)] == [f'{{"é": {number}}}' for number in range(20)]
        await until(lambda: _not(made.is_connected("user")))
        await made.send("user", "nobody is there")


async def _not(asked):
    return not await asked


@pytest.mark.spec("WE-10")
async def test_a_url_without_a_token_of_the_service_opens_nothing():
    async with channel() as (made, sockets), channel() as (other, _):
        url = await made.url("user", "ticket")
        foreign = (await other.url("user", "ticket")).partition("?")[2]
        for wrong in (
            url.partition("?")[0],
            f"{url.partition('?')[0]}?{foreign}",
            url.replace("access_token=", "access_token=x"),
        ):
            with pytest.raises(InvalidStatus):
                async with connect(wrong):
                    pass
        unknown = WebPubSubChannel(sockets.endpoint, "another key, which is as long as one")
        with pytest.raises(DependencyRefused):
            await unknown.is_connected("user")
        await unknown.close()


async def test_a_service_that_does_not_answer_is_unavailable():
    sockets = WebPubSub()
    await sockets.start()
    await sockets.stop()
    made = WebPubSubChannel(sockets.endpoint, sockets.key)

    with pytest.raises(Unavailable):
        await made.send("user", "text")
    await made.close()


@pytest.mark.spec("WE-14")
async def test_a_hub_asks_its_event_handler_about_each_client():
    """In the form that the service's documentation has (CloudEvents extension for Web PubSub)."""
    asked, answers = [], [204, 204, 401, 500]

    async def allow(request):
        asked.append((request.method, request.headers["WebHook-Request-Origin"]))
        return web.Response(headers={"WebHook-Allowed-Origin": "127.0.0.1"})

    async def decide(request):
        asked.append((request.headers.copy(), await request.json()))
        return web.Response(status=answers.pop(0))

    handler = web.Application()
    handler.router.add_options("/events", allow)
    handler.router.add_post("/events", decide)
    async with TestServer(handler) as server, channel() as (made, sockets):
        sockets.handlers[HUB] = EventHandler(str(server.make_url("/events")))
        url = await made.url("user", "the-ticket")
        async with connect(url), connect(url, subprotocols=["custom"]) as second:
            assert second.subprotocol is None
        for status in (401, 500):
            with pytest.raises(InvalidStatus, match=str(status)):
                await connect(url)
        with pytest.raises(InvalidStatus, match="400"):
            await connect(url, subprotocols=["json.webpubsub.azure.v1"])
    (method, origin), (first, body), *_ = asked
    assert (method, origin) == ("OPTIONS", first["WebHook-Request-Origin"])
    assert [len(each) for each in asked].count(2) == 5
    assert (first["ce-type"], first["ce-hub"], first["ce-userId"], first["ce-eventName"], first["ce-specversion"]) == (
        "azure.webpubsub.sys.connect",
        HUB,
        "user",
        "connect",
        "1.0",
    )
    key, connection = sockets.key.encode(), first["ce-connectionId"]
    assert f"sha256={hmac.digest(key, connection.encode(), 'sha256').hex()}" in first["ce-signature"].split(",")
    assert body["query"] == {"ticket": ["the-ticket"]}
    assert body["claims"]["sub"] == ["user"]
    assert body["subprotocols"] == []
    assert asked[2][1]["subprotocols"] == ["custom"]


@pytest.mark.spec("WE-14")
async def test_a_hub_whose_event_handler_takes_no_events_lets_nobody_in():
    handler = web.Application()
    async with TestServer(handler) as server, channel() as (made, sockets):
        sockets.handlers[HUB] = EventHandler(str(server.make_url("/events")))
        with pytest.raises(InvalidStatus, match="500"):
            await connect(await made.url("user", "ticket"))


@pytest.mark.spec("WE-8")
async def test_a_client_that_does_not_read_loses_its_connection_and_delays_nobody():
    async with channel() as (made, _):
        slow_url, quick_url = await made.url("slow", "1"), await made.url("quick", "2")
        async with connect(quick_url) as quick:
            slow = await connect(slow_url, max_queue=1)
            await until(lambda: made.is_connected("slow"))
            text = secrets.token_hex(250_000)  # it cannot be compressed to next to nothing
            sent = 0
            while await made.is_connected("slow"):
                assert sent < 200
                await made.send("slow", text)
                sent += 1
            await made.send("quick", "still here")
            async with asyncio.timeout(SECONDS):
                assert await quick.recv() == "still here"
            slow.transport.abort()


async def test_clients_that_talk_without_end_or_come_in_crowds_delay_nobody(monkeypatch):
    monkeypatch.setattr(web_pub_sub, "_MOST", 3)
    async with (
        channel() as (made, _),
        connect(await made.url("user", "1")) as reader,
        connect(await made.url("loud", "2")) as loud,
    ):

        async def talk():
            while True:
                await loud.send(b"x" * 100_000)

        talking = asyncio.create_task(talk())
        async with connect(await made.url("third", "3")):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(await made.url("fourth", "4")):
                    pass
            assert refused.value.response.status_code == 503
            for number in range(20):
                await made.send("user", str(number))
            assert [await reader.recv() for _ in range(20)] == [str(number) for number in range(20)]
        assert not talking.done()
        talking.cancel()
        await until(lambda: _not(made.is_connected("third")))
        async with connect(await made.url("fourth", "4")):
            assert await made.is_connected("fourth")
        await loud.send(b"x" * 2_000_000)  # more than a message may have
        with pytest.raises(ConnectionClosed):
            await loud.recv()
