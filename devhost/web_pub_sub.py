"""Web PubSub on this machine: WebSockets of clients, and the part of the service's REST API that the app uses.

`azure-messaging-webpubsubservice` speaks to it as it does to Azure, with an access key. A client opens
`/client/hubs/{hub}?access_token=…`, or sends the token in the header Authorization; the token names its user and the
groups that it joins. The event handler of the hub is asked about each client first (web_pub_sub_events.py). Without a
subprotocol a client gets each message as it was sent; with Web PubSub's own it would get another form, which is not
spoken here: such a client is refused. A connection that does not read loses its place when its queue is full: what is
sent to others never waits for it.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from aiohttp import WSCloseCode, web

from devhost.web_pub_sub_events import EventHandler

log = logging.getLogger("devhost")

_QUEUE: Final = 1_000
_QUEUE_BYTES: Final = 8 * 1024**2
"""Messages, and their bytes, that wait for one connection."""
_MOST: Final = 1_000
"""Connections at a time, those included whose clients are still asked about: as many as one unit has in Azure."""
_LONGEST: Final = 1024**2
"""Bytes of a message, as in Azure."""
_OWN_SUBPROTOCOLS: Final = ("json.webpubsub.azure.", "json.reliable.webpubsub.", "protobuf.")
"""How the names of the subprotocols begin that Azure speaks itself."""
_HEARTBEAT: Final = 20.0
"""Seconds after which a connection that does not answer a ping is noticed."""
_CLOSE_SECONDS: Final = 2.0


@dataclass(eq=False, slots=True)
class _Connection:
    user: str
    groups: frozenset[str]
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    waiting: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(_QUEUE))
    size: int = 0


class WebPubSub:
    """The service. `endpoint` is its address once it listens."""

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(32)
        self.endpoint = ""
        self.handlers: dict[str, EventHandler] = {}
        """The event handler of each hub that has one."""
        self._connections: dict[str, set[_Connection]] = {}
        """By hub."""
        self._open_now = 0
        self._runner: web.AppRunner | None = None

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; 0: any free port. Raises OSError."""
        app = web.Application(client_max_size=_LONGEST)
        app.router.add_get("/client/hubs/{hub}", self._open)
        app.router.add_head("/api/hubs/{hub}/users/{user}", self._has_user)
        app.router.add_head("/api/hubs/{hub}/groups/{group}", self._has_group)
        app.router.add_post("/api/hubs/{hub}/users/{user}/:send", self._send)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port).start()
        self.endpoint = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close all connections and listen no more."""
        for connection in [each for hub in self._connections.values() for each in hub]:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.socket.close(code=WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()

    def settings(self) -> dict[str, str]:
        """The app settings of a service that sends its event reports through it."""
        return {"WORKLIST_NOTIFICATIONS_ENDPOINT": self.endpoint, "WORKLIST_NOTIFICATIONS_KEY": self.key}

    # ------------------------------------------------------------------------------------------------------ clients

    async def _open(self, request: web.Request) -> web.StreamResponse:
        if self._open_now >= _MOST:
            raise web.HTTPServiceUnavailable(text="There are as many connections as there may be.")
        self._open_now += 1
        try:
            return await self._admitted(request)
        finally:
            self._open_now -= 1

    async def _admitted(self, request: web.Request) -> web.StreamResponse:
        hub = request.match_info["hub"]
        token = request.query.get("access_token") or _bearer(request)
        claims = self._claims(token, f"{self.endpoint}/client/hubs/{hub}")
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=_LONGEST, compress=False)
        if not socket.can_prepare(request):
            raise web.HTTPBadRequest(text="A WebSocket is opened here.")
        offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each]
        if any(each.startswith(_OWN_SUBPROTOCOLS) for each in offered):
            raise web.HTTPBadRequest(text="Subprotocols of Web PubSub are not spoken here.")
        if handler := self.handlers.get(hub):
            refused = await handler.connect(hub, claims, request, offered, self.key)
            if refused is not None:
                return refused
        return await self._serve(hub, claims, socket, request)

    async def _serve(
        self, hub: str, claims: Mapping[str, Any], socket: web.WebSocketResponse, request: web.Request
    ) -> web.StreamResponse:
        await socket.prepare(request)
        groups = frozenset(_texts(claims.get("webpubsub.group")))
        connection = _Connection(str(claims.get("sub", "")), groups, socket, request.transport)
        connections = self._connections.setdefault(hub, set())
        connections.add(connection)
        sending = asyncio.create_task(_pass_on(connection))
        try:
            async for _ in socket:  # a client of event reports has nothing to say
                continue
        finally:
            connections.discard(connection)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return socket

    # --------------------------------------------------------------------------------------------------- its REST API

    async def _has_user(self, request: web.Request) -> web.Response:
        self._admit(request)
        user = request.match_info["user"]
        return _found(each.user == user for each in self._of(request))

    async def _has_group(self, request: web.Request) -> web.Response:
        self._admit(request)
        group = request.match_info["group"]
        return _found(group in each.groups for each in self._of(request))

    async def _send(self, request: web.Request) -> web.Response:
        self._admit(request)
        if request.content_type != "text/plain":
            raise web.HTTPUnsupportedMediaType(text="Texts alone are passed on here.")
        text = await request.text()
        for connection in self._of(request):
            if connection.user == request.match_info["user"]:
                _queue(connection, text)
        return web.Response(status=202)

    def _of(self, request: web.Request) -> list[_Connection]:
        return list(self._connections.get(request.match_info["hub"], ()))

    def _admit(self, request: web.Request) -> None:
        if not request.query.get("api-version"):
            raise web.HTTPBadRequest(text="The query parameter api-version is missing.")
        # The documentation of the service names the URL without its query, its SDK for Python signs the whole.
        url = f"{self.endpoint}{request.raw_path}"
        self._claims(_bearer(request), url, url.partition("?")[0])

    def _claims(self, token: str, *audience: str) -> Mapping[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self.key, ["HS256"], audience=audience, options={"require": ["aud", "exp"]}
            )
        except jwt.InvalidTokenError as error:
            log.warning("Web PubSub refuses a token: %s", type(error).__name__)
            raise web.HTTPUnauthorized from error
        return claims


def _queue(connection: _Connection, text: str) -> None:
    if connection.waiting.full() or connection.size + len(text) > _QUEUE_BYTES:
        log.warning("Web PubSub closes a connection that does not read")
        if connection.transport is not None:
            connection.transport.abort()
        return
    connection.size += len(text)
    connection.waiting.put_nowait(text)


async def _pass_on(connection: _Connection) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            text = await connection.waiting.get()
            await connection.socket.send_str(text)
            connection.size -= len(text)


def _bearer(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)] if value else []


def _found(matches: Iterable[bool]) -> web.Response:
    return web.Response(status=200 if any(matches) else 404)
