"""Data partitions (dicomweb §3)."""

import asyncio

import pytest

from shared.errors import InvalidRequest, Misconfigured
from shared.index_schema.clock import HybridClock
from shared.registry.data_partitions import DataPartitions, namespace_of
from shared.storage.ports import Ambiguous
from tests.fakes.tables import MemoryTableStore


def directory(tables: MemoryTableStore) -> DataPartitions:
    return DataPartitions(tables, HybridClock(lambda: 1_800_000_000.0))


@pytest.mark.spec("PART-7", "PART-10")
async def test_a_new_store_has_the_default_partition_alone() -> None:
    tables = MemoryTableStore()
    new = directory(tables)
    await new.check_at_start(enabled=True)
    [default] = await new.partitions()
    assert (default.key, default.name, default.namespace) == (1, "Microsoft.Default", "0")
    assert default.created.timestamp() == 1_800_000_000
    assert await new.resolve("microsoft.default", create=False) == default


@pytest.mark.spec("PART-12", "DP-4a")
async def test_names_that_differ_in_case_are_one_partition_and_the_first_spelling_stays() -> None:
    tables = MemoryTableStore()
    first = await directory(tables).resolve("Ward-7", create=True)
    assert first.name == "Ward-7"
    assert await directory(tables).resolve("WARD-7", create=True) == first
    assert await directory(tables).resolve("ward-7", create=False) == first
    assert first.namespace == namespace_of("wArD-7")
    assert len(first.namespace) == 12


@pytest.mark.spec("PART-6", "PART-3")
@pytest.mark.parametrize("name", ["unknown", "", "a/b", "ä", "x" * 65])
async def test_an_unknown_or_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        await directory(MemoryTableStore()).resolve(name, create=False)


@pytest.mark.spec("PART-4")
async def test_concurrent_creations_agree_and_keys_are_unique() -> None:
    async def yielding(kind: str, operation: str) -> None:
        await asyncio.sleep(0)

    tables = MemoryTableStore(before=yielding)
    names = ["one", "two", "ONE", "three", "Two"] * 3
    found = await asyncio.gather(*(directory(tables).resolve(name, create=True) for name in names))
    assert len({partition.namespace for partition in found}) == 3
    assert sorted({partition.key for partition in found}) == [2, 3, 4]
    assert len({(partition.namespace, partition.name) for partition in found}) == 3


async def test_a_creation_without_answer_is_resolved_by_reading() -> None:
    lost = False

    async def lose(kind: str, operation: str) -> None:
        nonlocal lost
        if operation == "commit" and not lost:
            lost = True
            raise Ambiguous

    partition = await directory(MemoryTableStore(after=lose)).resolve("one", create=True)
    assert partition.key == 2


@pytest.mark.spec("DP-13")
async def test_a_known_partition_costs_no_request() -> None:
    tables = MemoryTableStore()
    known = directory(tables)
    await known.resolve("one", create=True)
    before = tables.requests
    await known.resolve("ONE", create=False)
    assert tables.requests == before


@pytest.mark.spec("PART-8")
async def test_the_service_does_not_start_without_partitions_when_there_are_several() -> None:
    tables = MemoryTableStore()
    await directory(tables).check_at_start(enabled=True)
    await directory(tables).check_at_start(enabled=False)
    await directory(tables).resolve("one", create=True)
    with pytest.raises(Misconfigured):
        await directory(tables).check_at_start(enabled=False)
    await directory(tables).check_at_start(enabled=True)


async def test_two_names_of_one_digest_never_share_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.registry.data_partitions.namespace_of", lambda name: "aaaaaaaaaaaa")
    tables = MemoryTableStore()
    await directory(tables).resolve("one", create=True)
    with pytest.raises(InvalidRequest):
        await directory(tables).resolve("two", create=True)


async def test_a_namespace_leads_back_to_its_partition() -> None:
    tables = MemoryTableStore()
    partition = await directory(tables).resolve("one", create=True)
    assert await directory(tables).by_namespace(partition.namespace) == partition
    assert (await directory(tables).by_namespace("0")).key == 1
    assert await directory(tables).by_namespace("nothing") is None
