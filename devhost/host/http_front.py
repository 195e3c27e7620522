"""The HTTP front: routes a request to a function and passes the exchange on to a worker's own HTTP server.

Bodies are streamed both ways in pieces, never held whole. A client that goes away takes the exchange with the worker
along; a worker that fails before the response began gives 500, afterwards the connection is cut.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Final

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs, web
from aiohttp.payload import AsyncIterablePayload
from multidict import CIMultiDict, istr
from yarl import URL

from devhost.functions import Function
from devhost.host.http_server import LONGEST_FIELD, LONGEST_URL, READ_BUFFER, url_too_long
from devhost.host.refusals import body_too_large, failed, not_running, refusal
from devhost.host.routes import Match, Router, forwarded_target
from devhost.log import described
from devhost.worker.channel import Invocation, Outcome
from devhost.worker.invoker import log_end, log_start
from devhost.worker.pool import NoWorker, Worker, WorkerEnded, WorkerPool

log = logging.getLogger("devhost")

type Inner = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse | None]]
"""Answers the host's own paths; None when the path is none of them."""

_INVOCATION_ID: Final = istr("x-ms-invocation-id")
_NOT_FORWARDED: Final = tuple(
    map(istr, ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"))
)
_NOT_SENT_ON: Final = (*_NOT_FORWARDED, istr("expect"), _INVOCATION_ID)
_SMALL: Final = 1 << 16
"""Responses of up to so many bytes are sent in one piece."""
_IDLE_SECONDS: Final = 240.0
_KEPT_ALIVE_SECONDS: Final = 60.0
"""As long as the pool of the real host keeps a connection to the worker."""
_LONGEST_LINE: Final = 1 << 13


class BodyTooLarge(Exception):
    """A chunked request body passed the limit of the host."""


def _kept(headers: Mapping[str, str], dropped: Iterable[str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    named = kept.get(hdrs.CONNECTION)
    if named is not None:
        for token in named.split(","):
            kept.popall(token.strip(), None)
    for name in dropped:
        if name in kept:
            del kept[name]
    return kept


class _Body(AsyncIterablePayload):
    """A request body that is passed on as it arrives, and remembers whether it was over the limit (bytes)."""

    def __init__(self, request: web.BaseRequest, limit: int) -> None:
        self.too_large = False
        super().__init__(self._pieces(request, limit))

    async def _pieces(self, request: web.BaseRequest, limit: int) -> AsyncIterator[bytes]:
        length = 0
        async for chunk in request.content.iter_any():
            length += len(chunk)
            if length > limit:
                self.too_large = True
                raise BodyTooLarge
            yield chunk


class Front:
    """Serves HTTP for the functions of an app."""

    def __init__(
        self,
        router: Router,
        functions: Mapping[str, Function],
        pool: WorkerPool,
        body_limit: int,
        inner: Inner,
        *,
        buffer_bodies: bool = False,
    ) -> None:
        """`body_limit` is in bytes. `buffer_bodies`: a body with a length is read whole before its function starts."""
        self._buffer_bodies = buffer_bodies
        self._router = router
        self._functions = functions
        self._pool = pool
        self._body_limit = body_limit
        self._inner = inner
        self.under_way = 0
        self._session = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=_KEPT_ALIVE_SECONDS, use_dns_cache=False),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None, sock_read=_IDLE_SECONDS),
            read_bufsize=READ_BUFFER,
            max_field_size=LONGEST_FIELD,
            max_line_size=_LONGEST_LINE,
            skip_auto_headers=(hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT),
        )

    async def close(self) -> None:
        """Close the connections to the workers."""
        await self._session.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.under_way += 1
        try:
            target = request.raw_path
            if len(target.encode(errors="surrogateescape")) > LONGEST_URL:
                return url_too_long()
            if request.method == hdrs.METH_CONNECT:
                return _no_proxy()
            if not target.startswith("/"):
                return refusal(400, "The target of the request is no path.", "request line", "Ask for a path.")
            own = await self._inner(request, target)
            if own is not None:
                return own
            match = self._router.match(request.method, target)
            if match is None:
                return refusal(404, "No function is at this path.", "path", "Correct the path or the method.")
            if (request.content_length or 0) > self._body_limit:
                log.error("A request body is over FUNCTIONS_REQUEST_BODY_SIZE_LIMIT")
                return body_too_large()
            return await self._run(request, match)
        finally:
            self.under_way -= 1

    async def _run(self, request: web.BaseRequest, match: Match) -> web.StreamResponse:
        function = self._functions[match.function]
        whole: bytes | None = None
        if self._buffer_bodies and request.body_exists and request.content_length is not None:
            _send_continue(request)
            whole = await request.content.read()
        try:
            worker = self._pool.pick()
        except NoWorker:
            try:
                worker = await self._pool.available()
            except NoWorker:
                return not_running()
        invocation = Invocation(str(uuid.uuid4()), function.id, {function.trigger["name"]: ("http", match.values)}, {})
        started = log_start(function, invocation.id, "This function was programmatically called via the host APIs.")
        outcome = worker.invoke(invocation)
        try:
            with worker.exchange():
                response = await self._forward(request, worker, invocation.id, whole)
        except asyncio.CancelledError:
            worker.abandon(invocation.id)
            raise
        if response is None:
            worker.abandon(invocation.id)
            log_end(function, invocation.id, started, "the exchange with the worker failed")
            return failed()
        _when_done(outcome, lambda error: log_end(function, invocation.id, started, error))
        if not outcome.done():
            worker.end(invocation.id)
        return response

    async def _forward(
        self, request: web.BaseRequest, worker: Worker, invocation_id: str, whole: bytes | None
    ) -> web.StreamResponse | None:
        """Pass the exchange on. None when it failed before the response began."""
        headers = _kept(request.headers, _NOT_SENT_ON)
        headers[_INVOCATION_ID] = invocation_id
        body: _Body | None = None
        if request.body_exists and whole is None:
            body = _Body(request, self._body_limit)
            _send_continue(request)
        target = URL(worker.http + forwarded_target(request.raw_path), encoded=True)
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method, target, headers=headers, data=whole or body, allow_redirects=False
            ) as upstream:
                if body is not None and body.too_large:
                    return None
                response = _response_head(upstream)
                return await _relay(request, upstream, response)
        except (ClientError, OSError, TimeoutError, ValueError, BodyTooLarge) as error:
            if body is not None and body.too_large:
                log.error("A request body is over FUNCTIONS_REQUEST_BODY_SIZE_LIMIT")  # noqa: TRY400 - no fault of ours
            elif request.transport is not None:
                log.error("Failed to proxy a request: %s", described(error))  # noqa: TRY400 - the worker has the trace
            if response is None or not response.prepared:
                return None
            if request.transport is not None:
                request.transport.abort()
            return response


def _send_continue(request: web.BaseRequest) -> None:
    """Let the client send the body, if it waits to be told."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _no_proxy() -> web.Response:
    """The answer to CONNECT, after which nothing that follows would be HTTP."""
    response = refusal(405, "The host is no proxy.", "request line", "Ask for a path of the service itself.")
    response.force_close()
    return response


def _response_head(upstream: ClientResponse) -> web.StreamResponse:
    return web.StreamResponse(
        status=upstream.status, reason=upstream.reason, headers=_kept(upstream.headers, _NOT_FORWARDED)
    )


async def _relay(
    request: web.BaseRequest, upstream: ClientResponse, response: web.StreamResponse
) -> web.StreamResponse:
    length = upstream.content_length
    if length is not None and length <= _SMALL and request.method != hdrs.METH_HEAD:
        body = await upstream.read()
        return web.Response(status=response.status, reason=response.reason, headers=response.headers, body=body)
    if length is None and request.version >= (1, 1):
        response.enable_chunked_encoding()
    await response.prepare(request)
    async for chunk in upstream.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


def _when_done(outcome: asyncio.Future[Outcome], report: Callable[[str], None]) -> None:
    def done(future: asyncio.Future[Outcome]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            error = future.exception()
            report(str(error) if isinstance(error, WorkerEnded) else future.result().error)

    outcome.add_done_callback(done)
