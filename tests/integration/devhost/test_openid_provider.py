"""The OpenID provider of `make run AUTH=1`: users sign in by the code flow with PKCE, and no foreign page can."""

import base64
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from aiohttp import ClientSession

from devhost.openid_provider import AUDIENCE, USERS, OpenIdProvider
from shared.http.roles import Roles

PAGE = "http://localhost:7071/signed-in"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "response_type": "code",
    "client_id": "pages",
    "redirect_uri": PAGE,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "s1",
    "nonce": "n1",
}


class Client:
    """A page that signs in."""

    def __init__(self, provider: OpenIdProvider, session: ClientSession) -> None:
        self.provider = provider
        self._session = session

    async def get(self, path: str, **query: str) -> tuple[int, str, str]:
        url = f"{self.provider.url}{path}"
        async with self._session.get(url, params=query, allow_redirects=False) as response:
            return response.status, response.headers.get("Location", ""), await response.text()

    async def code(self, **changed: str) -> str:
        status, target, text = await self.get("/authorize", **{**ASKED, "user": "reader", **changed})
        assert status == 302, text
        answer = parse_qs(urlsplit(target).query)
        assert answer["state"] == ["s1"]
        return answer["code"][0]

    async def tokens(self, **form: str) -> tuple[int, dict[str, str]]:
        headers = {"Origin": "http://localhost:7071"}
        async with self._session.post(f"{self.provider.url}/token", data=form, headers=headers) as response:
            assert response.headers["Access-Control-Allow-Origin"] == headers["Origin"]
            return response.status, await response.json()

    async def redeemed(self, code: str, /, **changed: str) -> tuple[int, dict[str, str]]:
        grant = {
            "grant_type": "authorization_code",
            "client_id": "pages",
            "code": code,
            "redirect_uri": PAGE,
            "code_verifier": VERIFIER,
        }
        return await self.tokens(**{**grant, **changed})

    async def claims(self, token: str, audience: str = AUDIENCE) -> dict[str, object]:
        async with self._session.get(f"{self.provider.url}/.well-known/openid-configuration") as response:
            configuration = await response.json()
        async with self._session.get(configuration["jwks_uri"]) as response:
            keys = jwt.PyJWKSet.from_dict(await response.json())
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, object] = jwt.decode(token, key, ["RS256"], audience=audience, issuer=configuration["issuer"])
        return claims


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    provider = OpenIdProvider()
    await provider.start()
    async with ClientSession() as session:
        yield Client(provider, session)
    await provider.stop()


async def test_a_page_signs_a_user_in_and_renews_the_token(client: Client) -> None:
    status, _, page = await client.get("/authorize", **ASKED)
    assert status == 200
    assert all(name in page for name in USERS)

    status, given = await client.redeemed(await client.code())
    assert status == 200
    claims = await client.claims(given["access_token"])
    assert (claims["sub"], claims["roles"]) == ("reader", ["DICOM.Data.Reader"])
    identity = await client.claims(given["id_token"], "pages")
    assert (identity["sub"], identity["nonce"]) == ("reader", "n1")

    status, renewed = await client.tokens(grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert (status, (await client.claims(renewed["id_token"]))["sub"]) == (200, "reader")
    status, _ = await client.tokens(grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert status == 400


@pytest.mark.parametrize(
    "changed",
    [{"code_verifier": "w" * 43}, {"code_verifier": ""}, {"redirect_uri": "http://localhost:1/"}, {"code": "guessed"}],
)
async def test_a_code_is_only_for_the_page_that_asked_for_it(client: Client, changed: dict[str, str]) -> None:
    status, refusal = await client.redeemed(await client.code(), **changed)
    assert (status, refusal) == (400, {"error": "invalid_grant"})


async def test_a_code_is_good_once(client: Client) -> None:
    code = await client.code()
    assert (await client.redeemed(code))[0] == 200
    assert (await client.redeemed(code))[0] == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://localhost.evil.example/"},
        {"redirect_uri": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"response_type": "token"},
    ],
)
async def test_nobody_is_sent_elsewhere_or_signed_in_without_proof(client: Client, changed: dict[str, str]) -> None:
    status, target, _ = await client.get("/authorize", **{**ASKED, "user": "owner", **changed})
    assert (status, target) == (400, "")


async def test_a_foreign_page_reads_nothing(client: Client) -> None:
    async with (
        ClientSession() as session,
        session.get(f"{client.provider.url}/keys", headers={"Origin": "https://evil.example"}) as response,
        session.get(f"{client.provider.url}/keys", headers={"Host": "evil.example"}) as rebound,
    ):
        assert "Access-Control-Allow-Origin" not in response.headers
        assert rebound.status == 421


@pytest.mark.spec("AUTH-11")
def test_the_roles_document_is_valid_and_gives_each_user_what_its_name_says() -> None:
    roles = Roles(OpenIdProvider().settings()["AUTHENTICATION_ROLES"])
    actions = {user: roles.permissions(names).actions for user, names in USERS.items()}
    assert actions["reader"] == {"read"}
    assert actions["writer"] == {"read", "write"}
    assert actions["owner"] > {"read", "write", "delete"}
