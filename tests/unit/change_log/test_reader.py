"""Reading the feed: by sequence, by time, across buckets, with final windows (storage §7, azure-apis §4)."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.change_log.log import ChangeLog
from tests.builders.sequencing import run_cycle
from tests.unit.index.chaos import Crashed
from tests.unit.index.service import IndexService, Stores, appends


def moment(service: IndexService) -> datetime:
    return datetime.fromtimestamp(service.stores.time(), UTC)


async def fill(service: IndexService, pages: int) -> None:
    """Pages of one entry each, a second apart."""
    start = int(service.stores.time())
    for number in range(pages):
        service.stores.time.seconds += 1
        await service.put("1.1", "1.2", f"1.3.{start}.{number}")
        await service.sequencer.catch_up()


def sequences(entries) -> list[int]:
    return [entry.sequence for entry in entries]


@pytest.mark.spec("CF-10", "CF-16")
async def test_entries_are_read_by_sequence() -> None:
    service = IndexService()
    await fill(service, 5)
    assert sequences(await service.feed.by_sequence(0, 2)) == [1, 2]
    assert sequences(await service.feed.by_sequence(3, 10)) == [4, 5]
    assert await service.feed.by_sequence(5, 10) == []


@pytest.mark.spec("CF-11")
async def test_entries_are_read_by_time() -> None:
    service = IndexService()
    start = moment(service)
    await fill(service, 5)

    async def window(first: float | None, end: float | None, offset: int = 0, limit: int = 100) -> list[int]:
        bounds = [None if bound is None else start + timedelta(seconds=bound) for bound in (first, end)]
        return sequences(await service.feed.by_time(*bounds, offset, limit))

    assert await window(None, None) == [1, 2, 3, 4, 5]
    assert await window(2, 4) == [2, 3]
    assert await window(2, None, 1, 2) == [3, 4]
    assert await window(0, 4, 2) == [3]
    assert await window(0, 4, 9) == []
    assert await window(100, 200) == []
    assert await window(4, 1000) == [4, 5]


@pytest.mark.spec("CF-17", "CF-18")
async def test_the_latest_entry_is_the_one_with_the_highest_sequence() -> None:
    service = IndexService(bucket_entries=2)
    assert await service.feed.latest() is None
    for expected in range(1, 6):
        await fill(service, 1)
        latest = await service.feed.latest()
        assert latest is not None
        assert latest.sequence == expected


@pytest.mark.spec("CF-27")
async def test_what_a_search_has_shown_is_in_the_feed_that_is_read_next() -> None:
    service = IndexService()
    await service.put()
    assert sequences(await IndexService(service.stores).feed.by_sequence(0, 10)) == [1]


@pytest.mark.spec("CF-28")
async def test_a_window_that_was_read_is_final_whatever_the_clock_of_the_sequencer_says() -> None:
    service = IndexService()
    await fill(service, 1)
    service.stores.time.seconds += 100
    end = moment(service)
    assert sequences(await service.feed.by_time(None, end, 0, 10)) == [1]
    behind = IndexService(service.stores, skew=-50)
    await behind.put("1.1", "1.2", "1.4")
    await behind.sequencer.catch_up()
    assert sequences(await service.feed.by_time(None, end, 0, 10)) == [1]
    assert sequences(await service.feed.by_time(None, None, 0, 10)) == [1, 2]


async def test_a_window_of_an_empty_feed_is_final_too() -> None:
    service = IndexService()
    end = moment(service)
    assert await service.feed.by_time(None, end, 0, 10) == []
    behind = IndexService(service.stores, skew=-50)
    await behind.put()
    await behind.sequencer.catch_up()
    assert await service.feed.by_time(None, end, 0, 10) == []


async def test_a_window_that_ends_in_the_future_does_not_hold_up_the_feed() -> None:
    service = IndexService()
    await fill(service, 1)
    await service.feed.by_time(None, moment(service) + timedelta(days=1), 0, 10)
    await fill(service, 1)
    entry = await service.feed.latest()
    assert entry is not None
    assert entry.timestamp < moment(service) + timedelta(seconds=1)


async def test_the_feed_goes_on_in_another_bucket_when_one_is_full() -> None:
    service = IndexService(bucket_entries=3)
    start = moment(service)
    await fill(service, 10)
    assert len({row.partition_key for row in service.tables.rows("feed")}) == 4
    for reader in (service, IndexService(service.stores, bucket_entries=3)):
        assert sequences(await reader.feed.by_sequence(0, 100)) == list(range(1, 11))
        assert sequences(await reader.feed.by_sequence(4, 3)) == [5, 6, 7]
        window = await reader.feed.by_time(start + timedelta(seconds=3), start + timedelta(seconds=8), 0, 100)
        assert sequences(window) == [3, 4, 5, 6, 7]


async def test_a_crash_between_seal_and_successor_is_made_good() -> None:
    service = IndexService(bucket_entries=2)
    await fill(service, 2)

    async def crash() -> None:
        raise Crashed

    service.stores.once_after(lambda kind, batch: bool(batch[0].properties.get("sealed")), crash)
    with pytest.raises(Crashed):
        await service.sequencer.catch_up()
    other = IndexService(service.stores, bucket_entries=2)
    await fill(other, 3)
    assert sequences(await other.feed.by_sequence(0, 100)) == [1, 2, 3, 4, 5]
    assert sequences(await IndexService(service.stores).feed.by_sequence(2, 100)) == [3, 4, 5]


async def test_the_last_page_of_the_new_bucket_is_acknowledged_by_a_sequencer_that_saw_the_full_one() -> None:
    """This one is about to seal; the other has sealed, appended to the next bucket, and died before acknowledging."""
    service = IndexService(bucket_entries=1)
    await fill(service, 1)
    await service.put("1.1", "1.2", "1.9")
    other = IndexService(service.stores, bucket_entries=1)

    async def seal_append_and_die() -> None:
        async def crash() -> None:
            raise Crashed

        service.stores.once_after(appends, crash)
        with pytest.raises(Crashed):
            await run_cycle(other.sequencer)

    service.stores.once(lambda kind, batch: bool(batch[0].properties.get("sealed")), seal_append_and_die)
    await service.settle()
    assert sequences(await service.feed.by_sequence(0, 100)) == [1, 2]


async def test_a_reader_does_not_skip_a_page_that_comes_while_the_bucket_is_sealed() -> None:
    stores = Stores()
    writer, reader = IndexService(stores, bucket_entries=2), ChangeLog(stores.tables)
    await fill(writer, 1)
    assert len(await reader.pages(1, 1)) == 1

    async def fill_and_seal(kind: str, operation: str) -> None:
        if kind == "feed" and operation == "page":
            stores.tables.after = None
            await fill(writer, 2)

    stores.tables.after = fill_and_seal
    pages = await reader.pages(2, 100)
    stores.tables.after = None
    assert [page.first for page in pages] == [2, 3]
    assert [page.first for page in await reader.pages(3, 100)] == [3]


async def test_metadata_of_the_present_version_come_with_every_entry_of_its_instance() -> None:
    service = IndexService()
    await service.put()
    await service.put(put=True)
    resolved = await service.feed.resolve(await service.feed.by_sequence(0, 10), metadata=True)
    assert len({each.instance.version for each in resolved if each.instance}) == 1
    assert all(each.instance and each.instance.metadata for each in resolved)


async def test_a_reader_is_not_kept_by_numbering_that_does_not_come_to_its_end(monkeypatch) -> None:
    monkeypatch.setattr("shared.change_log.reader.PATIENCE_SECONDS", 0.01)
    service = IndexService()
    await fill(service, 1)
    await service.put("1.1", "1.2", "1.9")
    async with service.sequencer._running:
        assert sequences(await service.feed.by_sequence(0, 10)) == [1]
        latest = await service.feed.latest()
        assert latest is not None
        assert latest.sequence == 1
        window = await service.feed.by_time(None, moment(service) + timedelta(seconds=1), 0, 10)
        assert sequences(window) == [1]
    assert sequences(await service.feed.by_sequence(0, 10)) == [1, 2]


@pytest.mark.spec("CF-28")
async def test_a_window_of_time_that_was_read_too_early_stays_as_it_was_read(monkeypatch) -> None:
    """What is numbered later gets a later time: a reader that goes on from the end of its window misses nothing."""
    monkeypatch.setattr("shared.change_log.reader.PATIENCE_SECONDS", 0.01)
    service = IndexService()
    await service.put()
    end = moment(service)
    async with service.sequencer._running:
        assert await service.feed.by_time(None, end, 0, 10) == []
    assert await service.feed.by_time(None, end, 0, 10) == []
    service.stores.time.seconds += 1
    assert sequences(await service.feed.by_time(end, None, 0, 10)) == [1]


async def test_a_reader_leaves_what_follows_to_others() -> None:
    service = IndexService()
    await service.put("1.1", "1.2", "1.3")
    await service.feed.latest()
    await service.delete("1.1")
    entries = await service.feed.by_sequence(0, 10)
    assert [entry.operation for entry in entries] == ["create", "delete"]
    assert len(service.stores.facts().unfinished) == 2
    await service.settle()
    assert not service.stores.facts().unfinished
