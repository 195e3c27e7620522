"""The server: it listens, watches its connections, and ends without dropping what is under way."""

import asyncio
import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any, Final

from shared import telemetry
from shared.web_extension.connection import Connection, Serve
from shared.web_extension.limits import Limits
from shared.web_extension.messages import INVOCATION_ID, ServerRequest, ServerResponse, refusal
from shared.web_extension.runtime import Invocations

_LOOK_SECONDS: Final = 1.0
"""Between two looks at the connections, at most."""
_BACKLOG: Final = 1024
_NO_ANSWER: Final = "The request could not be answered."


class HttpServer:
    """Serves requests with `serve`, which pairs each with its invocation and gives that one's response."""

    def __init__(self, serve: Serve, limits: Limits) -> None:
        self.limits = limits
        self.draining = False
        self.port = 0
        self._serve = serve
        self._open: set[Connection] = set()
        self._invocations = Invocations(limits.claim_seconds)
        self._ending = asyncio.Event()
        self._look_seconds = min(_LOOK_SECONDS, limits.claim_seconds / 4, limits.idle_seconds / 4)

    async def run(self, host: str, port: int) -> None:
        """Serve until the process is told to end. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Connection(self), host, port, backlog=_BACKLOG)
        self.port = listener.sockets[0].getsockname()[1]
        watch = loop.create_task(self._watch())
        told = _SignalToEnd(self.end)
        try:
            await self._ending.wait()
            listener.close()
            await self._drain()
        finally:
            watch.cancel()
            listener.close()
            for connection in list(self._open):
                connection.abort()
            told.pass_on()

    def end(self) -> None:
        """Take no more requests; finish what is under way."""
        self.draining = True
        self._ending.set()

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.limits.drain_seconds):
                while self._open:
                    for connection in [each for each in self._open if each.idle]:
                        connection.close()
                    await asyncio.sleep(min(self._look_seconds, 0.05))

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._look_seconds)
            now = loop.time()
            for connection in list(self._open):
                connection.check(now)
            if released := self._invocations.release(now):
                telemetry.event("invocations-without-request", count=released)

    # ----------------------------------------------------------------------------------------- what a connection asks

    def opened(self, connection: Connection) -> bool:
        """Take note of a connection; False when there are too many."""
        room = len(self._open) < self.limits.connections
        self._open.add(connection)
        return room

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    async def respond(self, request: ServerRequest) -> ServerResponse:
        """The response of the request's invocation; what has none gets the server's own."""
        invocation_id = request.headers.get(INVOCATION_ID)
        if not invocation_id:
            return request.refusal or refusal(
                400,
                "The request does not come from the Functions host.",
                where="connection",
                remedy="Send it to the address of the service.",
            )
        response: Any = None
        forget = True
        try:
            response = await self._serve(request)
        except asyncio.CancelledError:
            forget = not request.claimed  # the function still runs, and will look for its pair
            raise
        except Exception as error:  # noqa: BLE001 - what the function raised: it catches everything that it can
            telemetry.failure("no-response", error)
        finally:
            if forget:
                self._invocations.forget(invocation_id)
        return response if isinstance(response, ServerResponse) else refusal(500, _NO_ANSWER, where="service")


class _SignalToEnd:
    """SIGTERM, taken over for as long as the server runs, then passed on to whoever had it before."""

    def __init__(self, end: Any) -> None:
        self._told = False
        self._before: Any = None
        self._mine = threading.current_thread() is threading.main_thread()
        if self._mine:
            loop = asyncio.get_running_loop()

            def handle(_number: int, _frame: FrameType | None) -> None:
                self._told = True
                loop.call_soon_threadsafe(end)

            self._before = signal.signal(signal.SIGTERM, handle)

    def pass_on(self) -> None:
        """Give the signal back; raise it again if it came."""
        if self._mine:
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)
            if self._told:
                os.kill(os.getpid(), signal.SIGTERM)
