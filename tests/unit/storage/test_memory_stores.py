"""What the fakes offer to tests beyond the ports."""

import pytest

from shared.storage.ports import Ambiguous, Kind, RowWrite
from tests.fakes.blobs import MemoryBlobStore
from tests.fakes.tables import MemoryTableStore


class Crash(BaseException):
    pass


async def test_what_is_raised_before_a_request_leaves_it_undone_and_after_it_done() -> None:
    seen: list[tuple[Kind, str]] = []

    async def note(kind: Kind, operation: str) -> None:
        seen.append((kind, operation))

    async def lose(kind: Kind, operation: str) -> None:
        raise Ambiguous("lost")

    async def crash(kind: Kind, operation: str) -> None:
        raise Crash

    tables = MemoryTableStore(before=lose)
    with pytest.raises(Ambiguous):
        await tables.commit("conf", [RowWrite("insert", "p", "r", {"x": 1})])
    assert tables.peek("conf", "p", "r") is None
    tables.before, tables.after = note, crash
    with pytest.raises(Crash):
        await tables.commit("conf", [RowWrite("insert", "p", "r", {"x": 1})])
    assert [row.row_key for row in tables.rows("conf")] == ["r"]
    tables.after = None
    await tables.get("conf", "p", "r")
    await tables.page("conf", "p", "", "z")
    await tables.range("conf", "p", "", "z")
    assert seen == [("conf", name) for name in ("commit", "get", "page", "page")]
    assert tables.requests == 5


async def test_pages_can_be_short_and_empty() -> None:
    tables = MemoryTableStore(page_limit=2, empty_page_every=2)
    await tables.commit("conf", [RowWrite("insert", "p", f"{number}") for number in range(7)])
    assert [row.row_key for row in await tables.range("conf", "p", "", "z")] == list("0123456")
    sizes = []
    low: str | None = ""
    while low is not None:
        page = await tables.page("conf", "p", low, "z")
        sizes.append(len(page.entities))
        low = page.next_row_key
    assert 0 in sizes
    assert max(sizes) == 2


async def test_rows_are_listed_by_partition_and_key() -> None:
    tables = MemoryTableStore()
    for partition_key, row_key in (("b", "1"), ("a", "2"), ("a", "1")):
        await tables.commit("conf", [RowWrite("insert", partition_key, row_key)])
    assert [(row.partition_key, row.row_key) for row in tables.rows("conf")] == [("a", "1"), ("a", "2"), ("b", "1")]
    assert [row.row_key for row in tables.rows("conf", "b")] == ["1"]
    assert tables.rows("idx") == []


async def test_a_container_can_be_filled_from_outside_and_interrupted() -> None:
    seen: list[str] = []

    async def note(kind: str, operation: str) -> None:
        seen.append(f"{kind} {operation}")

    blobs = MemoryBlobStore(before=note)
    blobs.drop("dropped", b"data", {"Any": "thing"})
    assert await blobs.read("dropped") == b"data"
    assert (await blobs.properties("dropped")).metadata == {"Any": "thing"}
    await blobs.put("own", b"x", {})
    assert blobs.names() == ["dropped", "own"]
    assert seen == ["blob read", "blob properties", "blob put"]
