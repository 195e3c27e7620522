"""The authorization of a request to the Table service: by the account key, or by a token."""

import asyncio
import hmac
import time
from base64 import b64decode, b64encode
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError

from shared.errors import Misconfigured, Unavailable
from shared.storage.connection import STORAGE_SCOPE, Credential, SharedKey

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential

_RENEW_SECONDS: Final = 300
"""A token is asked for again so long before it ends. The credential itself keeps tokens, too."""


class Authorization(Protocol):
    """Signs requests."""

    async def headers(self, target: str) -> dict[str, str]:
        """The header fields that one attempt to send a request to `target` needs. Raises Unavailable."""
        ...

    def refused(self) -> None:
        """The service has answered 401."""
        ...


def authorization(credential: Credential, endpoint: str) -> Authorization:
    """The signer of requests to `endpoint` with `credential`. Raises Misconfigured if a token would go unprotected."""
    if isinstance(credential, SharedKey):
        return SharedKeyLite(credential)
    if urlsplit(endpoint).scheme != "https":
        raise Misconfigured("A token is only sent over https")
    return BearerToken(credential)


class _Clock:
    """The date of a request, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""

    def date(self) -> str:
        """RFC 1123, GMT."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


class SharedKeyLite:
    """Signs with the account key, as the Table service has it ("Authorize with Shared Key")."""

    def __init__(self, credential: SharedKey) -> None:
        self._key = b64decode(credential.key)
        self._account = credential.account
        self._clock = _Clock()

    async def headers(self, target: str) -> dict[str, str]:
        """Date and signature."""
        date = self._clock.date()
        resource = f"/{self._account}{target.partition('?')[0]}"
        digest = hmac.digest(self._key, f"{date}\n{resource}".encode(), "sha256")
        signature = b64encode(digest).decode()
        return {"x-ms-date": date, "Authorization": f"SharedKeyLite {self._account}:{signature}"}

    def refused(self) -> None:
        """Nothing is kept that could have become old."""


class BearerToken:
    """Shows an Entra ID token, and asks for the next one in time: one request asks, the others wait."""

    def __init__(self, credential: "AsyncTokenCredential") -> None:
        self._credential = credential
        self._token: AccessToken | None = None
        self._asking = asyncio.Lock()
        self._clock = _Clock()

    async def headers(self, target: str) -> dict[str, str]:  # noqa: ARG002 - a token is for the whole account
        """The token."""
        token = self._lasting(_RENEW_SECONDS)
        if token is None:
            async with self._asking:
                token = self._lasting(_RENEW_SECONDS) or await self._ask()
        return {"x-ms-date": self._clock.date(), "Authorization": f"Bearer {token.token}"}

    def refused(self) -> None:
        """Ask for another token next time."""
        self._token = None

    def _lasting(self, seconds: float) -> "AccessToken | None":
        token = self._token
        return token if token is not None and token.expires_on - time.time() > seconds else None

    async def _ask(self) -> "AccessToken":
        try:
            self._token = token = await self._credential.get_token(STORAGE_SCOPE)
        except AzureError as error:
            if (present := self._lasting(0)) is not None:  # good to its end, whatever keeps the next one away
                return present
            raise Unavailable(f"No access token for Table Storage ({type(error).__name__})") from None
        return token
