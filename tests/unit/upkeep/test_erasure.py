"""Erasing files and tombstones in their time (S-3, DEL-11, storage §5)."""

import pytest

from shared.index_schema.changes import ObsoleteBlob, cleanup_in
from shared.registry.due_work import HOUR_MS
from shared.registry.store_settings import STORE_ROW
from shared.storage.ports import RowWrite
from shared.upkeep.erasure import TOMBSTONE_MS
from tests.unit.index.chaos import Crashed
from tests.unit.index.service import IndexService, Stores


async def opened(retention_hours: float) -> IndexService:
    service = IndexService(retention_hours=retention_hours)
    created = {"shards": 4, "spread": 1, "created": service.clock.now_ms()}
    await service.tables.commit("conf", [RowWrite("insert", *STORE_ROW, created)])
    return service


async def erase(service: IndexService, **options: int) -> int:
    """A second later: versions may run ahead of the clock by milliseconds."""
    service.stores.time.seconds += 1
    return await service.trash.erase_due(service.blobs, **options)


def pass_hours(stores: Stores, hours: float) -> None:
    stores.time.seconds += hours * 3600


@pytest.mark.spec("DEL-11")
@pytest.mark.parametrize("retention", [0, 1, 72])
async def test_a_deleted_file_is_erased_after_its_retention_and_not_before(retention: float) -> None:
    service = await opened(retention)
    kept = await service.put("1.1", "1.2", "1.4")
    deleted = await service.put()
    await service.delete("1.1", "1.2", "1.3")
    await service.settle()
    if retention:
        pass_hours(service.stores, retention - 0.1)
        assert await erase(service) == 0
        assert service.blobs.names() == sorted([kept.blob, deleted.blob])
        pass_hours(service.stores, 0.2)
    await erase(service)
    assert service.blobs.names() == [kept.blob]


async def test_a_replaced_file_is_erased_and_its_successor_stays() -> None:
    service = await opened(1)
    await service.put()
    await service.settle()
    successor = await service.put(put=True)
    await service.settle()
    pass_hours(service.stores, 1.1)
    await erase(service)
    assert service.blobs.names() == [successor.blob]


async def test_what_lies_beside_a_file_goes_with_it() -> None:
    service = await opened(0)
    entry = await service.put()
    service.blobs.drop(entry.blob.replace(".dcm", ".json"), b"{}")
    service.blobs.drop(entry.blob.replace(".dcm", ".off"), b"")
    await service.delete("1.1")
    await service.settle()
    await erase(service)
    assert service.blobs.names() == []


@pytest.mark.spec("DEL-12")
async def test_what_was_stored_again_is_not_touched_by_the_clean_up_of_what_was_deleted() -> None:
    service = await opened(0)
    await service.put()
    await service.delete("1.1")
    again = await service.put()
    await service.settle()
    for _ in range(4):
        await erase(service)
        pass_hours(service.stores, 30)
    assert service.blobs.names() == [again.blob]
    assert list(service.stores.facts().live) == [("1.2", "1.3")]


async def test_a_file_that_an_instance_names_is_never_erased() -> None:
    """Whatever put it on the list was wrong."""
    service = await opened(0)
    entry = await service.put()
    version = int(service.stores.facts().live["1.2", "1.3"].properties["v"])
    obsolete = ObsoleteBlob(entry.blob, "1.2", "1.3", version, deleted=True)
    await service.trash.put(service.stores.facts().place, obsolete)
    assert await erase(service) == 1
    assert service.blobs.names() == [entry.blob]
    assert service.tables.rows("trash") == []


@pytest.mark.parametrize("retention", [0, 72])
async def test_a_tombstone_stays_for_two_days_and_goes_then(retention: float) -> None:
    service = await opened(retention)
    await service.put()
    await service.delete("1.1")
    await service.settle()
    service.stores.time.seconds += max(TOMBSTONE_MS, retention * HOUR_MS) / 1000 - 60
    await erase(service)
    assert list(service.stores.facts().dead) == [("1.2", "1.3")]
    pass_hours(service.stores, 2)
    await erase(service)
    assert service.stores.facts().entities == []
    assert service.blobs.names() == []
    pass_hours(service.stores, 5)
    await erase(service)
    assert service.tables.rows("trash") == []


async def test_a_tombstone_stays_while_a_change_of_its_instance_is_unfinished() -> None:
    """The clean-up of its postings relies on it; here the sequencer has not come to it for days."""
    service = await opened(0)
    await service.put("1.1", "1.2", "1.4")
    await service.put()
    await service.settle()
    await service.delete("1.1", "1.2", "1.3")
    facts = service.stores.facts()
    assert any(key[0] == "G" for key in facts.unfinished)
    [blob] = [blob for row in facts.entities if row.row_key[0] == "G" for blob in cleanup_in(row).blobs]
    await service.trash.put(facts.place, blob)
    pass_hours(service.stores, 60)
    await erase(service)
    assert list(service.stores.facts().dead) == [("1.2", "1.3")]
    await service.settle()
    pass_hours(service.stores, 2)
    await erase(service)
    assert service.stores.facts().dead == {}


async def test_an_instance_that_is_stored_while_its_tombstone_is_purged_stays() -> None:
    service = await opened(0)
    await service.put()
    await service.delete("1.1")
    await service.settle()
    pass_hours(service.stores, 60)
    other = IndexService(service.stores)

    def purges(kind: str, batch: list[RowWrite]) -> bool:
        return kind == "dicom" and batch[0].verb == "delete" and batch[0].row_key.startswith("I!")

    service.stores.once(purges, other.put)
    await erase(service)
    await erase(service)
    assert list(service.stores.facts().live) == [("1.2", "1.3")]


async def test_a_crash_while_erasing_leaves_the_work_noted() -> None:
    service = await opened(0)
    await service.put()
    await service.delete("1.1")
    await service.settle()

    async def crash(kind: str, operation: str) -> None:
        service.blobs.after = None
        raise Crashed

    service.blobs.after = crash
    with pytest.raises(Crashed):
        await erase(service)
    await erase(service)
    assert service.blobs.names() == []


async def test_work_is_found_although_nobody_has_looked_for_days() -> None:
    service = await opened(0)
    await service.put()
    await service.delete("1.1")
    await service.settle()
    pass_hours(service.stores, 24 * 9)
    await erase(service)
    assert service.blobs.names() == []


async def test_the_work_of_a_writer_whose_clock_is_behind_is_found() -> None:
    service = await opened(0)
    pass_hours(service.stores, 5)
    await erase(service)
    behind = IndexService(service.stores, skew=-3600)
    await behind.put()
    await behind.delete("1.1")
    await behind.settle()
    await erase(service)
    assert service.blobs.names() == []


async def test_one_run_takes_a_limited_number_and_the_next_goes_on() -> None:
    service = await opened(0)
    await service.store(*(service.entry("1.1", "1.2", f"1.3.{number}") for number in range(20)))
    await service.delete("1.1")
    await service.settle()
    assert await erase(service, limit=5) == 5
    assert len(service.blobs.names()) == 15
