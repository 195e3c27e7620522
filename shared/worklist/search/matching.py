"""PS3.4 §C.2.2.2 Matching of workitems by keys (worklist §9). Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from shared.dicom.elements import items
from shared.dicom.matching import AttributeMatch
from shared.workitems import searchable
from shared.worklist.search.request import Filter

type _Condition = tuple[str, AttributeMatch]
"""A path, and what a value there has to meet."""


def is_match(attributes: Mapping[str, Any], filters: Sequence[Filter]) -> bool:
    """Whether a data set meets all matching keys: of a sequence one item has to meet all keys that are about it
    (PS3.4 §C.2.2.2.6, WQ-10). One without items is like one with an item that has no attributes.
    """
    return _meets(attributes, [(each.key.path, each.match) for each in filters])


def _meets(attributes: Mapping[str, Any], conditions: Sequence[_Condition]) -> bool:
    within: defaultdict[str, list[_Condition]] = defaultdict(list)
    for path, match in conditions:
        tag, _, nested = path.partition(".")
        if nested:
            within[tag].append((nested, match))
        elif not match.matches(next(iter(searchable.texts(attributes, tag)), None)):
            return False
    return all(any(_meets(item, nested) for item in items(attributes, tag) or [{}]) for tag, nested in within.items())


def may_match(path: str, match: AttributeMatch, texts: Sequence[str]) -> bool:
    """Whether an attribute with these values, all that there are, may meet a matching key. Of a sequence it is not
    known which item has which, and whether there is one that has none.
    """
    return any(map(match.matches, texts)) or ((not texts or "." in path) and match.matches(None))
