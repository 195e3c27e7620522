"""Deleting, and what a study shows afterwards (dicomweb §9, S-1)."""

import pytest

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.index_schema.changes import cleanup_in
from shared.index_schema.postings import value_range
from shared.storage.ports import Ambiguous
from tests.builders.service import PARTITION
from tests.unit.index.chaos import Crashed
from tests.unit.index.invariants import when_all_is_done
from tests.unit.index.service import IndexService, commits, folds, unposts


@pytest.mark.spec("DEL-2", "DEL-3", "DEL-6")
async def test_a_delete_removes_what_it_names_and_nothing_else() -> None:
    service = IndexService()
    for uids in (("1.1", "1.2.1", "1.3"), ("1.1", "1.2.1", "1.4"), ("1.1", "1.2.2", "1.3"), ("1.9", "1.2.1", "1.3")):
        await service.put(*uids)
    assert await service.delete("1.1", "1.2.1", "1.3") == 1
    assert await service.delete("1.1", "1.2.1", "1.3") == 0
    assert await service.delete("1.1", "1.2.2", "1.4") == 0
    assert await service.delete("1.1", "1.2.1") == 1
    assert await service.delete("1.1") == 1
    assert await service.delete("1.1") == 0
    assert await service.lookup.study(PARTITION, "1.1") is None
    assert await service.lookup.instances(PARTITION, ResourceIdentifier("1.1"), metadata=False) == []
    assert await service.lookup.study(PARTITION, "1.9") is not None


async def test_a_series_whose_uid_begins_like_another_is_left_alone() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3")
    await service.put("1.1", "1.22", "1.3")
    assert await service.delete("1.1", "1.2") == 1
    assert await service.lookup.instance(PARTITION, InstanceIdentifier("1.1", "1.22", "1.3"), metadata=False)


async def test_a_large_study_is_deleted_in_several_transactions() -> None:
    service = IndexService()
    await service.store(*(service.entry("1.1", "1.2", f"1.3.{number}") for number in range(100)))
    assert await service.delete("1.1") == 100
    assert await service.lookup.study(PARTITION, "1.1") is None
    await service.settle()
    assert list(when_all_is_done(service.stores.facts(), service.blobs.names())) == []
    assert len(await service.feed.by_sequence(0, 1000)) == 200


@pytest.mark.parametrize("applied", [True, False], ids=["answer lost", "request lost"])
async def test_a_delete_without_answer_is_resolved_by_reading(applied: bool) -> None:
    service = IndexService()
    await service.put()

    async def lose() -> None:
        raise Ambiguous("no answer")

    if applied:
        service.stores.once_after(commits, lose)
    else:
        service.stores.once(commits, lose)
    assert await service.delete("1.1") == 1
    await service.settle()
    assert len(await service.feed.by_sequence(0, 10)) == 2


async def test_of_two_deletes_at_once_one_counts() -> None:
    service = IndexService()
    await service.put()
    other = IndexService(service.stores)
    counts = []

    async def delete() -> None:
        counts.append(await other.delete("1.1"))

    service.stores.once(commits, delete)
    counts.append(await service.delete("1.1"))
    assert counts == [1, 0]


@pytest.mark.spec("D-16", "IDX-4")
async def test_a_deleted_instance_takes_its_values_with_it_and_the_value_before_is_found_again() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="Old^Name", _00081030="CHEST")
    service.stores.time.seconds += 1
    await service.put("1.1", "1.2", "1.3.2", name="New^Name", _00080050="A77")
    await service.settle()
    await service.delete("1.1", "1.2", "1.3.2")
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.attributes == {"00100010": "Old^Name", "00100020": "P1", "00081030": "CHEST"}
    assert view.newest == view.series["1.2"].newest == InstanceIdentifier("1.1", "1.2", "1.3.1")
    low, high = value_range("pn", "old^name")
    assert any(low <= row_key < high for row_key in service.stores.facts().postings)
    await service.settle()
    assert list(when_all_is_done(service.stores.facts(), service.blobs.names())) == []


async def test_a_reader_sees_the_value_before_although_the_delete_died_before_it_was_folded() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="Old^Name")
    service.stores.time.seconds += 1
    await service.put("1.1", "1.2", "1.3.2", name="New^Name")

    async def crash() -> None:
        raise Crashed

    service.stores.once_after(commits, crash)
    with pytest.raises(Crashed):
        await service.delete("1.1", "1.2", "1.3.2")
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.attributes["00100010"] == "Old^Name"
    assert view.newest.sop_instance_uid == "1.3.1"


async def test_the_value_of_a_replaced_version_stays_while_its_instance_lives() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="Old^Name", _00081030="CHEST")
    await service.put("1.1", "1.2", "1.3.1", put=True, name="New^Name")
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.attributes["00081030"] == "CHEST"
    await service.put("1.1", "1.2", "1.3.2", name="Other^Name")
    await service.delete("1.1", "1.2", "1.3.1")
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert "00081030" not in view.attributes


async def test_a_value_that_comes_back_is_not_unposted_by_an_older_clean_up() -> None:
    """The clean-up of a replaced value has read that nothing implies it; then the value comes back."""
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="Old^Name")
    service.stores.time.seconds += 1
    await service.put("1.1", "1.2", "1.3.2", name="New^Name")
    other = IndexService(service.stores)
    service.stores.once(unposts, lambda: other.delete("1.1", "1.2", "1.3.2"))
    await service.settle()
    assert await service.name() == "Old^Name"
    assert any(row_key.startswith("pn!old^name!") for row_key in service.stores.facts().postings)
    assert list(when_all_is_done(service.stores.facts(), service.blobs.names())) == []


async def test_nothing_is_unposted_while_a_fold_may_bring_it_back() -> None:
    """A fold has posted the value that comes back; the clean-up looks before the fold commits."""
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="Old^Name")
    service.stores.time.seconds += 1
    await service.put("1.1", "1.2", "1.3.2", name="New^Name")
    assert any(key[0] == "G" for key in service.stores.facts().unfinished)
    other = IndexService(service.stores)

    async def clean_up() -> None:
        facts = service.stores.facts()
        cleanups = [cleanup_in(row) for row in facts.entities if row.row_key[0] == "G"]
        assert not any([await other.cleanup._clean(facts.place, cleanup) for cleanup in cleanups])

    service.stores.once(folds, clean_up)
    await service.delete("1.1", "1.2", "1.3.2")
    assert any(row_key.startswith("pn!old^name!") for row_key in service.stores.facts().postings)


async def test_the_posting_of_an_instance_that_is_stored_again_is_not_unposted_by_an_older_clean_up() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.4")
    await service.put()
    await service.delete("1.1", "1.2", "1.3")
    other = IndexService(service.stores)
    service.stores.once(unposts, other.put)
    await service.settle()
    assert list(when_all_is_done(service.stores.facts(), service.blobs.names())) == []
    assert sum(row_key.startswith("iu!") for row_key in service.stores.facts().postings) == 2


async def test_a_clean_up_leaves_what_is_implied_again() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3.1", name="One^Name")
    await service.put("1.1", "1.2", "1.3.2", name="Two^Name")
    await service.put("1.1", "1.2", "1.3.3", name="One^Name")
    await service.settle()
    names = {row_key for row_key in service.stores.facts().postings if row_key.startswith("pn!")}
    assert [row_key.split("!")[1] for row_key in names] == ["one^name"]
