"""The matching key `Label` of a search: labels of studies (SEL-3). Pure.

It names no attribute, so it is read beside the others. Every label has a list, and what a key selects is on a union of
lists, whatever its wildcards: no search by labels walks through studies without one.
"""

from typing import Final

from shared.dicom.matching import AnyOf, AttributeMatch, Equal, Like, Universal, literal_prefix
from shared.dicomweb.query_parameters import invalid_parameter
from shared.index.model import StudyView
from shared.index_schema import keys
from shared.index_schema.labels import CODE, LONGEST, MOST, folded, is_character, normal
from shared.index_schema.postings import prefix_range
from shared.index_search.sources import DistinctValues, ListUnion, Part, PostingList, Span

NAME: Final = "Label"
_RANK: Final = 3
"""As selective as most attributes."""
_WILDCARDS: Final = "*?"


def is_label_key(name: str) -> bool:
    """Whether a parameter is this key, in whatever case: to ignore a misspelt one would widen the search (D-27)."""
    return name.lower() == NAME.lower()


def parse_labels(value: str) -> AttributeMatch:
    """The value of the key: one of the labels `a,b`, each with or without wildcards. Raises InvalidRequest."""
    parts = [part for text in value.split(",") if (part := normal(text))]
    if not parts:
        raise invalid_parameter(NAME, "It has no value.")
    if len(parts) > MOST:
        raise invalid_parameter(NAME, f"It lists more than {MOST} labels.")
    for part in parts:
        if len(part) > LONGEST or not all(each in _WILDCARDS or is_character(each) for each in part):
            raise invalid_parameter(NAME, "A label has 1 to 64 letters, digits, spaces and -_.: characters.")
    if any(not part.strip("*") for part in parts):
        return Universal()
    alternatives = tuple(dict.fromkeys(_one(part) for part in parts))
    return alternatives[0] if len(alternatives) == 1 else AnyOf(alternatives)


def _one(part: str) -> Equal | Like:
    text = folded(part)
    return Like(text) if any(each in _WILDCARDS for each in text) else Equal(text)


def has_label(view: StudyView, match: AttributeMatch) -> bool:
    """Whether a study has a label that is meant; every study where all are."""
    return isinstance(match, Universal) or any(map(match.matches, view.labels))


def label_source(match: AttributeMatch) -> ListUnion:
    """The lists that stand for the key, unless it is Universal."""
    alternatives = match.alternatives if isinstance(match, AnyOf) else (match,)
    return ListUnion(tuple(dict.fromkeys(map(_part, alternatives))), _RANK)


def _part(match: AttributeMatch) -> Part:
    if isinstance(match, Equal):
        return PostingList(CODE, keys.encode(match.value))
    prefix = keys.encode(literal_prefix(match.pattern)) if isinstance(match, Like) else ""
    low, high = prefix_range(CODE, prefix)
    return Span(low, high, (DistinctValues(low, high),))
