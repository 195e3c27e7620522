"""Requests and responses as the server knows them: bytes in, bytes out, nothing interpreted but the framing."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Final

from shared.problem_details import RETRY_SECONDS, ProblemDetails

INVOCATION_ID: Final = "x-ms-invocation-id"
"""The field by which the Functions host says to which invocation a request belongs."""


_AGAIN: Final = "Send the request again; name the request id when you ask for help."


class ClientGone(Exception):
    """The connection was lost, or cut, before the body of the request was whole."""


class RequestBody:
    """The body of a request, filled by its connection and read once.

    `wanted` is called whenever the reader has taken what there was: the connection may read on.
    """

    __slots__ = ("_failure", "_pieces", "_waiter", "_wanted", "buffered", "complete")

    def __init__(self, wanted: Callable[[], None]) -> None:
        self.complete = False
        self.buffered = 0
        """Bytes that have arrived and were not taken."""
        self._wanted = wanted
        self._pieces: list[bytes] = []
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the next piece."""
        return self._waiter is not None

    def feed(self, piece: bytes) -> None:
        """Take a piece."""
        self.buffered += len(piece)
        self._pieces.append(piece)
        self._wake()

    def end(self) -> None:
        """Note that no more will come."""
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Let reading end with `error`, once what has arrived is read."""
        if not self.complete:
            self._failure = error
            self._wake()

    def discard(self) -> None:
        """Drop what has not been read."""
        self._pieces.clear()
        self.buffered = 0

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, as they arrive. Raises ClientGone."""
        while True:
            if self._pieces:
                pieces, self._pieces = self._pieces, []
                self.buffered = 0
                self._wanted()
                yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
            elif self.complete:
                return
            elif self._failure is not None:
                raise self._failure
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                self._wanted()
                try:
                    await self._waiter
                finally:
                    self._waiter = None


class FirstValues:
    """The first value of each field: the runtime looks for the invocation's id in it."""

    __slots__ = ("_fields",)

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def get(self, name: str) -> str | None:
        """The first value of `name`, or None."""
        name = name.lower()
        return next((value for key, value in self._fields if key == name), None)


class ServerRequest:
    """One request. `target` is as sent; the names of `fields` are in lower case, values decoded as ISO-8859-1."""

    __slots__ = (
        "body",
        "claimed",
        "fields",
        "keep_alive",
        "method",
        "path_params",
        "peer",
        "refusal",
        "target",
        "version",
    )

    def __init__(self, body: RequestBody, peer: str) -> None:
        self.body = body
        self.peer = peer
        """Address of the other end of the connection."""
        self.method = ""
        self.target = b""
        self.version = "1.1"
        self.fields: list[tuple[str, str]] = []
        self.keep_alive = True
        self.path_params: dict[str, str] = {}
        """Values of the route's parameters; the runtime sets them when the invocation takes the request."""
        self.claimed = False
        """Whether the invocation has taken the request."""
        self.refusal: ServerResponse | None = None
        """The answer, where the server has found it already: the request was none that can be served."""

    @property
    def headers(self) -> FirstValues:
        """The first value of each field."""
        return FirstValues(self.fields)


class ServerResponse:
    """One response. A streamed body is closed (`aclose`) however sending it ends."""

    __slots__ = ("body", "fields", "status")

    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes | AsyncIterator[bytes]) -> None:
        self.status = status
        self.fields = fields
        self.body = body


def refusal(status: int, text: str, *, where: str = "request", remedy: str = _AGAIN) -> ServerResponse:
    """An answer of the server's own, before anything is known of the request, in the shape of all errors (ERR-1)."""
    request_id = uuid.uuid4().hex
    fields = [
        ("X-Request-Id", request_id),
        *((("Retry-After", str(RETRY_SECONDS)),) if status == 503 else ()),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
    ]
    return ServerResponse(status, fields, ProblemDetails(status, text, where, remedy, request_id).text())
