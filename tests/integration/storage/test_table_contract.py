"""What every TableStore does: the adapter on the emulator and the fake, by the same tests."""

import asyncio
import math
from collections.abc import AsyncIterator

import pytest

from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.storage.ports import Entity, PreconditionFailed, RowWrite, TableStore
from shared.wiring.stores import create_tables
from tests.fakes.tables import MemoryTableStore

PK = "00a7!1.2.840.113619 'é中𝄞' %+&="


@pytest.fixture(params=["memory", "azure", "azure spread"])
async def tables(
    request: pytest.FixtureRequest, connection: StorageConnection, prefix: str
) -> AsyncIterator[TableStore]:
    if request.param == "memory":
        yield MemoryTableStore()
        return
    spread = 3 if "spread" in request.param else 1
    store = AzureTableStore(connection.table_endpoint, connection.credential, spread=spread, prefix=prefix)
    await create_tables(store, connection)
    yield store
    await store.close()


def insert(row_key: str, /, **properties: str | float | bytes) -> RowWrite:
    return RowWrite("insert", PK, row_key, properties)


async def keys(tables: TableStore, low: str = "", high: str = "\uffff") -> list[str]:
    return [entity.row_key for entity in await tables.range("dicom", PK, low, high)]


async def read(tables: TableStore, row_key: str) -> Entity:
    entity = await tables.get("dicom", PK, row_key)
    assert entity
    return entity


async def test_a_row_comes_back_as_it_was_written(tables: TableStore) -> None:
    properties = {
        "text": "é中𝄞 \"quoted\" \\ 'single' \r\n\x00 HTTP/1.1 412 --batch",
        "empty": "",
        "digits": "0012",
        "small": 7,
        "large": 2**63 - 1,
        "least": -(2**63),
        "whole": 1.0,
        "fraction": -0.1,
        "infinite": math.inf,
        "less": -math.inf,
        "yes": True,
        "no": False,
        "bytes": bytes(range(256)),
        "nothing": b"",
    }
    await tables.commit("dicom", [insert("A", **properties)])
    await tables.commit("dicom", [insert("B", **properties), insert("C", **properties)])
    for row_key in "ABC":
        entity = await read(tables, row_key)
        assert entity.properties == properties
        assert {name: type(value) for name, value in entity.properties.items()} == {
            name: type(value) for name, value in properties.items()
        }
    assert [dict(entity.properties) for entity in await tables.range("dicom", PK, "A", "D")] == [properties] * 3


async def test_not_a_number_comes_back(tables: TableStore) -> None:
    await tables.commit("dicom", [insert("A", odd=math.nan)])
    assert math.isnan((await read(tables, "A")).properties["odd"])


async def test_a_row_that_is_not_there_is_none(tables: TableStore) -> None:
    assert await tables.get("dicom", PK, "nothing") is None
    await tables.commit("dicom", [insert("A")])
    assert await tables.get("dicom", PK, "a") is None
    assert await tables.get("idx", PK, "A") is None


async def test_every_read_of_a_row_gives_its_present_etag(tables: TableStore) -> None:
    await tables.commit("dicom", [insert("A", x=1)])
    first = await read(tables, "A")
    await tables.commit("dicom", [RowWrite("merge", PK, "A", {"x": 2}), insert("B")])
    second = await read(tables, "A")
    page = await tables.page("dicom", PK, "A", "B")
    selected = await tables.range("dicom", PK, "A", "B", select=["x"])
    assert first.etag
    assert first.etag != second.etag
    assert page.entities[0].etag == selected[0].etag == second.etag
    await tables.commit("dicom", [RowWrite("replace", PK, "A", {"x": 3}, second.etag)])


@pytest.mark.parametrize("more", [[], [RowWrite("upsert", PK, "other", {"x": 1})]], ids=["alone", "in a transaction"])
async def test_a_write_whose_condition_fails_changes_nothing(tables: TableStore, more: list[RowWrite]) -> None:
    await tables.commit("dicom", [insert("A", x=1)])
    stale = (await read(tables, "A")).etag
    await tables.commit("dicom", [RowWrite("upsert", PK, "A", {"x": 2})])
    failing = [
        insert("A", x=9),
        RowWrite("replace", PK, "A", {"x": 9}, stale),
        RowWrite("merge", PK, "A", {"x": 9}, stale),
        RowWrite("delete", PK, "A", {}, stale),
        RowWrite("replace", PK, "missing", {"x": 9}),
        RowWrite("merge", PK, "missing", {"x": 9}),
        RowWrite("delete", PK, "missing"),
        RowWrite("delete", PK, "missing", {}, stale),
    ]
    for operation in failing:
        with pytest.raises(PreconditionFailed):
            await tables.commit("dicom", [*more, operation])
    assert await keys(tables) == ["A"]
    assert (await read(tables, "A")).properties == {"x": 2}


async def test_each_verb_does_what_it_says(tables: TableStore) -> None:
    await tables.commit("dicom", [insert("I", a=1), insert("M", a=1, b=1), insert("R", a=1, b=1), insert("D")])
    etags = {row_key: (await read(tables, row_key)).etag for row_key in "MRD"}
    await tables.commit(
        "dicom",
        [
            RowWrite("upsert", PK, "I", {"c": 1}),
            RowWrite("upsert", PK, "U", {"c": 1}),
            RowWrite("merge", PK, "M", {"b": 2, "c": 1}, etags["M"]),
            RowWrite("replace", PK, "R", {"c": 1}, etags["R"]),
            RowWrite("delete", PK, "D", {}, etags["D"]),
        ],
    )
    rows = {entity.row_key: entity.properties for entity in await tables.range("dicom", PK, "", "\uffff")}
    assert rows == {"I": {"c": 1}, "U": {"c": 1}, "M": {"a": 1, "b": 2, "c": 1}, "R": {"c": 1}}
    for verb, expected in (("upsert", {"d": 1}), ("merge", {"d": 1, "e": 1}), ("replace", {"f": 1})):
        await tables.commit("dicom", [RowWrite(verb, PK, "R", {list(expected)[-1]: 1})])
        assert (await read(tables, "R")).properties == expected
    await tables.commit("dicom", [RowWrite("delete", PK, "R")])
    assert await tables.get("dicom", PK, "R") is None


async def test_a_transaction_of_a_hundred_rows_is_all_or_nothing(tables: TableStore) -> None:
    await tables.commit("dicom", [insert(f"{number:03}", n=number) for number in range(100)])
    assert await keys(tables) == [f"{number:03}" for number in range(100)]
    with pytest.raises(PreconditionFailed):
        await tables.commit("dicom", [RowWrite("delete", PK, f"{number:03}") for number in range(1, 101)])
    assert len(await keys(tables)) == 100


async def test_ranges_include_the_low_and_exclude_the_high_bound(tables: TableStore) -> None:
    await tables.commit("dicom", [insert(row_key) for row_key in ("A", "D!1", "D!2", "D!2!x", "E")])
    assert await keys(tables, "D!", "E") == ["D!1", "D!2", "D!2!x"]
    assert await keys(tables, "D!2", "D!2!x") == ["D!2"]
    assert await keys(tables, "E", "E") == []
    assert await keys(tables, "F", "D") == []


async def test_rows_are_ordered_by_utf16_units(tables: TableStore) -> None:
    ordered = ["A", "A A", "A!", "A'", "AA", "B", "a", "~", "é", "中", "𝄞", "\ue000", "\uff21"]
    await tables.commit("dicom", [insert(row_key) for row_key in reversed(ordered)])
    assert await keys(tables) == ordered
    assert await keys(tables, "a", "\ue000") == ["a", "~", "é", "中", "𝄞"]


async def test_ranges_stay_inside_their_partition_and_kind(tables: TableStore) -> None:
    for kind, partition_key in (("dicom", PK), ("dicom", PK + "0"), ("dicom", PK[:-1]), ("idx", PK), ("conf", PK)):
        await tables.commit(kind, [RowWrite("insert", partition_key, f"{kind} {len(partition_key)}")])
    assert await keys(tables) == [f"dicom {len(PK)}"]


@pytest.mark.parametrize("top", [1, 2, 3, 7, 1000])
async def test_pages_join_up_to_the_range(tables: TableStore, top: int) -> None:
    names = ["x", "x ", "x !", "x!", "xx", "y", "z"]
    await tables.commit("dicom", [insert(row_key, n=1) for row_key in names])
    seen: list[str] = []
    low: str | None = "x"
    pages = 0
    while low is not None:
        page = await tables.page("dicom", PK, low, "z", top=top)
        assert len(page.entities) <= top
        seen += [entity.row_key for entity in page.entities]
        low = page.next_row_key
        pages += 1
        assert pages < 20
    assert seen == names[:-1]


async def test_a_page_that_holds_all_is_the_last(tables: TableStore) -> None:
    await tables.commit("dicom", [insert("a"), insert("b")])
    page = await tables.page("dicom", PK, "a", "z", top=3)
    assert page.next_row_key is None
    assert (await tables.page("dicom", PK, "a", "z", top=1)).next_row_key is not None
    assert await tables.page("dicom", PK, "y", "z") == await tables.page("dicom", "none", "a", "z")


async def test_a_range_reads_over_many_pages(tables: TableStore) -> None:
    for start in range(0, 1100, 100):
        await tables.commit("dicom", [insert(f"{number:05}") for number in range(start, start + 100)])
    assert await keys(tables) == [f"{number:05}" for number in range(1100)]


async def test_a_selection_gives_only_what_is_asked_for_and_there(tables: TableStore) -> None:
    await tables.commit("dicom", [insert("A", n=2**40, b=b"x", t="x"), insert("B", t="y")])
    selected = await tables.range("dicom", PK, "A", "C", select=["n", "b"])
    assert [(entity.row_key, dict(entity.properties)) for entity in selected] == [
        ("A", {"n": 2**40, "b": b"x"}),
        ("B", {}),
    ]
    page = await tables.page("dicom", PK, "A", "C", select=["t"])
    assert [dict(entity.properties) for entity in page.entities] == [{"t": "x"}, {"t": "y"}]
    assert [entity.partition_key for entity in page.entities] == [PK, PK]


async def test_the_limits_of_the_service_are_met_and_kept(tables: TableStore) -> None:
    metadata = {f"md{number}": bytes(64 * 1024) for number in range(4)}
    await tables.commit("dicom", [insert("wide", **metadata), insert("text", t="中" * 32 * 1024)])
    assert (await read(tables, "wide")).properties == metadata
    await tables.commit("dicom", [insert(f"{number}", **metadata) for number in range(11)])
    before = await keys(tables)
    broken: list[list[RowWrite]] = [
        [],
        [insert(f"x{number}") for number in range(101)],
        [insert(f"x{number}", **metadata) for number in range(13)],
        [insert("x"), RowWrite("insert", PK + "other", "y")],
        [insert("x"), RowWrite("merge", PK, "x", {"a": 1})],
        [insert("x", b=bytes(64 * 1024 + 1))],
        [insert("x", t="x" * (32 * 1024 + 1))],
        [insert("x", t="𝄞" * (16 * 1024 + 1))],
        [insert("x", n=2**63)],
        [insert("x", **{f"md{number}": bytes(64 * 1024) for number in range(16)})],
        [insert("x", **{f"p{number}": 1 for number in range(253)})],
        [insert("x", **{"not a name": 1})],
        [insert("x", Timestamp="2020")],
        [insert("x", t="\ud800")],
        [insert("a/b")],
        [insert("a\x1fb")],
        [insert("x" * 513)],
        [RowWrite("replace", PK, "x", {}, "")],
    ]
    for operations in broken:
        with pytest.raises(ValueError):
            await tables.commit("dicom", operations)
    assert await keys(tables) == before
    with pytest.raises(ValueError):
        await tables.page("dicom", PK, "a", "b", top=1001)


async def test_of_many_inserts_of_one_row_one_succeeds(tables: TableStore) -> None:
    results = await asyncio.gather(
        *(tables.commit("dicom", [insert("A", who=number)]) for number in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, str) for result in results) == 1
    assert all(isinstance(result, str | PreconditionFailed) for result in results)
    [winner] = [number for number, result in enumerate(results) if isinstance(result, str)]
    assert (await read(tables, "A")).properties == {"who": winner}


async def test_of_many_writers_with_one_etag_one_succeeds(tables: TableStore) -> None:
    await tables.commit("dicom", [insert("A", n=0)])
    etag = (await read(tables, "A")).etag
    results = await asyncio.gather(
        *(
            tables.commit("dicom", [RowWrite("replace", PK, "A", {"n": number}, etag), insert(f"B{number}")])
            for number in range(10)
        ),
        return_exceptions=True,
    )
    [winner] = [number for number, result in enumerate(results) if isinstance(result, str)]
    assert await keys(tables) == ["A", f"B{winner}"]
