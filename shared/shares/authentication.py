"""The bearers of tokens of shares (SHR-2, SHR-4, SHR-5)."""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared import telemetry
from shared.errors import DicomServiceError, MissingCredentials, TooManyAttempts
from shared.http.caller import Authenticator, Caller
from shared.http.messages import Request
from shared.http.roles import Permissions, Scope
from shared.shares.model import Share, is_share_token, read_token
from shared.shares.present import PresentStudies
from shared.shares.store import ShareStore, StoredShare

_ATTEMPTS: Final = 10
_WINDOW_SECONDS: Final = 60.0
_ADDRESSES: Final = 10_000
"""Addresses of which failures are remembered; beyond, the oldest are forgotten."""
_COUNT_SECONDS: Final = 60.0
"""Uses are written down that often: a viewer makes hundreds of requests in that time."""
_COUNTED: Final = 10_000
"""Shares of which uses are waiting to be written down."""
_NOBODY: Final = b"\0" * 32
"""Compared with where there is no share, so that an answer does not tell by its time whether there is one."""


class FailedAttempts:
    """The tokens that did not open a share, by the addresses that they came from, in this process (SHR-5)."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: seconds; only differences count."""
        self._now = now
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises TooManyAttempts while an address has too many failures behind it."""
        recent = self._recent(address)
        if len(recent) >= _ATTEMPTS:
            wait = max(1, int(recent[0] + _WINDOW_SECONDS - self._now()) + 1)
            raise TooManyAttempts(
                "Too many tokens of shares from this address were not valid.",
                remedy=f"Wait for {wait} seconds, and use the link as it was given.",
                fields=(("Retry-After", str(wait)),),
            )

    def note(self, address: str) -> None:
        """A token was not valid."""
        self._failures[address] = [*self._recent(address), self._now()]
        self._failures.move_to_end(address)
        while len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._now() - _WINDOW_SECONDS
        return [each for each in self._failures.get(address, ()) if each > since]


@dataclass(slots=True)
class _Waiting:
    """Uses of a share that are not written down yet."""

    uses: int
    written: float


class ShareAuthenticator:
    """Knows the bearers of tokens of shares; who sends another token, or none, is left to another authenticator."""

    def __init__(
        self,
        other: Authenticator,
        store: ShareStore,
        present: PresentStudies,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        """`now`: seconds since 1970. `clock`: seconds; only differences count."""
        self.challenge = other.challenge
        self._other = other
        self._store = store
        self._present = present
        self._now = now
        self._clock = clock
        self._failures = FailedAttempts(clock)
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

    async def authenticate(self, request: Request) -> Caller:
        """The caller of `request`. Raises MissingCredentials, TooManyAttempts, Unavailable."""
        text = _bearer(request)
        if not is_share_token(text):
            return await self._other.authenticate(request)
        self._failures.check(request.client)
        stored = await self._opened(text)
        if stored is None:
            self._failures.note(request.client)
            raise MissingCredentials
        await self._count(stored)
        return await self._caller(stored.share)

    async def _caller(self, share: Share) -> Caller:
        claims = {"share": share.id, **({"recipient": share.recipient} if share.recipient else {})}
        scope = Scope(names=frozenset({share.partition.casefold()}))
        present = await self._present.copies_of(share) if share.deidentified else ()
        return Caller(Permissions({"read": scope}), claims, share.confinement(present))

    async def _opened(self, text: str) -> StoredShare | None:
        """The share that a token opens now."""
        token = read_token(text)
        if token is None:
            return None
        stored = await self._store.get(token.share_id)
        is_right = hmac.compare_digest(stored.share.digest if stored else _NOBODY, token.digest)
        return stored if stored and is_right and self._now() < stored.share.expires else None

    async def _count(self, stored: StoredShare) -> None:
        """Count a use; failing at that fails no request: each use is audited besides."""
        share, clock = stored.share, self._clock()
        waiting = self._waiting.setdefault(share.id, _Waiting(0, clock - _COUNT_SECONDS))
        self._waiting.move_to_end(share.id)
        waiting.uses += 1
        if clock - waiting.written < _COUNT_SECONDS:
            return
        uses, waiting.uses, waiting.written = waiting.uses, 0, clock
        try:
            written = await self._store.note_use(stored, uses, self._now())
        except DicomServiceError as error:
            telemetry.failure("share-use-not-counted", error)
            written = False
        if not written:
            waiting.uses += uses
            waiting.written = clock - _COUNT_SECONDS
        while len(self._waiting) > _COUNTED:
            self._waiting.popitem(last=False)


def _bearer(request: Request) -> str:
    values = request.headers.all("authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""
