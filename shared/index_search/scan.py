"""Reading sorted lists of an index in one shard, a page at a time (storage §6.3).

A cursor walks a list by sort key, newest first, and only forwards. `seek` skips: what lies between is
not read, unless it is on the page at hand. Pages double, so an easy query reads little and a hard one in few requests.
"""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from shared.errors import TooLarge
from shared.index_schema.postings import ALL, seek, sort_key_of, value_of, value_range
from shared.index_search.extents import Extent
from shared.index_search.limits import SearchLimits
from shared.index_search.sources import DistinctValues, ListUnion, Part, PostingList
from shared.storage.ports import Entity, Kind, Page, TableStore


class TooManyValues(Exception):
    """The lists of a range of values are too many to be read side by side."""


@dataclass(slots=True)
class Effort:
    """The reads of a search so far, and how many a bounded one may do (S-5)."""

    clock: Callable[[], float]
    """Seconds."""
    bounded: bool
    limits: SearchLimits
    rows: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def allow(self) -> None:
        """Called before each read. Raises TooLarge when a bounded search has done what it may."""
        if self.bounded and (
            self.rows >= self.limits.bounded_rows or self.clock() - self.started > self.limits.bounded_seconds
        ):
            raise TooLarge(
                "No index serves one of the matching keys, and the search has looked at as many entries as it may.",
                where="query string",
                remedy="Add a key that an index serves, such as a range of dates; leave out leading wildcards.",
            )


@dataclass(frozen=True, slots=True)
class Shard:
    """The index of one shard of a data partition."""

    tables: TableStore
    partition_key: str
    effort: Effort

    @property
    def limits(self) -> SearchLimits:
        """Those of the search."""
        return self.effort.limits

    async def page(self, kind: Kind, low: str, high: str, top: int) -> Page:
        """One request. Raises TooLarge."""
        self.effort.allow()
        page = await self.tables.page(kind, self.partition_key, low, high, top=top)
        self.effort.rows += len(page.entities)
        return page


def entry_key(entity: Entity) -> str:
    """The sort key of what a posting is about."""
    return sort_key_of(entity.row_key)


class Cursor:
    """A sorted list of studies, or of workitems. This one is wholly at hand."""

    def __init__(self, entities: Iterable[Entity] = ()) -> None:
        self._entities: Sequence[Entity] = sorted(entities, key=entry_key)
        self._keys = [entry_key(entity) for entity in self._entities]
        self._position = 0

    @property
    def postings(self) -> Sequence[Entity]:
        """The part of the list that is at hand, in no certain order."""
        return self._entities

    @property
    def complete(self) -> bool:
        """Whether `postings` is the whole list, from its start."""
        return True

    @property
    def extent(self) -> Extent:
        """The extent of the list that is at hand; asked before the first `seek`."""
        milliseconds = int(self._keys[-1][:12], 16) - int(self._keys[0][:12], 16) if self._keys else 0
        return Extent(len(self._keys), self.complete, len(self._keys) / max(milliseconds, 1))

    def is_ready(self, sort_key: str) -> bool:
        """Whether `seek` needs no request."""
        return self.complete or bool(self._keys and self._keys[-1] >= sort_key)

    async def seek(self, sort_key: str) -> Entity | None:
        """The first posting at or after `sort_key`, None at the end. Keys must not go backwards. Raises TooLarge."""
        while True:
            self._position = bisect_left(self._keys, sort_key, self._position)
            if self._position < len(self._keys):
                return self._entities[self._position]
            if not await self._read(sort_key):
                return None

    async def _read(self, sort_key: str) -> bool:  # noqa: ARG002 - for lists that are read page by page
        """Take the next page, that of `sort_key`; False at the end of the list."""
        return False


class ListCursor(Cursor):
    """The postings of one value."""

    def __init__(self, shard: Shard, kind: Kind, code: str, value: str) -> None:
        super().__init__()
        self._shard, self._kind, self._code, self._value = shard, kind, code, value
        start, self._end = value_range(code, value)
        self._next: str | None = start
        self._top = 0
        self._pages = 0

    @property
    def complete(self) -> bool:
        """As in Cursor."""
        return self._pages <= 1 and self._next is None

    async def open(self, top: int) -> None:
        """Read the first page."""
        self._top = min(top, self._shard.limits.largest_page)
        await self._read("")

    async def _read(self, sort_key: str) -> bool:
        if self._next is None:
            return False
        low = max(self._next, seek(self._code, self._value, sort_key))
        page = await self._shard.page(self._kind, low, self._end, self._top)
        self._entities = page.entities
        self._keys = [entry_key(entity) for entity in page.entities]
        self._position = 0
        self._next = page.next_row_key
        self._top = min(2 * self._top, self._shard.limits.largest_page)
        self._pages += 1
        return True


class WholeListCursor(ListCursor):
    """The list of everything, by whose rows matching keys are judged without reading what they are about.

    While the attributes of a study change it has two rows; it fits if one of them does.
    """

    def __init__(self, shard: Shard, kind: Kind, fits: Callable[[Entity], bool] | None) -> None:
        super().__init__(shard, kind, ALL, "")
        self._fits = fits

    async def seek(self, sort_key: str) -> Entity | None:
        """The first row that fits, at or after `sort_key`."""
        while (entity := await super().seek(sort_key)) is not None:
            if self._fits is None or self._fits(entity):
                return entity
            self._position += 1
        return None

    async def rest(self) -> AsyncGenerator[Entity]:
        """All rows that fit, from the first on. Raises TooLarge."""
        more = True
        while more:
            for entity in self._entities:
                if self._fits is None or self._fits(entity):
                    yield entity
            more = await self._read("")

    async def judge(self, sort_key: str) -> bool:
        """Whether what has that sort key fits."""
        while (entity := await super().seek(sort_key)) is not None and entry_key(entity) == sort_key:
            if self._fits is None or self._fits(entity):
                return True
            self._position += 1
        return False


class UnionCursor(Cursor):
    """Postings that are on one of several lists."""

    def __init__(self, cursors: Sequence[Cursor]) -> None:
        super().__init__()
        self._cursors = cursors

    @property
    def postings(self) -> Sequence[Entity]:
        """As in Cursor."""
        return [entity for cursor in self._cursors for entity in cursor.postings]

    @property
    def complete(self) -> bool:
        """As in Cursor."""
        return all(cursor.complete for cursor in self._cursors)

    @property
    def extent(self) -> Extent:
        """As in Cursor."""
        return Extent.of_all([cursor.extent for cursor in self._cursors])

    def is_ready(self, sort_key: str) -> bool:
        """As in Cursor."""
        return all(cursor.is_ready(sort_key) for cursor in self._cursors)

    async def seek(self, sort_key: str) -> Entity | None:
        """As in Cursor."""
        waiting = [cursor for cursor in self._cursors if not cursor.is_ready(sort_key)]
        if len(waiting) > 1:
            await asyncio.gather(*(cursor.seek(sort_key) for cursor in waiting))
        found = [entity for cursor in self._cursors if (entity := await cursor.seek(sort_key)) is not None]
        return min(found, key=entry_key, default=None)


async def open_source(shard: Shard, source: ListUnion, top: int) -> Cursor:
    """The cursor of a source, its first pages (of `top` rows) read. Raises TooLarge, TooManyValues."""
    parts = await asyncio.gather(*(_open_part(shard, source.kind, part, top) for part in source.parts))
    cursors = [cursor for part in parts for cursor in part]
    return cursors[0] if len(cursors) == 1 else UnionCursor(cursors)


async def _open_part(shard: Shard, kind: Kind, part: Part | DistinctValues, top: int) -> list[Cursor]:
    if isinstance(part, PostingList):
        cursor = ListCursor(shard, kind, part.code, part.value)
        await cursor.open(top)
        return [cursor]
    lists: Sequence[Part | DistinctValues]
    if isinstance(part, DistinctValues):
        lists = await _values_between(shard, kind, part)
    else:
        page = await shard.page(kind, part.low, part.high, shard.limits.largest_page)
        if page.next_row_key is None:
            return [Cursor(page.entities)]
        lists = part.cover
    opened = await asyncio.gather(*(_open_part(shard, kind, item, top) for item in lists))
    return [cursor for cursors in opened for cursor in cursors]


async def _values_between(shard: Shard, kind: Kind, part: DistinctValues) -> list[PostingList]:
    """The values that occur, found by seeking past each one."""
    found: list[PostingList] = []
    low: str | None = part.low
    while low is not None:
        page = await shard.page(kind, low, part.high, 1)
        low = page.next_row_key
        for entity in page.entities:
            if len(found) == shard.limits.distinct_values:
                raise TooManyValues
            code, value = value_of(entity.row_key)
            found.append(PostingList(code, value))
            low = low and value_range(code, value)[1]
    return found
