"""Answers of a storage service, read from the bytes of one connection (RFC 9112). No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

import httptools

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024**2
"""The Table service sends at most 4 MiB at once."""


@dataclass(frozen=True, slots=True)
class StorageResponse:
    """An answer, read to its end."""

    status_code: int
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes


class BrokenAnswer(Exception):
    """Bytes that are no HTTP/1.1 answer, or more than an answer may have. The text holds nothing of them."""


class AnswerReader:
    """Reads one answer after the other. Each must say where it ends: one that ends with the connection never does."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._head_bytes = 0
        self._body_bytes = 0
        self._in_head = True
        self._answer: StorageResponse | None = None
        self.may_continue = True
        """Whether another answer can follow the last one on this connection."""

    def feed(self, data: bytes) -> StorageResponse | None:
        """Take what has arrived; the answer when this was its end. Raises BrokenAnswer."""
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise BrokenAnswer from None
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            raise BrokenAnswer
        answer, self._answer = self._answer, None
        return answer

    # ------------------------------------------------------------------------------ what the parser has come across

    def on_message_begin(self) -> None:
        """A status line."""
        if self._answer is not None:  # more than one answer to one request
            self.may_continue = False
        self._headers, self._pieces, self._in_head, self._body_bytes = {}, [], True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field. Of several with one name the last counts."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The empty line."""
        self._in_head, self._head_bytes = False, 0

    def on_body(self, data: bytes) -> None:
        """A piece of the body, without what chunks are wrapped in."""
        self._body_bytes += len(data)
        if self._body_bytes > MAX_BODY_BYTES:
            raise BrokenAnswer
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The end of an answer; what has a status below 200 is only a word in between."""
        status = self._parser.get_status_code()
        self._in_head = True
        if status >= 200 and self._answer is None:
            self._answer = StorageResponse(status, self._headers, b"".join(self._pieces))
            self.may_continue = self.may_continue and self._parser.should_keep_alive()
