"""Event reports over WebSocket, as a client gets them that knows PS3.18 alone (worklist §12)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.builders.images import new_uid
from tests.builders.worklist import CLAIM, codes, element, new_workitem, performed, state_change

GLOBAL = "1.2.840.10008.5.1.4.34.5"
FILTERED = "1.2.840.10008.5.1.4.34.5.1"
SECONDS = 60
"""For what should take one: machines are shared."""
TYPE = {"Content-Type": "application/dicom+json"}


class Client:
    """A client of one service."""

    def __init__(self, session: ClientSession, base: str, token: str = "") -> None:
        self._session = session
        self.base = base
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def send(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, str]]:
        """A request; status and headers of its answer."""
        data = None if body is None else json.dumps(body)
        headers = {**self._headers, **(TYPE if data else {})}
        async with self._session.request(
            method, f"{self.base}/{path}", data=data, headers=headers, allow_redirects=False
        ) as answer:
            await answer.read()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}

    async def done(self, method: str, path: str, body: object = None) -> dict[str, str]:
        """A request that succeeds; the headers of its answer."""
        status, headers = await self.send(method, path, body)
        assert status < 300, (method, path, status)
        return headers

    async def subscribe(self, uid: str, aetitle: str) -> str:
        """Subscribe; the URL of the connection."""
        return (await self.done("POST", f"workitems/{uid}/subscribers/{aetitle}"))["content-location"]


@asynccontextmanager
async def client_of(base: str, token: str = "") -> AsyncIterator[Client]:
    """A client."""
    async with ClientSession() as session:
        yield Client(session, base, token)


async def next_report(socket: ClientConnection, seconds: float = SECONDS) -> dict[str, Any]:
    """The next report."""
    async with asyncio.timeout(seconds):
        text = await socket.recv()
    assert isinstance(text, str)
    return json.loads(text)


async def sweep(url: str) -> None:
    """The chores, which are done every minute, now."""
    async with ClientSession() as session, session.post(f"{url}/admin/functions/housekeeping", json={}) as answer:
        assert answer.status < 300


def said(report: dict[str, Any]) -> tuple[int, str, int, str]:
    """Message ID, workitem, event type and state of a report."""

    def value(tag: str) -> Any:
        return (report.get(tag, {}).get("Value") or [""])[0]

    return value("00000110"), value("00001000"), value("00001002"), value("00741000")


async def said_after(socket: ClientConnection, number: int) -> tuple[int, str, int, str]:
    """What the next report says that is numbered above `number`: each is sent at least once, and may come again."""
    while (report := said(await next_report(socket)))[0] <= number:
        pass
    return report


@pytest.mark.spec("WE-1", "WE-2", "WE-5", "WE-6")
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_whole_life_is_received_though_the_connection_is_lost_in_the_middle(fresh_service, version):
    service = await fresh_service()  # of its own: the whole worklist is subscribed to, and the numbers are compared
    uid, aetitle = f"1.2.826.101.{version[1]}", f"WATCH{version}"
    async with client_of(f"{service.url}/{version}") as client:
        async with connect(await client.subscribe(GLOBAL, aetitle)) as socket:
            await client.done("POST", f"workitems?{uid}", [new_workitem(t00404025=codes("CT1"))])
            first = [await said_after(socket, number) for number in range(2)]
            await client.done("PUT", f"workitems/{uid}/state", state_change("IN PROGRESS"))
            claimed = await said_after(socket, 2)
            socket.transport.abort()
        progress = {"00741002": element("SQ", {"00741004": element("DS", 50)})}
        await client.done("POST", f"workitems/{uid}?{CLAIM}", [progress])
        await client.done("POST", f"workitems/{uid}?{CLAIM}", [performed()])

        async with connect(f"{service.url.replace('http', 'ws')}/{version}/subscribers/{aetitle}?after=3") as socket:
            missed = await said_after(socket, 3)
            await client.done("PUT", f"workitems/{uid}/state", state_change("COMPLETED"))
            last = await said_after(socket, 4)

        await client.done("DELETE", f"workitems/{GLOBAL}/subscribers/{aetitle}")
    assert first == [(1, uid, 1, "SCHEDULED"), (2, uid, 5, "")]
    assert claimed == (3, uid, 1, "IN PROGRESS")
    assert missed == (4, uid, 3, "")
    assert last == (5, uid, 1, "COMPLETED")


@pytest.mark.spec("WE-6")
async def test_each_connection_begins_behind_the_report_that_it_names(service):
    """Though the one before it broke while many reports were on their way."""
    aetitle, reports, last = new_uid()[-16:], 30, 0
    async with client_of(f"{service.url.rstrip('/')}/v2") as client:
        await client.done("POST", f"workitems/{FILTERED}/subscribers/{aetitle}?filter=WorklistLabel={aetitle}")
        for _ in range(reports):
            body = [new_workitem(t00741202=element("LO", aetitle))]
            await client.done("POST", f"workitems?{new_uid()}", body)
        while last < reports:
            async with connect(f"{client.base.replace('http', 'ws')}/subscribers/{aetitle}?after={last}") as socket:
                for _ in range(7):
                    last += 1
                    assert said(await next_report(socket))[0] == last
                    if last == reports:
                        break
                socket.transport.abort()
        await client.done("DELETE", f"workitems/{GLOBAL}/subscribers/{aetitle}")


@pytest.mark.spec("WE-10", "WE-13")
async def test_a_connection_needs_a_caller_who_may_read(fresh_service):
    service = await fresh_service(options=["--sign-in"])
    base = f"{service.url}/v2"
    async with client_of(base) as stranger, client_of(base, service.tokens["reader"]) as reader:
        for method, path in (
            ("POST", f"workitems/{GLOBAL}/subscribers/AE"),
            ("DELETE", f"workitems/{GLOBAL}/subscribers/AE"),
            ("POST", f"workitems/{GLOBAL}/subscribers/AE/suspend"),
            ("GET", "subscribers/AE"),
        ):
            assert (await stranger.send(method, path))[0] == 401
        url = await reader.subscribe(GLOBAL, "AE")
        assert service.tokens["reader"] not in url
        async with connect(url):
            with pytest.raises(InvalidStatus, match="403"):  # it opens one connection
                await connect(url)
        status, headers = await reader.send("GET", "subscribers/AE")
        assert (status, headers["cache-control"]) == (307, "no-store")
        ticket = url.partition("access_token=")[2]
        async with client_of(base, ticket) as with_ticket:
            assert (await with_ticket.send("GET", "workitems"))[0] == 401
        assert ticket not in service.log_text


@pytest.mark.spec("WE-9")
async def test_a_worker_that_dies_behind_a_write_loses_no_report(fresh_service):
    service = await fresh_service()
    async with client_of(f"{service.url}/v2") as client:
        url = await client.subscribe(GLOBAL, "AE")
        async with connect(url) as socket:
            expected = []
            for number in range(6):
                uid = f"1.2.826.102.{number}"
                await client.done("POST", f"workitems?{uid}", [new_workitem()])
                expected.append(uid)
                if number % 2:
                    killed = await service.kill_worker()
                    await service.await_workers(other_than=killed)
            await sweep(service.url)
            seen: dict[int, str] = {}
            while len(set(seen.values())) < len(expected):
                number, uid, *_ = said(await next_report(socket, 120))  # a lease that died with its worker ends
                assert seen.setdefault(number, uid) == uid
            assert sorted(seen) == list(range(1, len(expected) + 1))
            assert sorted(seen.values()) == expected
