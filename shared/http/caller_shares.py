"""The share of a process that one caller may use at a time (THR-2): requests and bytes of their bodies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.errors import ShareUsedUp

_IDENTITIES: Final = ("oid", "sub", "azp", "appid", "share")
"""The claims that tell callers apart, best first."""


@dataclass(slots=True)
class _Use:
    requests: int = 0
    bytes: int = 0


class CallerShares:
    """All that callers have in progress in this process; one that has nothing in progress is not known. 0: no limit."""

    def __init__(self, *, requests: int, body_bytes: int) -> None:
        self._requests = requests
        self._bytes = body_bytes
        self._uses: dict[str, _Use] = {}

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self._requests > 0 or self._bytes > 0

    def begin(self, caller: str, body_bytes: int) -> "Share":
        """A request of that caller, with a body of as many bytes as it says. Raises ShareUsedUp."""
        use = self._uses.get(caller) or _Use()
        if self._requests and use.requests >= self._requests:
            raise ShareUsedUp(f"The caller has {use.requests} requests in progress, which is its share.")
        if self._bytes and use.bytes and use.bytes + body_bytes > self._bytes:
            raise ShareUsedUp("The bodies that the caller has in progress are its share.")
        self._uses[caller] = use
        use.requests += 1
        use.bytes += body_bytes
        return Share(self, caller, body_bytes)

    def end(self, caller: str, body_bytes: int) -> None:
        """A request is over."""
        use = self._uses[caller]
        use.requests -= 1
        use.bytes -= body_bytes
        if not use.requests:
            del self._uses[caller]


class Share:
    """A request in progress."""

    def __init__(self, shares: CallerShares, caller: str, body_bytes: int) -> None:
        self._end = (shares, caller, body_bytes)
        self._over = False

    def end(self) -> None:
        """It is over; again: nothing."""
        if not self._over:
            self._over = True
            shares, caller, body_bytes = self._end
            shares.end(caller, body_bytes)


def name_of(claims: Mapping[str, str], address: str) -> str:
    """The name by which a caller is known: an identity of its token, else the address that it calls from."""
    return identity_of(claims) or f"address={address}"


def identity_of(claims: Mapping[str, str]) -> str:
    """The identity that the token of a caller names; empty without one."""
    return next((f"{name}={claims[name]}" for name in _IDENTITIES if claims.get(name)), "")
