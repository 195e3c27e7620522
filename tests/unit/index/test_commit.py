"""Storing: what is refused, replaced and repeated, and that everything is found when the answer comes (storage §5)."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from shared.errors import Unavailable
from shared.index.model import CommitOutcome
from shared.index_schema import keys
from shared.storage import optimistic
from shared.storage.ports import Ambiguous, RowWrite
from tests.builders.service import PARTITION
from tests.unit.index.chaos import Crashed
from tests.unit.index.invariants import at_every_moment, stale_postings, when_acknowledged
from tests.unit.index.service import IndexService, Step, Stores, commits, folds, posts, reaps

STORED, ALREADY, DELETED = CommitOutcome.STORED, CommitOutcome.ALREADY_STORED, CommitOutcome.DELETED
UNAVAILABLE = CommitOutcome.UNAVAILABLE


def found(service: IndexService, entry) -> list[str]:
    uid = entry.identifier
    facts = service.stores.facts(uid.study_instance_uid)
    return list(when_acknowledged(facts, uid.series_instance_uid, uid.sop_instance_uid, entry.blob))


@pytest.mark.spec("STOW-45", "QIDO-46")
async def test_a_stored_instance_is_found_by_everything_that_it_brought() -> None:
    service = IndexService()
    for number in range(4):
        entry = await service.put("1.1", f"1.2.{number % 2}", f"1.3.{number}", name=f"Name^{number}")
        assert found(service, entry) == []
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert (view.instances, {uid: series.instances for uid, series in view.series.items()}) == (
        4,
        {"1.2.1": 2, "1.2.0": 2},
    )
    assert view.newest.sop_instance_uid == "1.3.3"


async def test_an_instance_that_changes_nothing_is_not_folded_before_the_answer() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1")
    before = service.tables.requests
    await service.put("1.1", "1.2", "1.3.2")
    assert service.tables.requests - before == 3  # posting, commit, a look at the study
    assert len(service.stores.facts().rows.pending) == 1


async def test_ten_instances_of_a_study_cost_few_requests() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3")
    other = IndexService(service.stores)
    before = service.tables.requests
    await other.store(*(other.entry("1.1", "1.2", f"1.3.{number}") for number in range(10)))
    assert service.tables.requests - before <= 7


async def test_the_hint_and_the_new_instances_postings_are_there_before_the_commit() -> None:
    service = IndexService()
    seen = []

    async def look() -> None:
        facts = service.stores.facts()
        seen.append((len(service.tables.rows("hint")), [key for key in facts.postings if key.startswith("iu!")]))

    service.stores.once(commits, look)
    await service.put()
    assert [(hints, len(postings)) for hints, postings in seen] == [(1, 1)]


@pytest.mark.spec("STOW-40")
async def test_of_an_instance_that_occurs_twice_the_first_one_counts() -> None:
    service = IndexService()
    first, second = service.entry(put=True), service.entry(put=True)
    assert await service.store(first, second) == [STORED, ALREADY]
    assert service.stores.facts().live["1.2", "1.3"].properties["blob"] == first.blob


async def test_an_existing_instance_is_refused_and_a_put_replaces_it() -> None:
    service = IndexService()
    first = await service.put()
    assert await service.store(service.entry()) == [ALREADY]
    second = service.entry(put=True, name="New^Name")
    assert await service.store(second) == [STORED]
    assert found(service, second) == []
    row = service.stores.facts().live["1.2", "1.3"]
    assert row.properties["blob"] == second.blob
    assert (await service.lookup.study(PARTITION, "1.1")).instances == 1
    assert await service.store(first) == [DELETED]


async def test_an_older_upload_does_not_replace_a_newer_one() -> None:
    service = IndexService()
    older, newer = service.entry(put=True), service.entry(put=True)
    assert await service.store(newer) == [STORED]
    assert await service.store(older) == [ALREADY]


async def test_a_put_that_another_one_overtakes_decides_anew() -> None:
    """It had read the row before; its upload is the older one now."""
    service = IndexService()
    await service.put()
    older = service.entry(put=True)
    newer = service.entry(put=True)
    other = IndexService(service.stores)
    service.stores.once(commits, lambda: other.store(newer))
    assert await service.store(older) == [ALREADY]
    assert service.stores.facts().live["1.2", "1.3"].properties["blob"] == newer.blob


async def test_the_version_of_an_instance_increases_whatever_the_clocks_say() -> None:
    service = IndexService()
    await service.put()
    before = int(service.stores.facts().live["1.2", "1.3"].properties["v"])
    behind = IndexService(service.stores, skew=-3600)
    assert await behind.delete("1.1") == 1
    dead = int(service.stores.facts().dead["1.2", "1.3"].properties["v"])
    await IndexService(service.stores, skew=-3600).put()
    after = int(service.stores.facts().live["1.2", "1.3"].properties["v"])
    assert before < dead < after


async def test_a_late_event_does_not_bring_a_deleted_instance_back() -> None:
    service = IndexService()
    entry = await service.put()
    await service.delete("1.1")
    await service.settle()
    assert await service.store(entry) == [DELETED]
    assert service.stores.facts().live == {}


async def test_a_refused_upload_never_becomes_the_instance_afterwards() -> None:
    """The blob trigger is about to commit the upload that the request itself finds refused; then the other one goes."""
    service = IndexService()
    await service.put()
    upload = service.entry()

    async def refuse_then_delete() -> None:
        other = IndexService(service.stores)
        assert await other.store(upload) == [ALREADY]  # its blob is removed now
        assert await other.delete("1.1") == 1

    service.stores.once(lambda kind, operations: kind == "dicom", refuse_then_delete)
    assert await service.store(upload) == [ALREADY]
    assert service.stores.facts().live == {}


async def test_a_deleted_instance_that_is_stored_again_is_found() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.4")
    await service.put()
    await service.delete("1.1", "1.2", "1.3")
    await service.settle()
    entry = await service.put()
    assert found(service, entry) == []


async def test_a_crash_after_the_commit_of_an_instance_that_was_deleted_before_is_made_good_by_the_sequencer() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.4")
    await service.put()
    await service.delete("1.1", "1.2", "1.3")
    await service.settle()
    entry = service.entry()

    async def crash() -> None:
        raise Crashed

    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.store(entry)
    await IndexService(service.stores).settle()
    assert found(service, entry) == []


async def test_an_instance_posted_for_a_former_incarnation_of_its_study_is_posted_again() -> None:
    """Another process has deleted, cleaned up and stored the study again while this one remembers its sort key."""
    service = IndexService()
    await service.put()
    other = IndexService(service.stores)
    await other.delete("1.1")
    await other.settle()
    service.stores.time.seconds += 200
    await other.put("1.1", "1.2", "1.4")
    entry = service.entry("1.1", "1.2", "1.5")
    assert await service.store(entry) == [STORED]
    assert found(service, entry) == []


async def test_the_same_when_the_process_dies_after_the_commit() -> None:
    service = IndexService()
    await service.put()
    other = IndexService(service.stores)
    await other.delete("1.1")
    await other.settle()
    await other.put("1.1", "1.2", "1.4")
    entry = service.entry("1.1", "1.2", "1.5")

    async def crash() -> None:
        raise Crashed

    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.store(entry)
    await other.settle()
    assert found(service, entry) == []


async def test_a_study_that_was_removed_and_stored_again_has_a_new_sort_key() -> None:
    service = IndexService()
    await service.put()
    before = service.stores.facts().rows.sort_key
    await service.delete("1.1")
    await service.settle()
    assert service.stores.facts().rows.anchor is None
    await service.put()
    assert service.stores.facts().rows.sort_key not in ("", before)


async def test_a_study_is_not_removed_when_something_is_stored_meanwhile() -> None:
    service = IndexService()
    await service.put()
    await service.delete("1.1")
    other = IndexService(service.stores)
    entry = other.entry("1.1", "1.2", "1.9")
    service.stores.once(reaps, lambda: other.store(entry))
    await service.settle()
    assert found(service, entry) == []
    assert (await service.lookup.study(PARTITION, "1.1")).instances == 1


async def emptied_study(service: IndexService) -> keys.StudyPlace:
    """A study that waits for its removal, all changes folded and cleaned up."""
    await service.put()
    await service.delete("1.1")
    place = keys.study_place("0", "1.1", 4)

    async def not_now() -> None:
        raise Crashed

    service.stores.once(reaps, not_now)
    with pytest.raises(Crashed):
        await service.settle()
    return place


async def test_a_study_is_not_removed_when_something_is_committed_meanwhile() -> None:
    """It is not folded yet: the anchor alone tells."""
    service = IndexService()
    place = await emptied_study(service)

    async def commit_and_die() -> None:
        async def crash() -> None:
            raise Crashed

        service.stores.once_after(commits, crash)
        with pytest.raises(Crashed):
            await IndexService(service.stores).put("1.1", "1.2", "1.9")

    service.stores.once(reaps, commit_and_die)
    await service.cleanup.reap(place)
    assert list(at_every_moment(service.stores.facts())) == []


async def test_an_emptied_study_is_not_removed_while_a_new_instance_waits_to_be_folded() -> None:
    service = IndexService()
    place = await emptied_study(service)

    async def crash() -> None:
        raise Crashed

    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await IndexService(service.stores).put("1.1", "1.2", "1.9")
    assert not await service.cleanup.reap(place)
    assert list(at_every_moment(service.stores.facts())) == []
    assert (await service.lookup.study(PARTITION, "1.1")).instances == 1


@pytest.mark.parametrize("applied", [True, False], ids=["answer lost", "request lost"])
async def test_a_commit_without_answer_is_resolved_by_reading(applied: bool) -> None:
    service = IndexService()
    entry = service.entry()

    async def lose() -> None:
        raise Ambiguous("no answer")

    if applied:
        service.stores.once_after(commits, lose)
    else:
        service.stores.once(commits, lose)
    assert await service.store(entry) == [STORED]
    assert found(service, entry) == []
    await service.settle()
    assert len(await service.feed.by_sequence(0, 100)) == 1


def out_of_order(study: str, which: Callable[[str, Sequence[RowWrite]], bool] = commits) -> Step:
    """Let the transactions of a study fail that `which` names: the service refused them."""
    partition_key = keys.study_partition("0", study)

    async def fail(kind: str, operations: Sequence[RowWrite]) -> None:
        if operations[0].partition_key == partition_key and which(kind, operations):
            raise Unavailable("busy")

    return fail


async def test_a_study_that_cannot_be_committed_does_not_hide_that_others_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = IndexService()
    entries = [service.entry(study, "1.2", "1.3") for study in ("1.1", "1.9", "1.5")]
    service.stores.before = out_of_order("1.9")
    assert await service.store(*entries) == [STORED, UNAVAILABLE, STORED]
    assert [found(service, entry) for entry in (entries[0], entries[2])] == [[], []]
    assert (await service.lookup.study(PARTITION, "1.9")) is None
    assert '"event":"instances-not-committed","instances":1' in caplog.text
    service.stores.before = None
    assert await service.store(entries[1]) == [STORED]
    assert found(service, entries[1]) == []


@pytest.mark.parametrize("which", [commits, folds, posts])
async def test_a_store_that_is_busy_for_a_moment_is_tried_again(
    which: Callable[[str, Sequence[RowWrite]], bool],
) -> None:
    service = IndexService()
    entry = service.entry()
    refusals = 2

    async def busy(kind: str, operations: Sequence[RowWrite]) -> None:
        nonlocal refusals
        if which(kind, operations) and refusals:
            refusals -= 1
            raise Unavailable("busy")

    service.stores.before = busy
    assert await service.store(entry) == [STORED]
    assert refusals == 0
    assert found(service, entry) == []


async def test_of_many_studies_of_one_request_a_few_are_committed_at_a_time() -> None:
    service = IndexService()
    entries = [service.entry(f"1.1.{number}", "1.2", "1.3") for number in range(40)]
    under_way, most = 0, 0

    async def begin(kind: str, operation: str) -> None:
        nonlocal under_way, most
        under_way += kind == "dicom" and operation == "commit"
        most = max(most, under_way)
        await asyncio.sleep(0)

    async def end(kind: str, operation: str) -> None:
        nonlocal under_way
        await asyncio.sleep(0)
        under_way -= kind == "dicom" and operation == "commit"

    service.tables.before, service.tables.after = begin, end
    assert await service.store(*entries) == [STORED] * 40
    assert 1 < most <= 8


async def test_once_it_is_late_and_something_was_given_up_nothing_else_is_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = IndexService()
    entries = [service.entry(f"1.1.{number}", "1.2", "1.3") for number in range(40)]
    tried = 0

    async def fail(kind: str, operations: Sequence[RowWrite]) -> None:
        nonlocal tried
        if commits(kind, operations):
            tried += 1
            raise Unavailable("away")

    service.stores.before = fail
    assert await service.store(*entries) == [UNAVAILABLE] * 40
    assert tried == 40 * (len(optimistic.PAUSES) + 1)
    tried = 0
    monkeypatch.setattr(optimistic, "_RETRY_SECONDS", -1.0)
    assert await service.store(*entries) == [UNAVAILABLE] * 40
    assert tried <= 8


async def test_of_a_batch_that_fails_on_its_way_what_was_decided_is_told() -> None:
    service = IndexService()
    await service.put()
    present, new = service.entry(), service.entry("1.1", "1.2", "1.4")
    alone = [keys.instance_row("1.2", "1.4")]
    service.stores.before = out_of_order(
        "1.1", lambda _, batch: [each.row_key for each in batch if each.row_key.startswith("I!")] == alone
    )
    assert await service.store(present, new) == [ALREADY, UNAVAILABLE]


async def test_what_is_committed_but_not_folded_is_not_answered_as_stored() -> None:
    service = IndexService()
    entries = [service.entry("1.1", "1.2", f"1.3.{number}") for number in range(60)]
    other = service.entry("1.9", "1.2", "1.3")
    service.stores.before = out_of_order("1.1", folds)
    assert await service.store(*entries, other) == [UNAVAILABLE] * 60 + [STORED]
    service.stores.before = None
    assert await service.store(*entries) == [STORED] * 60
    assert [found(service, entry) for entry in entries] == [[]] * 60
    await service.settle()
    assert len(await service.feed.by_sequence(0, 100)) == 61


async def test_one_batch_of_a_study_that_fails_does_not_hide_the_others() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.4")
    entries = [service.entry("1.1", "1.2", f"1.3.{number:02}") for number in range(60)]
    last = keys.instance_row("1.2", "1.3.59")
    service.stores.before = out_of_order("1.1", lambda _, batch: any(each.row_key == last for each in batch))
    assert await service.store(*entries) == [STORED] * 45 + [UNAVAILABLE] * 15
    assert [found(service, entry) for entry in entries[:45]] == [[]] * 45


async def test_an_instance_that_occurs_twice_is_unavailable_with_its_first() -> None:
    service = IndexService()
    service.stores.before = out_of_order("1.1")
    assert await service.store(service.entry(), service.entry()) == [UNAVAILABLE] * 2


async def test_a_slow_commit_gives_its_hint_again() -> None:
    """A sequencer may have dropped the hint of a commit that starts more than a minute after it."""
    service = IndexService()

    async def dawdle() -> None:
        service.stores.time.seconds += 130
        await IndexService(service.stores).sequencer.catch_up()

    service.stores.once(posts, dawdle)
    await service.put()
    assert len(service.tables.rows("hint")) == 1
    await service.settle()
    assert len(await service.feed.by_sequence(0, 100)) == 1


async def test_sixteen_writers_into_one_study_lose_nothing() -> None:
    stores = Stores()
    services = [IndexService(stores) for _ in range(16)]
    batches = [
        [service.entry("1.1", f"1.2.{number % 3}", f"1.3.{number}.{each}", name=f"N^{each}") for each in range(5)]
        for number, service in enumerate(services)
    ]

    async def write(service: IndexService, entries) -> None:
        for entry in entries:
            assert await service.store(entry) == [STORED]
            assert found(service, entry) == []

    await asyncio.gather(*(write(service, entries) for service, entries in zip(services, batches, strict=True)))
    view = await services[0].lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.instances == 80
    assert stores.tables.requests / 80 < 30
    await services[0].settle()
    assert len(await services[0].feed.by_sequence(0, 100)) == 80


async def test_stores_that_make_a_study_at_once_leave_no_posting_but_their_own() -> None:
    stores = Stores()
    services = [IndexService(stores) for _ in range(4)]

    async def yielding(kind: str, operation: str) -> None:
        await asyncio.sleep(0)

    stores.tables.before = yielding
    await asyncio.gather(*(service.put("1.1", "1.2", f"1.3.{n}") for n, service in enumerate(services)))
    await services[0].store(*(services[0].entry("1.9", "1.2", f"1.3.{n}") for n in range(200)))
    stores.tables.before = None
    await services[0].settle()
    assert stale_postings([stores.facts("1.1"), stores.facts("1.9")]) == set()


async def test_many_pending_changes_are_folded_by_stores_that_need_no_fold_themselves() -> None:
    service = IndexService()
    await service.put()
    for number in range(100):
        await service.put("1.1", "1.2", f"1.3.{number}")
    assert len(service.stores.facts().rows.pending) <= 61


async def test_a_large_batch_is_cut_into_transactions_and_found_whole() -> None:
    service = IndexService()
    entries = [service.entry("1.1", "1.2", f"1.3.{number}") for number in range(100)]
    assert await service.store(*entries) == [STORED] * 100
    assert all(found(service, entry) == [] for entry in entries)
    assert (await service.lookup.study(PARTITION, "1.1")).instances == 100
