"""Microsoft's web extension as the adapter sees it: the fallback for one release (WEB_EXTENSION=fastapi).

uvicorn, FastAPI and Starlette answer some requests themselves, which then never reach the boundary: a path with a line
break in it, a method that they do not know. Importing this module chooses nothing; `configure` does.
"""

import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any, cast

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HostRequest
from starlette.responses import Response as HostResponse
from starlette.responses import StreamingResponse as HostStreamingResponse

from shared.errors import InvalidRequest
from shared.http.exchange import ResponseAborted, ResponseStream
from shared.http.messages import Headers, Request, Response
from shared.http.origin import OriginRule
from shared.settings import Settings

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FORGET_SECONDS = 5.0
_RUNTIMES = ("azure_functions_runtime.http_v2", "azure_functions_worker.http_v2")

_NOBODY = "0.0.0.0/32"
"""Whose forwarding headers uvicorn believes; an empty text would be the default, the host itself."""

_access_lines = logging.getLogger("uvicorn.access")
_access_lines.addFilter(lambda _: False)


class FastApiExtension:
    """`azurefunctions.extensions.http.fastapi`."""

    request_type = HostRequest
    response_type = HostResponse

    def __init__(self) -> None:
        self.rule = OriginRule()

    def configure(self, settings: Settings) -> None:
        """Import the extension, without the pages that FastAPI serves and the forwarding rule that uvicorn has."""
        os.environ["FORWARDED_ALLOW_IPS"] = _NOBODY
        from azurefunctions.extensions.http.fastapi import web
        from fastapi import FastAPI

        class Bare(FastAPI):
            def __init__(self) -> None:
                super().__init__(docs_url=None, redoc_url=None, openapi_url=None)

        web.FastAPI = Bare
        self.rule = OriginRule.of(settings)

    async def answer(
        self, request: HostRequest, invocation_id: str, run: Callable[[Request], Awaitable[Response]]
    ) -> HostResponse:
        """Answer a request."""
        _access_lines.disabled = True  # the server enables it when it starts; to make lines nobody sees costs, too
        try:
            return to_host(await run(self.received(request)))
        finally:
            forget_later(invocation_id)

    def received(self, request: HostRequest) -> Request:
        """The host's request as ours. The path and the query string are as the client sent them."""
        scope = request.scope
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        client = scope.get("client")
        origin = self.rule.origin(client[0] if client else "", headers)
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        return Request(
            method=scope["method"],
            scheme=origin.scheme,
            host=origin.host,
            path=raw_path.partition(b"?")[0].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            route=dict(scope.get("path_params") or {}),
            body=_body(request),
            client=origin.client,
        )


async def _body(request: HostRequest) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise InvalidRequest("The client has cancelled the request.", where="request body") from None


def to_host(response: Response) -> HostResponse:
    """Our response as the host's."""
    fields = [(_name(name), _value(value)) for name, value in response.headers]
    if isinstance(response.body, bytes):
        return _Whole(response.status, fields, response.body)
    return _Streamed(response.status, fields, response.body)


@lru_cache(maxsize=256)
def _name(text: str) -> bytes:
    return text.lower().encode("ascii")


def _value(text: str) -> bytes:
    """A header value; what cannot stand in one is replaced, so that no value can begin another header."""
    return (text if text.isprintable() else _CONTROL.sub(" ", text)).encode("latin-1", "replace")


class _Whole(HostResponse):
    """A response whose headers are exactly ours."""

    def __init__(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status_code = status
        self.raw_headers = fields
        self.body = body
        self.background = None


class _Streamed(HostStreamingResponse):
    """A streamed response that closes its body, however sending it ends, and leaves a failed one unfinished.

    A server that sees an unfinished response cuts the connection, so that the client cannot take it for a whole one.
    """

    def __init__(self, status: int, fields: list[tuple[bytes, bytes]], body: AsyncIterator[bytes]) -> None:
        self.status_code = status
        self.raw_headers = fields
        self.body_iterator = body
        self.background = None

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        sending = cast("asyncio.Task[None]", asyncio.current_task())
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            sending.cancel()

        watching = asyncio.create_task(watch())
        try:
            await self.stream_response(send)
        except ResponseAborted:
            return
        except asyncio.CancelledError:
            if not gone:
                raise
        finally:
            watching.cancel()
            if gone:
                sending.uncancel()
            if isinstance(self.body_iterator, ResponseStream):
                await self.body_iterator.aclose()


def forget_later(invocation_id: str) -> None:
    """Drop the runtime's entry for an invocation that has returned, once its response has been picked up.

    The runtime itself keeps 2 KB per HTTP request for the life of the process.
    """
    for module in _RUNTIMES:
        coordinator = getattr(sys.modules.get(module), "http_coordinator", None)
        entries = getattr(coordinator, "_context_references", None)
        if isinstance(entries, dict):
            asyncio.get_running_loop().call_later(_FORGET_SECONDS, _forget, entries, invocation_id)


def _forget(entries: dict[str, Any], invocation_id: str) -> None:
    entry = entries.get(invocation_id)
    if getattr(entry, "http_response", None) is not None:  # the server has not come to it yet
        asyncio.get_running_loop().call_later(_FORGET_SECONDS, _forget, entries, invocation_id)
    else:
        entries.pop(invocation_id, None)


EXTENSION = FastApiExtension()
