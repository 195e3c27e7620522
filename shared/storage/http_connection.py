"""One connection to a storage service: HTTP/1.1, one request at a time, never repeated here (RFC 9112)."""

import asyncio
from typing import cast

from shared.storage.http_answer import AnswerReader, BrokenAnswer, StorageResponse


class NotSent(Exception):
    """Nothing of the request has left this process. The text is the kind of failure."""


class NoAnswer(Exception):
    """The request may have arrived; whether it was served is not known. The text is the kind of failure."""


class Connection(asyncio.Protocol):
    """A connection, as `loop.create_connection` makes it.

    It is `usable` between two exchanges. One that fails, is cancelled or leaves anything unread closes it, so that no
    answer is ever taken for that of another request.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[StorageResponse] | None = None
        self._silence = 0.0
        self._heard = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._usable = False
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is closed."""
        self.idle_since = 0.0
        """Of the loop's time: the end of the last exchange."""

    @property
    def usable(self) -> bool:
        """Whether a request may be sent now."""
        return self._usable and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, head: bytes, body: bytes, silence: float) -> StorageResponse:
        """Send a request and read its answer; at most `silence` seconds without a byte of it. Raises NoAnswer."""
        assert self._transport is not None and self.usable  # noqa: S101, PT018 - the pool has looked
        self._usable = False
        waiting: asyncio.Future[StorageResponse] = self._loop.create_future()
        self._waiting = waiting
        self._silence, self._heard = silence, self._loop.time()
        self._timer = self._loop.call_later(silence, self._check_silence)
        if body:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head)
        try:
            return await waiting
        finally:
            self._timer.cancel()
            self._waiting, self._timer = None, None
            self.idle_since = self._loop.time()
            if not self._usable:
                self._transport.abort()

    def close(self) -> None:
        """Close it; a request that is under way has no answer then."""
        if self._transport is None:
            return
        if self._waiting is None:
            self._usable = False
            self._transport.close()
        else:
            self._give_up("ConnectionClosed")

    def abort(self) -> None:
        """Close it without a farewell."""
        self._usable = False
        if self._transport is not None:
            self._transport.abort()

    # ----------------------------------------------------------------------------------------------- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._usable = True

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; or such as nobody has asked for, after which nothing can be trusted."""
        if self._transport is None or self._waiting is None or self._waiting.done():
            self.abort()
            return
        self._heard = self._loop.time()
        try:
            answer = self._reader.feed(data)
        except BrokenAnswer:
            self._give_up("BrokenAnswer")
            return
        if answer is not None:
            sent = self._transport.get_write_buffer_size() == 0
            self._usable = sent and self._reader.may_continue
            self._waiting.set_result(answer)

    def eof_received(self) -> None:
        """The service closes. What it has not answered it will not answer."""
        self._usable = False

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self._give_up(type(error).__name__ if error else "ServerDisconnected")
        if not self.lost.done():
            self.lost.set_result(None)

    # --------------------------------------------------------------------------------------------------------- inside

    def _give_up(self, kind: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(NoAnswer(kind))
        self.abort()

    def _check_silence(self) -> None:
        left = self._heard + self._silence - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_silence)
        else:
            self._give_up("TimeoutError")
