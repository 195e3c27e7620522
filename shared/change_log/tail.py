"""The end of the change log that is numbered and not acknowledged (storage §7)."""

from collections.abc import Sequence
from typing import Final

from shared.change_log.log import ChangeLog, FeedPage, Head
from shared.change_log.numbering import ChangeKey, change_key

_FOLLOWED: Final = 5000
"""If others have appended more entries, they are not read: what they have logged is not known."""
_LONG_PAGES: Final = 20
_LONG_ENTRIES: Final = 2000
"""A tail of more is acknowledged by whoever meets it: it is in the memory of each process that numbers changes."""


class Tail:
    """The pages of the log that are not known to be acknowledged, as this process knows them. One per process."""

    def __init__(self, log: ChangeLog, shards: int) -> None:
        self._log = log
        self._shards = shards
        self._end = 0
        """The sequence after the last page that is known; 0: none is."""
        self._acknowledged = 0
        self._noted = 0
        self.bucket = 0
        self.pages: list[FeedPage] = []

    async def follow(self, head: Head) -> list[FeedPage] | None:
        """Bring it up to a head that was just read; the pages that others have appended since the last time. None if it
        is not known which. Raises Unavailable.
        """
        self.bucket, self._noted = head.bucket, head.settled
        self._acknowledged = max(self._acknowledged, head.settled)
        known = self._end <= head.next <= self._end + _FOLLOWED if self._end else False
        start = self._end if known else self._acknowledged + 1
        appended = await self._log.pages(start, head.next - start) if start < head.next else []
        self.pages = [page for page in (*(self.pages if known else ()), *appended) if page.end > self._acknowledged + 1]
        self._end = head.next
        return appended if known else None

    def append(self, page: FeedPage) -> None:
        """This process has appended a page."""
        self.pages.append(page)
        self._end = page.end

    def keys(self) -> set[ChangeKey]:
        """The changes in its pages: rows of them may be left."""
        return {change_key(change, self._shards) for page in self.pages for change in page.changes}

    @property
    def is_long(self) -> bool:
        """Whether it should be acknowledged though nobody asks for it."""
        return len(self.pages) > _LONG_PAGES or sum(len(page.changes) for page in self.pages) > _LONG_ENTRIES

    async def acknowledged(self, pages: Sequence[FeedPage], bucket: int) -> None:
        """Note that nothing is left of the changes of its first pages, nor of any before. Raises Unavailable."""
        if pages:
            self._acknowledged = max(self._acknowledged, pages[-1].end - 1)
            self.pages = [page for page in self.pages if page.end > self._acknowledged + 1]
        # Followers wait for the note: one that got lost is written again.
        if self._noted < self._acknowledged:
            await self._log.acknowledged(bucket, self._acknowledged)
            self._noted = self._acknowledged
