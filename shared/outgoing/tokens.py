"""Access tokens for other servers, fetched when needed, kept until shortly before they expire (dicomcast §5.5)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

_EARLY_SECONDS = 300.0
"""A token is renewed that long before it expires."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token. `expires`: seconds since 1970."""

    value: str
    expires: float


class TokenSource(Protocol):
    """Hands out tokens for one server."""

    async def token(self) -> str:
        """A token that is good now; empty where none is needed. Raises RequestFailed of class authentication."""
        ...

    def refused(self, token: str) -> None:
        """The server has not accepted `token`: the next one is a new one."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class NoToken:
    """For servers that ask for none."""

    async def token(self) -> str:
        """Nothing."""
        return ""

    def refused(self, token: str) -> None:
        """Nothing that could be done."""

    async def close(self) -> None:
        """Nothing to close."""


class FixedToken:
    """One token for ever: for tests and for trying something out."""

    def __init__(self, value: str) -> None:
        self._value = value

    async def token(self) -> str:
        """The token."""
        return self._value

    def refused(self, token: str) -> None:
        """There is no other."""

    async def close(self) -> None:
        """Nothing to close."""


class KeptToken:
    """A token that is fetched and kept; callers at the same time share one request for it."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[AccessToken]],
        *,
        close: Callable[[], Awaitable[None]] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`fetch` raises RequestFailed; `now`: seconds since 1970."""
        self._fetch = fetch
        self._close = close
        self._now = now
        self._kept: AccessToken | None = None
        self._renew_at = 0.0
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """The kept token, or a new one. Raises RequestFailed of class authentication."""
        if self._kept is None or self._now() >= self._renew_at:
            async with self._fetching:
                if self._kept is None or self._now() >= self._renew_at:
                    self._kept = await self._fetch()
                    life = max(self._kept.expires - self._now(), 0.0)
                    self._renew_at = self._now() + max(life - _EARLY_SECONDS, life / 2)
        return self._kept.value

    def refused(self, token: str) -> None:
        """Forget the token if it is the kept one."""
        if self._kept is not None and self._kept.value == token:
            self._kept = None

    async def close(self) -> None:
        """Close what fetches."""
        if self._close is not None:
            await self._close()
