"""One connection of the Functions host: requests in, one after the other, and their responses out."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from shared import telemetry
from shared.web_extension.limits import Limits
from shared.web_extension.messages import INVOCATION_ID, ClientGone, RequestBody, ServerRequest, ServerResponse, refusal
from shared.web_extension.reader import RequestReader
from shared.web_extension.writer import CONTINUE, ResponseFraming

_READ_AHEAD: Final = 256 * 1024
"""Bytes of a body that wait for their reader before the connection stops reading."""
_JOINED: Final = 16 * 1024
"""Bytes up to which copying pieces together costs less than a list of them."""

type Serve = Callable[[ServerRequest], Awaitable[ServerResponse]]


class Owner(Protocol):
    """The server that the connection belongs to."""

    limits: Limits
    draining: bool

    async def respond(self, request: ServerRequest) -> ServerResponse:
        """The response to a request. Raises nothing but CancelledError."""
        ...

    def opened(self, connection: "Connection") -> bool:
        """Take note of a connection; False when there are too many."""
        ...

    def closed(self, connection: "Connection") -> None:
        """Forget a connection that is lost and has nothing under way."""
        ...


class Connection(asyncio.Protocol):
    """Runs one exchange at a time. Requests that arrive meanwhile wait, and reading with them."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._limits = owner.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[ServerRequest] = deque()
        self._current: ServerRequest | None = None
        self._task: asyncio.Task[None] | None = None
        self._sending = False
        self._lost = False
        self._reading = True
        self._lingering: int | None = None
        """Bytes that were read after an early answer; None before."""
        self._continue = False
        self._writable: asyncio.Future[None] | None = None
        self._since = self._progress = self._loop.time()
        """When the present state began, and when the last byte moved."""
        self._unsent = 0

    # --------------------------------------------------------------------------------------------- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The host has connected."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._reader = RequestReader(self._limits.head_bytes, self._peer, self._new_body)
        if not self._owner.opened(self):
            self._write_refusal(refusal(503, "Too many connections.", where="connection"))

    def connection_lost(self, _error: Exception | None) -> None:
        """The host has gone, or the connection was cut. A response that is being sent ends at once."""
        self._lost = True
        self._waiting.clear()
        if self._current is not None:
            self._current.body.fail(ClientGone())
        if self._sending and self._task is not None:
            self._task.cancel()
        if self._task is None:
            self._owner.closed(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        self._progress = self._loop.time()
        if self._lingering is not None:
            self._lingering += len(data)
            if self._lingering > self._limits.linger_bytes:
                self.abort()
            return
        if self._task is None and not self._reader.in_head:
            self._since = self._progress
        self._reader.feed(data)
        self._take()

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._progress = self._loop.time()
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """It does again."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # ---------------------------------------------------------------------------------------------- the server's calls

    def check(self, now: float) -> None:
        """Cut what takes too long."""
        limits, request = self._limits, self._current
        if request is not None and not (self._sending or request.claimed) and now - self._since > limits.claim_seconds:
            self._cancel()
        elif self._lost or self._transport is None or self._transport.is_closing():
            self._check_closing(now)
        elif self._lingering is not None:
            if now - self._since > limits.linger_seconds:
                self.abort()
        elif self._task is None:
            self._check_idle(now)
        else:
            self._check_exchange(now)

    def _check_closing(self, now: float) -> None:
        """A transport that is closing waits for the client to take what is left."""
        if not self._lost and self._transport is not None:
            self._note_progress(now)
            if now - self._progress > self._limits.idle_seconds:
                self.abort()

    def _check_idle(self, now: float) -> None:
        if self._reader.in_head:
            if now - self._since > self._limits.head_seconds:
                self._reader.give_up()
                self._take()
        elif now - self._since > self._limits.keep_alive_seconds:
            self.close()

    def _check_exchange(self, now: float) -> None:
        limits, request = self._limits, self._current
        if now - self._since > limits.total_seconds:
            self._cut("total")
        elif self._writable is not None:
            self._note_progress(now)
            if now - self._progress > limits.idle_seconds:
                self._cut("unread response")
        elif request is not None and request.body.awaited and now - self._progress > limits.idle_seconds:
            self._cut("unfinished request")

    def _note_progress(self, now: float) -> None:
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if unsent != self._unsent:
            self._unsent, self._progress = unsent, now

    def _cancel(self) -> None:
        """End waiting for an invocation that does not come."""
        if self._task is not None:
            self._task.cancel()

    def _cut(self, reason: str) -> None:
        telemetry.event("connection-cut", reason=reason)
        self.abort()

    def close(self) -> None:
        """Close the connection once what was written is out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def idle(self) -> bool:
        """Whether no exchange is under way."""
        return self._task is None

    # ------------------------------------------------------------------------------------------------------- requests

    def _new_body(self) -> RequestBody:
        return RequestBody(self._body_wanted)

    def _body_wanted(self) -> None:
        """The reader of the present request's body has taken what there was, or waits for more."""
        if self._lost or self._transport is None:
            return
        self._progress = self._loop.time()
        if self._continue:
            self._continue = False
            self._transport.write(CONTINUE)
        self._regulate()

    def _take(self) -> None:
        """Begin what has arrived."""
        self._waiting.extend(self._reader.take())
        if self._task is None:
            self._next()
        self._regulate()

    def _regulate(self) -> None:
        """Read on, or not: as the present body is read, and never beyond a request that waits."""
        if self._lost or self._transport is None or self._transport.is_closing():
            return
        buffered = 0 if self._current is None else self._current.body.buffered
        reading = self._lingering is not None or (not self._waiting and buffered <= _READ_AHEAD)
        if reading != self._reading:
            self._reading = reading
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    def _next(self) -> None:
        if not self._waiting or self._lost:
            return
        self._current = request = self._waiting.popleft()
        self._since = self._progress = self._loop.time()
        expected = request.headers.get("expect")
        self._continue = expected is not None and expected.lower() == "100-continue" and not request.body.buffered
        task = asyncio.Task(self._exchange(request), loop=self._loop, eager_start=True)
        if task.done():
            self._ended(task)
        else:
            self._task = task
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """The exchange is over: go on with the next, or close."""
        if not task.cancelled() and (error := task.exception()) is not None:
            telemetry.failure("exchange-failed", error)
            self.abort()
        self._task = None
        request, self._current = self._current, None
        self._sending = False
        self._since = self._loop.time()
        if self._lost:
            self._owner.closed(self)
        elif request is None or self._transport is None or self._transport.is_closing():
            self.close()
        elif not request.keep_alive or self._owner.draining:
            self._leave(request)
        else:
            self._next()
            self._regulate()

    def _leave(self, request: ServerRequest) -> None:
        """Close after an answer, but read on for a moment: unread bytes would take the answer from the client."""
        if request.body.complete and request.refusal is None:
            self.close()
            return
        request.body.discard()
        self._lingering = 0
        self._regulate()
        if self._transport is not None:
            with contextlib.suppress(OSError):  # the host has gone; the loop is about to say so
                self._transport.write_eof()

    # ------------------------------------------------------------------------------------------------------ responses

    async def _exchange(self, request: ServerRequest) -> None:
        try:
            response = await self._owner.respond(request)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if request.claimed or task is None:
                raise
            task.uncancel()
            request.keep_alive = False
            response = request.refusal or refusal(503, "The request met no function.", where="service")
        self._sending = True
        body = response.body
        try:
            if not self._lost:
                await self._send(request, response)
        finally:
            if not isinstance(body, bytes):
                await _close(body)

    async def _send(self, request: ServerRequest, response: ServerResponse) -> None:
        keep = request.keep_alive and request.body.complete and not self._owner.draining
        keep = keep and request.headers.get(INVOCATION_ID) is not None
        framing = ResponseFraming(request, response, keep_alive=keep)
        request.keep_alive = framing.keep_alive
        body = response.body
        if isinstance(body, bytes) or framing.bodiless:
            self._write((framing.head, body if isinstance(body, bytes) and not framing.bodiless else b""))
            if self._writable is not None:  # the next answer is not made before this one is taken
                await self._writable
            return
        try:
            head: tuple[bytes, ...] = (framing.head,)
            async for piece in body:
                if piece:
                    self._write((*head, *framing.piece(piece)))
                    head = ()
                    if self._writable is not None:
                        await self._writable
            self._write((*head, framing.end()))
        except Exception as error:  # noqa: BLE001 - whatever it is: the head is out, only a cut tells the client
            if not self._lost:
                telemetry.event("response-cut", error=type(error).__name__)
            request.keep_alive = False
            self.abort()

    def _write(self, pieces: tuple[bytes, ...]) -> None:
        """Send `pieces` with one system call."""
        transport = self._transport
        if transport is None or self._lost:
            raise ClientGone
        if sum(map(len, pieces)) <= _JOINED or transport.is_closing():
            transport.write(b"".join(pieces))
        else:
            transport.writelines([each for each in pieces if each])  # an empty one would never be through
            # Some versions of Python leave flow control out of `writelines`: this has the transport look.
            transport.set_write_buffer_limits()

    def _write_refusal(self, response: ServerResponse) -> None:
        request = ServerRequest(self._new_body(), self._peer)
        framing = ResponseFraming(request, response, keep_alive=False)
        body = response.body if isinstance(response.body, bytes) else b""
        self._write((framing.head, body))
        self.close()


async def _close(body: object) -> None:
    """Release what a streamed body holds, even if that fails: nobody is left to be told."""
    aclose = getattr(body, "aclose", None)
    if aclose is None:
        return
    try:
        await aclose()
    except Exception as error:  # noqa: BLE001 - the response has been sent
        telemetry.failure("response-not-closed", error)
