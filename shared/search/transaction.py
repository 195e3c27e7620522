"""PS3.18 §10.6.2 Search: candidates of the index, each verified on its study's own rows, in order, one page of them.

Order (QIDO-40, storage §6.5): studies newest first. Series and instances newest first as well, over all studies, while
what has to be read for that is at most 5,000 rows; above that by study, newest study first, and newest first in each.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import batched, product

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.errors import Unavailable
from shared.index.lookup import InstanceLookup
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import SOP_INSTANCE_UID
from shared.index_schema.postings import Posting
from shared.index_schema.study_lists import StudyOrder
from shared.index_search.limits import DEFAULT_LIMITS, SearchLimits
from shared.index_search.merge import Candidate, Candidates, find_candidates
from shared.index_search.scan import Effort, Shard
from shared.index_search.sources import named_uids
from shared.memory_budget import Lease
from shared.search.changing import ChangingStudies
from shared.search.completion import Completion
from shared.search.covered import covered_studies
from shared.search.date_order import DatedRow, dated_rows, position_of
from shared.search.older_rows import OlderRows
from shared.search.planner import plan
from shared.search.reads import PARALLEL, Reads
from shared.search.request import SearchQuery
from shared.search.result import SearchResult
from shared.search.verification import is_instance_match, is_match, matching_series, row_judge
from shared.storage.ports import BlobNotFound, BlobStore, TableStore

_ROWS_OF_A_STUDY = 3
"""Its posting, anchor and summary."""

_STUDIES_AT_ONCE = 8
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class SearchPorts:
    """The sources of a search."""

    tables: TableStore
    lookup: InstanceLookup
    blobs: BlobStore
    shards: int
    study_lists: Callable[[], Awaitable[bool]]
    """Whether the store has study lists."""
    clock: Callable[[], float]
    """Seconds; only differences count."""
    limits: SearchLimits = DEFAULT_LIMITS
    changing: ChangingStudies = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "changing", ChangingStudies(self.clock))


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of results."""

    results: Sequence[SearchResult]
    more: bool
    """Whether there are results beyond the page."""


async def search(
    ports: SearchPorts, partition: Partition, query: SearchQuery, lease: Lease, *, character_set_as_stored: bool = False
) -> SearchPage:
    """The page of results that `query` asks for; `lease` is memory for them, until there is a response.

    Raises TooLarge when no index serves it (S-5), or when the results are too large.
    """
    custom = query.schema.custom.values() if query.within else ()
    hidden = frozenset(each.key for each in custom if each.vr == "UI")
    reads = Reads(ports.lookup, ports.blobs, partition, within=query.within, hidden=hidden)
    found = await _covered(ports, partition, query, reads)
    if found is None:
        found = await _Search(ports, partition, query, reads).results(query.limit + 1)
    completion = Completion(reads, query, lease, character_set_as_stored=character_set_as_stored)
    return SearchPage(await completion.complete(found[: query.limit]), more=len(found) > query.limit)


async def _covered(
    ports: SearchPorts, partition: Partition, query: SearchQuery, reads: Reads
) -> list[SearchResult] | None:
    """The studies of the page and one more, from the study lists; None if these cannot tell."""
    if query.level != "study" or plan(query).studies is not None or not await ports.study_lists():
        return None
    views = await covered_studies(
        ports.tables,
        reads,
        partition.namespace,
        query,
        changing=ports.changing,
        shards=ports.shards,
        limits=ports.limits,
    )
    return None if views is None else [SearchResult(view) for view in views]


@dataclass(frozen=True, slots=True)
class _Named:
    """A study to look at."""

    study_instance_uid: str
    sort_key: str = ""
    """The study that is meant is the one with this sort key; '' for whichever is there now."""
    instances: frozenset[tuple[str, str]] | None = None
    """Series and SOP Instance UIDs that may match; None for any."""

    @staticmethod
    def by(candidate: Candidate) -> "_Named":
        """The study of a candidate."""
        postings = [Posting.parse(entity) for entity in candidate.postings]
        instances = frozenset(
            (posting.series_instance_uid, posting.sop_instance_uid)
            for posting in postings
            if candidate.whole and posting.series_instance_uid and posting.sop_instance_uid
        )
        return _Named(postings[0].study_instance_uid, candidate.sort_key, instances or None)


@dataclass(frozen=True, slots=True)
class _Found:
    """A study that matches, as far as study and series can tell, with its matching series, newest first."""

    view: StudyView
    series: Sequence[SeriesView]
    instances: frozenset[tuple[str, str]] | None
    """Series and SOP Instance UIDs that may match; None for any."""

    @property
    def count(self) -> int:
        return sum(series.instances for series in self.series)


class _Search:
    """One search under way."""

    def __init__(self, ports: SearchPorts, partition: Partition, query: SearchQuery, reads: Reads) -> None:
        self._ports = ports
        self._reads = reads
        self._partition = partition
        self._query = query
        self._plan = plan(query)
        self._limits = ports.limits
        self._effort = Effort(ports.clock, self._plan.bounded, ports.limits)
        self._older = OlderRows(reads, query, self._effort)
        self._candidates = Candidates.of(())
        self._shards: Sequence[Shard] = ()
        self._ready: deque[_Found] = deque()
        self._wasted = 0
        self._most_sorted = ports.limits.sorted_rows // (_ROWS_OF_A_STUDY + 1)
        self._sop_instances = next(
            (named_uids(item.match) for item in query.at("instance") if item.key == SOP_INSTANCE_UID), None
        )

    async def results(self, count: int) -> list[SearchResult]:
        """`count` results from the offset on; fewer at the end."""
        if self._plan.studies is not None:
            named = await self._verified([_Named(study) for study in dict.fromkeys(self._plan.studies)])
            self._ready.extend(sorted(named, key=lambda found: found.view.sort_key))
        else:
            names = (keys.posting_partition(number, self._partition.namespace) for number in range(self._ports.shards))
            self._shards = [Shard(self._ports.tables, name, self._effort) for name in names]
            want = self._query.offset + count if self._query.level == "study" else self._most_sorted
            self._candidates = await find_candidates(
                self._shards,
                self._plan.sources,
                "idx",
                fits=row_judge(self._query),
                unserved=self._plan.bounded,
                want=want,
            )
        if self._query.level == "study":
            by_date = self._query.order is not StudyOrder.STORED
            return await (self._studies_by_date(count) if by_date else self._studies(count))
        return await self._below_studies(count)

    # ---- studies

    async def _studies(self, count: int) -> list[SearchResult]:
        skip = self._query.offset
        if self._plan.exact and skip > self._limits.verified_skips:
            await self._candidates.drop(skip)
            skip = 0
        results: list[SearchResult] = []
        while len(results) < count:
            studies = await self._next(min(PARALLEL, max(8, skip + count - len(results))))
            if studies is None:
                break
            results += [SearchResult(found.view) for found in studies[skip:]]
            skip = max(0, skip - len(studies))
        return results[:count]

    async def _studies_by_date(self, count: int) -> list[SearchResult]:
        """Studies in the order of their dates, which no list has: all candidates are read, or all rows of a list."""
        offset, end = self._query.offset, self._query.offset + count
        if self._plan.studies is not None or (self._plan.sources and await self._are_few(self._most_sorted + 1)):
            found: list[_Found] = []
            while (studies := await self._next(PARALLEL)) is not None:
                found += studies
            found.sort(key=lambda each: position_of(each.view, self._query.order))
            return [SearchResult(each.view) for each in found[offset:end]]
        rows = await dated_rows(self._shards, self._query.order, self._effort, row_judge(self._query))
        known = frozenset(rows)
        results: dict[str, SearchResult] = {}
        for batch in batched(rows, PARALLEL, strict=False):
            if len(results) >= end:
                break
            views = await asyncio.gather(*(self._view(row.study_instance_uid) for row in batch))
            for row, view in zip(batch, views, strict=True):
                if view and is_match(view, self._query):
                    here = DatedRow(position_of(view, self._query.order), row.study_instance_uid)
                    # A row that is out of date, if the study has one where it belongs: else it has moved meanwhile.
                    if here == row or here not in known:
                        results.setdefault(row.study_instance_uid, SearchResult(view))
        return list(results.values())[offset:end]

    async def _next(self, count: int) -> list[_Found] | None:
        """The matches among the next `count` candidates; None at the end."""
        if self._ready:
            return [self._ready.popleft() for _ in range(min(count, len(self._ready)))]
        candidates = await self._candidates.take(count)
        return await self._verified([*map(_Named.by, candidates)]) if candidates else None

    async def _verified(self, candidates: Sequence[_Named]) -> list[_Found]:
        self._effort.allow()
        views = await asyncio.gather(*(self._view(candidate.study_instance_uid) for candidate in candidates))
        self._effort.rows += len(candidates)
        found = [
            match
            for candidate, view in zip(candidates, views, strict=True)
            if view and (match := self._found(candidate, view))
        ]
        self._wasted += len(candidates) - len(found)
        if self._wasted > self._limits.wasted_reads:
            self._candidates.narrow()
        return found

    async def _view(self, study: str) -> StudyView | None:
        """A study, with what its rows are too old to say."""
        for _ in range(_ATTEMPTS):
            view = await self._reads.study(study)
            try:
                return await self._older.study(view) if view else None
            except BlobNotFound:  # replaced or erased while we looked
                continue
        raise Unavailable("The study changes too fast to be searched")

    def _found(self, candidate: _Named, view: StudyView) -> _Found | None:
        if candidate.sort_key not in ("", view.sort_key) or not is_match(view, self._query):
            return None
        series = matching_series(view, self._query)
        if not series and self._query.level != "study":
            return None
        instances = candidate.instances
        if self._sop_instances is not None and len(series) * len(self._sop_instances) <= self._limits.point_reads:
            uids = (item.series_instance_uid for item in series)
            instances = frozenset(product(uids, self._sop_instances))
        return _Found(view, series, instances)

    # ---- series and instances

    async def _below_studies(self, count: int) -> list[SearchResult]:
        studies: list[_Found] = []
        rows = 0
        if await self._are_few(self._query.offset + count):
            while rows <= self._limits.sorted_rows and (batch := await self._next(PARALLEL)) is not None:
                studies += batch
                rows += sum(map(self._rows, batch))
            if rows <= self._limits.sorted_rows:
                below = await asyncio.gather(*map(self._below, studies))
                results = sorted((result for results in below for result in results), key=_age)
                return results[self._query.offset : self._query.offset + count]
        self._ready.extendleft(reversed(studies))
        return await self._by_study(count)

    async def _are_few(self, needed: int) -> bool:
        """Whether all candidates, of which at least `needed` must be looked at, can be read to sort what is below them.

        The answer depends on nothing but what is stored, so that all pages of a search agree. Finding it out reads few
        rows of the index beyond those that may be sorted.
        """
        most, start = self._most_sorted, self._effort.rows
        known: list[Candidate] = []
        ask = min(needed, most + 1)
        while len(known) <= most and self._effort.rows - start <= self._limits.sorted_rows:
            taken = await self._candidates.take(ask)
            known += taken
            if len(taken) < ask:
                break
            ask = PARALLEL
        self._candidates.put_back(known)
        return len(known) <= most and self._effort.rows - start <= self._limits.sorted_rows

    def _rows(self, found: _Found) -> int:
        rows = _ROWS_OF_A_STUDY + len(found.view.series)
        return rows + found.count if self._query.level == "instance" else rows

    async def _by_study(self, count: int) -> list[SearchResult]:
        skip = self._query.offset
        results: list[SearchResult] = []
        while len(results) < count and (studies := await self._next(_STUDIES_AT_ONCE)) is not None:
            expected = 0
            chosen: list[_Found] = []
            for position, found in enumerate(studies):
                if expected >= skip + count - len(results):
                    self._ready.extendleft(reversed(studies[position:]))
                    break
                size = self._size(found)
                if not chosen and size is not None and size <= skip:
                    skip -= size
                else:
                    chosen.append(found)
                    expected += size or 0
            for below in await asyncio.gather(*map(self._below, chosen)):
                results += below[skip:]
                skip = max(0, skip - len(below))
        return results[:count]

    def _size(self, found: _Found) -> int | None:
        """The number of results of the study; None if only its instances can tell."""
        if self._query.level == "series":
            return len(found.series)
        return None if self._query.at("instance") else found.count

    async def _below(self, found: _Found) -> list[SearchResult]:
        """The results that a study has, newest first."""
        if self._query.level == "series":
            return [SearchResult(found.view, series) for series in found.series]
        series = {item.series_instance_uid: item for item in found.series}
        results = [
            SearchResult(found.view, series[instance.identifier.series_instance_uid], instance)
            for instance in await self._complete(await self._instances(found))
            if instance.identifier.series_instance_uid in series and is_instance_match(instance, self._query)
        ]
        return sorted(results, key=_age)

    async def _complete(self, instances: Sequence[StoredInstance]) -> list[StoredInstance]:
        """Those that are still there, with what their rows are too old to say."""
        completed = await asyncio.gather(*map(self._older.instance, instances))
        return [instance for instance in completed if instance]

    async def _instances(self, found: _Found) -> list[StoredInstance]:
        """The instances of the matching series of a study, or those that may match, if they are named."""
        study = found.view.study_instance_uid
        if found.instances is not None:
            identifiers = (InstanceIdentifier(study, *uids) for uids in sorted(found.instances))
            named = await asyncio.gather(*(self._reads.instance(item, metadata=False) for item in identifiers))
            return [instance for instance in named if instance]
        scopes = [ResourceIdentifier(study, item.series_instance_uid) for item in found.series]
        if len(scopes) == len(found.view.series):
            scopes = [ResourceIdentifier(study)]
        read = await asyncio.gather(*(self._reads.instances(scope, metadata=False) for scope in scopes))
        self._effort.rows += sum(map(len, read))
        return [instance for instances in read for instance in instances]


def _age(result: SearchResult) -> str:
    """Ascending is newest first (QIDO-40)."""
    if result.instance:
        return keys.newest_first(result.instance.version)
    return result.series.sort_key if result.series else result.study.sort_key
