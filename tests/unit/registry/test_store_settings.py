"""The store's own row (storage §2)."""

import asyncio

import pytest

from shared.errors import Misconfigured, Unavailable
from shared.index_schema.clock import HybridClock
from shared.registry.store_settings import FORMAT, STORE_ROW, StoreSettingsRow
from shared.storage.ports import Ambiguous, RowWrite
from tests.fakes.tables import MemoryTableStore


def row(tables: MemoryTableStore, *, shards: int = 4, spread: int = 1) -> StoreSettingsRow:
    return StoreSettingsRow(tables, HybridClock(lambda: 1_800_000_000.0), shards=shards, spread=spread)


async def write(tables: MemoryTableStore, **properties: int | str) -> None:
    shape = {"shards": 4, "spread": 1, "created": 1_700_000_000_000}
    await tables.commit("conf", [RowWrite("insert", *STORE_ROW, {**shape, **properties})])


async def test_all_processes_that_start_a_store_agree_on_its_identity() -> None:
    async def yielding(kind: str, operation: str) -> None:
        await asyncio.sleep(0)

    tables = MemoryTableStore(before=yielding)
    found = await asyncio.gather(*(row(tables).settings() for _ in range(8)))
    assert len({settings.store_id for settings in found}) == 1
    assert (len(found[0].store_id), found[0].shards, found[0].created.timestamp()) == (32, 4, 1_800_000_000)
    assert tables.peek("conf", *STORE_ROW).properties["format"] == FORMAT


async def test_two_stores_have_two_identities() -> None:
    ids = {(await row(MemoryTableStore()).settings()).store_id for _ in range(2)}
    assert len(ids) == 2


async def test_a_store_that_is_older_than_formats_gets_format_and_identity_and_keeps_the_rest() -> None:
    tables = MemoryTableStore()
    await write(tables)
    settings = await row(tables).settings()
    assert (settings.created.timestamp(), settings.shards) == (1_700_000_000, 4)
    assert await row(tables).settings() == settings


async def test_the_service_does_not_start_on_an_unknown_format() -> None:
    tables = MemoryTableStore()
    await write(tables, format=FORMAT + 1, id="5f" * 16)
    with pytest.raises(Misconfigured, match=f"format {FORMAT + 1}, which this release does not know"):
        await row(tables).settings()


@pytest.mark.parametrize("changed", [{"shards": 8}, {"spread": 64}])
async def test_the_service_does_not_start_on_a_store_of_another_shape(changed: dict[str, int]) -> None:
    tables = MemoryTableStore()
    await row(tables).settings()
    await row(tables).settings()
    with pytest.raises(Misconfigured, match=next(iter(changed))):
        await row(tables, **changed).settings()


async def test_the_row_is_read_once() -> None:
    tables = MemoryTableStore()
    known = row(tables)
    await known.settings()
    before = tables.requests
    await known.settings()
    assert tables.requests == before


async def test_a_creation_without_answer_is_resolved_by_reading() -> None:
    lost: list[str] = []

    async def lose(kind: str, operation: str) -> None:
        if operation == "commit" and not lost:
            lost.append(kind)
            raise Ambiguous

    tables = MemoryTableStore(after=lose)
    settings = await row(tables).settings()
    assert settings.store_id == tables.peek("conf", *STORE_ROW).properties["id"]


async def test_a_store_that_never_keeps_its_row_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(kind: str, operation: str) -> None:
        if operation == "commit":
            raise Ambiguous

    monkeypatch.setattr("shared.storage.optimistic.ROUNDS", 3)
    with pytest.raises(Unavailable):
        await row(MemoryTableStore(before=lose)).settings()
