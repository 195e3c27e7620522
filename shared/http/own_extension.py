"""Our own web extension as the adapter sees it: its messages as ours, and back."""

from collections.abc import AsyncIterator, Awaitable, Callable

from shared.errors import InvalidRequest
from shared.http.messages import Headers, Request, Response
from shared.http.origin import OriginRule
from shared.settings import Settings
from shared.web_extension.extension import WebServer
from shared.web_extension.limits import Limits
from shared.web_extension.messages import ClientGone, RequestBody, ServerRequest, ServerResponse


class OwnExtension:
    """`shared.web_extension`, which becomes the extension of the process when this module is imported."""

    request_type = ServerRequest
    response_type = ServerResponse

    def __init__(self) -> None:
        self.rule = OriginRule()

    def configure(self, settings: Settings) -> None:
        """Set the limits of the server and what is believed of forwarding headers."""
        self.rule = OriginRule.of(settings)
        WebServer.limits = Limits(
            head_bytes=settings.http_head_bytes,
            idle_seconds=settings.http_idle_seconds,
            total_seconds=settings.http_total_seconds,
            keep_alive_seconds=settings.http_keep_alive_seconds,
            connections=settings.http_connections,
        )

    async def answer(
        self,
        request: ServerRequest,
        _invocation_id: str,
        run: Callable[[Request], Awaitable[Response]],
    ) -> ServerResponse:
        """Answer a request; one that the server could not read has its answer already."""
        if request.refusal is not None:
            return request.refusal
        response = await run(self.received(request))
        return ServerResponse(response.status, list(response.headers), response.body)

    def received(self, request: ServerRequest) -> Request:
        """The server's request as ours. The path and the query string are as the client sent them."""
        headers = Headers(request.fields)
        origin = self.rule.origin(request.peer, headers)
        path, _, query = request.target.decode("latin-1").partition("?")
        return Request(
            method=request.method,
            scheme=origin.scheme,
            host=origin.host,
            path=path,
            query=query,
            headers=headers,
            route=request.path_params,
            body=_pieces(request.body),
            client=origin.client,
        )


async def _pieces(body: RequestBody) -> AsyncIterator[bytes]:
    try:
        async for piece in body:
            yield piece
    except ClientGone:
        raise InvalidRequest("The client has cancelled the request.", where="request body") from None


EXTENSION = OwnExtension()
