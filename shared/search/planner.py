"""Which lists of the search index answer a query (storage §6.2, §6.3). Pure.

A plan names sources: sorted lists of studies, each a superset of what one matching key selects. Studies that are on all
of them are candidates; every candidate is then verified against its own rows, by all keys. So a plan can be wide but
not wrong, as long as no source misses a study that its key selects.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from shared.dicom import person_names
from shared.dicom.matching import (
    FIRST,
    LAST,
    NOTHING,
    AnyOf,
    AttributeMatch,
    Between,
    Empty,
    Equal,
    Like,
    NameEqual,
    NameLike,
    NameWords,
    Number,
    Universal,
    as_single,
    literal_prefix,
)
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from shared.index_schema.postings import NUMBERS, prefix_range, value_range, values_range
from shared.search.date_cover import date_cover
from shared.search.limits import SearchLimits
from shared.search.request import Filter, SearchQuery
from shared.storage.ports import Kind

MAX_COVER = 16
"""Most lists that stand for a range of dates; a wider range is rounded up to months, years or decades."""

MAX_UNION = 128
"""Most alternatives of a matching key whose lists are read side by side."""


@dataclass(frozen=True, slots=True)
class PostingList:
    """The postings of one value: newest study first."""

    code: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DistinctValues:
    """The lists of all values that occur in a range of rows; too many of them cannot be used."""

    low: str = field(repr=False)
    high: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of rows in no useful order: taken whole if it is short, else replaced by the lists of `cover`."""

    low: str = field(repr=False)
    high: str = field(repr=False)
    cover: tuple[PostingList | DistinctValues, ...]


type Part = PostingList | Span


@dataclass(frozen=True, slots=True)
class ListUnion:
    """A union of lists: every study that the matching key selects is on one of them."""

    parts: tuple[Part, ...]
    rank: int
    """The selectivity of keys of its kind; 0 is the most selective."""
    kind: Kind = "idx"


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
    for item in filters:
        if item.key == STUDY_INSTANCE_UID and (uids := named_uids(item.match)) is not None:
            return Plan(studies=uids)
    sources: list[ListUnion] = []
    unserved: list[Filter] = []
    for item in filters:
        found = list(_sources(item, query.schema.lists(item.key)))
        sources += found
        if not found:
            unserved.append(item)
    return Plan(
        sources=tuple(sorted(sources, key=lambda source: source.rank)),
        unserved=tuple(unserved),
        exact=query.level == "study" and not unserved and (not sources or _is_one_list(filters, sources)),
    )


def _is_one_list(filters: Sequence[Filter], sources: Sequence[ListUnion]) -> bool:
    """Whether one list of postings says it all."""
    if len(filters) > 1 or len(sources) > 1 or len(sources[0].parts) > 1:
        return False
    return isinstance(sources[0].parts[0], PostingList) and isinstance(filters[0].match, Equal | Between | Number)


def _selects_nothing(item: Filter) -> bool:
    is_uid = item.key in {STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID}
    return item.match == NOTHING or (is_uid and isinstance(item.match, Empty))


def named_uids(match: AttributeMatch) -> tuple[str, ...] | None:
    """The UIDs of which the key wants any; None if it says something else."""
    alternatives = match.alternatives if isinstance(match, AnyOf) else (match,)
    uids = [alternative.value for alternative in alternatives if isinstance(alternative, Equal)]
    return tuple(uids) if len(uids) == len(alternatives) else None


# -------------------------------------------------------------------------------------------------------- sources

_RANKS = {"iu": 0, "su": 0, "an": 1, "pi": 1, "ps": 1, "rp": 1, "pn": 2, "si": 2, "mo": 4, "mm": 4, "sn": 4}
_USUAL_RANK = 3


def _sources(item: Filter, codes: tuple[str, ...]) -> list[ListUnion]:
    """The sources that stand for a matching key: all of them hold; none if no list can.

    `codes`: the lists of its attribute that are complete.
    """
    if not codes:
        return []
    rank = _RANKS.get(codes[0], _USUAL_RANK)
    kind: Kind = "idxi" if item.attribute.level == "instance" else "idx"
    if not isinstance(item.match, AnyOf):
        return [ListUnion(parts, rank, kind) for parts in _parts(item.attribute.vr, codes, item.match)]
    if len(item.match.alternatives) > MAX_UNION:
        return []
    union: list[Part] = []
    for alternative in item.match.alternatives:
        found = _parts(item.attribute.vr, codes, alternative)
        if not found:
            return []
        union += found[0]
    return [ListUnion(tuple(dict.fromkeys(union)), rank, kind)]


def _parts(vr: str, codes: tuple[str, ...], match: AttributeMatch) -> list[tuple[Part, ...]]:
    """The lists of a matching key, the best first; a study that it selects is on all of them."""
    match match:
        case Equal(value) if vr not in NUMBERS:
            return [(PostingList(codes[0], keys.encode(value)),)]
        case Like(pattern) if prefix := keys.encode(literal_prefix(pattern)):
            low, high = prefix_range(codes[0], prefix)
            return [(Span(low, high, (DistinctValues(low, high),)),)]
        case Number(value, single) if vr in NUMBERS:
            values = {float(value), (as_single(value) if single else None) or float(value)}
            return [tuple(PostingList(codes[0], keys.encode_number(number)) for number in sorted(values))]
        case Between("DA", low, high):
            return [_dates(codes[0], low, high)]
        case Between("TM", low, high):
            return [_times(codes[0], low, high)]
        case Between("DT", low, high):
            return [_moments(codes[0], low, high)]
        case NameEqual(groups):
            return [(PostingList(codes[0], keys.escape(group)),) for group in groups if group]
        case NameLike(groups):
            return _names(codes, [word for group in groups for word in person_names.words(group, keep="*?")])
        case NameWords(words):
            return _names(codes, words)
        case _:
            return []


def _names(codes: tuple[str, ...], words: Iterable[str]) -> list[tuple[Part, ...]]:
    """Lists of names with words that begin as `words` do up to their first wildcard, the longest first.

    That holds for a wildcard match of the whole name too: what follows a separator there follows one in the name.
    """
    _, word_code, prefix_code = codes
    beginnings = sorted({literal_prefix(word) for word in words} - {""}, key=lambda text: (-len(text), text))
    return [(_words(word_code, prefix_code, beginning),) for beginning in beginnings[:3]]


def _words(word_code: str, prefix_code: str, beginning: str) -> Part:
    short = PostingList(prefix_code, keys.escape(beginning[:3]))
    if len(beginning) <= 3:
        return short
    return Span(*prefix_range(word_code, keys.escape(beginning)), (short,))


# ----------------------------------------------------------------------------------------------- dates and times


def _times(code: str, low: str, high: str) -> tuple[Part, ...]:
    hours = range(int(low[:2] or 0), int(high[:2] if high != LAST else 23) + 1)
    cover = tuple(PostingList(code, f"h{hour:02}") for hour in hours)
    return (Span(*values_range(code, f"t{low}", f"t{high}"), cover),)


def _dates(code: str, low: str, high: str) -> tuple[Part, ...]:
    if low == high:
        return (PostingList(code, f"d{low}"),)
    return (Span(*values_range(code, f"d{low}", f"d{high}"), _cover(code, low, high)),)


def _moments(code: str, low: str, high: str) -> tuple[Part, ...]:
    days = _cover(code, low if low == FIRST else low[:8], high if high == LAST else high[:8])
    return (Span(*values_range(code, f"t{low}", f"t{high}"), days),)


def _cover(code: str, low: str, high: str) -> tuple[PostingList | DistinctValues, ...]:
    first = date.min if low == FIRST else _date(low)
    last = date.max if high == LAST else _date(high)
    return tuple(_bucket_lists(code, date_cover(first, last, MAX_COVER)))


def _date(text: str) -> date:
    """A day; the last one of its month for one that the month does not have, as periods of months end with."""
    year, month = int(text[:4]), int(text[4:6])
    return date(year, month, min(int(text[6:]), monthrange(year, month)[1]))


def _bucket_lists(code: str, cover: Iterable[tuple[str, str]]) -> Iterator[PostingList | DistinctValues]:
    for first, last in cover:
        if first == last:
            yield PostingList(code, first)
        else:
            yield DistinctValues(value_range(code, first)[0], value_range(code, last)[1])


# ------------------------------------------------------------------------------------------- after the first pages


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of a list, as its first page tells."""

    rows: int
    complete: bool
    """Whether these are all rows."""
    density: float
    """Rows per millisecond of the time at which studies were created."""

    @staticmethod
    def of_all(extents: Sequence["Extent"]) -> "Extent":
        """Of several lists taken together."""
        return Extent(
            sum(extent.rows for extent in extents),
            all(extent.complete for extent in extents),
            sum(extent.density for extent in extents),
        )


def smallest(extents: Sequence[Extent], limits: SearchLimits) -> int | None:
    """The source with the fewest studies, if they are few."""
    complete = [(extent.rows, position) for position, extent in enumerate(extents) if extent.complete]
    rows, position = min(complete, default=(limits.few + 1, None))
    return position if rows <= limits.few else None


def to_merge(extents: Sequence[Extent], need: int, shards: int, limits: SearchLimits) -> list[int]:
    """The sources to merge, sparsest first, if `need` results are wanted.

    A list that is dense beside the candidates of the sparsest source is left out: reading past its rows would cost more
    than reading the candidates.
    """
    order = sorted(range(len(extents)), key=lambda position: extents[position].density)
    sparsest = extents[order[0]]
    candidates = min(4 * need, sparsest.rows) if sparsest.complete else 4 * need
    window = candidates / (sparsest.density or 1)
    return [
        position
        for position in order
        if position == order[0]
        or extents[position].complete
        or extents[position].density * window / shards <= limits.rows_beside
    ]


def judges_by_list(sparsest: Extent, all_studies: Extent, limits: SearchLimits) -> bool:
    """Whether candidates are judged by the list of all studies first: cheap while few others stand between them."""
    return all_studies.complete or all_studies.density <= limits.rows_per_judgement * sparsest.density
