"""The aiohttp server of the host. What cannot be read as HTTP is refused; no answer and no log line repeats it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from devhost.host.refusals import failed, refusal
from devhost.log import described

log = logging.getLogger("devhost")

type Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

LONGEST_URL: Final = 8_192
"""Bytes of a URL, as on Azure."""
READ_BUFFER: Final = 1 << 18
LONGEST_FIELD: Final = 1 << 15
_LONGEST_READ: Final = 1 << 20
"""Bytes of a request line that are read, so that a client that sends a long one has sent it when it is answered."""
_OPTIONS: Final[dict[str, Any]] = {
    "access_log": None,
    "auto_decompress": False,
    "read_bufsize": READ_BUFFER,
    "max_field_size": LONGEST_FIELD,
    "max_line_size": _LONGEST_READ,
}


def url_too_long() -> web.Response:
    """The answer to a URL of more than 8,192 bytes. The rest of the connection is not read."""
    what = f"The URL is longer than {LONGEST_URL:,} bytes."
    response = refusal(414, what, "request line", "Send a shorter URL, with fewer or shorter query parameters.")
    response.force_close()
    return response


class _Protocol(web.RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds what the client sent
    ) -> web.StreamResponse:
        """Answer what the library could not read, or the handler has failed at."""
        if not isinstance(exc, HttpProcessingError):
            log.error("A request failed in the host: %s", described(exc) if exc else status)
            response = failed()
        elif isinstance(exc, LineTooLong):
            log.warning("A request was refused: its line or one of its headers is too long")
            if str(exc.args[1]) == str(_LONGEST_READ):
                return url_too_long()
            response = refusal(431, "A header of the request is too long.", "headers", "Send a shorter header.")
        else:
            log.warning("A request was refused: it is not HTTP (%s)", type(exc).__name__)
            response = refusal(status, "The request is not HTTP.", "request", "Send a request of HTTP/1.1.")
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun")
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log an error by its type and place."""
        error = kw.get("exc_info")
        log.error("A connection failed: %s", described(error) if isinstance(error, BaseException) else args[0])


class _Request(web.BaseRequest):
    """A request whose answer does not name the library that sends it: on Azure it is another one."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.pop(hdrs.SERVER, None)


class HttpServer(web.Server):
    """The server, to be run by a `web.ServerRunner`."""

    def __init__(self, handle: Handler) -> None:
        super().__init__(handle, handler_cancellation=True, **_OPTIONS)
        self.request_factory = self._unnamed

    def _unnamed(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return _Request(message, payload, protocol, writer, task, asyncio.get_running_loop())

    def __call__(self) -> web.RequestHandler:
        """Serve one connection."""
        return _Protocol(self, loop=asyncio.get_running_loop(), **_OPTIONS)
