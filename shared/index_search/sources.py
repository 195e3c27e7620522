"""Which lists of an index stand for a matching key (storage §6.2, §6.3). Pure.

Every source is a superset of what its key selects: whatever is on all sources of a query is a candidate, which is then
verified by all keys.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from shared.dicom import person_names
from shared.dicom.matching import (
    FIRST,
    LAST,
    AnyOf,
    AttributeMatch,
    Between,
    Equal,
    Like,
    NameEqual,
    NameLike,
    NameWords,
    Number,
    as_single,
    literal_prefix,
)
from shared.index_schema import keys
from shared.index_schema.postings import NUMBERS, prefix_range, value_range, values_range
from shared.index_search.date_cover import date_cover
from shared.storage.ports import Kind

MAX_COVER = 16
"""Most lists that stand for a range of dates; a wider range is rounded up to months, years or decades."""

MAX_UNION = 128
"""Most alternatives of a matching key whose lists are read side by side."""


@dataclass(frozen=True, slots=True)
class PostingList:
    """The postings of one value: newest first."""

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
    """A union of lists: everything that the matching key selects is on one of them."""

    parts: tuple[Part, ...]
    rank: int
    """The selectivity of keys of its kind; 0 is the most selective."""
    kind: Kind = "idx"


def named_uids(match: AttributeMatch) -> tuple[str, ...] | None:
    """The UIDs of which the key wants any; None if it says something else."""
    alternatives = match.alternatives if isinstance(match, AnyOf) else (match,)
    uids = [alternative.value for alternative in alternatives if isinstance(alternative, Equal)]
    return tuple(uids) if len(uids) == len(alternatives) else None


def sources(vr: str, codes: tuple[str, ...], match: AttributeMatch, kind: Kind, rank: int) -> list[ListUnion]:
    """The sources that stand for a matching key of an attribute of that VR: all of them hold; none if no list can.

    `codes`: the lists of its attribute that are complete, in the tables of that kind. `rank` as in
    ListUnion.
    """
    if not codes:
        return []
    if not isinstance(match, AnyOf):
        return [ListUnion(parts, rank, kind) for parts in _parts(vr, codes, match)]
    if len(match.alternatives) > MAX_UNION:
        return []
    union: list[Part] = []
    for alternative in match.alternatives:
        found = _parts(vr, codes, alternative)
        if not found:
            return []
        union += found[0]
    return [ListUnion(tuple(dict.fromkeys(union)), rank, kind)]


def _parts(vr: str, codes: tuple[str, ...], match: AttributeMatch) -> list[tuple[Part, ...]]:
    """The lists of a matching key, the best first; what it selects is on all of them."""
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
