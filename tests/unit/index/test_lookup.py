"""Reading the index by identity."""

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.index.lookup import InstanceLookup
from tests.builders.service import PARTITION, SHARDS
from tests.unit.index.service import IndexService, Stores


async def test_an_instance_is_found_under_its_three_uids_only() -> None:
    service = IndexService()
    entry = await service.put("1.1", "1.2", "1.3")
    found = await service.lookup.instance(PARTITION, entry.identifier, metadata=True)
    assert found is not None
    assert (found.identifier, found.blob, found.length, found.metadata) == (
        entry.identifier,
        entry.blob,
        4,
        entry.metadata,
    )
    assert (found.sop_class_uid, found.transfer_syntax_uid) == (entry.sop_class_uid, entry.transfer_syntax_uid)
    assert found.attributes == {"00200013": "7"}
    for wrong in (("1.9", "1.2", "1.3"), ("1.1", "1.9", "1.3"), ("1.1", "1.2", "1.9"), ("1.1", "1.2", "1.33")):
        assert await service.lookup.instance(PARTITION, InstanceIdentifier(*wrong), metadata=False) is None


async def test_metadata_are_read_only_when_asked_for() -> None:
    service = IndexService()
    entry = await service.put()
    without = await service.lookup.instance(PARTITION, entry.identifier, metadata=False)
    assert without is not None
    assert without.metadata is None
    [without] = await service.lookup.instances(PARTITION, ResourceIdentifier("1.1"), metadata=False)
    assert without.metadata is None
    assert without.attributes == {"00200013": "7"}


async def test_the_instances_of_a_scope_come_newest_first() -> None:
    service = IndexService()
    for uids in (("1.1", "1.2", "1.9"), ("1.1", "1.22", "1.3"), ("1.1", "1.2", "1.1")):
        await service.put(*uids)

    async def instances(*uids: str) -> list[str]:
        found = await service.lookup.instances(PARTITION, ResourceIdentifier(*uids), metadata=True)
        return [instance.identifier.sop_instance_uid for instance in found]

    assert await instances("1.1") == ["1.1", "1.3", "1.9"]
    assert await instances("1.1", "1.2") == ["1.1", "1.9"]
    assert await instances("1.1", "1.2", "1.1") == ["1.1"]
    assert await instances("1.1", "1.2", "1") == []
    assert await instances("1.7") == []


async def test_the_watermarks_of_a_scope_are_those_of_its_live_instances() -> None:
    service = IndexService()
    for uids in (("1.1", "1.2", "1.9"), ("1.1", "1.22", "1.3"), ("1.1", "1.2", "1.1"), ("1.1", "1.2", "1.5")):
        await service.put(*uids)
    await service.delete("1.1", "1.2", "1.5")
    for uids in (("1.1",), ("1.1", "1.2"), ("1.1", "1.2", "1.1"), ("1.7",)):
        scope = ResourceIdentifier(*uids)
        instances = await service.lookup.instances(PARTITION, scope, metadata=False)
        keys = [(each.identifier.series_instance_uid, each.identifier.sop_instance_uid) for each in instances]
        expected = dict(zip(keys, [each.version for each in instances], strict=True))
        assert await service.lookup.versions(PARTITION, scope, original=False) == expected


async def test_many_instances_are_looked_up_by_series_and_the_same_is_found_as_one_by_one() -> None:
    stores = Stores()
    service = IndexService(stores)
    stored = [service.entry("1.1", f"1.2.{n % 3}", f"1.3.{n}") for n in range(120)]
    await service.store(*stored, service.entry("1.7", "1.7.1", "1.7.2"))
    await service.settle()
    for n in range(0, 120, 5):
        await service.delete("1.1", f"1.2.{n % 3}", f"1.3.{n}")
    wanted = [entry.identifier for entry in stored[:80]]
    wanted += [InstanceIdentifier("1.7", "1.7.1", "1.7.2"), InstanceIdentifier("1.1", "1.2.0", "1.3.999")]
    expected = {
        identifier: found
        for identifier in wanted
        if (found := await service.lookup.instance(PARTITION, identifier, metadata=True))
    }
    assert len(expected) == 65
    for page_limit, empty in ((1000, 0), (7, 0), (10, 3)):
        stores.tables.page_limit, stores.tables.empty_page_every = page_limit, empty
        before = stores.tables.requests
        assert await service.lookup.instances_in(PARTITION.namespace, wanted, metadata=True) == expected
        if page_limit == 1000:
            assert stores.tables.requests - before == 3 + 1
        bare = await service.lookup.instances_in(PARTITION.namespace, wanted, metadata=False)
        assert {key: found.version for key, found in bare.items()} == {
            key: found.version for key, found in expected.items()
        }
    assert await service.lookup.instances_in(PARTITION.namespace, [], metadata=True) == {}


async def test_neighbours_far_apart_are_not_read_with_all_that_lies_between() -> None:
    stores = Stores()
    service = IndexService(stores)
    entries = [service.entry("1.1", "1.2", f"1.3.{n:03}") for n in range(100)]
    await service.store(*entries)
    wanted = [entries[n].identifier for n in (0, 1, 50, 98, 99)]
    before = stores.tables.requests
    found = await service.lookup.instances_in(PARTITION.namespace, wanted, metadata=False)
    assert sorted(found) == wanted
    assert stores.tables.requests - before == 1 + 3


async def test_a_study_of_many_pages_is_read_whole() -> None:
    stores = Stores()
    service = IndexService(stores)
    await service.store(*(service.entry("1.1", f"1.2.{n % 7}", f"1.3.{n}") for n in range(60)))
    await service.settle()
    for page_limit, empty in ((3, 0), (10, 3)):
        stores.tables.page_limit, stores.tables.empty_page_every = page_limit, empty
        found = await service.lookup.instances(PARTITION, ResourceIdentifier("1.1"), metadata=True)
        assert len({instance.identifier for instance in found}) == len(found) == 60
        assert [each.version for each in found] == sorted((each.version for each in found), reverse=True)
        view = await service.lookup.study(PARTITION, "1.1")
        assert view is not None
        assert view.instances == 60
        assert len(view.series) == 7


async def test_series_come_newest_first() -> None:
    service = IndexService()
    for series in ("1.5", "1.3", "1.4"):
        service.stores.time.seconds += 1
        await service.put("1.1", series, "1.3")
    service.stores.time.seconds += 1
    await service.put("1.1", "1.5", "1.9")
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert list(view.series) == ["1.4", "1.3", "1.5"]
    assert view.newest == InstanceIdentifier("1.1", "1.5", "1.9")
    assert view.series["1.3"].newest == InstanceIdentifier("1.1", "1.3", "1.3")


async def test_data_partitions_do_not_see_each_other() -> None:
    service = IndexService()
    await service.put()
    from dataclasses import replace

    other = replace(PARTITION, namespace="abcdefghijkl", key=2)
    lookup = InstanceLookup(service.tables, shards=SHARDS)
    assert await lookup.study(other, "1.1") is None
    assert await lookup.instances(other, ResourceIdentifier("1.1"), metadata=False) == []
    assert await service.index.delete(other, ResourceIdentifier("1.1")) == 0
    assert await lookup.study(PARTITION, "1.1") is not None
