"""How requests to the Table service are signed."""

import asyncio
import re
import time
from typing import NamedTuple

import pytest
from azure.core.exceptions import ClientAuthenticationError

from shared.errors import Misconfigured, Unavailable
from shared.storage.authorization import authorization
from shared.storage.connection import STORAGE_SCOPE, SharedKey

DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")


class Token(NamedTuple):
    token: str
    expires_on: int


class TokenSource:
    """A credential whose tokens last `seconds`, and that can go away."""

    def __init__(self, seconds: int = 3600) -> None:
        self.seconds = seconds
        self.asked = 0
        self.away = False

    async def get_token(self, *scopes, **_):
        assert scopes == (STORAGE_SCOPE,)
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ClientAuthenticationError("the identity endpoint is away")
        return Token(f"token{self.asked}", int(time.time()) + self.seconds)


def signer(source):
    return authorization(source, "https://dicom.table.core.windows.net")


async def token_of(signed):
    return (await signed.headers("/conf"))["Authorization"]


async def test_every_authorised_request_is_dated():
    for signed in (signer(TokenSource()), authorization(SharedKey("a", "a2V5"), "http://127.0.0.1:10002/a")):
        assert DATE.fullmatch((await signed.headers("/conf"))["x-ms-date"])


async def test_one_request_asks_for_a_token_and_the_others_wait():
    source = TokenSource()
    signed = signer(source)
    assert set(await asyncio.gather(*(token_of(signed) for _ in range(20)))) == {"Bearer token1"}
    signed.refused()
    assert await token_of(signed) == "Bearer token2"


async def test_a_token_is_good_to_its_end_when_the_next_one_cannot_be_had():
    source = TokenSource(seconds=200)
    signed = signer(source)
    assert await token_of(signed) == "Bearer token1"
    source.away = True
    assert await token_of(signed) == "Bearer token1"
    signed.refused()
    with pytest.raises(Unavailable):
        await token_of(signed)


def test_a_token_is_never_sent_unprotected():
    with pytest.raises(Misconfigured, match="only sent over https"):
        authorization(TokenSource(), "http://dicom.table.core.windows.net")
