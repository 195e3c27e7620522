"""What lies about after crashes and lost events, and who clears it up: each mess is made first, on real storage.

Time is the emulator's, so the processes that clear up live in the future.
"""

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime, timedelta

import pytest

from shared.change_log.log import ChangeLog
from shared.change_log.sequencer import Sequencer
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.dicomweb.versions import ApiVersion
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.summary import Summary
from shared.index_schema import blob_names, keys
from shared.index_schema.clock import HybridClock
from shared.index_schema.schema import BUILT_IN
from shared.ingest.ingest import Ingest
from shared.ingest.ingest_settings import IngestSettings
from shared.ingest.store_options import StoreOptions
from shared.registry.data_partitions import DataPartitions
from shared.registry.store_settings import StoreSettingsRow
from shared.storage.azure_blobs import AzureBlobStore
from shared.storage.azure_tables import AzureTableStore
from shared.storage.blob_upload import BLOCK_BYTES
from shared.storage.connection import StorageConnection
from shared.storage.optimistic import RetryBudget
from shared.storage.ports import BlobNotFound, RowWrite
from shared.upkeep.cleanup import StudyCleanup
from shared.upkeep.erasure import Erasure
from shared.upkeep.scrubber import Scrubbed, Scrubber
from shared.wiring.stores import create_tables
from tests.builders.files import PATIENT_ID, file
from tests.fakes.lists import covering
from tests.fakes.schemas import FixedSchemas

SHARDS = 2
HOUR = 3600
PARTITION = Partition(1, "Microsoft.Default", "0", datetime.min.replace(tzinfo=UTC))
TERMS = StoreOptions(ApiVersion.V2)


class Store:
    """A store of its own in the emulator, and a process on it; `hours` is how far in the future that lives."""

    def __init__(self, connection):
        self.hours = 0.0
        name = f"t{secrets.token_hex(6)}"
        self.connection = connection
        self.tables = AzureTableStore(connection.table_endpoint, connection.credential, spread=1, prefix=name)
        self.blobs = AzureBlobStore(connection.blob_endpoint, name, connection.credential)
        clock = HybridClock(self.now)
        self.index = InstanceIndex(self.tables, clock, FixedSchemas(), shards=SHARDS)
        self.lookup = InstanceLookup(self.tables, shards=SHARDS)
        self.partitions = DataPartitions(self.tables, clock)
        rules = IngestSettings(max_file_bytes=1 << 40)
        self.ingest = Ingest(self.blobs, self.index, self.lookup, self.partitions, rules=rules, now=self.now)
        self.trash = Erasure(self.tables, clock, shards=SHARDS, retention_hours=72)
        log = ChangeLog(self.tables)
        self.sequencer = Sequencer(
            self.tables,
            clock,
            StudyCleanup(self.tables, self.trash, FixedSchemas(), covering(self.tables)),
            FixedSchemas(),
            hints=self.index.hints,
            shards=SHARDS,
            log=log,
        )
        self.scrubber = Scrubber(
            self.tables, self.blobs, clock, self.partitions, self.ingest.ensure, schemas=FixedSchemas(), shards=SHARDS
        )

    def now(self):
        return time.time() + self.hours * HOUR

    async def open(self):
        await asyncio.gather(self.blobs.ensure_container(), create_tables(self.tables, self.connection))
        await StoreSettingsRow(self.tables, HybridClock(self.now), shards=SHARDS, spread=1).settings()
        return self

    async def close(self):
        await asyncio.gather(self.tables.close(), self.blobs.close())

    async def store(self, one, terms=TERMS):
        async with self.ingest.begin(PARTITION, terms) as batch:
            receiver = batch.receiver()
            await receiver.write(one.data)
            await batch.add(receiver)
            [outcome] = await batch.store()
        assert outcome.failure is None

    async def walk(self):
        total = Scrubbed()
        for _ in range(100):
            run = await self.scrubber.run()
            for name in Scrubbed.__slots__:
                setattr(total, name, getattr(total, name) + getattr(run, name))
            if total.finished:
                return total
        raise AssertionError("the walk does not end")

    async def stored(self, one):
        return await self.lookup.instance(PARTITION, one.identifier, metadata=False)

    async def names(self):
        return [blob.name async for blob in self.blobs.list()]

    def place(self, one):
        return keys.study_place("0", one.identifier.study_instance_uid, SHARDS)

    async def rows(self, one):
        found = await self.tables.range("dicom", self.place(one).partition_key, "", "\uffff")
        return [row.row_key for row in found]

    async def postings(self, one, kind="idx"):
        return {row.row_key for row in await self.tables.range(kind, self.place(one).postings, "", "\uffff")}


@pytest.fixture
async def store(azurite):
    opened = await Store(StorageConnection.from_connection_string(azurite.connection_string)).open()
    yield opened
    await opened.close()


def name_of(one):
    return blob_names.blob_name("0", one.identifier, blob_names.new_upload_id(int(time.time() * 1000)))


@pytest.mark.spec("P-2")
async def test_a_file_without_index_entry_is_indexed(store):
    """A store died after the file, and the event of the file was lost."""
    orphan, dropped, known = file(), file(), file()
    await store.store(known)
    await store.blobs.put(name_of(orphan), orphan.data, TERMS.blob_metadata())
    await store.blobs.put("inbox/scan.dcm", dropped.data, {})
    await store.blobs.put("inbox/notes.txt", b"These are notes.", {})
    await store.walk()
    assert await store.stored(orphan) is None, "it may still be under way"

    store.hours = 2
    scrubbed = await store.walk()

    assert (scrubbed.ingested, scrubbed.dropped) == (1, 2)
    for one in (orphan, dropped, known):
        assert await store.stored(one)
    assert "inbox/notes.txt" in await store.names()
    assert (await store.walk()).ingested == 0


async def test_a_file_that_must_not_be_stored_is_removed_unless_it_is_somebody_elses(store):
    """The answer was 409, and the process died before it removed the file."""
    one = file()
    await store.store(one)
    loser = name_of(one)
    await store.blobs.put(loser, one.data, TERMS.blob_metadata())
    store.hours = 2

    await store.walk()

    assert loser not in await store.names()
    assert len(await store.names()) == 1


async def test_the_blocks_of_an_upload_that_was_never_committed_are_removed(store):
    """The client went away in the middle of a large file, or the process died."""
    known = file()
    await store.store(known)
    name = name_of(file())
    upload = store.blobs.upload(name)
    await upload.write(bytes(BLOCK_BYTES + 1))
    await upload.stage()
    await upload.abort()
    await store.blobs.put(name_of(file()), b"", {})  # a run of the scrubber has died in between
    assert name in (await store.blobs.page()).empty
    assert name not in await store.names()

    store.hours = 47
    assert (await store.walk()).unfinished == 0, "it may still be under way"
    store.hours = 49
    scrubbed = await store.walk()

    assert (scrubbed.unfinished, scrubbed.ingested, scrubbed.dropped) == (2, 0, 0)
    assert (await store.blobs.page()).empty == []
    assert await store.names() == [(await store.stored(known)).blob]


async def test_a_document_without_its_file_is_removed(store):
    one = file()
    name = name_of(one)
    for beside in (blob_names.metadata_blob(name), blob_names.frames_blob(name)):
        await store.blobs.put(beside, b"{}", {})
    store.hours = 47
    assert (await store.walk()).abandoned == 0
    store.hours = 49
    assert (await store.walk()).abandoned == 2
    assert await store.names() == []


@pytest.mark.parametrize("hinted", [True, False], ids=["with its hint", "its hint lost"])
async def test_an_index_entry_that_is_stuck_is_finished(store, hinted):
    """A store died behind its commit: nothing is folded, nothing can be searched."""
    one = file({PATIENT_ID: "STUCK"})
    committer, place = store.index._committer, store.place(one)
    async with store.ingest.begin(PARTITION, TERMS) as batch:
        receiver = batch.receiver()
        await receiver.write(one.data)
        await batch.add(receiver)
        [pending] = batch._first_of_each()[0]
        await batch._write(pending)
        await committer.commit(place, [pending.pending.instance], RetryBudget(), late=False)
        pending.pending = None
    assert any(row.startswith("D!") for row in await store.rows(one))
    assert not any(row.startswith("pi!") for row in await store.postings(one))
    if not hinted:
        for row in await store.tables.range("hint", place.hint[0], "", keys.LAST):
            await store.tables.commit("hint", [RowWrite("delete", row.partition_key, row.row_key)])
        store.hours = 2
        assert (await store.walk()).hinted == 1

    await store.sequencer.catch_up()

    assert not any(row.startswith(("D!", "E!")) for row in await store.rows(one))
    assert any(row.startswith("pi!stuck!") for row in await store.postings(one))


async def test_a_posting_that_nothing_implies_is_removed(store):
    one = file()
    await store.store(one)
    await store.sequencer.catch_up()
    before = await store.postings(one)
    sort_key = next(row.rpartition("!")[2] for row in before if row.startswith("a!"))
    study = one.identifier.study_instance_uid
    stale = BUILT_IN.study_postings(sort_key, study, {"00100020": "NOBODY"}, 1)
    rows = [RowWrite("upsert", store.place(one).postings, key, row) for key, row in stale.items() if key not in before]
    assert rows
    await store.tables.commit("idx", rows)

    await store.walk()
    store.hours = 1
    scrubbed = await store.walk()

    assert scrubbed.unposted == len(rows)
    assert await store.postings(one) == before


async def test_an_empty_series_row_is_removed(store):
    one = file()
    await store.store(one)
    await store.sequencer.catch_up()
    row_key = keys.series_row("1.2.3.77")
    damage = RowWrite("insert", store.place(one).partition_key, row_key, Summary().properties())
    await store.tables.commit("dicom", [damage])

    assert (await store.walk()).series == 1
    assert row_key not in await store.rows(one)
    assert await store.stored(one)


async def test_an_instance_whose_file_is_gone_is_reported_and_kept(store, caplog):
    caplog.set_level(logging.WARNING, "dicom.telemetry")
    one = file()
    await store.store(one)
    await store.sequencer.catch_up()
    blob = (await store.stored(one)).blob
    await store.blobs.delete(blob)

    assert (await store.walk()).missing == 1

    assert await store.stored(one)
    assert '"event":"file-missing"' in caplog.text
    assert one.identifier.study_instance_uid not in caplog.text


@pytest.mark.spec("EXP-1", "DEL-11", "S-3")
async def test_an_expired_study_goes_with_its_rows_and_after_the_retention_with_its_file(store):
    one, other = file(), file()
    await store.store(one, StoreOptions(ApiVersion.V2, expires=datetime.now(UTC) + timedelta(hours=1)))
    await store.store(other)
    blob = (await store.stored(one)).blob
    assert await store.index.expire() == 0

    store.hours = 2
    assert await store.index.expire() == 1
    assert await store.stored(one) is None
    assert await store.stored(other)
    await store.sequencer.catch_up()
    await store.trash.erase_due(store.blobs)
    assert blob in await store.names()

    store.hours = 80
    await store.trash.erase_due(store.blobs)
    assert blob not in await store.names()
    with pytest.raises(BlobNotFound):
        await store.blobs.properties(blob)
    assert not await store.lookup.instances(
        PARTITION, ResourceIdentifier(one.identifier.study_instance_uid), metadata=False
    )
    assert await store.stored(other)
