"""The index on real tables: the histories of the model test, and many writers into one study (storage §10)."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from devhost.azurite.emulator import Azurite
from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.model import CommitOutcome, NewInstance
from shared.index_schema import blob_names, keys
from shared.index_schema.clock import HybridClock
from shared.registry.data_partitions import DataPartitions
from shared.registry.store_settings import StoreSettingsRow
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from shared.wiring.stores import create_tables
from tests.fakes.lists import covering
from tests.fakes.schemas import FixedSchemas
from tests.integration.index.mirrored import MirroredTables
from tests.unit.index.actors import folding, history
from tests.unit.index.chaos import Weather
from tests.unit.index.history import Plan, World

PARTITION = Partition(1, "Microsoft.Default", "0", datetime.min.replace(tzinfo=UTC))
SHARDS = 4


@pytest.fixture
async def tables(azurite: Azurite) -> AsyncIterator[AzureTableStore]:
    """A store of its own in the emulator."""
    connection = StorageConnection.from_connection_string(azurite.connection_string)
    store = AzureTableStore(
        connection.table_endpoint, connection.credential, spread=2, prefix=f"t{secrets.token_hex(6)}"
    )
    await create_tables(store, connection)
    yield store
    await store.close()


def entry(study: str, series: str, instance: str, name: str = "Doe^John") -> NewInstance:
    identifier = InstanceIdentifier(study, series, instance)
    blob = blob_names.blob_name("0", identifier, blob_names.new_upload_id(int(time.time() * 1000)))
    study_attributes = {"00100010": name, "00100020": "P1", "00080020": "20240131", "00081030": "Thorax/Abdomen #1 ü %"}
    series_attributes = {"00080060": "CT", "00200011": "1"}
    return NewInstance(
        identifier,
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.1.2.1",
        blob,
        1000,
        False,
        study_attributes,
        series_attributes,
        {"00200013": "1"},
        b'{"00080060":{"vr":"CS","Value":["CT"]}}' * 50,
    )


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_random_history_on_real_tables_violates_nothing(tables: AzureTableStore, seed: int) -> None:
    random.seed(seed)
    plan = Plan(
        shards=random.choice((1, 3)),
        studies=random.choice((1, 2)),
        namespaces=seed % 2 + 1,
        weather=Weather(lose=0.02, crash=0.004),
        page_entries=random.choice((1000, 5)),
        bucket_entries=random.choice((1_000_000, 10)),
        fold_at_once=random.choice((30, 3)),
        stores=0.6,
        days=1,
        pause=0.5,
    )
    mirrored = MirroredTables(tables)
    with folding(plan):
        world = await history(World(plan, mirrored, late=0.0))
    assert world.violations == []
    assert world.stored > 0
    places = world.places()
    assert await mirrored.differences("dicom", [place.partition_key for place in places]) == []
    for kind in ("idx", "idxi"):
        assert await mirrored.differences(kind, sorted({place.postings for place in places})) == []


async def test_sixteen_writers_into_one_study_lose_nothing(tables: AzureTableStore) -> None:
    clock = HybridClock(time.time)
    writers = [InstanceIndex(tables, clock, FixedSchemas(), shards=SHARDS) for _ in range(16)]
    before = tables.requests

    async def write(number: int, index: InstanceIndex) -> None:
        for each in range(8):
            new = entry("1.1", f"1.2.{number % 3}", f"1.3.{number}.{each}", f"Name^{each}")
            assert await index.commit(PARTITION, [new]) == [CommitOutcome.STORED]

    await asyncio.gather(*(write(number, index) for number, index in enumerate(writers)))
    lookup = InstanceLookup(tables, shards=SHARDS)
    view = await lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.instances == len(await lookup.instances(PARTITION, ResourceIdentifier("1.1"), metadata=True)) == 128
    assert (tables.requests - before) / 128 < 30


async def test_a_store_costs_the_requests_that_are_budgeted(tables: AzureTableStore) -> None:
    clock = HybridClock(time.time)
    await InstanceIndex(tables, clock, FixedSchemas(), shards=SHARDS).commit(PARTITION, [entry("1.1", "1.2", "1.3")])
    costs = []
    for batch in (1, 10):
        index = InstanceIndex(tables, clock, FixedSchemas(), shards=SHARDS)
        before = tables.requests
        await index.commit(PARTITION, [entry("1.1", "1.2", f"1.3.{batch}.{number}") for number in range(batch)])
        costs.append(tables.requests - before)
    assert costs[0] <= 7
    assert costs[1] <= 10


async def test_a_large_study_is_stored_read_deleted_and_forgotten(tables: AzureTableStore) -> None:
    clock = HybridClock(time.time)
    index, lookup = InstanceIndex(tables, clock, FixedSchemas(), shards=SHARDS), InstanceLookup(tables, shards=SHARDS)
    new = [entry("1.1", f"1.2.{number % 7}", f"1.3.{number}") for number in range(1200)]
    for at in range(0, len(new), 300):
        assert set(await index.commit(PARTITION, new[at : at + 300])) == {CommitOutcome.STORED}
    found = await lookup.instances(PARTITION, ResourceIdentifier("1.1"), metadata=True)
    assert {each.identifier for each in found} == {each.identifier for each in new}
    assert all(each.metadata == new[0].metadata for each in found)
    trash = Erasure(tables, clock, shards=SHARDS, retention_hours=0)
    sequencer = Sequencer(
        tables,
        clock,
        StudyCleanup(tables, trash, FixedSchemas(), covering(tables)),
        FixedSchemas(),
        hints=index.hints,
        shards=SHARDS,
        log=ChangeLog(tables),
    )
    assert await sequencer.catch_up()
    assert await index.delete(PARTITION, ResourceIdentifier("1.1")) == 1200
    assert await lookup.study(PARTITION, "1.1") is None
    for _ in range(3):
        await sequencer.catch_up()
    place = keys.study_place("0", "1.1", SHARDS)
    assert await tables.range("dicom", place.partition_key, "A", "I") == []
    for kind in ("idx", "idxi"):
        assert await tables.range(kind, place.postings, "", "\uffff") == []


async def test_the_shape_of_a_store_and_its_partitions_are_kept(tables: AzureTableStore) -> None:
    clock = HybridClock(time.time)

    def row(shards: int) -> StoreSettingsRow:
        return StoreSettingsRow(tables, clock, shards=shards, spread=2)

    starts = await asyncio.gather(*(row(SHARDS).settings() for _ in range(4)))
    assert len({settings.store_id for settings in starts}) == 1
    names = await asyncio.gather(*(DataPartitions(tables, clock).resolve(name, create=True) for name in "AbaB"))
    assert len({partition.namespace for partition in names}) == 2
    with pytest.raises(Exception, match="shards"):
        await row(SHARDS + 1).settings()
