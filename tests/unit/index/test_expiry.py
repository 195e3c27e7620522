"""Studies that expire (dicomweb §6.9)."""

from datetime import UTC, datetime

import pytest

from shared.registry.store_settings import STORE_ROW
from shared.storage.ports import RowWrite
from tests.builders.service import PARTITION
from tests.unit.index.service import IndexService, commits


async def opened() -> IndexService:
    service = IndexService()
    created = {"shards": 4, "spread": 1, "created": service.clock.now_ms()}
    await service.tables.commit("conf", [RowWrite("insert", *STORE_ROW, created)])
    return service


def after(service: IndexService, seconds: float) -> datetime:
    return datetime.fromtimestamp(service.stores.time() + seconds, UTC)


@pytest.mark.spec("EXP-1")
async def test_a_study_is_deleted_when_it_has_expired_and_not_before() -> None:
    service = await opened()
    expires = after(service, 100)
    await service.put("1.1", "1.2", "1.3", expires=expires)
    await service.put("1.1", "1.2", "1.4", expires=expires)
    await service.put("1.9", "1.2", "1.3")
    assert (await service.lookup.study(PARTITION, "1.1")).expires == expires
    service.stores.time.seconds += 99
    await service.index.expire()
    assert await service.lookup.study(PARTITION, "1.1") is not None
    service.stores.time.seconds += 2
    await service.index.expire()
    assert await service.lookup.study(PARTITION, "1.1") is None
    assert await service.lookup.study(PARTITION, "1.9") is not None
    await service.settle()
    assert [entry.operation for entry in await service.feed.by_sequence(3, 10)] == ["delete", "delete"]


@pytest.mark.spec("EXP-1")
async def test_a_later_store_without_expiry_cancels_it() -> None:
    service = await opened()
    await service.put("1.1", "1.2", "1.3", expires=after(service, 100))
    await service.put("1.1", "1.2", "1.4")
    service.stores.time.seconds += 10_000
    await service.index.expire()
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert (view.instances, view.expires) == (2, None)


@pytest.mark.spec("EXP-1")
async def test_a_later_store_replaces_the_expiry() -> None:
    service = await opened()
    await service.put("1.1", "1.2", "1.3", expires=after(service, 100))
    later = after(service, 20_000)
    await service.put("1.1", "1.2", "1.4", expires=later)
    service.stores.time.seconds += 10_000
    await service.index.expire()
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.expires == later
    service.stores.time.seconds += 10_001
    await service.index.expire()
    assert await service.lookup.study(PARTITION, "1.1") is None


async def test_the_last_store_goes_on_deciding_when_its_instance_is_deleted() -> None:
    service = await opened()
    await service.put("1.1", "1.2", "1.3", expires=after(service, 100))
    await service.put("1.1", "1.2", "1.4")
    await service.delete("1.1", "1.2", "1.4")
    await service.settle()
    service.stores.time.seconds += 200
    await service.index.expire()
    assert await service.lookup.study(PARTITION, "1.1") is not None


@pytest.mark.spec("EXP-1")
async def test_a_study_expires_although_the_instance_that_said_so_is_deleted() -> None:
    service = await opened()
    await service.put("1.1", "1.2", "1.3")
    expires = after(service, 100)
    await service.put("1.1", "1.2", "1.4", expires=expires)
    await service.delete("1.1", "1.2", "1.4")
    await service.settle()
    assert (await service.lookup.study(PARTITION, "1.1")).expires == expires
    service.stores.time.seconds += 200
    await service.index.expire()
    assert await service.lookup.study(PARTITION, "1.1") is None


async def test_a_store_in_the_moment_of_expiry_saves_the_study() -> None:
    service = await opened()
    await service.put(expires=after(service, 100))
    await service.settle()
    service.stores.time.seconds += 200
    other = IndexService(service.stores)

    def deletes(kind: str, batch: list[RowWrite]) -> bool:
        return commits(kind, batch) and any(operation.properties.get("op") == "delete" for operation in batch)

    service.stores.once(deletes, lambda: other.put("1.1", "1.2", "1.4"))
    await service.index.expire()
    view = await service.lookup.study(PARTITION, "1.1")
    assert view is not None
    assert view.instances == 2


async def test_the_expiry_is_noted_before_the_commit_says_so() -> None:
    service = await opened()
    seen = []

    async def look() -> None:
        seen.append(len(service.tables.rows("trash")))

    service.stores.once(commits, look)
    await service.put(expires=after(service, 100))
    assert seen == [1]


async def test_an_upload_that_is_indexed_after_its_expiry_goes_soon() -> None:
    """The request died; its event came late."""
    service = await opened()
    await service.index.expire()
    entry = service.entry(expires=after(service, 100))
    service.stores.time.seconds += 20 * 3600
    await service.index.expire()
    await service.store(entry)
    await service.index.expire()
    assert await service.lookup.study(PARTITION, "1.1") is None
