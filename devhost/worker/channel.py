"""The private line between the host and one worker process: frames on a socket pair, each eight bytes of length and
then one pickled message. Both ends are this package; nothing from outside is ever read here.
"""

import asyncio
import pickle
import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from devhost.functions import FunctionDescription

_LENGTH: Final = struct.Struct("<Q")

type Value = tuple[str, Any]
"""A kind of TypedData and its value; `http` has the route values, `model_binding_data` a dict of its fields."""


class Invocation(NamedTuple):
    """One call of a function, as the host asks a worker for it."""

    id: str
    function_id: str
    inputs: dict[str, Value]
    metadata: dict[str, Value]
    retry_count: int = 0
    max_retry_count: int = 0


class Outcome(NamedTuple):
    """The end of an invocation; `error` is empty when it succeeded."""

    error: str = ""
    stack_trace: str = ""


class Loaded(NamedTuple):
    """The app as a worker found it: its functions and where its HTTP server listens (empty: it has none)."""

    functions: list[FunctionDescription]
    http: str
    error: str = ""


class Channel(asyncio.Protocol):
    """One end of the line. `received` is called for each message, `closed` once when the other end has gone."""

    def __init__(self, received: Callable[[Any], None], closed: Callable[[], None]) -> None:
        self._received = received
        self._closed = closed
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, message: object) -> None:
        """Send a message, together with others of this turn of the loop.

        It is dropped when the other end has gone, which `closed` tells.
        """
        data = pickle.dumps(message, 5)
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing += (_LENGTH.pack(len(data)), data)

    def _flush(self) -> None:
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Hands on every message that is complete."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            message = pickle.loads(buffer[start + _LENGTH.size : end])  # noqa: S301 - the other end is our own process
            start = end
            self._received(message)
        del buffer[:start]

    def connection_lost(self, _exc: Exception | None) -> None:
        """The other end has gone, or this one closed the line."""
        self._transport = None
        self._closed()

    def close(self) -> None:
        """Close the line when everything is sent: the other end sees that this one has gone."""
        self._flush()
        if self._transport is not None:
            self._transport.close()
