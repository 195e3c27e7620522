"""The newest entry of each data partition: `latest` for a caller who may not see all of them (AUTH-22, CF-17)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from shared.change_log.reader import ChangeFeed, FeedEntry
from shared.errors import Unavailable

_STEP: Final = 1000
"""Entries that are read at a time."""
_MOST_STEPS: Final = 100
"""Of one request; the next one goes on where it ended."""


class NewestEntries:
    """Remembers a part of the feed without gaps, by the newest entry of each partition in it. One per process."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._looking = asyncio.Lock()
        self._newest: dict[str, FeedEntry] = {}
        self._low = 0
        self._high = 0
        """The known entries are those with low < sequence ≤ high."""

    async def latest(self, is_visible: Callable[[str], Awaitable[bool]]) -> FeedEntry | None:
        """The newest entry of all partitions that `is_visible` says yes to, by namespace; None if there is none.

        Raises Unavailable, also when it lies so far back that another request has to go on looking for it.
        """
        async with self._looking:
            newest = await self._feed.latest()
            if newest is None:
                return None
            if newest.sequence - self._high > _STEP:
                self._newest.clear()
                self._low = self._high = newest.sequence - _STEP
            self._note(await self._feed.by_sequence(self._high, newest.sequence - self._high))
            self._high = newest.sequence
            for _ in range(_MOST_STEPS):
                seen = [entry for namespace, entry in self._newest.items() if await is_visible(namespace)]
                if seen:
                    return max(seen, key=lambda entry: entry.sequence)
                start = await self._feed.start()
                if self._low < start:
                    return None
                below = max(start - 1, self._low - _STEP)
                self._note(await self._feed.by_sequence(below, self._low - below))
                self._low = below
        raise Unavailable("The latest entry lies far back: it is being looked for")

    def _note(self, entries: Sequence[FeedEntry]) -> None:
        for entry in entries:
            known = self._newest.get(entry.namespace)
            if known is None or known.sequence < entry.sequence:
                # It may be shown long after it was read.
                self._newest[entry.namespace] = replace(entry, told=None)
