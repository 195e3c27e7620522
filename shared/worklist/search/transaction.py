"""PS3.18 §11.9 Search Transaction: matching keys lead to lists, and these to workitems (storage §11)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Final

from shared.dicom.matching import NOTHING, Equal, Universal
from shared.errors import TooLarge
from shared.index_search.limits import DEFAULT_LIMITS, SearchLimits
from shared.index_search.merge import Candidate, Candidates, find_candidates
from shared.index_search.scan import Effort, Shard
from shared.index_search.sources import ListUnion, PostingList, named_uids, sources
from shared.storage.ports import Entity, TableStore
from shared.workitems import rows
from shared.workitems.store import Workitems
from shared.workitems.workitem import SOP_INSTANCE_UID, Workitem
from shared.worklist.search.matching import is_match, may_match
from shared.worklist.search.request import Filter, WorklistQuery

_PARALLEL: Final = 32
"""Workitems that are read side by side."""
_SHORT: Final = 60
"""Characters of a value that is not cut in a key, however it is escaped."""
_LARGEST_ANSWER: Final = 32 * 1024**2
"""Bytes of rows that one page of results is made of."""


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """One page of results, newest creation first."""

    workitems: Sequence[Workitem]
    changed: bool = False
    """Whether a workitem that had matched was changed meanwhile and is left out (WQ-3)."""


@dataclass(frozen=True, slots=True)
class WorklistSearch:
    """Searches of the worklist. `clock`: seconds, of which only differences count."""

    tables: TableStore
    workitems: Workitems
    clock: Callable[[], float]
    limits: SearchLimits = DEFAULT_LIMITS

    async def page(self, namespace: str, query: WorklistQuery) -> WorklistPage:
        """The page of results that `query` asks for. Raises TooLarge, also when no list serves its keys (S-5)."""
        filters = [item for item in query.filters if not isinstance(item.match, Universal)]
        if any(item.match == NOTHING for item in filters):
            return WorklistPage(())
        for item in filters:
            if item.key.path == SOP_INSTANCE_UID and (uids := named_uids(item.match)) is not None:
                return await self._named(namespace, uids, query)
        return await self._listed(namespace, filters, query)

    async def _named(self, namespace: str, uids: Sequence[str], query: WorklistQuery) -> WorklistPage:
        """The workitems of these UIDs that match."""
        found: list[Workitem] = []
        for some in batched(dict.fromkeys(uids), _PARALLEL, strict=False):
            read = await asyncio.gather(*(self.workitems.get(namespace, uid) for uid in some))
            found += (each.workitem for each in read if each and is_match(each.workitem.attributes, query.filters))
        found.sort(key=lambda workitem: workitem.sort_key)
        return WorklistPage(found[query.offset : query.offset + query.limit])

    async def _listed(self, namespace: str, filters: Sequence[Filter], query: WorklistQuery) -> WorklistPage:
        served: list[ListUnion] = []
        unserved = False
        for item in filters:
            stands = sources(item.key.vr, item.key.codes, item.match, rows.TABLE, item.key.rank)
            served += stands
            unserved = unserved or not stands
        effort = Effort(self.clock, unserved, self.limits)
        shards = [Shard(self.tables, key, effort) for key in rows.partition_keys(namespace)]
        candidates = await find_candidates(
            shards,
            sorted(served, key=lambda source: source.rank),
            rows.TABLE,
            fits=_row_judge(filters) if filters else None,
            unserved=unserved,
            want=query.offset + query.limit,
        )
        skip = query.offset
        if skip > self.limits.verified_skips:
            if _is_exact(filters, served):
                await candidates.drop(skip)
                skip = 0
            else:
                effort.bounded = True
        return await self._verified(namespace, candidates, query, effort, skip)

    async def _verified(
        self, namespace: str, candidates: Candidates, query: WorklistQuery, effort: Effort, skip: int
    ) -> WorklistPage:
        size = wasted = 0
        changed = False
        found: list[Workitem] = []
        while len(found) < query.limit:
            wanted = min(_PARALLEL, skip + query.limit - len(found))
            if not (taken := await candidates.take(wanted)):
                break
            effort.allow()
            read = await asyncio.gather(*(self._read(namespace, candidate) for candidate in taken))
            effort.rows += len(taken)
            for candidate, row in zip(taken, read, strict=True):
                workitem = (await self.workitems.read(row)).workitem if row else None
                if workitem is not None and is_match(workitem.attributes, query.filters):
                    if skip:
                        skip -= 1
                        continue
                    found.append(workitem)
                    size += _size(row)
                    if size > _LARGEST_ANSWER:
                        raise TooLarge(
                            "The answer would be too large.", where="query string", remedy="Ask for less with `limit`."
                        )
                    continue
                wasted += 1
                # Lists of beginnings and of periods hold more than what matches; a posting that is gone was right once.
                changed = changed or row is None or candidate.postings[0].row_key not in rows.posting_keys_of(row)
            if wasted > self.limits.wasted_reads:
                candidates.narrow()
        return WorklistPage(found, changed)

    async def _read(self, namespace: str, candidate: Candidate) -> Entity | None:
        uid = rows.uid_of(candidate.postings[0])
        row = await self.tables.get(rows.TABLE, rows.partition_key(namespace, uid), rows.workitem_key(uid))
        return None if row is None or rows.is_removed(row) else row


def _is_exact(filters: Sequence[Filter], served: Sequence[ListUnion]) -> bool:
    """Whether candidates are results: postings of workitems are never out of date, so that one list says it all."""
    if not filters:
        return True
    match = filters[0].match
    return (
        len(filters) == len(served) == 1
        and isinstance(match, Equal)
        and len(match.value) < _SHORT
        and all(isinstance(part, PostingList) for part in served[0].parts)
    )


def _size(row: Entity | None) -> int:
    return sum(len(value) for value in row.properties.values() if isinstance(value, bytes)) if row else 0


def _row_judge(filters: Sequence[Filter]) -> Callable[[Entity], bool]:
    """Judges a row of the list of everything by the values that it carries."""

    def fits(entity: Entity) -> bool:
        carried: Mapping[str, Sequence[str]] = rows.carried_by(entity)
        return all(
            may_match(item.key.path, item.match, carried[item.key.path]) for item in filters if item.key.path in carried
        )

    return fits
