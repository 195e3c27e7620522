"""The labels that studies have, counted on their postings (SEL-3): bounded, whatever is stored.

A posting is removed with its label, and with its study a moment after it was deleted. Each shard is read by itself; of
a label that very many studies have no more than 5,000 are counted there, and the walk goes on behind it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.index_schema import keys
from shared.index_schema.labels import CODE, folded
from shared.index_schema.postings import prefix_range, value_of, value_range
from shared.storage.ports import TableStore

_PAGE: Final = 1000
_PAGES_OF_A_LABEL: Final = 5
_PAGES: Final = 50
"""Of one shard: 50,000 rows, as a search without a list may read (S-5)."""


@dataclass(slots=True)
class LabelUse:
    """A label, as the study that got it last spells it, and the studies that have it."""

    label: str = field(repr=False)
    studies: int = 0
    more: bool = False
    """Whether there are more than were counted."""


@dataclass(frozen=True, slots=True)
class LabelsInUse:
    """The labels of a data partition, by their names."""

    labels: Sequence[LabelUse]
    whole: bool
    """Whether these are all."""


async def labels_in_use(tables: TableStore, namespace: str, *, shards: int) -> LabelsInUse:
    """The labels that studies of a data partition have. Raises Unavailable."""
    places = [keys.posting_partition(number, namespace) for number in range(shards)]
    found = await asyncio.gather(*(_of_shard(tables, place) for place in places))
    together: dict[str, LabelUse] = {}
    for uses, _ in found:
        for name, use in uses.items():
            known = together.setdefault(name, LabelUse(use.label))
            known.studies += use.studies
            known.more = known.more or use.more
    labels = [together[name] for name in sorted(together)]
    return LabelsInUse(labels, all(whole for _, whole in found))


async def _of_shard(tables: TableStore, place: str) -> tuple[Mapping[str, LabelUse], bool]:
    uses: dict[str, LabelUse] = {}
    low, high = prefix_range(CODE, "")
    start = low
    of_value = ("", 0)
    for _ in range(_PAGES):
        page = await tables.page("idx", place, start, high, top=_PAGE, select=("label",))
        for posting in page.entities:
            label = str(posting.properties["label"])
            uses.setdefault(folded(label), LabelUse(label)).studies += 1
        if page.next_row_key is None:
            return uses, True
        start = page.next_row_key
        code, value = value_of(start)
        of_value = (value, of_value[1] + 1 if of_value[0] == value else 1)
        if of_value[1] > _PAGES_OF_A_LABEL and page.entities:
            uses[folded(str(page.entities[-1].properties["label"]))].more = True
            start = value_range(code, value)[1]
    return uses, False
