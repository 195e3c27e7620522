"""Folding: several writers, one summary, postings that are there in time (storage §5)."""

import asyncio

import pytest

from shared.index.model import CommitOutcome
from shared.index_schema import keys
from shared.storage.ports import Ambiguous, RowWrite
from tests.builders.sequencing import run_cycle
from tests.builders.service import PARTITION
from tests.unit.index.chaos import Crashed
from tests.unit.index.invariants import at_every_moment, stale_postings, when_acknowledged, when_all_is_done
from tests.unit.index.service import IndexService, Stores, commits, folds


async def crash() -> None:
    raise Crashed


async def crashing_store(service: IndexService, *uids: str, **options: str) -> None:
    """Commit an instance and die before anything else is done for it."""
    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.store(service.entry(*uids, **options))


def healthy(stores: Stores) -> list[str]:
    facts = stores.facts()
    return [*at_every_moment(facts), *when_all_is_done(facts, stores.blobs.names())]


async def test_postings_are_written_before_the_summary_that_implies_them() -> None:
    service = IndexService()
    seen = []

    async def look() -> None:
        seen.append({row_key.split("!")[0] for row_key in service.stores.facts().postings})

    service.stores.once(folds, look)
    await service.put()
    assert {"a", "pn", "pt", "pe", "pi", "mo", "su", "iu"} <= seen[0]


async def test_two_folds_at_once_count_each_change_once() -> None:
    service = IndexService()
    await crashing_store(service, "1.1", "1.2", "1.3.1")
    other = IndexService(service.stores)

    async def fold() -> None:
        await crashing_store(other, "1.1", "1.2", "1.3.2")
        await other.sequencer.catch_up()

    service.stores.once(folds, fold)
    await service.put("1.1", "1.2", "1.3.3")
    assert (await service.lookup.study(PARTITION, "1.1")).instances == 3
    await service.settle()
    assert healthy(service.stores) == []


async def test_a_fold_that_gets_no_answer_is_not_repeated_blindly() -> None:
    service = IndexService()

    async def lose() -> None:
        raise Ambiguous("no answer")

    service.stores.once_after(folds, lose)
    await service.put()
    await service.settle()
    assert (await service.lookup.study(PARTITION, "1.1")).instances == 1
    assert healthy(service.stores) == []


async def test_a_folded_change_waits_for_the_feed() -> None:
    service = IndexService()
    await service.put()
    facts = service.stores.facts()
    assert (facts.rows.pending, [key[0] for key in facts.unfinished]) == ([], ["E"])
    assert len(await service.feed.by_sequence(0, 10)) == 1
    await service.settle()
    assert service.stores.facts().unfinished == []


@pytest.mark.spec("IDX-2", "IDX-3")
async def test_the_latest_value_that_is_not_empty_wins() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="First^Name", _00081030="CHEST")
    await service.put("1.1", "1.2", "1.3.2", name="Second^Name")
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.attributes == {"00100010": "Second^Name", "00100020": "P1", "00081030": "CHEST"}


@pytest.mark.spec("STOW-22", "QIDO-31")
async def test_an_empty_patient_id_stands_only_while_there_is_no_other() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="", _00100020="")
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.attributes["00100020"] == ""
    await service.put("1.1", "1.2", "1.3.2")
    await service.put("1.1", "1.2", "1.3.3", _00100020="")
    await service.settle()
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.attributes["00100020"] == "P1"
    assert healthy(service.stores) == []


async def test_a_value_of_an_older_version_loses_even_if_it_is_committed_later() -> None:
    service, behind = IndexService(), None
    await service.put("1.1", "1.2", "1.3.1", name="Newer^Version")
    behind = IndexService(service.stores, skew=-3600)
    await behind.put("1.1", "1.2", "1.3.2", name="Older^Version")
    await service.settle()
    assert await service.name() == "Newer^Version"
    assert healthy(service.stores) == []


async def test_a_value_that_is_hidden_by_a_source_about_to_be_taken_back_is_folded_before_the_answer() -> None:
    """The study shows a later value of an instance whose deletion is pending: what was stored meanwhile will show."""
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="Newer^Version")

    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.delete("1.1", "1.2", "1.3.1")
    behind = IndexService(service.stores, skew=-3600)
    await behind.put("1.1", "1.2", "1.3.2", name="Older^Version")
    assert any(row_key.startswith("pn!older^version!") for row_key in service.stores.facts().postings)
    assert await service.name() == "Older^Version"


async def test_a_fold_of_other_changes_in_between_is_not_overwritten() -> None:
    """The two have no change in common: only the summary tells them of each other."""
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1")
    other = IndexService(service.stores, skew=-3600, page_entries=1)

    async def fold_an_older_change() -> None:
        await crashing_store(other, "1.1", "1.2", "1.3.2")
        assert await run_cycle(other.sequencer) == 1

    service.stores.once(folds, fold_an_older_change)
    await service.put("1.1", "1.2", "1.3.3", name="Newest^Name")
    rows = service.stores.facts().rows
    assert (rows.tally().study.count, rows.tally().series["1.2"].count, rows.pending) == (3, 3, [])
    await service.settle()
    assert healthy(service.stores) == []


async def test_what_a_lost_fold_has_posted_in_vain_is_removed() -> None:
    """The fold that came to its end took the later change, too, so that the value never stood in the summary."""
    service = IndexService()
    service.stores.once(folds, crash)
    with pytest.raises(Crashed):
        await service.put("1.1", "1.2", "1.3.1", name="Passed^Over")
    assert any("passed" in row_key for row_key in service.stores.facts().postings)
    service.stores.time.seconds += 1
    other = IndexService(service.stores)
    await crashing_store(other, "1.1", "1.2", "1.3.2", name="Winning^Name")
    await IndexService(service.stores).settle()
    assert not any("passed" in row_key for row_key in service.stores.facts().postings)
    assert healthy(service.stores) == []


@pytest.mark.parametrize("number", range(16))  # what else may find such a posting depends on digests and chance
async def test_a_series_that_came_and_went_in_one_fold_leaves_no_posting_of_a_lost_one(number: int) -> None:
    service = IndexService()
    series = f"1.2.1.{number}"
    await service.put("1.1", "1.2.2", "1.4")
    service.stores.once(folds, crash)
    with pytest.raises(Crashed):
        await service.put("1.1", series, "1.3", modality="MR")
    assert any(row_key.startswith(f"su!{series}!") for row_key in service.stores.facts().postings)
    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await IndexService(service.stores).delete("1.1", series)
    await IndexService(service.stores).settle()
    assert stale_postings([service.stores.facts()]) == set()
    assert healthy(service.stores) == []


async def test_an_emptied_series_goes_with_its_postings_and_comes_back_new() -> None:
    service = IndexService()
    await service.put("1.1", "1.2.1", "1.3", modality="MR")
    await service.put("1.1", "1.2.2", "1.4")
    first = (await service.lookup.study(PARTITION, "1.1")).series["1.2.1"]
    assert await service.delete("1.1", "1.2.1") == 1
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert list(view.series) == ["1.2.2"]
    await service.settle()
    assert not any(row_key.startswith("mo!mr!") for row_key in service.stores.facts().postings)
    assert healthy(service.stores) == []
    service.stores.time.seconds += 1
    await service.put("1.1", "1.2.1", "1.3")
    again = (await service.lookup.study(PARTITION, "1.1")).series
    assert list(again) == ["1.2.1", "1.2.2"]
    assert again["1.2.1"].sort_key < first.sort_key
    await service.settle()
    assert healthy(service.stores) == []


async def test_an_instance_is_found_while_its_series_is_emptied_before_it_is_folded() -> None:
    """It was answered because the series showed its values; then the instance goes that they came from."""
    service = IndexService()
    await service.put("1.1", "1.2.2", "1.4")
    await service.put("1.1", "1.2.1", "1.3", modality="MR")
    service.stores.time.seconds += 1
    entry = await service.put("1.1", "1.2.1", "1.5", modality="MR")
    behind = IndexService(service.stores, skew=-3600, page_entries=1, most_pages=1)
    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await behind.delete("1.1", "1.2.1", "1.3")
    for left in (3, 2, 1, 0):
        assert await run_cycle(behind.sequencer) == 1
        facts = service.stores.facts()
        assert sum(key[0] != "G" for key in facts.unfinished) == left
        assert [*at_every_moment(facts), *when_acknowledged(facts, "1.2.1", "1.5", entry.blob)] == []
        assert any(row_key.startswith("mo!mr!") for row_key in facts.postings)
    await service.settle()
    assert healthy(service.stores) == []
    assert any(row_key.startswith("mo!mr!") for row_key in service.stores.facts().postings)


async def test_a_summary_in_several_pages_is_read_as_of_one_moment() -> None:
    """Between the pages another process folds: counted twice or not at all, the study would be wrong or gone."""
    stores = Stores()
    service = IndexService(stores)
    for number in range(6):
        await service.put("1.1", f"1.2.{number}", "1.3")
    await crashing_store(service, "1.1", "1.2.0", "1.4")
    stores.tables.page_limit = 3
    pages = 0

    async def fold_in_between(kind: str, operation: str) -> None:
        nonlocal pages
        pages += kind == "dicom" and operation == "page"
        if pages == 2:
            pages += 1
            stores.tables.before = None
            await IndexService(stores).sequencer.catch_up()

    stores.tables.before = fold_in_between
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.instances == 7


@pytest.mark.spec("S-1", "IDX-2")
async def test_a_store_does_not_take_for_shown_what_is_taken_back_between_the_pages_of_its_look() -> None:
    """The summary is read before the deletion of its source is folded, the pending changes after it."""
    stores = Stores()
    service, other = IndexService(stores), IndexService(stores)
    await service.put("1.1", "1.2.1", "1.3", name="")
    await service.put("1.1", "1.2.0", "1.3")
    stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.delete("1.1", "1.2.0", "1.3")
    entry = service.entry("1.1", "1.2.1", "1.4", _00100020="")
    stores.time.seconds += 1
    stores.tables.page_limit = 2
    folding, looking, folded = asyncio.Event(), asyncio.Event(), asyncio.Event()
    pages = 0

    async def fold_begun() -> None:
        folding.set()
        await looking.wait()

    async def fold_done() -> None:
        folded.set()

    async def fold_in_between(kind: str, operation: str) -> None:
        nonlocal pages
        pages += folding.is_set() and kind == "dicom" and operation == "page"
        if pages == 2 and not looking.is_set():
            looking.set()
            await folded.wait()

    stores.once(folds, fold_begun)
    stores.once_after(folds, fold_done)
    stores.tables.before = fold_in_between
    cycle = asyncio.create_task(run_cycle(other.sequencer))
    await folding.wait()

    outcomes = await service.store(entry)
    acknowledged = list(when_acknowledged(stores.facts(), "1.2.1", "1.4", entry.blob))
    await cycle

    assert (outcomes, acknowledged) == ([CommitOutcome.STORED], [])
    assert looking.is_set()
    await service.settle()
    assert healthy(stores) == []


async def test_no_instance_is_lost_when_a_study_is_stored_deleted_and_stored_in_turns() -> None:
    service = IndexService()
    for round_number in range(5):
        entry = service.entry("1.1", "1.2", "1.3", name=f"Round^{round_number}")
        assert await service.store(entry) == [CommitOutcome.STORED]
        assert await service.name() == f"Round^{round_number}"
        assert await service.delete("1.1") == 1
        assert await service.name() is None
    await service.settle()
    assert service.stores.facts().rows.anchor is None
    assert service.stores.facts().postings == {}


async def test_an_instance_that_is_deleted_twice_before_a_fold_is_cleaned_up_once() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.4")
    for _ in range(2):
        await crashing_store(service)
        assert await service.delete("1.1", "1.2", "1.3") == 1
    await service.settle()
    assert healthy(service.stores) == []


async def test_the_first_instance_of_a_study_is_folded_from_one_look_at_it() -> None:
    service = IndexService()
    before = service.tables.requests
    await service.put("1.1", "1.2", "1.3")
    # The anchor, the hint, the posting, the commit; a look; the postings of the study and its series, the fold.
    assert service.tables.requests - before == 7
    assert service.stores.facts().rows.pending == []


async def test_what_is_not_folded_yet_is_seen_by_readers() -> None:
    service = IndexService()

    async def crash() -> None:
        raise Crashed

    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.store(service.entry(name="Early^Bird"))
    assert service.stores.facts().rows.summary is None
    assert await service.name() == "Early^Bird"


async def test_changes_without_an_anchor_get_one() -> None:
    """No history of this code leads there: it mends a store that was damaged otherwise (storage invariant 1)."""
    service = IndexService()
    await service.put()
    entry = await service.put("1.1", "1.2", "1.4")
    place = keys.study_place("0", "1.1", 4)
    await service.tables.commit("dicom", [RowWrite("delete", place.partition_key, keys.ANCHOR)])
    await IndexService(service.stores).settle()
    assert service.stores.facts().rows.anchor is not None
    assert entry.identifier.sop_instance_uid in {instance for _, instance in service.stores.facts().live}
