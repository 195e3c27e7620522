"""The studies of a share that are still there (SHR-4)."""

import asyncio
from collections.abc import Callable
from typing import Final

from shared.bounded import RecentValues
from shared.concurrency import together
from shared.index.lookup import InstanceLookup
from shared.shares.model import Share

_AT_ONCE: Final = 32
"""Studies that are looked up at the same time."""
_SECONDS: Final = 30.0
"""The time for which it is remembered which originals are there: a viewer makes hundreds of requests in it."""
_REMEMBERED: Final = 1000


class PresentStudies:
    """Looks up the studies of shares. `clock`: seconds; only differences count."""

    def __init__(self, lookup: InstanceLookup, clock: Callable[[], float]) -> None:
        self._lookup = lookup
        self._clock = clock
        self._copies: RecentValues[tuple[float, frozenset[str]]] = RecentValues(_REMEMBERED)

    async def of(self, share: Share) -> list[str]:
        """The studies of a share that have not been deleted meanwhile. Raises Unavailable."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def look(study: str) -> str:
            async with slots:
                return study if await self._lookup.study_in(share.namespace, study) else ""

        return [each for each in await together(*map(look, share.studies or ())) if each]

    async def copies_of(self, share: Share) -> frozenset[str]:
        """The copies of a share whose originals have not been deleted, as of half a minute ago. Raises Unavailable."""
        if not share.complete:
            return frozenset()
        key = f"{share.id} {len(share.copies)}"
        known = self._copies.get(key)
        if known is None or self._clock() - known[0] > _SECONDS:
            copies = dict(zip(share.studies or (), share.copies, strict=False))
            known = self._clock(), frozenset(copies[each] for each in await self.of(share))
            self._copies.put(key, known)
        return known[1]
