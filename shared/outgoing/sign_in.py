"""dicomcast §5.5 Tokens for another server, fetched by managed identity, or from a token endpoint."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from shared.outgoing.client_assertion import client_assertion, signing_key
from shared.outgoing.failures import Failure, RequestFailed, request_failed
from shared.outgoing.settings import Anonymous, Authentication, ManagedIdentity, StaticToken, TokenRequest
from shared.outgoing.tokens import AccessToken, FixedToken, KeptToken, NoToken, TokenSource

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

_TIMEOUT_SECONDS = 30.0
_ANSWER_BYTES = 256 * 1024
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def token_source(authentication: Authentication, credential: Callable[[], "AsyncTokenCredential"]) -> TokenSource:
    """The tokens for a server. `credential`: of this deployment, asked for when it is needed. Raises Misconfigured."""
    match authentication:
        case Anonymous():
            return NoToken()
        case StaticToken(token):
            return FixedToken(token)
        case ManagedIdentity(scope):
            return KeptToken(lambda: _of_identity(credential, scope))
        case TokenRequest():
            endpoint = TokenEndpoint(authentication)
            return KeptToken(endpoint.fetch)


async def _of_identity(credential: Callable[[], "AsyncTokenCredential"], scope: str) -> AccessToken:
    from azure.core.exceptions import AzureError

    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            token = await credential().get_token(scope)
    except (AzureError, TimeoutError) as error:
        raise _no_token("The managed identity gives no token") from error
    return AccessToken(token.token, float(token.expires_on))


class TokenEndpoint:
    """RFC 6749 §3.2."""

    def __init__(self, request: TokenRequest) -> None:
        """Raises Misconfigured if the key of the client cannot be read."""
        self._request = request
        self._key = signing_key(request.private_key, request.key_id) if request.private_key else None

    async def fetch(self) -> AccessToken:
        """One request, in a session of its own. Raises RequestFailed of class authentication."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self._request.token_uri, data=self._form(), allow_redirects=False) as response,
            ):
                body = await response.content.read(_ANSWER_BYTES)
                while more := await response.content.read(_ANSWER_BYTES - len(body)):
                    body += more
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _no_token("The token endpoint cannot be reached") from error
        if status != 200:
            raise _no_token(f"The token endpoint answered with status {status}")
        return _read(body)

    def _form(self) -> dict[str, str]:
        request = self._request
        form = {"grant_type": "password" if request.username else "client_credentials", "client_id": request.client_id}
        optional = {
            "client_secret": request.secret,
            "username": request.username,
            "password": request.password,
            "resource": request.resource,
            "scope": "" if request.resource else request.scope,
        }
        form |= {name: value for name, value in optional.items() if value}
        if self._key is not None:
            form["client_assertion_type"] = _ASSERTION_TYPE
            form["client_assertion"] = client_assertion(self._key, request.client_id, request.token_uri)
        return form


def _read(body: bytes) -> AccessToken:
    """RFC 6749 §5.1."""
    try:
        document: Any = orjson.loads(body)
        value, seconds = document["access_token"], float(document.get("expires_in", 3600))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _no_token("The token endpoint answered with something else") from None
    if not isinstance(value, str) or not value:
        raise _no_token("The token endpoint answered with something else")
    return AccessToken(value, time.time() + seconds)


def _no_token(text: str) -> RequestFailed:
    return request_failed(Failure.AUTHENTICATION, text)
