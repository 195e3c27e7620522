"""The change feed as it is stored: one log of pages in buckets (storage §7).

Bucket b is the partition `F{b}`: head `h`, pages `p{last sequence}`, time index `t{last timestamp}`, and `k`, how far
pages are acknowledged. Sequences are dense from 1; timestamps (microseconds since 1970) are commit times as far as they
never decrease, and from page to page they increase. Only who holds the head's etag appends. A full bucket is sealed,
and the next one begins where it ends.
"""

import zlib
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Any

import orjson

from shared.change_log.high_water import HighWaterMark, NoMark
from shared.dicom.identifiers import InstanceIdentifier
from shared.errors import Unavailable
from shared.index_schema.changes import LoggedChange
from shared.index_schema.clock import milliseconds
from shared.storage.large_values import join, split
from shared.storage.optimistic import ROUNDS, Rounds, best_effort_commit, commit_all, pause
from shared.storage.ports import Entity, RowWrite, TableStore, Value

PAGE_ENTRIES = 1000
BUCKET_ENTRIES = 1_000_000

_FIRST_PAGES = 2
_REMEMBERED_ENTRIES = 1000
_MOST_PAGES = 200
_DIRECTORY = "feed"
_HEAD = "h"
_ACKNOWLEDGED = "k"


def _committed(change: LoggedChange) -> int:
    """When a change was committed, in microseconds since 1970; never before its request came in."""
    return (milliseconds(change.version) + 1) * 1000


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Changes with consecutive sequences."""

    first: int
    timestamp: int
    """Of the last change; no change of an earlier page has it."""
    earliest: int
    """No change of the page has an earlier timestamp, and none of an earlier page has this one."""
    changes: Sequence[LoggedChange]

    @property
    def end(self) -> int:
        """The sequence after the last one."""
        return self.first + len(self.changes)

    def timestamps(self) -> list[int]:
        """The timestamp of each change: when it was committed, kept in the order of the sequences."""
        return list(accumulate((self._timestamp(change) for change in self.changes), max))

    def since(self, timestamp: int) -> int:
        """The first sequence of the page with a timestamp ≥ `timestamp`; `end` if there is none."""
        return self.first + bisect_left(self.timestamps(), timestamp)

    def _timestamp(self, change: LoggedChange) -> int:
        return max(self.earliest, min(_committed(change), self.timestamp))


@dataclass(frozen=True, slots=True)
class Head:
    """The state of a bucket."""

    bucket: int
    etag: str
    first: int
    """The first sequence of the bucket."""
    next: int
    """The sequence of the next entry."""
    timestamp: int
    """Of the last page, in this bucket or before."""
    floor: int
    """No later page has a smaller timestamp."""
    sealed: bool
    acknowledged: int
    """Every page up to this sequence is known to be acknowledged; 0: not known."""

    @property
    def settled(self) -> int:
        """Every page up to this sequence is acknowledged, those of earlier buckets too."""
        return max(self.acknowledged, self.first - 1)

    def properties(self, **changed: int | bool) -> dict[str, int | bool]:
        """The properties of its row, some of them changed."""
        return {
            "first": self.first,
            "next": self.next,
            "ts": self.timestamp,
            "min": self.floor,
            "sealed": self.sealed,
            **changed,
        }


class ChangeLog:
    """The stored change feed. `mark`: what is known outside the tables; `bucket_entries`: when a bucket is full."""

    def __init__(
        self, tables: TableStore, mark: HighWaterMark | None = None, *, bucket_entries: int = BUCKET_ENTRIES
    ) -> None:
        self._tables = tables
        self._mark = mark or NoMark()
        self._start = 0  # until it is known here
        self._bucket_entries = bucket_entries
        self._bucket: int | None = None
        self._appended: FeedPage | None = None
        self.recent: FeedPage | None = None
        """The last page that this process has appended and acknowledged: nobody has to read what it holds."""
        self.end = 1
        """The sequence after the last entry that this process knows of."""
        self._floor = 0
        """No entry from there on has an earlier timestamp."""
        self._known: Head | None = None
        """The head as it was read last, unless something was written since."""
        self._last_pages: deque[FeedPage] = deque()
        """The last pages that are known here, without gaps: pages never change."""
        self._buckets: list[tuple[int, int, int]] = []
        """Bucket, first sequence and last timestamp before it, of each bucket that is known here."""

    # -------------------------------------------------------------------------------------------------------- head

    async def head(self) -> Head:
        """The head of the bucket that is being written; made if it is missing. Raises Unavailable."""
        if self._bucket is None:
            self._bucket = (await self._directory())[-1][0]
        for attempt in range(ROUNDS):
            head = await self._head(self._bucket)
            if head is None:
                await pause(attempt)
                await self._begin(self._bucket)
            elif head.sealed:
                self._bucket += 1
            else:
                self.end, self._known = max(self.end, head.next), head
                self._floor = max(self._floor, head.timestamp, head.floor)
                return head
        raise Unavailable("The change feed is busy")

    async def append(self, head: Head, changes: Sequence[LoggedChange], now: int, *, final: int = 0) -> FeedPage | None:
        """Commit one page after `head`; None if somebody else did, or if the outcome is unknown: read the head again.

        `now`: microseconds since 1970. Every later page carries a timestamp ≥ `final`, as after a `fence`.
        """
        # rule: no page comes before the end of a window that was read
        # rule: timestamps increase whatever the clocks say
        earliest = max(head.timestamp + 1, head.floor)
        latest = min(now, max(map(_committed, changes)))
        page = FeedPage(head.next, max(earliest, latest), earliest, changes)
        # Before it is used: no sequence is above the mark (DAT-54).
        await self._mark.cover(page.end - 1)
        last = page.end - 1
        key = _partition(head.bucket)
        floor = max(head.floor, final)
        operations = [
            # rule: a page is appended only after the head that was read
            RowWrite("replace", key, _HEAD, head.properties(next=last + 1, ts=page.timestamp, min=floor), head.etag),
            RowWrite("insert", key, f"p{last:016}", _page_properties(page)),
            RowWrite("insert", key, f"t{page.timestamp:020}", {"first": page.first}),
        ]
        self._known = None
        self._appended = page if await best_effort_commit(self._tables, "feed", operations) else None
        if self._appended:
            self.end, self._floor = max(self.end, page.end), max(self._floor, page.timestamp, floor)
            self._remember(page)
        return self._appended

    async def acknowledged(self, bucket: int, last: int) -> None:
        """Note that the pages of a bucket up to `last` are acknowledged. A lost note costs work, nothing else."""
        if self._appended and self._appended.end <= last + 1:
            self.recent = self._appended
        row = RowWrite("upsert", _partition(bucket), _ACKNOWLEDGED, {"acked": last})
        await best_effort_commit(self._tables, "feed", [row])

    def is_full(self, head: Head) -> bool:
        """Whether the bucket should be sealed."""
        return head.next - head.first >= self._bucket_entries

    async def seal(self, head: Head) -> None:
        """End a bucket whose pages are all acknowledged. Whoever asks for the head next begins the following one."""
        row = RowWrite("replace", _partition(head.bucket), _HEAD, head.properties(sealed=True), head.etag)
        await best_effort_commit(self._tables, "feed", [row])

    async def fence(self, end: int) -> None:
        """Make every later page carry a timestamp ≥ `end`, so that what was before it is final. Raises Unavailable."""
        rounds = Rounds("The change feed is busy")
        while self._floor < end:
            await rounds.next()
            head, self._known = self._known or await self.head(), None
            if max(head.timestamp, head.floor) >= end:
                return
            row = RowWrite("replace", _partition(head.bucket), _HEAD, head.properties(min=end), head.etag)
            if await best_effort_commit(self._tables, "feed", [row]):
                self._floor = max(self._floor, end)

    # ----------------------------------------------------------------------------------------------------- reading

    async def start(self) -> int:
        """The first sequence of the feed: 1, or more where it was begun anew. Raises Unavailable."""
        head = None if self._start else await self._head(0)
        return self._start or (head.first if head else 1)

    async def pages(self, sequence: int, entries: int) -> list[FeedPage]:
        """The pages from the one that holds `sequence` on, until at least `entries` entries from there are in them."""
        found: list[FeedPage] = []
        wanted = sequence + entries
        start = sequence = max(sequence, await self.start())
        for page in self._pages_known_from(sequence):
            if sequence < wanted:
                found.append(page)
                sequence = page.end
        bucket = await self._bucket_of_sequence(sequence)
        while sequence < wanted:
            # Pages hold one change or a thousand: how many are needed is estimated from those that were read.
            top = _FIRST_PAGES if not found else ceil((wanted - sequence) * len(found) / (sequence - start))
            rows = await self._tables.page(
                "feed", _partition(bucket), f"p{sequence:016}", "q", top=min(top, _MOST_PAGES)
            )
            for row in rows.entities:
                if sequence < wanted:
                    found.append(_page_in(row))
                    sequence = found[-1].end
                    self._remember(found[-1])
            if not rows.entities and rows.next_row_key is None:
                head = await self._head(bucket)
                if head is None or (head.next <= sequence and not head.sealed):
                    break
                # rule: a reader does not leave a bucket before its last page
                if head.next <= sequence:
                    bucket = self._follow(head)
                # Else a page has come since it was looked for.
        return found

    async def first_since(self, timestamp: int) -> int | None:
        """The first sequence whose timestamp is ≥ `timestamp`; None if there is none yet."""
        timestamp = max(timestamp, 0)
        if self._last_pages and timestamp >= self._last_pages[0].earliest:
            for page in self._last_pages:
                if page.timestamp >= timestamp:
                    return page.since(timestamp)
            if self._last_pages[-1].end == self.end:
                return None
        bucket = await self._bucket_of_time(timestamp)
        while True:
            rows = await self._tables.page("feed", _partition(bucket), f"t{timestamp:020}", "u", top=1)
            if rows.entities:
                [page] = await self.pages(int(rows.entities[0].properties["first"]), 1)
                return page.since(timestamp)
            if rows.next_row_key is None:
                head = await self._head(bucket)
                nothing = head is None or head.timestamp < timestamp or head.next == head.first
                if head is None or (nothing and not head.sealed):
                    return None
                if nothing:
                    bucket = self._follow(head)

    def last_changes(self, sequence: int) -> Mapping[tuple[str, InstanceIdentifier], LoggedChange] | None:
        """The last change of each instance, data partition first, that has one from `sequence` on; None if not every
        page from there to the end is known here.
        """
        pages = self._pages_known_from(sequence)
        if not pages or pages[-1].end != self.end:
            return None
        return {(change.namespace, change.identifier): change for page in pages for change in page.changes}

    def _remember(self, page: FeedPage) -> None:
        pages = self._last_pages
        if pages and page.first < pages[-1].end:
            return
        if pages and page.first > pages[-1].end:
            pages.clear()
        pages.append(page)
        while len(pages) > 1 and page.end - pages[0].end >= _REMEMBERED_ENTRIES:
            pages.popleft()

    def _pages_known_from(self, sequence: int) -> list[FeedPage]:
        """The pages from the one that holds `sequence` on, as far as they are known here; [] if that one is not."""
        if not self._last_pages or sequence < self._last_pages[0].first:
            return []
        return [page for page in self._last_pages if page.end > sequence]

    # ----------------------------------------------------------------------------------------------------- buckets

    async def _head(self, bucket: int) -> Head | None:
        rows = {
            row.row_key: row for row in await self._tables.range("feed", _partition(bucket), _HEAD, f"{_ACKNOWLEDGED}!")
        }
        if _HEAD not in rows:
            return None
        properties: Mapping[str, Any] = rows[_HEAD].properties
        if not bucket:
            self._start = int(properties["first"])
        acknowledged = rows.get(_ACKNOWLEDGED)
        return Head(
            bucket,
            rows[_HEAD].etag,
            properties["first"],
            properties["next"],
            properties["ts"],
            properties["min"],
            properties["sealed"],
            int(acknowledged.properties["acked"]) if acknowledged else 0,
        )

    async def _begin(self, bucket: int) -> None:
        """Insert the head of a bucket if it is missing, then its directory entry. Either may be there already."""
        # Above all that may have been used before the tables were lost (DAT-54).
        start = 0 if bucket else await self._mark.highest() + 1
        head = Head(0, "", start, start, 0, 0, sealed=False, acknowledged=0)
        if bucket:
            sealed = await self._head(bucket - 1)
            if sealed is None or not sealed.sealed:
                raise Unavailable("The change feed has no such bucket")
            head = Head(
                bucket, "", sealed.next, sealed.next, sealed.timestamp, sealed.floor, sealed=False, acknowledged=0
            )
        row = RowWrite("insert", _partition(bucket), _HEAD, head.properties())
        await best_effort_commit(self._tables, "feed", [row])
        if bucket:
            entry = {"first": head.first, "ts": head.timestamp}
            await commit_all(self._tables, "conf", [RowWrite("upsert", _DIRECTORY, f"b{bucket:06}", entry)])

    async def _directory(self) -> list[tuple[int, int, int]]:
        """The known buckets. The stored directory may lag behind the heads, and this copy of it, too: what is later is
        found by following the seals.
        """
        if not self._buckets:
            rows = await self._tables.range("conf", _DIRECTORY, "b", "c")
            later = [(int(row.row_key[1:]), int(row.properties["first"]), int(row.properties["ts"])) for row in rows]
            self._buckets = [(0, 1, -1), *later]
        return self._buckets

    async def _bucket_of_sequence(self, sequence: int) -> int:
        return max(bucket for bucket, first, _ in await self._directory() if first <= max(sequence, 1))

    async def _bucket_of_time(self, timestamp: int) -> int:
        return max(bucket for bucket, _, before in await self._directory() if before < max(timestamp, 0))

    def _follow(self, sealed: Head) -> int:
        """The bucket after a sealed one."""
        if sealed.bucket == self._buckets[-1][0]:
            self._buckets.append((sealed.bucket + 1, sealed.next, sealed.timestamp))
        return sealed.bucket + 1


def _partition(bucket: int) -> str:
    return f"F{bucket:06}"


def _page_properties(page: FeedPage) -> dict[str, Value]:
    document = [
        (
            change.id,
            change.operation,
            change.namespace,
            change.identifier.study_instance_uid,
            change.identifier.series_instance_uid,
            change.identifier.sop_instance_uid,
        )
        for change in page.changes
    ]
    packed = split("d", zlib.compress(orjson.dumps(document)))
    return {"first": page.first, "ts": page.timestamp, "min": page.earliest, **packed}


def _page_in(row: Entity) -> FeedPage:
    document = orjson.loads(zlib.decompress(join("d", row.properties)))
    changes = [
        LoggedChange(change_id, operation, namespace, InstanceIdentifier(*uids))
        for change_id, operation, namespace, *uids in document
    ]
    properties: Mapping[str, Any] = row.properties
    return FeedPage(properties["first"], properties["ts"], properties["min"], changes)
