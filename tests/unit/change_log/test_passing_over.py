"""Readings of the feed look at what may be new and pass over the rest, and lose nothing by it (storage §7)."""

import asyncio

import pytest

from shared import hints
from shared.index_schema import keys
from shared.index_schema.clock import HybridClock
from tests.builders.sequencing import run_cycle
from tests.builders.service import SHARDS
from tests.unit.index.chaos import Crashed
from tests.unit.index.service import IndexService, appends, commits


async def crash() -> None:
    raise Crashed


async def sops(service: IndexService) -> list[str]:
    """The SOP Instance UIDs in the order of the feed."""
    return [entry.identifier.sop_instance_uid for entry in await service.feed.by_sequence(0, 1000)]


async def cost(service: IndexService) -> int:
    """The requests of catching up as a reader does."""
    before = service.tables.requests
    assert await service.sequencer.catch_up(thorough=False)
    return service.tables.requests - before


def writes_hint(kind: str, batch: list) -> bool:
    return kind == "hint" and batch[0].verb == "upsert"


@pytest.mark.spec("B-22")
async def test_a_reading_does_not_look_at_studies_whose_changes_are_all_logged() -> None:
    service = IndexService()
    for number in range(40):
        await service.put(f"1.{number}", "1.2", f"1.3.{number}")
    await service.sequencer.catch_up()
    idle = await cost(service)
    assert idle == 3  # the head, and the hints; and the head again
    await service.put("1.5", "1.2", "1.4.1")
    assert await cost(service) == 3  # the head, the hints, and the page
    await service.sequencer.catch_up()
    assert await cost(service) == idle


@pytest.mark.spec("S-8")
async def test_what_a_study_gets_after_it_was_found_idle_is_logged() -> None:
    service = IndexService()
    for number in range(4):
        await service.put("1.1", "1.2", f"1.3.{number}")
        assert len(await sops(service)) == number + 1
        await service.sequencer.catch_up()
    assert len(service.tables.rows("hint")) == 1


@pytest.mark.spec("S-8")
async def test_a_study_with_another_writer_is_not_passed_over() -> None:
    """The other one commits again on the strength of a hint that this one has seen."""
    one = IndexService()
    other = IndexService(one.stores)
    await one.put("1.1", "1.2", "1.3")
    one.stores.time.seconds += 1
    await other.put("1.1", "1.2", "1.4")
    assert await sops(one) == ["1.3", "1.4"]
    await one.sequencer.catch_up()
    await other.put("1.1", "1.2", "1.5")
    assert await sops(one) == ["1.3", "1.4", "1.5"]


async def test_a_hint_is_not_dropped_while_a_commit_that_relies_on_it_is_under_way() -> None:
    service = IndexService()
    await service.put()
    await service.sequencer.catch_up()

    async def take_long() -> None:
        service.stores.time.seconds += 10
        await service.sequencer.catch_up()
        service.stores.once_after(commits, crash)

    service.stores.once(commits, take_long)
    with pytest.raises(Crashed):
        await service.put("1.1", "1.2", "1.4")
    assert await sops(IndexService(service.stores)) == ["1.3", "1.4"]


async def test_a_hint_is_not_dropped_after_a_commit_that_came_behind_the_look() -> None:
    service = IndexService()
    await service.put()
    await service.sequencer.catch_up()
    await service.put("1.1", "1.2", "1.4")

    async def commit_and_die() -> None:
        service.stores.once_after(commits, crash)
        with pytest.raises(Crashed):
            await service.put("1.1", "1.2", "1.5")
        service.stores.time.seconds += 10

    service.stores.once(appends, commit_and_die)
    await run_cycle(service.sequencer)
    assert await sops(IndexService(service.stores)) == ["1.3", "1.4", "1.5"]


async def test_nothing_is_told_of_a_hint_for_two_minutes_after_a_commit_without_an_answer() -> None:
    service = IndexService()
    await service.put()
    place = keys.study_place("0", "1.1", SHARDS)
    [hint] = await service.index.hints.all()
    assert service.index.hints.mark(hint) is not None
    service.index.hints.doubt(place)
    assert service.index.hints.mark(hint) is None
    service.stores.time.seconds += hints.STALE_SECONDS + 1
    assert service.index.hints.mark(hint) is not None


async def test_a_commit_that_fails_for_an_unknown_reason_leaves_a_doubt() -> None:
    service = IndexService()
    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.put()
    [hint] = await service.index.hints.all()
    assert service.index.hints.mark(hint) is None


async def test_a_process_drops_its_hint_when_a_study_has_been_quiet_and_gives_it_again() -> None:
    service = IndexService()
    await service.put()
    await service.settle()
    assert len(service.tables.rows("hint")) == 1
    service.stores.time.seconds += hints.QUIET_SECONDS + 1
    await service.settle()
    assert service.tables.rows("hint") == []
    await service.put("1.1", "1.2", "1.4")
    assert len(service.tables.rows("hint")) == 1
    assert await sops(IndexService(service.stores)) == ["1.3", "1.4"]


@pytest.mark.parametrize("others", [False, True])
async def test_the_hint_of_a_single_commit_needs_no_quiet_unless_others_were_before(*, others: bool) -> None:
    service = IndexService()
    await service.put()
    place = keys.study_place("0", "1.1", SHARDS)
    if not others:
        await service.settle()
        service.stores.time.seconds += hints.QUIET_SECONDS + 1
        await service.settle()
        assert service.tables.rows("hint") == []
    with service.index.hints.committing(place, single=True):
        await service.index.hints.announce(place)
        await service.settle()
        assert len(service.tables.rows("hint")) == 1
    await service.settle()
    assert len(service.tables.rows("hint")) == others


async def test_many_hints_are_dropped_in_few_requests_though_one_was_given_again() -> None:
    service = IndexService()
    for number in range(150):
        await service.put(f"1.{number}", "1.2", "1.3")
    await service.settle()
    service.stores.time.seconds += hints.QUIET_SECONDS + 1
    before = service.tables.requests
    await service.settle()
    assert service.tables.rows("hint") == []
    of_the_lists = 2 * 150  # of each study its rows are read, and written once
    assert service.tables.requests - before <= of_the_lists + 20


@pytest.mark.spec("CF-28")
async def test_the_order_of_the_feed_is_that_of_the_requests() -> None:
    """The second of two stores is found by a cycle that has looked for the first too early."""
    writer = IndexService()
    await writer.put("1.1", "1.2", "1.3.1")
    await writer.put("1.9", "1.2", "1.3.2")
    service = IndexService(writer.stores)
    await service.sequencer.catch_up()

    async def store_both(kind: str, operation: str) -> None:
        if (kind, operation) == ("dicom", "page"):
            service.tables.after = None
            writer.stores.time.seconds += 1
            await writer.put("1.1", "1.2", "1.3.3")
            await writer.put("1.9", "1.2", "1.3.4")

    service.tables.after = store_both
    assert await run_cycle(service.sequencer) == 0
    assert await sops(service) == ["1.3.1", "1.3.2", "1.3.3", "1.3.4"]


@pytest.mark.spec("S-8", "CF-27")
async def test_what_a_process_with_a_clock_ahead_has_acknowledged_is_in_the_next_reading() -> None:
    writer = IndexService(skew=3600)
    await writer.put()
    assert await sops(IndexService(writer.stores)) == ["1.3"]


@pytest.mark.spec("S-8", "CF-27")
async def test_what_a_process_with_a_clock_ahead_has_acknowledged_is_read_however_pages_are_cut() -> None:
    writer = IndexService(skew=3600)
    for number in range(8):
        await writer.put("1.1", "1.2", f"1.3.{number}")
    reader = IndexService(writer.stores)
    looked = False

    async def cut_the_first_look(kind: str, operation: str) -> None:
        nonlocal looked
        looked = looked or (kind, operation) == ("dicom", "page")
        reader.tables.page_limit = 1000 if looked and kind == "feed" else reader.tables.page_limit

    reader.tables.page_limit = 2
    reader.tables.before = cut_the_first_look
    while not await reader.sequencer.catch_up(thorough=False):
        pass
    assert sum(len(page.changes) for page in await reader.log.pages(1, 100)) == 8


async def test_what_another_process_logs_between_two_pages_is_not_logged_again() -> None:
    service = IndexService(page_entries=2)
    for number in range(4):
        await service.put("1.1", "1.2", f"1.3.{number}")
    other = IndexService(service.stores)
    service.stores.once_after(appends, lambda: run_cycle(other.sequencer))
    await run_cycle(service.sequencer)
    assert await sops(service) == ["1.3.0", "1.3.1", "1.3.2", "1.3.3"]


async def test_who_only_reads_does_not_wait_until_changes_are_folded() -> None:
    service = IndexService()
    await service.put()
    folding = asyncio.Event()
    service.stores.once(lambda kind, batch: kind == "dicom" and batch[0].verb == "delete", folding.wait)
    assert await asyncio.wait_for(service.sequencer.catch_up(thorough=False), 5)
    folding.set()
    assert await service.sequencer.catch_up()
    assert service.stores.facts().unfinished == []


@pytest.mark.spec("B-22")
async def test_a_hint_that_was_given_again_since_it_was_read_stays() -> None:
    service = IndexService()
    place = keys.study_place("0", "1.1", SHARDS)
    clock = HybridClock(service.stores.time)
    writer, other = (hints.Hints(service.tables, clock, shards=SHARDS) for _ in range(2))
    await writer.give(place)
    [read] = await other.all()
    service.stores.time.seconds += hints.STALE_SECONDS + 1
    await writer.give(place)

    await other.drop({read: None})

    [kept] = await other.all()
    assert kept.written > read.written
