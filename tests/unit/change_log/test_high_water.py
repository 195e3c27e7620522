"""The high-water mark of the change feed: no sequence is used twice, whatever is lost (DAT-54)."""

import json

import pytest

from shared.change_log import high_water
from shared.change_log.follower import Follower, Following, Start
from shared.change_log.high_water import STEP, BlobHighWaterMark
from shared.errors import Unavailable
from tests.builders.feed import brief
from tests.builders.images import image
from tests.builders.rebuilding import LosableService
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.tables import MemoryTableStore


async def rebuilt_after_loss(instances: int = 3):
    service = LosableService()
    for at in range(instances):
        await service.store(image("1.2", "1.2.1", f"1.2.1.{at + 1}").data)
    await service.settle()
    before = await service.feed("/v2/changefeed?limit=100")
    again = service.on(MemoryTableStore())
    await again.rebuilt()
    await again.settle()
    return before, again


@pytest.mark.spec("DAT-54")
async def test_a_feed_that_begins_anew_begins_above_all_that_was_used():
    before, again = await rebuilt_after_loss()
    assert [each["sequence"] for each in before] == [1, 2, 3]
    entries = await again.feed("/v2/changefeed?limit=100")
    assert brief(entries) == [(STEP + at, "Create", "Current") for at in (1, 2, 3)]
    assert (await again.latest())["sequence"] == STEP + 3


@pytest.mark.spec("DAT-54")
@pytest.mark.parametrize("checkpoint", [0, 1, 3, 99, STEP - 1, STEP])
async def test_a_follower_with_an_old_checkpoint_misses_nothing_and_sees_nothing_twice(checkpoint):
    _, again = await rebuilt_after_loss()
    seen, at = [], checkpoint
    while True:
        response = await again.function("change_feed").get(
            f"/v1/changefeed?offset={at}&limit=2", (("Authorization", "Bearer read"),)
        )
        entries = json.loads(response.body)
        if not entries:
            break
        seen += [each["sequence"] for each in entries]
        at = seen[-1]
    assert seen == [STEP + 1, STEP + 2, STEP + 3]


@pytest.mark.spec("DAT-54")
async def test_a_second_loss_begins_above_the_first_one():
    _, again = await rebuilt_after_loss()
    once_more = again.on(MemoryTableStore())
    await once_more.rebuilt()
    await once_more.settle()
    assert (await once_more.latest())["sequence"] == 2 * STEP + 3


@pytest.mark.spec("DAT-54")
async def test_followers_of_this_service_begin_with_the_first_entry():
    _, again = await rebuilt_after_loss()
    got = []

    async def handle(changes):
        got.extend(each.sequence for each in changes)

    follower = Follower(
        Following("test", "test-failed", start=Start.BEGINNING),
        handle,
        tables=again.tables,
        log=again.log,
        sequencer=again.sequencer,
        now=again.time,
    )
    await follower.run()
    assert got == [STEP + 1, STEP + 2, STEP + 3]


@pytest.mark.spec("DAT-54")
async def test_an_empty_feed_that_begins_anew_has_no_entry():
    blobs = MemoryBlobStore()
    await BlobHighWaterMark(blobs).cover(17)
    service = LosableService(MemoryTableStore(), blobs)
    assert await service.feed() == []
    assert await service.latest() is None


@pytest.mark.spec("DAT-54")
async def test_marks_are_written_before_their_sequences_are_used(monkeypatch):
    monkeypatch.setattr(high_water, "STEP", 2)
    service = LosableService()
    highest = []
    for at in range(5):
        await service.store(image("1.2", "1.2.1", f"1.2.1.{at + 1}").data)
        await service.settle()
        highest.append(await BlobHighWaterMark(service.blobs).highest())
    assert highest == [2, 2, 4, 4, 6]


@pytest.mark.spec("DAT-54")
async def test_without_the_mark_no_sequence_is_used():
    service = LosableService()
    await service.store(image("1.2", "1.2.1", "1.2.1.1").data)

    async def refuse(_kind, operation):
        if operation == "put":
            raise Unavailable

    service.blobs.before = refuse
    with pytest.raises(Unavailable):
        await service.sequencer.catch_up()
    assert not [row for row in service.tables.rows("feed") if row.row_key.startswith("p")]
    service.blobs.before = None
    await service.settle()
    assert (await service.latest())["sequence"] == 1
