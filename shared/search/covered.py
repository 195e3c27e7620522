"""Studies from the study lists: what is at rest from one row each, the rest from its own rows (storage §6.6)."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from shared.dicom.matching import FIRST, LAST, Between, Universal
from shared.index.covering_rows import unpacked
from shared.index.model import StudyView
from shared.index_schema import study_lists
from shared.index_schema.indexed_attributes import STUDY_DATE
from shared.index_schema.postings import Range
from shared.index_schema.study_lists import StudyOrder
from shared.index_search.limits import SearchLimits
from shared.search.changing import ChangingStudies
from shared.search.date_order import position_of
from shared.search.reads import Reads
from shared.search.request import Filter, SearchQuery
from shared.search.verification import is_match
from shared.storage.ports import TableStore

_MOST_CHANGING = 100
"""So many studies that may be changing are read for a page of all. More cost more than the postings."""
_MOST_CHANGING_BY_DATE = 1000
"""The same in an order that postings do not have."""
_MOST_CHANGING_OF_DATES = 16
"""The same for a range of dates in the order of storing, whose postings cost a request for each study of the range."""
_MOST_OFFSET = 50_000
"""The rows before the page are read, their keys alone."""
_KEYS_ALONE = ("study",)


@dataclass(frozen=True, slots=True)
class _List:
    """Ranges of a list."""

    bounds: Sequence[Range]
    ordered: bool
    """Whether it is one range whose rows are the results, in their order. If not, they are read whole."""
    of_value: bool = False
    """Whether it is that of one value: few studies, as a rule."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A study in a list."""

    position: str
    """In the order of the list."""
    study_instance_uid: str
    view: bytes


class _Moved(Exception):
    """A study is not any more what its row says."""


async def covered_studies(
    tables: TableStore,
    reads: Reads,
    namespace: str,
    query: SearchQuery,
    *,
    changing: ChangingStudies,
    shards: int,
    limits: SearchLimits,
) -> list[StudyView] | None:
    """The studies of the page that `query` asks for and one more if there is one; None if the lists cannot tell."""
    source = _list_for(query)
    if source is None or query.offset > _MOST_OFFSET:
        return None
    most = _most_changing(source, query.order, shards)
    # rule: hints are read before the lists that they make doubtful
    hinted = await changing.of(tables, namespace, most=most)
    if hinted is None:
        return None
    reader = _Reader(tables, study_lists.partition_key(namespace), limits, hinted)
    end = query.offset + query.limit + 1
    if source.ordered:
        listing = reader.first(source.bounds[0], end, query.offset - len(hinted))
    else:
        listing = reader.whole(source.bounds)
    read, rows = await asyncio.gather(asyncio.gather(*map(reads.study, hinted)), listing)
    if rows is None:
        return None
    found = [(position_of(view, query.order), view) for view in read if view and is_match(view, query)]
    try:
        if not source.ordered:
            studies = {row.study_instance_uid: row for row in rows}  # one name may have several rows of a study
            views = await asyncio.gather(*(_view(reads, row) for row in studies.values()))
            found += [(position_of(view, query.order), view) for view in views if is_match(view, query)]
            found.sort(key=lambda each: each[0])
            return [view for _, view in found[query.offset : end]]
        merged: list[tuple[str, StudyView | _Row]] = [*found, *((row.position, row) for row in rows)]
        merged.sort(key=lambda each: each[0])
        page = [each for _, each in merged[query.offset : end]]
        return list(await asyncio.gather(*(_of(reads, each, query) for each in page)))
    except _Moved:
        return None


def _most_changing(source: _List, order: StudyOrder, shards: int) -> int:
    """With more studies that may be changing, the postings answer."""
    if order is not StudyOrder.STORED:
        return _MOST_CHANGING_BY_DATE
    if source.of_value:  # its postings cost little more than a request for each shard
        return shards
    return _MOST_CHANGING if source.ordered else _MOST_CHANGING_OF_DATES


async def _of(reads: Reads, each: StudyView | _Row, query: SearchQuery) -> StudyView:
    if isinstance(each, StudyView):
        return each
    view = await _view(reads, each)
    if position_of(view, query.order) != each.position or not is_match(view, query):
        raise _Moved
    return view


async def _view(reads: Reads, row: _Row) -> StudyView:
    """The study of a row. Raises _Moved."""
    view = unpacked(row.study_instance_uid, row.view) or await reads.study(row.study_instance_uid)
    if view is None:
        raise _Moved
    return view


class _Reader:
    """Reads rows of the lists, those of studies that may be changing left out."""

    def __init__(self, tables: TableStore, partition_key: str, limits: SearchLimits, hinted: Collection[str]) -> None:
        self._tables = tables
        self._partition_key = partition_key
        self._limits = limits
        self._hinted = hinted

    async def first(self, bounds: Range, count: int, keys_alone: int) -> Sequence[_Row] | None:
        """The first `count` rows of a range; fewer at its end. Of the first `keys_alone` no views are needed."""
        rows: list[_Row] = []
        start: str | None = bounds[0]
        while start is not None and len(rows) < count:
            left = keys_alone - len(rows)
            only_keys = left >= self._limits.smallest_page
            top = left if only_keys else count - len(rows) + len(self._hinted)
            select = _KEYS_ALONE if only_keys else None
            start = await self._page((start, bounds[1]), top, rows, select)
        return rows[:count]

    async def whole(self, ranges: Sequence[Range]) -> Sequence[_Row] | None:
        """All rows of the ranges; None if they are many."""
        found = await asyncio.gather(*map(self._whole, ranges))
        return None if None in found else [row for rows in found if rows for row in rows]

    async def _whole(self, bounds: Range) -> Sequence[_Row] | None:
        rows: list[_Row] = []
        start: str | None = bounds[0]
        while start is not None:
            if len(rows) > self._limits.few:
                return None
            start = await self._page((start, bounds[1]), self._limits.few + 1, rows, None)
        return rows

    async def _page(self, bounds: Range, top: int, rows: list[_Row], select: Sequence[str] | None) -> str | None:
        top = min(top, self._limits.largest_page)
        page = await self._tables.page("idx", self._partition_key, *bounds, top=top, select=select)
        for entity in page.entities:
            study, view = str(entity.properties["study"]), entity.properties.get("view")
            # rule: a study that may be changing is read
            if study not in self._hinted:
                position = study_lists.position_in(entity.row_key)
                rows.append(_Row(position, study, view if isinstance(view, bytes) else b""))
        return page.next_row_key


def _list_for(query: SearchQuery) -> _List | None:
    """The list that answers a query; None if none does."""
    if query.labels is not None:  # rows of the lists have no labels
        return None
    filters = [item for item in query.filters if not isinstance(item.match, Universal)]
    if any(item.attribute.since > 1 for item in filters):  # rows of an older schema may not say it
        return None
    for item in filters:
        if ranges := study_lists.matching_ranges(item.key, item.match):
            return _List(ranges, ordered=False, of_value=True)
    dates = [bounds for item in filters if (bounds := _dates(item, query.order))]
    if query.order is StudyOrder.STORED and dates:
        return _List(dates[:1], ordered=False)
    if len(filters) > len(dates):
        return None
    return _List(dates[:1] or (study_lists.order_range(query.order),), ordered=True)


def _dates(item: Filter, order: StudyOrder) -> Range | None:
    """The range of a condition on StudyDate, in the list of the order, or in one by dates."""
    if item.key != STUDY_DATE or not isinstance(item.match, Between):
        return None
    by_date = StudyOrder.EARLIEST_FIRST if order is StudyOrder.STORED else order
    low = None if item.match.low == FIRST else item.match.low
    high = None if item.match.high == LAST else item.match.high
    return study_lists.date_range(by_date, low, high)
