"""The high-water mark of the change feed: up to where sequences may have been used, outside the tables (DAT-54).

Tables can be lost and made anew from the files; followers have checkpoints of their own all the same. So a feed that
begins anew begins above the mark, and no follower sees a sequence twice. The mark is raised in steps, before sequences
are used: small blobs that never change, of which the last one counts.
"""

from contextlib import suppress
from typing import Final, Protocol

from shared.index_schema.service_documents import FEED_MARKS
from shared.storage.ports import BlobExists, BlobStore

STEP: Final = 100_000
"""Sequences between two marks: one small blob for as many changes, and as many numbers are left out at a loss."""


class HighWaterMark(Protocol):
    """The mark."""

    async def highest(self) -> int:
        """The mark; 0 if there is none. Raises Unavailable."""
        ...

    async def cover(self, sequence: int) -> None:
        """See to it that the mark is at least `sequence`; at once, if this process knows it. Raises Unavailable."""
        ...


class BlobHighWaterMark:
    """The mark in the container of the files."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._known = 0

    async def highest(self) -> int:
        """The mark."""
        async for blob in self._blobs.list(FEED_MARKS):
            self._known = max(self._known, _sequence_in(blob.name))
        return self._known

    async def cover(self, sequence: int) -> None:
        """Write the next mark, if that is needed."""
        if sequence <= self._known:
            return
        mark = -(-sequence // STEP) * STEP
        with suppress(BlobExists):  # of another process, or of an attempt without answer
            await self._blobs.put(f"{FEED_MARKS}{mark:016}.json", b"{}", {})
        self._known = mark


class NoMark:
    """The mark of a store without blobs to hold it: the feed begins with 1."""

    async def highest(self) -> int:
        """None."""
        return 0

    async def cover(self, sequence: int) -> None:
        """Nothing."""


def _sequence_in(name: str) -> int:
    """The sequence in the name of a mark; 0 for any other name."""
    text = name.removeprefix(FEED_MARKS).removesuffix(".json")
    return int(text) if text.isdecimal() else 0
