"""An OpenID provider on this machine, for `make run AUTH=1`: three users, whose roles are what their names say.

Discovery, keys, and the authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636) for pages; tokens of each user for
`curl`. Its key is made anew with each start, so that no token outlives the service. Whoever reaches it may be anybody:
it listens on this machine alone, and sends nobody elsewhere.
"""

import base64
import hashlib
import html
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from devhost.arguments import is_loopback

AUDIENCE: Final = "api://dicom-local"
CLIENT: Final = "pages"
"""The client that the pages of the service are; the provider takes any."""
USERS: Final[Mapping[str, tuple[str, ...]]] = {
    "reader": ("DICOM.Data.Reader",),
    "writer": ("local.writer",),
    "owner": ("DICOM.Data.Owner",),
}
"""Names of the users, and their roles."""
ROLES: Final = json.dumps(
    [
        {"name": "DICOM.Data.Reader", "dataActions": ["read"]},
        {"name": "local.writer", "dataActions": ["read", "write"]},
        {"name": "DICOM.Data.Owner", "dataActions": ["*"]},
    ]
)
"""The roles document that goes with them."""

_TOKEN_SECONDS: Final = 12 * 3600
_CODE_SECONDS: Final = 60
_MOST_CODES: Final = 1000
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<meta name="viewport" content="width=device-width"><h1>Sign in</h1>
<p>A provider for development: anybody on this machine may be anybody.</p><ul>{}</ul></html>"""

type _Grant = tuple[str, str, str, str, float]
"""User, redirect URI, code challenge, nonce, end."""


class OpenIdProvider:
    """The provider. `url` is its issuer once it listens."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_hex(8)
        self._codes: dict[str, _Grant] = {}
        self._refreshing: dict[str, str] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; 0: any free port. Raises OSError."""
        app = web.Application(middlewares=[_answer_pages])
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_route("OPTIONS", "/token", _preflight)
        app.router.add_get("/logout", _log_out)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    def settings(self) -> dict[str, str]:
        """The app settings of a service that asks this provider."""
        return {
            "AUTHENTICATION_MODE": "openid",
            "AUTHENTICATION_AUTHORITY": self.url,
            "AUTHENTICATION_AUDIENCES": AUDIENCE,
            "AUTHENTICATION_ROLES": ROLES,
            "UI_CLIENT_ID": CLIENT,
        }

    def tokens(self) -> dict[str, str]:
        """A token of each user, good for twelve hours."""
        return {user: self.token(user) for user in USERS}

    def token(self, user: str, **more: str) -> str:
        """A token of a user, with further claims."""
        now = int(self._now())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": user,
            "name": user,
            "roles": list(USERS[user]),
            "iat": now,
            "nbf": now - 60,
            "exp": now + _TOKEN_SECONDS,
            **more,
        }
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._key_id})

    # ------------------------------------------------------------------------------------------------- end points

    async def _configuration(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "end_session_endpoint": f"{self.url}/logout",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        published: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        published.pop("key_ops", None)
        return web.json_response({"keys": [{**published, "kid": self._key_id, "use": "sig", "alg": "RS256"}]})

    async def _authorize(self, request: web.Request) -> web.Response:
        """A page with the users; the one that is chosen comes back here as `user`."""
        asked = request.query
        target, challenge, user = (asked.get(name, "") for name in ("redirect_uri", "code_challenge", "user"))
        if not is_loopback(urlsplit(target).hostname or ""):
            raise web.HTTPBadRequest(text="redirect_uri is not on this machine")
        if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256" or not challenge:
            raise web.HTTPBadRequest(text="response_type code with a code_challenge of the method S256 is needed")
        if user not in USERS:
            links = (html.escape(f"/authorize?{urlencode({**asked, 'user': name})}") for name in USERS)
            items = (f'<li><a href="{link}">{name}</a></li>' for link, name in zip(links, USERS, strict=True))
            return web.Response(text=_PAGE.format("".join(items)), content_type="text/html")
        code = secrets.token_urlsafe(32)
        while len(self._codes) >= _MOST_CODES:
            self._codes.pop(next(iter(self._codes)))
        self._codes[code] = (user, target, challenge, asked.get("nonce", ""), self._now() + _CODE_SECONDS)
        answer = {"code": code, **({"state": asked["state"]} if "state" in asked else {})}
        raise web.HTTPFound(f"{target}{'&' if urlsplit(target).query else '?'}{urlencode(answer)}")

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        nonce = ""
        if given.get("grant_type") == "authorization_code":
            user, target, challenge, nonce, end = self._codes.pop(given.get("code", ""), ("", "", "", "", 0.0))
            digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
            proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            good = (
                end > self._now() and given.get("redirect_uri") == target and secrets.compare_digest(proof, challenge)
            )
        else:
            user = self._refreshing.pop(given.get("refresh_token", ""), "")
            good = given.get("grant_type") == "refresh_token" and bool(user)
        if not good:
            return _readable(request, web.json_response({"error": "invalid_grant"}, status=400))
        refresh = secrets.token_urlsafe(32)
        while len(self._refreshing) >= _MOST_CODES:
            self._refreshing.pop(next(iter(self._refreshing)))
        self._refreshing[refresh] = user
        client = given.get("client_id", "") or AUDIENCE
        body = {
            "access_token": self.token(user),
            "id_token": self.token(user, aud=client, **({"nonce": nonce} if nonce else {})),
            "token_type": "Bearer",
            "expires_in": _TOKEN_SECONDS,
            "refresh_token": refresh,
        }
        return _readable(request, web.json_response(body))


def _readable(request: web.Request, response: web.Response) -> web.Response:
    """The response, for pages of this machine too."""
    origin = request.headers.get("Origin", "")
    if is_loopback(urlsplit(origin).hostname or ""):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Headers"] = "content-type"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _preflight(request: web.Request) -> web.Response:
    return _readable(request, web.Response(status=204))


async def _log_out(request: web.Request) -> web.Response:
    target = request.query.get("post_logout_redirect_uri", "")
    if is_loopback(urlsplit(target).hostname or ""):
        raise web.HTTPFound(target)
    return web.Response(text="Signed out.")


@web.middleware
async def _answer_pages(request: web.Request, handler: Any) -> web.StreamResponse:
    """Discovery and keys can be read by pages of this machine; a request for another host name is none of ours."""
    if not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
        raise web.HTTPMisdirectedRequest
    response: web.StreamResponse = await handler(request)
    if isinstance(response, web.Response) and request.method == "GET":
        return _readable(request, response)
    return response
