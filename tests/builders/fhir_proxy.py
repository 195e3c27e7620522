"""A reverse proxy before a FHIR server that misbehaves as a test says (dicomcast §10)."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import ClientError, ClientSession, web

type Fault = Callable[["Passing"], Awaitable[web.StreamResponse | None]]
"""Answers in place of the server, or lets the request pass with None."""

_PASSED = ("content-type", "etag", "location", "last-modified", "retry-after")


class Passing:
    """A request on its way."""

    def __init__(self, proxy: "FhirProxy", request: web.BaseRequest, body: bytes) -> None:
        self.method = request.method
        self.path = request.path
        self.body = body
        self._proxy = proxy
        self._request = request

    @property
    def is_transaction(self) -> bool:
        """Whether it is a Bundle for the base of the server."""
        return self.method == "POST" and self.path.rstrip("/") == "/fhir"

    async def forward(self) -> web.Response:
        """What the server answers; 502 where it does not."""
        return await self._proxy.forward(self._request, self.body)

    def drop(self) -> None:
        """Break the connection off: whoever asked gets no answer."""
        assert self._request.transport is not None
        self._request.transport.abort()


class FhirProxy:
    """`fault` is asked about each request; `requests` counts them by type of resource, '' for transactions."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.fault: Fault | None = None
        self.requests: Counter[str] = Counter()
        self._target = target.removesuffix("/fhir")
        self._session: ClientSession | None = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        passing = Passing(self, request, await request.read())
        self.requests[request.path.removeprefix("/fhir").strip("/").partition("/")[0]] += 1
        answer = await self.fault(passing) if self.fault is not None else None
        return answer if answer is not None else await passing.forward()

    async def forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """Pass a request on, with this address in place of the server's own in what comes back."""
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
        try:
            async with self._session.request(
                request.method, f"{self._target}{request.path_qs}", headers=headers, data=body or None
            ) as answer:
                content = (await answer.read()).replace(f"{self._target}/fhir".encode(), self.url.encode())
                kept = {name: value for name, value in answer.headers.items() if name.lower() in _PASSED}
                return web.Response(status=answer.status, body=content, headers=kept)
        except ClientError:
            return web.Response(status=502)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FhirProxy"]:
        """While it listens, on any free port of this machine."""
        runner = web.ServerRunner(web.Server(self._handle))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        async with ClientSession(auto_decompress=True) as self._session:
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/fhir"
            try:
                yield self
            finally:
                await runner.cleanup()
