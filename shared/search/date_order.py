"""Studies by StudyDate where no list has that order: the rows of the list of all studies are sorted (B-23, S-5)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.index.model import StudyView
from shared.index_schema.postings import Posting
from shared.index_schema.study_lists import StudyOrder, position
from shared.index_search.scan import Effort, Shard, WholeListCursor
from shared.storage.ports import Entity


@dataclass(frozen=True, slots=True, order=True)
class DatedRow:
    """A study in the list of all studies. While its values change it may have two; one of them is where it belongs."""

    position: str
    study_instance_uid: str


def position_of(view: StudyView, order: StudyOrder) -> str:
    """Where a study stands in an order."""
    return position(order, view.attributes, view.sort_key)


async def dated_rows(
    shards: Sequence[Shard], order: StudyOrder, effort: Effort, fits: Callable[[Entity], bool] | None
) -> list[DatedRow]:
    """The studies whose rows fit, in that order. Raises TooLarge when there are more rows than may be read."""
    effort.bounded = True
    found: set[DatedRow] = set()

    async def read(shard: Shard) -> None:
        cursor = WholeListCursor(shard, "idx", fits)
        await cursor.open(shard.limits.largest_page)
        async for entity in cursor.rest():
            posting = Posting.parse(entity)
            place = position(order, posting.attributes or {}, posting.sort_key)
            found.add(DatedRow(place, posting.study_instance_uid))

    await asyncio.gather(*map(read, shards))
    return sorted(found)
