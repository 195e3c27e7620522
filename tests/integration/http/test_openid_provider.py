"""Discovery and keys over a real connection, from a tiny OpenID provider on localhost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from shared.errors import MissingCredentials, Unavailable
from shared.http.messages import Headers, Request
from shared.http.openid import OpenIdAuthenticator, ProviderKeys
from shared.http.roles import Roles
from tests.builders.http import settings
from tests.builders.tokens import AUDIENCE, Key

KEY = Key()


class Provider:
    """What the provider serves; each part can be replaced by another response."""

    def __init__(self) -> None:
        self.url = ""
        self.configuration: web.Response | dict = {}
        self.keys: web.Response | dict = {"keys": [KEY.published, "not a key"]}

    async def configure(self, _: web.Request) -> web.Response:
        return (
            self.configuration
            if isinstance(self.configuration, web.Response)
            else web.json_response(self.configuration)
        )

    async def publish(self, _: web.Request) -> web.Response:
        return self.keys if isinstance(self.keys, web.Response) else web.json_response(self.keys)


@asynccontextmanager
async def serving() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_get("/tenant/.well-known/openid-configuration", provider.configure)
    app.router.add_get("/keys", provider.publish)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        provider.configuration = {"issuer": f"{provider.url}/tenant", "jwks_uri": f"{provider.url}/keys"}
        yield provider
    finally:
        await runner.cleanup()


def carrying(token: str) -> Request:
    return Request("GET", "https", "h", "/", headers=Headers([("Authorization", f"Bearer {token}")]))


@pytest.mark.spec("AUTH-1")
async def test_a_token_is_verified_with_the_keys_that_the_provider_publishes():
    async with serving() as provider:
        authority = f"{provider.url}/tenant/"
        wanted = settings(authentication="openid", authority=authority, audiences=(AUDIENCE,))
        at = OpenIdAuthenticator(wanted, Roles(), ProviderKeys(authority))

        caller = await at.authenticate(carrying(KEY.token(iss=f"{provider.url}/tenant")))
        assert caller.permissions.actions == {"read"}

        with pytest.raises(MissingCredentials):
            await at.authenticate(carrying(KEY.token(iss="https://login.example/tenant")))
        with pytest.raises(MissingCredentials):
            await at.authenticate(carrying(Key("one").token(iss=f"{provider.url}/tenant")))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"issuer": "x", "jwks_uri": "http://keys.example/insecure"},
        {"issuer": "x", "jwks_uri": 7},
        web.Response(status=500),
        web.Response(status=302, headers={"Location": "/keys"}),
        web.Response(text="<html>"),
        web.Response(text="[]"),
        web.Response(text='"' + "x" * 3_000_000 + '"'),
    ],
    ids=["empty", "insecure keys", "wrong type", "failure", "redirect", "no json", "no object", "endless"],
)
async def test_a_provider_that_answers_nonsense_makes_the_service_unavailable(answer):
    async with serving() as provider:
        provider.configuration = answer

        with pytest.raises(Unavailable):
            await ProviderKeys(f"{provider.url}/tenant").fetch()


async def test_an_issuer_that_is_not_the_authority_is_told_once_and_is_the_one_that_counts(caplog):
    async with serving() as provider:
        keys = ProviderKeys(f"{provider.url}/tenant")
        await keys.fetch()
        assert "identity-provider-issuer-differs" not in caplog.text

        provider.configuration["issuer"] = "https://other.example"
        assert [(await keys.fetch()).issuer for _ in range(2)] == ["https://other.example"] * 2
    assert caplog.text.count("identity-provider-issuer-differs") == 1


async def test_a_provider_that_cannot_be_reached_makes_the_service_unavailable():
    async with serving() as provider:
        url = provider.url

    with pytest.raises(Unavailable):
        await ProviderKeys(f"{url}/tenant").fetch()
