"""The adapter to Azure Functions' streaming HTTP model: the only module that knows it.

What holds there, and shapes this file: every HTTP function of an app must use this model; a function must return a
response object; the body of a streamed response is sent after the function has returned, in another task, and nobody
closes it; the runtime keeps an entry per invocation for ever.
"""

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any, cast

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request as HostRequest
from azurefunctions.extensions.http.fastapi import Response as HostResponse
from azurefunctions.extensions.http.fastapi import StreamingResponse as HostStreamingResponse
from starlette.requests import ClientDisconnect

from shared.dicomweb.resources import RESOURCES, Resource
from shared.errors import InvalidRequest
from shared.http.boundary import Boundary
from shared.http.exchange import ResponseAborted, ResponseStream
from shared.http.messages import Headers, Request, Response
from shared.http.transaction import Transaction

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FORGET_SECONDS = 5.0
_RUNTIMES = ("azure_functions_runtime.http_v2", "azure_functions_worker.http_v2")

type HttpFunction = Callable[[HostRequest, func.Context], Awaitable[HostResponse]]

_access_lines = logging.getLogger("uvicorn.access")


def _silence() -> None:
    """Access lines, and what runtime and SDKs write per request, cost half the throughput and hold URIs."""
    _access_lines.addFilter(lambda _: False)
    for name in ("azure", "azure.functions"):
        logging.getLogger(name).setLevel(logging.WARNING)


_silence()


def mount(
    blueprint: func.Blueprint, boundary: Boundary, resource_name: str, transaction: Transaction[Any, Any]
) -> None:
    """Declare the function of a row of `shared.dicomweb.resources`. Raises KeyError if there is no such row."""
    resource = RESOURCES[resource_name]
    route = blueprint.route(
        route=resource.path(data_partitions=boundary.data_partitions),
        methods=resource.methods or None,
        auth_level=func.AuthLevel.ANONYMOUS,
    )
    blueprint.function_name(resource.name)(route(http_function(boundary, resource, transaction)))


def http_function(boundary: Boundary, resource: Resource, transaction: Transaction[Any, Any]) -> HttpFunction:
    """What the runtime calls for each request to `resource`."""

    async def function(req: HostRequest, context: func.Context) -> HostResponse:
        _access_lines.disabled = True  # the server enables it when it starts; to make lines nobody sees costs, too
        try:
            return to_host(await boundary.run(resource, from_host(req), transaction))
        finally:
            forget_later(context.invocation_id)

    function.__name__ = resource.name
    function.resource = resource  # type: ignore[attr-defined]  # lets a test see that the boundary is in between
    return function


def from_host(request: HostRequest) -> Request:
    """The host's request as ours. The path and the query string are as the client sent them."""
    scope = request.scope
    headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    client = scope.get("client")
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    return Request(
        method=scope["method"],
        scheme=scope["scheme"],
        host=headers.get("host") or "",
        path=raw_path.partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        route=dict(scope.get("path_params") or {}),
        body=_body(request),
        client=client[0] if client else "",
    )


async def _body(request: HostRequest) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise InvalidRequest("The client has cancelled the request.") from None


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


class _Whole(HostResponse):  # type: ignore[misc]  # the extension is not typed
    """A response whose headers are exactly ours."""

    def __init__(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status_code = status
        self.raw_headers = fields
        self.body = body
        self.background = None


class _Streamed(HostStreamingResponse):  # type: ignore[misc]  # the extension is not typed
    """A streamed response that closes its body, however sending it ends, and leaves a failed one unfinished.

    A server that sees an unfinished response cuts the connection, so that the client cannot take it for a whole one.
    """

    def __init__(self, status: int, fields: list[tuple[bytes, bytes]], body: AsyncIterator[bytes]) -> None:
        self.status_code = status
        self.raw_headers = fields
        self.body_iterator = body
        self.background = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002  (ASGI's)
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
