"""What follows a store, in requests to the tables: numbering its change and publishing its event."""

import pytest

from shared.index_schema import keys
from tests.builders.feed import FeedService
from tests.builders.files import file
from tests.builders.images import new_uid
from tests.builders.service import SHARDS
from tests.fakes.events import MemoryEventPublisher


async def service() -> tuple[FeedService, MemoryEventPublisher]:
    topic = MemoryEventPublisher()
    service = FeedService(topic=topic)
    await service.publication.prepare()
    await service.sequencer.catch_up()
    return service, topic


async def follow(service: FeedService, study: str) -> int:
    """What a wake-up does; the requests that it takes."""
    before = service.tables.requests
    await service.sequencer.catch_up([keys.study_place("0", study, SHARDS)])
    await service.publication.run()
    return service.tables.requests - before


@pytest.mark.spec("S-6")
@pytest.mark.parametrize("instances", [1, 5, 30])
async def test_a_wake_up_costs_nine_requests_however_many_instances_it_tells_of(instances):
    publishing, topic = await service()
    study = new_uid()
    await publishing.store(file(study=study).data)
    await follow(publishing, study)
    for _ in range(3):
        await publishing.store(*(file(study=study).data for _ in range(instances)))
        costs = await follow(publishing, study)
        assert costs <= 9
    assert len(topic.published) == 1 + 3 * instances


async def test_what_another_process_published_meanwhile_is_not_published_again():
    one, topic = await service()
    other = one.again()
    study = new_uid()
    for each in (one, other, one, one, other, other, one):
        await each.store(file(study=study).data)
        await follow(each, study)
    assert [event.data["sequenceNumber"] for event in topic.published] == [1, 2, 3, 4, 5, 6, 7]


async def test_clean_up_is_done_by_the_cycle_that_leaves_it():
    one, _ = await service()
    study = new_uid()
    stored = file(study=study)
    await one.store(stored.data)
    await one.delete(stored.identifier)
    await follow(one, study)
    place = keys.study_place("0", study, SHARDS)
    assert [row.row_key[0] for row in one.tables.rows("dicom", place.partition_key)] == ["I"]
