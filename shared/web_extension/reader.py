"""Requests, read from the bytes of one connection (RFC 9112). No I/O."""

import re
from collections.abc import Callable
from typing import Final

import httptools

from shared.web_extension.messages import INVOCATION_ID, ClientGone, RequestBody, ServerRequest, ServerResponse, refusal

_MAX_FIELDS: Final = 256
"""The Functions host lets 100 through."""
_MAX_REQUESTS: Final = 16
"""Requests that arrive before the first of them is answered; no client of ours sends more than one."""
_FRAMING_PER_BYTE: Final = 16
"""Bytes of chunk sizes, extensions and trailers for each byte of a body, beyond the size of a head."""
_VERSIONS: Final = ("1.1", "1.0")
_SHORTER: Final = "Send fewer or shorter header fields, and a shorter query string."
_ID: Final = re.compile(rb"\r?\n" + INVOCATION_ID.encode() + rb":[ \t]*([0-9A-Za-z-]{1,64})[ \t]*\r?\n", re.IGNORECASE)
_AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*+://[^/?#]*+")
"""Of a target that is a whole URL, at its beginning: looked for everywhere, it would take the square of a long path."""


class _Refused(Exception):
    """The request cannot be served; the answer is known."""


class RequestReader:
    """Reads one request after the other. What is none, or more than one may be, becomes a request with a refusal.

    `new_body` makes the body of the next request; `peer` is the address of its sender.
    """

    def __init__(self, head_bytes: int, peer: str, new_body: Callable[[], RequestBody]) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._limit = head_bytes
        self._peer = peer
        self._new_body = new_body
        self._ready: list[ServerRequest] = []
        self._begun: ServerRequest | None = None
        """The request whose head, or whose body, is arriving."""
        self._in_body = False
        self._head = bytearray()
        """The bytes that have arrived of a head that is not whole."""
        self._head_bytes = self._carried = self._body_bytes = self._framing = 0
        self._refused: ServerResponse | None = None
        self._seeking = False
        self.may_continue = True
        """Whether another request can follow on this connection."""

    @property
    def in_head(self) -> bool:
        """Whether a request has begun whose head is not whole."""
        return bool(self._head)

    def take(self) -> list[ServerRequest]:
        """The requests whose heads have become whole since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self._seeking:
            self._seek(data)
            return
        if not self.may_continue and self._begun is None:
            return  # what follows the last request of a connection is not read
        begun = self._begun
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.may_continue = False  # other protocols are not spoken: the request is answered as it stands
        except (httptools.HttpParserError, _Refused):
            if self._begun is not None or self.may_continue:  # else it is data after `Connection: close`
                self._refuse(data)
            return
        if self._begun is None or self._in_body:
            self._head.clear()
            self._check_framing(len(data))
            return
        self._head += data
        if self._begun is begun:
            self._carried += len(data)
            if self._carried > self._limit:
                self._refused = self._too_large()
                self._refuse(b"")

    def give_up(self) -> None:
        """Answer a request whose head does not become whole."""
        self._refused = self._refused or refusal(
            408, "The head of the request did not arrive in time.", where="request line and header fields"
        )
        self._enqueue_refused()

    def _check_framing(self, length: int) -> None:
        if not self._in_body:
            return
        self._framing += length
        if self._framing > 2 * self._limit + _FRAMING_PER_BYTE * self._body_bytes + length:
            self._refused = refusal(
                400,
                "The body of the request is more framing than body.",
                where="request body",
                remedy="Send it in larger chunks, or with a Content-Length.",
            )
            self._refuse(b"")

    def _too_large(self) -> ServerResponse:
        return refusal(
            431,
            f"The head of the request is larger than {self._limit} bytes.",
            where="request line and header fields",
            remedy=_SHORTER,
        )

    def _refuse(self, data: bytes) -> None:
        """Answer what has arrived with the refusal that was found; who waits for the request is told, too."""
        self._refused = self._refused or refusal(
            400,
            "The request is not HTTP/1.1 as RFC 9112 defines it.",
            remedy="Send it by an HTTP client, such as curl.",
        )
        self.may_continue = False
        request = self._begun
        if request is not None and self._in_body:
            self._begun = None
            request.keep_alive = False
            request.refusal = self._refused
            request.body.fail(ClientGone())
            return
        self._begun = ServerRequest(self._new_body(), self._peer)
        self._seeking = True
        self._seek(data)

    def _seek(self, data: bytes) -> None:
        """Look for the invocation of a request that cannot be read: it would wait for that request for ever."""
        self._head += data
        if _ID.search(self._head) or b"\r\n\r\n" in self._head or len(self._head) > 2 * self._limit:
            self._enqueue_refused()

    def _enqueue_refused(self) -> None:
        request = ServerRequest(self._new_body(), self._peer)
        found = _ID.search(self._head)
        request.fields = [(INVOCATION_ID, found[1].decode())] if found else []
        request.keep_alive = False
        request.refusal = self._refused
        request.body.end()
        self._begun, self._seeking, self.may_continue = None, False, False
        self._head.clear()
        self._ready.append(request)

    # ------------------------------------------------------------------------------ what the parser has come across

    def on_message_begin(self) -> None:
        """A request line begins."""
        if len(self._ready) >= _MAX_REQUESTS:
            self._refused = refusal(
                400,
                "Too many requests were sent before the first was answered.",
                where="connection",
                remedy="Await an answer before the next request, or use several connections.",
            )
            raise _Refused
        self._begun = ServerRequest(self._new_body(), self._peer)
        self._in_body = False
        self._head_bytes = self._carried = self._body_bytes = self._framing = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        request = self._request
        self._count(len(url))
        request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; those of a trailer are dropped."""
        if self._in_body:
            return
        self._count(len(name) + len(value) + 4)
        fields = self._request.fields
        if len(fields) == _MAX_FIELDS:
            self._refused = refusal(
                431, f"The request has more than {_MAX_FIELDS} header fields.", where="header fields", remedy=_SHORTER
            )
            raise _Refused
        fields.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        """The empty line."""
        request, parser = self._request, self._parser
        request.method = parser.get_method().decode("ascii")
        request.version = parser.get_http_version()
        if authority := _AUTHORITY.match(request.target):
            request.target = request.target[authority.end() :]
        request.target = request.target or b"/"
        if request.version not in _VERSIONS:
            self._refused = refusal(505, "HTTP/1.1 is spoken here.", where="request line", remedy="Use HTTP/1.1.")
            raise _Refused
        hosts = sum(name == "host" for name, _ in request.fields)
        if hosts > 1 or (hosts == 0 and request.version == "1.1"):
            self._refused = refusal(
                400, "The request must have one Host header.", where="header Host", remedy="Send one."
            )
            raise _Refused
        self._in_body = True
        self._framing = 0
        request.keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        self.may_continue = request.keep_alive
        self._ready.append(request)

    def on_body(self, data: bytes) -> None:
        """A piece of the body, without what chunks are wrapped in."""
        self._body_bytes += len(data)
        self._request.body.feed(data)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._request.body.end()
        self._begun = None
        self._in_body = False

    @property
    def _request(self) -> ServerRequest:
        if self._begun is None:
            raise AssertionError("the parser reports parts of no request")
        return self._begun

    def _count(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > self._limit:
            self._refused = self._too_large()
            raise _Refused
