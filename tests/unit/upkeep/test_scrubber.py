"""The scrubber: what no event and no hint leads to (storage §5)."""

import pytest

from shared.errors import Unavailable
from shared.index.summary import Summary
from shared.index_schema import blob_names, keys
from shared.storage.ports import RowWrite
from shared.upkeep.scrubber import Scrubbed, Scrubber
from tests.builders.service import PARTITION, SHARDS
from tests.fakes.schemas import FixedSchemas
from tests.unit.index.chaos import Crashed
from tests.unit.index.invariants import stale_postings, when_all_is_done
from tests.unit.index.service import IndexService, commits, folds

HOUR = 3600


class Scrubbing(IndexService):
    """A service whose ingest commits what it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, object] = {}
        self.ensured: list[str] = []
        self.scrubber = Scrubber(
            self.tables, self.blobs, self.clock, _Registry(), self.ensure, schemas=FixedSchemas(), shards=SHARDS
        )

    def entry(self, *uids: str, **options):
        entry = super().entry(*uids, **options)
        self.known[entry.blob] = entry
        return entry

    async def ensure(self, blob: str) -> None:
        self.ensured.append(blob)
        await self.store(self.known[blob])

    async def walk(self, *, limit: int = 10**9) -> Scrubbed:
        """One walk through the whole store, in as many runs as it takes."""
        total = Scrubbed()
        while not total.finished:
            run = await self.scrubber.run(limit=limit)
            for name in Scrubbed.__slots__:
                setattr(total, name, getattr(total, name) + getattr(run, name))
        return total

    async def walk_twice(self) -> Scrubbed:
        """A walk, and another one some time after."""
        await self.walk()
        self.stores.time.seconds += HOUR
        return await self.walk()


class _Registry:
    async def partitions(self):
        return [PARTITION]


async def crash() -> None:
    raise Crashed


async def test_a_file_whose_event_was_lost_is_indexed_once_it_is_old_enough() -> None:
    service = Scrubbing()
    known = await service.put("1.1", "1.2", "1.4")
    lost = service.entry()
    assert (await service.walk()).ingested == 0
    service.stores.time.seconds += 2 * HOUR
    assert (await service.walk()).ingested == 1
    assert service.ensured == [lost.blob]
    assert service.stores.facts().live.keys() == {("1.2", "1.3"), ("1.2", "1.4")}
    assert (await service.walk()).ingested == 0
    assert known.blob not in service.ensured


async def test_a_file_that_trips_the_reader_does_not_end_the_walk() -> None:
    service = Scrubbing()
    lost = service.entry()
    service.blobs.drop("aaa.dcm", b"nobody knows it")  # KeyError
    service.stores.time.seconds += 2 * HOUR
    scrubbed = await service.walk()
    assert (scrubbed.dropped, scrubbed.ingested) == (1, 1)
    assert sorted(service.ensured) == sorted(["aaa.dcm", lost.blob])


async def test_a_deleted_or_replaced_file_in_its_retention_is_left_alone() -> None:
    service = Scrubbing()
    await service.put("1.1", "1.2", "1.3")
    await service.put("1.1", "1.2", "1.3", put=True)
    await service.put("1.1", "1.2", "1.4")
    await service.delete("1.1", "1.2", "1.4")
    service.stores.time.seconds += 2 * HOUR
    assert (await service.walk()).ingested == 0


async def test_a_file_that_cannot_be_indexed_does_not_stop_the_walk() -> None:
    service = Scrubbing()

    async def refuse(blob: str) -> None:
        service.ensured.append(blob)
        raise Unavailable("busy")

    service.scrubber._ensure = refuse
    service.entry()
    service.entry("1.9")
    service.stores.time.seconds += 2 * HOUR
    assert (await service.walk()).ingested == len(service.ensured) == 2


async def test_a_live_instance_whose_file_is_gone_is_reported_and_stays() -> None:
    service = Scrubbing()
    lost = await service.put()
    await service.put("1.1", "1.2", "1.4")
    await service.blobs.delete(lost.blob)
    assert (await service.walk()).missing == 1
    assert len(service.stores.facts().live) == 2


async def test_stale_postings_are_removed_and_the_others_stay() -> None:
    """A store died after it had posted a new instance, a fold after it had posted new values."""
    service = Scrubbing()
    await service.put("1.1", "1.2", "1.4")
    service.stores.once(commits, crash)
    with pytest.raises(Crashed):
        await service.put("1.1", "1.2", "1.5", name="Never^Was")
    service.blobs._blobs.popitem()
    service.stores.once(folds, crash)
    entry = service.entry("1.1", "1.2", "1.6", name="Passing^By")
    with pytest.raises(Crashed):
        await service.store(entry)
    service.stores.time.seconds += 1
    await service.put("1.1", "1.2", "1.6", put=True, name="Staying^Here")
    await service.settle()
    place = service.stores.facts().place
    orphan = RowWrite("upsert", place.postings, f"pn!orphan!{service.stores.facts().rows.sort_key}", {"study": "1.1"})
    await service.tables.commit("idx", [orphan])
    assert stale_postings([service.stores.facts()])
    assert (await service.walk_twice()).unposted >= 2
    assert stale_postings([service.stores.facts()]) == set()
    assert list(when_all_is_done(service.stores.facts(), service.blobs.names())) == []
    assert not [row for row in service.tables.rows("conf", "scrub") if row.row_key.startswith("s")]


async def test_the_posting_of_a_commit_under_way_is_not_removed() -> None:
    """The scrubber sees it before its instance is there; minutes later it is implied."""
    service = Scrubbing()
    await service.put("1.1", "1.2", "1.4")
    await service.settle()
    service.stores.once(commits, service.walk)
    await service.put()
    assert [row for row in service.tables.rows("conf", "scrub") if row.row_key.startswith("s")]
    service.stores.time.seconds += HOUR
    assert (await service.walk()).unposted == 0
    await service.settle()
    assert list(when_all_is_done(service.stores.facts(), service.blobs.names())) == []


async def test_a_stale_posting_that_is_written_again_is_looked_at_anew() -> None:
    service = Scrubbing()
    await service.put()
    await service.settle()
    place = service.stores.facts().place
    orphan = RowWrite("upsert", place.postings, f"pn!orphan!{service.stores.facts().rows.sort_key}", {"study": "1.1"})
    await service.tables.commit("idx", [orphan])
    await service.walk()
    service.stores.time.seconds += HOUR
    await service.tables.commit("idx", [orphan])
    assert (await service.walk()).unposted == 0
    assert (await service.walk_twice()).unposted == 1


async def test_unfinished_work_without_a_hint_gets_one() -> None:
    service = Scrubbing()
    await service.put()
    for row in service.tables.rows("hint"):
        await service.tables.commit("hint", [RowWrite("delete", row.partition_key, row.row_key)])
    service.stores.time.seconds += 2 * HOUR
    assert (await service.walk()).hinted == 1
    await service.settle()
    assert len(await service.feed.by_sequence(0, 10)) == 1


async def test_an_empty_series_row_is_removed_with_its_postings() -> None:
    service = Scrubbing()
    await service.put()
    await service.settle()
    place = service.stores.facts().place
    damage = RowWrite("insert", place.partition_key, keys.series_row("1.77"), Summary().properties())
    await service.tables.commit("dicom", [damage])
    uid_posting = f"su!1.77!{service.stores.facts().rows.sort_key}!{keys.uid_digest('1.77')}"
    posting = RowWrite("insert", place.postings, uid_posting, {"study": "1.1", "series": "1.77"})
    await service.tables.commit("idx", [posting])
    assert (await service.walk()).series == 1
    await service.settle()
    assert list(when_all_is_done(service.stores.facts(), service.blobs.names())) == []
    assert uid_posting not in service.stores.facts().postings


async def test_a_walk_in_many_small_runs_sees_everything() -> None:
    service = Scrubbing()
    for number in range(5):
        await service.put(f"1.{number}", "1.2", "1.3")
    lost = [service.entry(f"1.{number}", "1.2", "1.9") for number in range(5)]
    service.stores.time.seconds += 2 * HOUR
    whole = await service.walk(limit=300)
    assert whole.ingested == len(lost)
    assert whole.postings > 5 * 10


async def test_a_file_that_somebody_dropped_is_looked_at_whatever_its_name() -> None:
    service = Scrubbing()
    for name in ("inbox/a.dcm", "000", "zzz/notes.json", "fff/x.off"):
        service.blobs.drop(name, b"x")
        service.known[name] = service.entry()
    assert (await service.walk()).dropped == 0
    service.stores.time.seconds += 2 * HOUR
    assert (await service.walk()).dropped == 4
    assert {"inbox/a.dcm", "000", "zzz/notes.json", "fff/x.off"} <= set(service.ensured)


async def test_a_document_whose_file_is_gone_is_removed_when_nobody_can_need_it() -> None:
    service = Scrubbing()
    kept, gone = await service.put(), await service.put("1.1", "1.2", "1.4")
    beside = {one.blob: (blob_names.metadata_blob(one.blob), blob_names.frames_blob(one.blob)) for one in (kept, gone)}
    for names in beside.values():
        for name in names:
            service.blobs.drop(name, b"x")
    await service.blobs.delete(gone.blob)
    service.stores.time.seconds += 47 * HOUR
    assert (await service.walk()).abandoned == 0
    service.stores.time.seconds += 2 * HOUR
    assert (await service.walk()).abandoned == 2
    assert service.blobs.names() == sorted([kept.blob, *beside[kept.blob]])


async def test_a_walk_goes_on_where_the_listing_of_files_ended(monkeypatch) -> None:
    monkeypatch.setattr("shared.upkeep.scrubber._BLOBS_AT_ONCE", 3)
    monkeypatch.setattr("shared.upkeep.scrubber._SAVED_EVERY", 1)
    service = Scrubbing()
    lost = [service.entry(f"1.{number}", "1.2", "1.9") for number in range(10)]
    service.stores.time.seconds += 2 * HOUR
    runs = 0
    while not (await service.scrubber.run(limit=1)).finished:
        runs += 1
    assert runs > 4
    assert sorted(service.ensured) == sorted(one.blob for one in lost)
