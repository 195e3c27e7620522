"""Numbering changes: each once, in order, whoever dies (storage §7)."""

import asyncio

import pytest

from shared import hints
from shared.change_log.reader import EntryState
from shared.index_schema import keys
from shared.index_schema.changes import Change
from shared.storage.ports import Ambiguous, RowWrite
from tests.builders.sequencing import run_cycle
from tests.builders.service import SHARDS
from tests.unit.index.chaos import Crashed
from tests.unit.index.invariants import when_all_is_done
from tests.unit.index.service import IndexService, Stores, appends, commits, folds


async def operations(service: IndexService) -> list[tuple[int, str, str]]:
    """Sequence, operation and SOP Instance UID of each entry."""
    entries = await service.feed.by_sequence(0, 1000)
    return [(entry.sequence, entry.operation, entry.identifier.sop_instance_uid) for entry in entries]


async def crash() -> None:
    raise Crashed


@pytest.mark.spec("CF-22", "CF-23", "CF-24")
async def test_each_change_becomes_one_entry_in_the_order_of_its_instance() -> None:
    service = IndexService()
    await service.put()
    await service.delete("1.1")
    await service.put()
    entries = await service.feed.by_sequence(0, 10)
    assert [(entry.sequence, entry.operation) for entry in entries] == [(1, "create"), (2, "delete"), (3, "create")]
    states = [each.state for each in await service.feed.resolve(entries, metadata=False)]
    assert states == [EntryState.REPLACED, EntryState.REPLACED, EntryState.CURRENT]
    await service.delete("1.1")
    entries = await service.feed.by_sequence(0, 3)
    states = [each.state for each in await service.feed.resolve(entries, metadata=False)]
    assert states == [EntryState.DELETED] * 3


async def test_a_page_that_was_not_acknowledged_is_finished_by_the_next_sequencer() -> None:
    service = IndexService()
    await service.put()
    service.stores.once_after(appends, crash)
    with pytest.raises(Crashed):
        await run_cycle(service.sequencer)
    other = IndexService(service.stores)
    await other.put("1.1", "1.2", "1.4")
    await other.settle()
    assert await operations(other) == [(1, "create", "1.3"), (2, "create", "1.4")]


async def test_two_sequencers_do_not_log_a_change_twice() -> None:
    service = IndexService()
    await service.put()
    other = IndexService(service.stores)
    service.stores.once(appends, lambda: run_cycle(other.sequencer))
    await service.sequencer.catch_up()
    assert await operations(service) == [(1, "create", "1.3")]


async def test_a_page_that_another_sequencer_appends_meanwhile_is_finished_before_the_next_is_read_for() -> None:
    """The other one dies between its page and the acknowledgement, while this one was about to append, too."""
    service = IndexService()
    await service.put()
    other = IndexService(service.stores)

    async def append_and_die() -> None:
        service.stores.once_after(appends, crash)
        with pytest.raises(Crashed):
            await run_cycle(other.sequencer)

    service.stores.once(appends, append_and_die)
    await service.sequencer.catch_up()
    await service.settle()
    assert await operations(service) == [(1, "create", "1.3")]


@pytest.mark.parametrize("applied", [True, False], ids=["answer lost", "request lost"])
async def test_a_page_without_answer_is_resolved_by_reading_the_head(applied: bool) -> None:
    service = IndexService()
    await service.put()

    async def lose() -> None:
        raise Ambiguous("no answer")

    (service.stores.once_after if applied else service.stores.once)(appends, lose)
    await service.settle()
    assert await operations(service) == [(1, "create", "1.3")]
    assert service.stores.facts().unfinished == []


async def test_timestamps_strictly_increase_although_a_clock_is_behind() -> None:
    service = IndexService()
    await service.put()
    await run_cycle(service.sequencer)
    behind = IndexService(service.stores, skew=-3600)
    await behind.put("1.1", "1.2", "1.4")
    await run_cycle(behind.sequencer)
    first, second = await service.feed.by_sequence(0, 10)
    assert first.timestamp < second.timestamp


async def test_more_changes_than_a_page_takes_are_logged_in_several() -> None:
    service = IndexService(page_entries=2, most_pages=2)
    await service.store(*(service.entry("1.1", "1.2", f"1.3.{number}") for number in range(10)))
    assert await run_cycle(service.sequencer) == 4
    assert await service.sequencer.catch_up()
    assert [sequence for sequence, _, _ in await operations(service)] == list(range(1, 11))


async def test_changes_of_two_studies_may_have_one_id() -> None:
    service = IndexService()
    for study in ("1.1", "1.9"):
        place = keys.study_place("0", study, 4)
        change = Change(keys.change_id(7, "1.2", "1.3"), "create", "1.2", "1.3", 7, 1)
        rows = [
            RowWrite("insert", place.partition_key, "A", {"sk": keys.new_sort_key(1), "created": 1, "lv": 0}),
            RowWrite("insert", place.partition_key, keys.pending_row(change.id), change.properties()),
        ]
        await service.tables.commit("dicom", rows)
        await service.tables.commit("hint", [RowWrite("upsert", *place.hint, {"t": service.clock.now()})])
    assert await run_cycle(service.sequencer) == 2


@pytest.mark.parametrize("page_limit", [1, 2, 3])
async def test_no_change_is_logged_before_an_earlier_one_of_its_instance_when_rows_come_in_pages(
    page_limit: int,
) -> None:
    """The create is folded between two pages: the delete is still there, the create is in a page that was read."""
    stores = Stores()
    service = IndexService(stores)
    await service.put("1.1", "1.2", "1.3.0")
    await service.settle()
    for number in range(3):
        await service.put("1.1", "1.2", f"1.3.{number + 1}")
    stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.delete("1.1", "1.2", "1.3.1")
    stores.tables.page_limit = page_limit
    pages = 0

    async def fold_in_between(kind: str, operation: str) -> None:
        nonlocal pages
        pages += kind == "dicom" and operation == "page"
        if pages == 1:
            pages += 1
            stores.tables.before = None
            other = IndexService(stores)
            place = keys.study_place("0", "1.1", 4)
            await other.index._folder.fold(place)
            stores.tables.before = fold_in_between

    stores.tables.before = fold_in_between
    await run_cycle(service.sequencer)
    stores.tables.before = None
    for _ in range(10):
        await run_cycle(service.sequencer)
    of_instance = [kind for _, kind, instance in await operations(service) if instance == "1.3.1"]
    assert of_instance == ["create", "delete"]
    assert len(await operations(service)) == 5


async def test_a_change_waits_while_folded_changes_of_its_study_may_be_on_a_page_that_was_not_read() -> None:
    """One of them may be the earlier change of its instance."""
    stores = Stores()
    service = IndexService(stores)
    for number in range(3):
        await service.put("1.1", f"1.2.{number}", f"1.3.{number}")
    stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.delete("1.1", "1.2.2", "1.3.2")
    assert [row_key[0] for row_key in stores.facts().unfinished] == ["D", "E", "E", "E"]
    stores.tables.page_limit = 2
    assert [await run_cycle(service.sequencer) for _ in range(3)] == [2, 2, 0]
    of_instance = [kind for _, kind, instance in await operations(service) if instance == "1.3.2"]
    assert of_instance == ["create", "delete"]


async def test_a_hint_that_is_given_again_while_it_is_dropped_stays() -> None:
    service = IndexService()
    await service.put()
    await service.settle()
    service.stores.time.seconds += hints.STALE_SECONDS + 1
    other = IndexService(service.stores)

    def drops(kind: str, batch: list[RowWrite]) -> bool:
        return kind == "hint" and batch[0].verb == "delete"

    async def store_and_die() -> None:
        service.stores.once_after(commits, crash)
        with pytest.raises(Crashed):
            await other.put("1.1", "1.2", "1.4")

    service.stores.once(drops, store_and_die)
    await service.settle()
    await service.settle()
    assert len(await operations(service)) == 2


async def test_a_hint_of_another_process_stays_for_two_minutes_and_goes_when_nothing_is_left() -> None:
    writer = IndexService()
    await writer.put()
    service = IndexService(writer.stores)
    await service.settle()
    service.stores.time.seconds += hints.STALE_SECONDS - 1
    await service.settle()
    assert len(service.tables.rows("hint")) == 1
    service.stores.time.seconds += 2
    await service.settle()
    assert service.tables.rows("hint") == []


async def test_a_hint_does_not_go_while_something_is_left() -> None:
    service = IndexService()
    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.put()
    service.stores.time.seconds += 10 * hints.STALE_SECONDS
    service.stores.once(folds, crash)
    other = IndexService(service.stores)
    with pytest.raises(Crashed):
        await other.sequencer.catch_up()
    assert len(service.tables.rows("hint")) == 1


async def test_a_wake_up_logs_what_is_pending_in_every_study() -> None:
    """Whatever it names: an earlier change of another study must not follow a later one of its own."""
    service = IndexService()
    await service.put("1.1", "1.2", "1.3")
    await service.put("1.9", "1.2", "1.4")
    await service.sequencer.catch_up([keys.study_place("0", "1.9", SHARDS)])
    assert [uid for _, _, uid in await operations(service)] == ["1.3", "1.4"]


async def test_readers_at_once_share_a_cycle_and_all_see_what_was_committed_before() -> None:
    service = IndexService()
    await service.put()
    assert await asyncio.gather(*(service.sequencer.catch_up() for _ in range(10))) == [True] * 10
    before = service.tables.requests
    await asyncio.gather(*(service.sequencer.catch_up() for _ in range(10)))
    shared = service.tables.requests - before
    before = service.tables.requests
    await service.sequencer.catch_up()
    assert shared <= 2 * (service.tables.requests - before)


async def test_nothing_is_left_when_a_deleted_study_has_been_cleaned_up() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3")
    await service.put("1.1", "1.5", "1.4", name="Other^Name")
    await service.delete("1.1")
    await service.settle()
    facts = service.stores.facts()
    assert {entity.row_key[0] for entity in facts.entities} == {"I"}
    assert facts.postings == {}
    assert list(when_all_is_done(facts, ())) == []


async def test_a_stale_hint_stays_while_changes_of_its_study_are_not_logged() -> None:
    """A page takes only some of the changes of a large store; nothing else would lead to the others."""
    service = IndexService(page_entries=2, most_pages=1)
    for instance in ("1.3", "1.4", "1.5", "1.6", "1.7"):
        await service.put("1.1", "1.2", instance)
    service.stores.time.seconds += hints.STALE_SECONDS + 60

    assert await run_cycle(service.sequencer) == 2

    place = keys.study_place("0", "1.1", SHARDS)
    assert service.tables.rows("hint", place.hint[0])
    await service.sequencer.catch_up()
    assert [uid for _, _, uid in await operations(service)] == ["1.3", "1.4", "1.5", "1.6", "1.7"]
