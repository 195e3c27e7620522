"""Which lists of the search index answer a query (storage §6.2, §6.3). Pure.

A plan names sources: sorted lists of studies, each a superset of what one matching key selects. Studies that are on all
of them are candidates; every candidate is then verified against its own rows, by all keys. So a plan can be wide but
not wrong, as long as no source misses a study that its key selects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.dicom.matching import NOTHING, AttributeMatch, Between, Empty, Equal, Number, Universal
from shared.index_schema.indexed_attributes import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from shared.index_search.sources import ListUnion, PostingList, named_uids, sources
from shared.search.label_key import label_source
from shared.search.request import Filter, SearchQuery
from shared.storage.ports import Kind

_RANKS: Final[Mapping[str, int]] = {
    "iu": 0,
    "su": 0,
    "an": 1,
    "pi": 1,
    "ps": 1,
    "rp": 1,
    "pn": 2,
    "si": 2,
    "mo": 4,
    "mm": 4,
    "sn": 4,
}
"""The selectivity of lists, by their codes."""
_USUAL_RANK: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """The way to the candidates of a query."""

    studies: tuple[str, ...] | None = None
    """Read these studies and nothing else."""
    sources: tuple[ListUnion, ...] = ()
    """None: walk the list of all studies."""
    unserved: tuple[Filter, ...] = ()
    """Matching keys that no source stands for."""
    exact: bool = False
    """Candidates are results, but for postings that are out of date."""

    @property
    def bounded(self) -> bool:
        """Whether the search has to look at studies that do not match, without limit but its own (S-5)."""
        return bool(self.unserved)


def plan(query: SearchQuery) -> Plan:
    """The plan of `query`."""
    filters = [item for item in query.filters if not isinstance(item.match, Universal)]
    if any(_selects_nothing(item) for item in filters):
        return Plan(studies=())
    if query.study is not None:
        return Plan(studies=(query.study,))
    shared = query.within.studies if query.within else None
    for item in filters:
        if item.key == STUDY_INSTANCE_UID and (uids := named_uids(item.match)) is not None:
            return Plan(studies=tuple(uid for uid in uids if shared is None or uid in shared))
    if shared is not None:
        return Plan(studies=tuple(sorted(shared)))
    labels = None if isinstance(query.labels, Universal) else query.labels
    served: list[ListUnion] = [label_source(labels)] if labels else []
    unserved: list[Filter] = []
    for item in filters:
        kind: Kind = "idxi" if item.attribute.level == "instance" else "idx"
        codes = query.schema.lists(item.key)
        rank = _RANKS.get(codes[0], _USUAL_RANK) if codes else _USUAL_RANK
        found = sources(item.attribute.vr, codes, item.match, kind, rank)
        served += found
        if not found:
            unserved.append(item)
    matches = [*([labels] if labels else ()), *(item.match for item in filters)]
    return Plan(
        sources=tuple(sorted(served, key=lambda source: source.rank)),
        unserved=tuple(unserved),
        exact=query.level == "study" and not unserved and (not served or _is_one_list(matches, served)),
    )


def _is_one_list(matches: Sequence[AttributeMatch], served: Sequence[ListUnion]) -> bool:
    """Whether one list of postings says it all."""
    if len(matches) > 1 or len(served) > 1 or len(served[0].parts) > 1:
        return False
    return isinstance(served[0].parts[0], PostingList) and isinstance(matches[0], Equal | Between | Number)


def _selects_nothing(item: Filter) -> bool:
    is_uid = item.key in {STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID}
    return item.match == NOTHING or (is_uid and isinstance(item.match, Empty))
