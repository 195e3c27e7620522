"""The event handler of a hub of Web PubSub, as Azure calls it: CloudEvents over HTTP, in binary mode.

1. Before the first event the handler is asked whether it takes events (OPTIONS with WebHook-Request-Origin); without
   WebHook-Allowed-Origin in its answer no client is let in.
2. Of the system events `connect` alone is sent. The service waits for its answer: a 2xx lets the client in, a
   4xx is the answer that the client gets, and anything else, or nothing, is 500.
3. Each event is signed with the access key: `ce-signature: sha256=HMAC(key, connection id)`, one for each of two keys.
"""

import hmac
import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, web

log = logging.getLogger("devhost")

_ANSWER_SECONDS: Final = 30.0
"""Longer than in Azure: machines of developers are slow."""


class EventHandler:
    """The event handler that is asked about the clients of a hub, at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._allowed = False

    async def connect(
        self, hub: str, claims: Mapping[str, Any], request: web.Request, subprotocols: Sequence[str], key: str
    ) -> web.Response | None:
        """Ask about a client; None if it may come in, else the answer that it gets."""
        origin = request.host.partition(":")[0]
        connection = uuid.uuid4().hex
        headers = {
            "WebHook-Request-Origin": origin,
            "Content-Type": "application/json; charset=utf-8",
            "ce-specversion": "1.0",
            "ce-type": "azure.webpubsub.sys.connect",
            "ce-source": f"/hubs/{hub}/client/{connection}",
            "ce-id": "1",
            "ce-time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "ce-signature": signatures(key, connection),
            "ce-userId": str(claims.get("sub", "")),
            "ce-connectionId": connection,
            "ce-hub": hub,
            "ce-eventName": "connect",
        }
        body = {
            "claims": {name: _texts(value) for name, value in claims.items()},
            "query": {name: request.query.getall(name) for name in request.query if name != "access_token"},
            "headers": {name: request.headers.getall(name) for name in request.headers if name != "Authorization"},
            "subprotocols": list(subprotocols),
            "clientCertificates": [],
        }
        timeout = ClientTimeout(total=_ANSWER_SECONDS)
        try:
            async with ClientSession(timeout=timeout, cookie_jar=DummyCookieJar()) as session:
                if not await self._may_deliver(session, origin):
                    log.warning("The event handler of a hub takes no events: %s", self.url)
                    return web.Response(status=500)
                async with session.post(self.url, json=body, headers=headers, allow_redirects=False) as answer:
                    text, status = await answer.text(), answer.status
        except (ClientError, TimeoutError) as error:
            log.warning("The event handler of a hub does not answer: %s", type(error).__name__)
            return web.Response(status=500)
        if 200 <= status < 300:
            return None
        return web.Response(status=status, text=text) if 400 <= status < 500 else web.Response(status=500)

    async def _may_deliver(self, session: ClientSession, origin: str) -> bool:
        if not self._allowed:
            async with session.options(self.url, headers={"WebHook-Request-Origin": origin}) as answer:
                allowed = answer.headers.get("WebHook-Allowed-Origin", "")
                self._allowed = answer.status < 300 and allowed in {"*", origin}
        return self._allowed


def signatures(key: str, connection: str) -> str:
    """The value of `ce-signature`: by the primary key, and by a secondary one that nobody knows here."""
    keys = key.encode(), uuid.uuid4().bytes
    return ",".join(f"sha256={hmac.digest(each, connection.encode(), 'sha256').hex()}" for each in keys)


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
