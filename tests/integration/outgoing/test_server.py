"""Another server over real connections: sign-in, failures, limits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from shared.outgoing.failures import Failure, RequestFailed
from shared.outgoing.server import Server
from shared.outgoing.settings import ServerSettings, StaticToken, TokenRequest
from shared.outgoing.sign_in import TokenEndpoint, token_source
from shared.outgoing.tokens import AccessToken, FixedToken, KeptToken

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(base: str, tokens=None, *, seconds: float = 5.0, most: int = 1000) -> AsyncIterator[Server]:
    settings = ServerSettings("FHIR", f"{base}/r4", StaticToken(""), seconds, {"X-Own": "1"})
    server = Server(settings, tokens or FixedToken("t"), most_bytes=most)
    try:
        yield server
    finally:
        await server.close()


async def failure(server: Server, target: str = "x") -> Failure:
    with pytest.raises(RequestFailed) as raised:
        await server.request("GET", target)
    return raised.value.failure


async def test_a_request_carries_token_and_header_fields_and_stays_below_the_base():
    seen = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.raw_path, request.headers["Authorization"], request.headers["X-Own"]))
        return web.Response(status=404, body=b"no")

    async with answering(handle) as base, connected(base) as server:
        answer = await server.request("GET", "Patient?x=a%2Cb%5C%7C")
    assert (answer.status, answer.body) == (404, b"no")
    assert seen == [("/r4/Patient?x=a%2Cb%5C%7C", "Bearer t", "1")]


async def test_a_token_that_is_refused_is_fetched_anew_once():
    fetched = []

    async def fetch() -> AccessToken:
        fetched.append(1)
        return AccessToken(f"t{len(fetched)}", 1e12)

    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.headers["Authorization"] == "Bearer t2" else 401)

    async with answering(handle) as base:
        async with connected(base, KeptToken(fetch)) as server:
            assert (await server.request("GET", "x")).status == 200
        async with connected(base, FixedToken("other")) as server:
            assert await failure(server) is Failure.AUTHENTICATION
            assert server.requests == 2


async def test_each_way_of_not_answering_has_its_class():
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(3)
        return web.Response()

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        request.transport.close()
        return response

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2000)

    async def elsewhere(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})

    async with answering(slow) as base, connected(base, seconds=0.2) as server:
        assert await failure(server) is Failure.TRANSIENT
    async with answering(cut) as base, connected(base) as server:
        assert await failure(server) is Failure.UNAVAILABLE
    async with answering(large) as base, connected(base) as server:
        assert await failure(server) is Failure.UNUSABLE
    async with answering(elsewhere) as base, connected(base) as server:
        assert (await server.request("GET", "x")).status == 302
        assert await failure(server, "http://127.0.0.1:1/r4/Patient") is Failure.UNUSABLE
    async with connected(base) as server:
        assert await failure(server) is Failure.UNAVAILABLE
    async with connected("http://no-such-host.invalid") as server:
        assert await failure(server) is Failure.UNAVAILABLE


async def test_a_long_answer_can_be_streamed():
    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 3_000_000)

    async with answering(large) as base, connected(base) as server, server.stream("x") as (answer, pieces):
        assert answer.status == 200
        assert sum([len(piece) async for piece in pieces]) == 3_000_000


async def test_a_token_endpoint_is_asked_as_the_settings_say():
    forms = []

    async def handle(request: web.Request) -> web.Response:
        forms.append(dict(await request.post()))
        return web.json_response({"access_token": "abc", "expires_in": 3600})

    async with answering(handle) as base:
        plain = TokenRequest(f"{base}/token", "me", "https://r/.default", "", secret="s")
        assert await token_source(plain, dict).token() == "abc"
        await TokenEndpoint(TokenRequest(f"{base}/token", "me", "", "https://r", username="u", password="p")).fetch()
    assert forms == [
        {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s", "scope": "https://r/.default"},
        {"grant_type": "password", "client_id": "me", "username": "u", "password": "p", "resource": "https://r"},
    ]


@pytest.mark.parametrize(("status", "body"), [(400, b"{}"), (200, b"no"), (200, b"[]"), (200, b'{"access_token":7}')])
async def test_a_token_endpoint_without_token_is_a_failed_sign_in(status, body):
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    async with answering(handle) as base:
        with pytest.raises(RequestFailed) as raised:
            await TokenEndpoint(TokenRequest(f"{base}/token", "me", "x", "", secret="s")).fetch()
    assert raised.value.failure is Failure.AUTHENTICATION


async def test_an_identity_that_is_not_there_is_a_failed_sign_in():
    from azure.core.exceptions import ClientAuthenticationError

    from shared.outgoing.settings import ManagedIdentity

    class NoCredential:
        async def get_token(self, *_scopes):
            raise ClientAuthenticationError

    with pytest.raises(RequestFailed) as raised:
        await token_source(ManagedIdentity("x"), NoCredential).token()
    assert raised.value.failure is Failure.AUTHENTICATION
