"""Responses, framed for one request (RFC 9112 §6). No I/O."""

import re
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from shared.web_extension.messages import ServerRequest, ServerResponse

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS: Final = frozenset({204, 304})
_STATUS: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS: Final = frozenset({"connection", "transfer-encoding", "date", "keep-alive", "upgrade"})
"""Fields that the framing decides on, whatever the response says."""


class WrongLength(Exception):
    """A body is longer or shorter than its Content-Length."""


class ResponseFraming:
    """The head of a response, and how the pieces of its body are sent. `keep_alive`: another request may follow."""

    __slots__ = ("_chunked", "_left", "bodiless", "head", "keep_alive")

    def __init__(self, request: ServerRequest, response: ServerResponse, *, keep_alive: bool) -> None:
        status, body = response.status, response.body
        self.bodiless = request.method == "HEAD" or status in _BODILESS
        self._left: int | None = None
        """Bytes that the body still has, if that is known."""
        head = [_STATUS.get(status) or f"HTTP/1.1 {status} \r\n".encode()]
        length: int | None = None
        for name, value in response.fields:
            lower = _name(name)
            if lower == "content-length":
                if value.isascii() and value.isdecimal():
                    length = int(value)
            elif lower not in _OURS:
                head.append(f"{lower}: {_value(value)}\r\n".encode("latin-1", "replace"))
        if isinstance(body, bytes) and not self.bodiless:
            length = len(body)
        if length is not None and status != 204:
            head.append(b"content-length: %d\r\n" % length)
        self._chunked = length is None and not self.bodiless and request.version == "1.1"
        if self._chunked:
            head.append(b"transfer-encoding: chunked\r\n")
        elif length is None and not self.bodiless:
            keep_alive = False  # the end of the connection is the end of the body
        if not self.bodiless:
            self._left = length
        if not keep_alive:
            head.append(b"connection: close\r\n")
        elif request.version == "1.0":
            head.append(b"connection: keep-alive\r\n")
        self.keep_alive = keep_alive
        head.append(_date(int(time.time())))
        self.head = b"".join(head)

    def piece(self, data: bytes) -> tuple[bytes, ...]:
        """The wire form of a piece of the body. Raises WrongLength."""
        if self._chunked:
            return (b"%x\r\n" % len(data), data, b"\r\n")
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise WrongLength
        return (data,)

    def end(self) -> bytes:
        """The bytes behind the last piece. Raises WrongLength."""
        if self._left:
            raise WrongLength
        return b"0\r\n\r\n" if self._chunked else b""


@lru_cache(maxsize=256)
def _name(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("A response has a header whose name is none")
    return text.lower()


def _value(text: str) -> str:
    """A header value; what cannot stand in one is replaced, so that no value can begin another header."""
    return text if text.isprintable() else _CONTROL.sub(" ", text)


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return f"date: {formatdate(second, usegmt=True)}\r\n\r\n".encode()
