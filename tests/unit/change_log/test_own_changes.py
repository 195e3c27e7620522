"""What a process has committed itself it numbers without a look, and neither loses nor repeats it (storage §7)."""

from datetime import UTC, datetime, timedelta

import pytest

from shared import hints
from shared.change_log.reader import EntryState
from shared.index_schema import keys
from shared.storage.ports import Ambiguous, RowWrite
from tests.builders.sequencing import run_cycle
from tests.builders.service import SHARDS
from tests.unit.index.service import IndexService, Stores, commits

PLACE = keys.study_place("0", "1.1", SHARDS)


async def started(stores: Stores | None = None, **limits: int) -> IndexService:
    """A process that has run a cycle: from here on it knows what others log."""
    service = IndexService(stores, **limits)
    await service.sequencer.catch_up()
    return service


async def sops(service: IndexService) -> list[str]:
    """The SOP Instance UIDs in the order of the feed."""
    return [entry.identifier.sop_instance_uid for entry in await service.feed.by_sequence(0, 1000)]


async def test_a_reading_costs_three_requests_however_many_studies_the_process_has_written_to() -> None:
    service = await started()
    for number in range(20):
        await service.put(f"1.{number}", "1.2", f"1.3.{number}")
    before = service.tables.requests
    entries = await service.feed.by_sequence(10, 10)
    resolved = await service.feed.resolve(entries, metadata=False)
    assert service.tables.requests - before == 3  # the head, the hints, and the page
    assert [each.state for each in resolved] == [EntryState.CURRENT] * 10


@pytest.mark.spec("CF-28")
async def test_a_reading_by_time_fences_the_feed_with_the_page_that_it_appends() -> None:
    service = await started()
    await service.put()
    service.stores.time.seconds += 5
    end = datetime.fromtimestamp(service.stores.time(), UTC)
    before = service.tables.requests
    assert len(await service.feed.by_time(end - timedelta(seconds=60), end, 0, 10)) == 1
    assert service.tables.requests - before == 3
    behind = IndexService(service.stores, skew=-50)
    await behind.put("1.1", "1.2", "1.4")
    await behind.sequencer.catch_up()
    assert len(await service.feed.by_time(end - timedelta(seconds=60), end, 0, 10)) == 1


@pytest.mark.spec("CF-28")
async def test_a_window_has_all_of_what_is_logged_in_several_pages_for_it() -> None:
    service = await started(page_entries=2)
    for number in range(5):
        await service.put("1.1", "1.2", f"1.3.{number}")
    service.stores.time.seconds += 5
    end = datetime.fromtimestamp(service.stores.time(), UTC)
    assert len(await service.feed.by_time(end - timedelta(seconds=60), end, 0, 10)) == 5


async def test_what_another_process_has_logged_is_not_logged_again() -> None:
    one = await started()
    await one.put()
    other = IndexService(one.stores)
    await other.sequencer.catch_up()
    assert await sops(one) == ["1.3"]


async def test_what_another_process_has_logged_before_the_first_cycle_is_not_logged_again() -> None:
    one = IndexService()
    await one.put()
    await IndexService(one.stores).sequencer.catch_up()
    assert await sops(one) == ["1.3"]


async def test_what_several_readings_have_numbered_is_numbered_once_by_another_process() -> None:
    one = await started()
    for number in range(3):
        await one.put("1.1", "1.2", f"1.3.{number}")
        assert len(await sops(one)) == number + 1
    other = IndexService(one.stores)
    await other.settle()
    assert await sops(other) == ["1.3.0", "1.3.1", "1.3.2"]
    assert one.stores.facts().unfinished == []


async def test_what_readings_have_numbered_is_numbered_once_though_the_bucket_is_full() -> None:
    one = await started(bucket_entries=1)
    for number in range(3):
        await one.put("1.1", "1.2", f"1.3.{number}")
        await one.feed.latest()
    other = IndexService(one.stores, bucket_entries=1)
    await other.settle()
    assert await sops(other) == ["1.3.0", "1.3.1", "1.3.2"]


async def test_what_is_numbered_between_a_look_and_what_follows_it_is_not_numbered_again() -> None:
    """The rows that the look has read do not have the change."""
    writer = IndexService()
    service = await started(writer.stores)
    await writer.put("1.1", "1.2", "1.3")
    async with service.sequencer._running:
        found, _, _ = await service.sequencer._cycle(())
    await writer.put("1.1", "1.2", "1.4")
    await service.feed.latest()
    await service.sequencer._finishing.finish([found])
    await IndexService(writer.stores).settle()
    assert await sops(service) == ["1.3", "1.4"]


async def test_a_tail_that_grows_long_is_acknowledged_though_nobody_asks_for_it() -> None:
    service = await started()
    for number in range(30):
        await service.put("1.1", "1.2", f"1.3.{number}")
        await service.feed.latest()
    await service.sequencer.catch_up(thorough=False)
    assert len(service.stores.facts().unfinished) < 25


@pytest.mark.spec("S-8")
async def test_a_commit_without_an_answer_is_found_by_the_next_reading() -> None:
    service = await started()
    await service.put("1.1", "1.2", "1.3")
    await service.sequencer.catch_up()

    async def lose() -> None:
        raise Ambiguous("no answer")

    service.stores.once_after(commits, lose)
    await service.store(service.entry("1.1", "1.2", "1.4"))
    assert await sops(service) == ["1.3", "1.4"]


async def test_what_was_committed_behind_a_look_is_remembered_though_the_hint_was_old() -> None:
    service = await started()
    await service.put()
    await service.settle()
    [hint] = await service.index.hints.all()
    mark = service.index.hints.mark(hint)
    service.stores.time.seconds += hints.STALE_SECONDS + 1
    await service.put("1.1", "1.2", "1.4")
    await service.index.hints.drop({hint: mark})
    await service.put("1.1", "1.2", "1.5")
    assert await sops(service) == ["1.3", "1.4", "1.5"]


async def test_studies_that_were_forgotten_for_want_of_room_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_REMEMBERED", 2)
    service = await started()
    for number in range(4):
        await service.put(f"1.{number}", "1.2", f"1.3.{number}")
    await service.put("1.0", "1.2", "1.4")
    assert len(await sops(service)) == 5


async def test_who_announces_work_that_others_have_left_looks_at_it() -> None:
    """As the scrubber does: a process died, and its hint is lost."""
    dead = IndexService()
    await dead.put()
    await dead.tables.commit("hint", [RowWrite("delete", *hint.row) for hint in await dead.index.hints.all()])
    service = await started(dead.stores)
    assert await sops(service) == []
    await service.index.hints.announce(PLACE)
    assert await sops(service) == ["1.3"]


@pytest.mark.spec("CF-21")
async def test_states_are_looked_up_when_the_feed_has_not_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.change_log.reader.PATIENCE_SECONDS", 0.01)
    service = await started()
    await service.put()
    await service.feed.latest()
    await service.delete("1.1")
    async with service.sequencer._running:
        entries = await service.feed.by_sequence(0, 10)
        states = [each.state for each in await service.feed.resolve(entries, metadata=False)]
    assert states == [EntryState.DELETED]


@pytest.mark.spec("S-8", "CF-27")
async def test_what_another_process_logs_beside_a_reading_is_in_the_reading() -> None:
    """It finds nothing to do, because the other one has done it after the head was read."""
    writer = IndexService()
    await writer.put()
    reader = IndexService(writer.stores)

    async def log_it(kind: str, operation: str) -> None:
        if (kind, operation) == ("hint", "page"):
            reader.tables.before = None
            await run_cycle(writer.sequencer)
            writer.stores.time.seconds += hints.QUIET_SECONDS + 1
            await run_cycle(writer.sequencer)

    reader.tables.before = log_it
    latest = await reader.feed.latest()
    assert latest is not None
