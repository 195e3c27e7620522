"""A process that has not heard of a later schema, and what others have committed under that (storage §8)."""

from dataclasses import replace

import pytest

from shared.index.model import CommitOutcome
from shared.index_schema.schema import IndexSchema
from shared.ingest.index_commit import commit_instances
from tests.builders.service import PARTITION
from tests.fakes.schemas import FixedSchemas
from tests.unit.index.chaos import Crashed
from tests.unit.index.history import LATER
from tests.unit.index.service import IndexService, commits


@pytest.mark.spec("STOW-45")
async def test_what_others_have_committed_under_a_later_schema_is_found_by_that_before_it_counts_as_stored() -> None:
    service = IndexService(schemas=FixedSchemas(LATER))
    other = IndexService(service.stores, schemas=Behind())
    await service.store(replace(service.entry(instance="1.4"), schema=2))
    await service.sequencer.catch_up()
    earlier = replace(service.entry(), metadata=b'{"00180015":{"vr":"CS","Value":["ARM"]}}')
    later = replace(earlier, series={**earlier.series, "00180015": "ARM"}, schema=2)
    service.stores.once_after(commits, die)
    with pytest.raises(Crashed):
        await service.store(later)

    assert await commit_instances(other.index, other.blobs, PARTITION, [earlier], late=True) == [CommitOutcome.STORED]
    assert any(row_key.startswith("bp!arm!") for row_key in service.stores.facts().postings)


class Behind(FixedSchemas):
    """The knowledge of a process that has not heard of the later schema."""

    async def at_least(self, number: int) -> IndexSchema:
        self.known = LATER if number > 1 else self.known
        return self.known


async def die() -> None:
    """The process goes no further."""
    raise Crashed
