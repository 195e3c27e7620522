from dataclasses import replace

import pytest

from shared.index_schema.postings import after
from shared.index_search.limits import DEFAULT_LIMITS
from shared.index_search.merge import Candidate, Candidates, ShardStream, find_candidates
from shared.index_search.scan import (
    Cursor,
    Effort,
    ListCursor,
    Shard,
    TooManyValues,
    UnionCursor,
    WholeListCursor,
    entry_key,
    open_source,
)
from shared.index_search.sources import DistinctValues, ListUnion, PostingList, Span
from shared.storage.ports import RowWrite
from tests.fakes.tables import MemoryTableStore

SMALL = replace(DEFAULT_LIMITS, few=0, smallest_page=2, largest_page=8, distinct_values=3)


def key(number: int) -> str:
    """The sort key of the study `number`; a greater number is older."""
    return f"{number:012x}0000"


async def index_of(lists: dict[str, list[int]], limits=SMALL, **options) -> Shard:
    """A shard whose lists (`code!value`) hold these studies."""
    tables = MemoryTableStore(**options)
    rows = [(f"{name}!{key(number)}", number) for name, numbers in lists.items() for number in numbers]
    for row_key, number in rows:
        await tables.commit("idx", [RowWrite("upsert", "00!0", row_key, {"study": f"1.{number}"})])
    tables.requests = 0
    return Shard(tables, "00!0", Effort(lambda: 0.0, bounded=False, limits=limits))


async def walk(cursor: Cursor) -> list[int]:
    found, at = [], ""
    while (entity := await cursor.seek(at)) is not None:
        found.append(int(entry_key(entity)[:12], 16))
        at = after(entry_key(entity))
    return found


async def cursor_of(shard: Shard, *parts, top: int = 2) -> Cursor:
    return await open_source(shard, ListUnion(parts, 3), top)


@pytest.mark.parametrize("options", [{}, {"page_limit": 3}, {"empty_page_every": 2}])
async def test_a_list_is_walked_to_its_end_whatever_the_pages(options):
    shard = await index_of({"pi!a": list(range(40)), "pi!aa": [99], "pi!": [98], "pj!a": [97]}, **options)

    assert await walk(await cursor_of(shard, PostingList("pi", "a"))) == list(range(40))


async def test_pages_double_up_to_the_largest():
    shard = await index_of({"pi!a": list(range(40))})

    await walk(await cursor_of(shard, PostingList("pi", "a")))

    assert shard.tables.requests == 1 + 1 + 1 + 4  # 2, 4, 8 rows, then 8 at a time
    assert shard.effort.rows == 40


async def test_what_is_skipped_is_not_read():
    shard = await index_of({"pi!a": list(range(1000))})
    cursor = await cursor_of(shard, PostingList("pi", "a"))

    entity = await cursor.seek(key(900))

    assert entity is not None
    assert entity.properties == {"study": "1.900"}
    assert shard.tables.requests == 2
    assert shard.effort.rows <= 6


async def test_a_cursor_seeks_within_its_page_without_a_request():
    shard = await index_of({"pi!a": list(range(100))})
    cursor = await cursor_of(shard, PostingList("pi", "a"), top=8)
    before = shard.tables.requests

    assert cursor.is_ready(key(7))
    assert not cursor.is_ready(key(8))
    assert await cursor.seek(key(7)) is not None
    assert shard.tables.requests == before


async def test_a_union_is_in_order_and_names_no_study_before_its_turn():
    shard = await index_of({"mo!ct": [1, 5, 9, 13], "mo!mr": [0, 2, 5, 20], "mo!dx": [7]})
    cursor = await cursor_of(shard, *(PostingList("mo", value) for value in ("ct", "mr", "dx", "us")))

    assert isinstance(cursor, UnionCursor)
    assert await walk(cursor) == [0, 1, 2, 5, 7, 9, 13, 20]


async def test_a_short_span_is_taken_whole_and_put_in_order():
    shard = await index_of({"sd!d20200101": [5, 7], "sd!d20200102": [1, 9], "sd!d20200103": [0]})
    cursor = await cursor_of(shard, Span("sd!d20200101", 'sd!d20200102"', (PostingList("sd", "none"),)))

    assert cursor.complete
    assert await walk(cursor) == [1, 5, 7, 9]
    assert shard.tables.requests == 1


async def test_a_long_span_is_replaced_by_the_lists_that_cover_it():
    shard = await index_of({"sd!d20200101": list(range(9)), "sd!m202001": list(range(9))})
    cursor = await cursor_of(shard, Span("sd!d20200101", 'sd!d20200131"', (PostingList("sd", "m202001"),)))

    assert not cursor.complete
    assert await walk(cursor) == list(range(9))


@pytest.mark.parametrize("options", [{}, {"empty_page_every": 3}])
async def test_the_lists_of_the_values_in_a_range_are_found_by_seeking(options):
    shard = await index_of({"ds!ca": [3], "ds!cb": [0, *range(10, 20)], "ds!cc": [2], "ds!d": [1]}, **options)
    cursor = await cursor_of(shard, DistinctValues("ds!c", "ds!c\ud7ff"))

    assert await walk(cursor) == [0, 2, 3, *range(10, 20)]


async def test_a_range_of_too_many_values_cannot_be_used():
    shard = await index_of({f"ds!c{number}": [number] for number in range(4)})

    with pytest.raises(TooManyValues):
        await cursor_of(shard, DistinctValues("ds!c", "ds!c\ud7ff"))


async def test_an_extent_tells_rows_and_density_of_what_was_read():
    shard = await index_of({"pi!a": [0, 10], "pi!b": list(range(100, 200))})

    short = (await cursor_of(shard, PostingList("pi", "a"), top=8)).extent
    long = (await cursor_of(shard, PostingList("pi", "b"), top=8)).extent

    assert (short.rows, short.complete, short.density) == (2, True, 0.2)
    assert (long.rows, long.complete) == (8, False)
    assert long.density > short.density


# ------------------------------------------------------------------------------------------------------- all studies


async def all_studies(rows: list[tuple[int, str]]) -> Shard:
    """A list of all studies: number and PatientID of each row."""
    tables = MemoryTableStore()
    for position, (number, patient) in enumerate(rows):
        properties = {"study": f"1.{number}", "attributes": b'{"00100020":"%s"}' % patient.encode()}
        await tables.commit("idx", [RowWrite("upsert", "00!0", f"a!!{key(number)}!{position:08}", properties)])
    return Shard(tables, "00!0", Effort(lambda: 0.0, bounded=False, limits=SMALL))


async def test_a_study_with_two_rows_fits_if_one_of_them_does():
    shard = await all_studies([(1, "x"), (1, "P"), (2, "x"), (3, "P"), (3, "x"), (4, "x")])

    def fits(entity):
        return entity.properties["attributes"] == b'{"00100020":"P"}'

    cursor = WholeListCursor(shard, "idx", fits)
    await cursor.open(2)
    assert await walk(cursor) == [1, 3]

    judge = WholeListCursor(shard, "idx", fits)
    await judge.open(2)
    assert [await judge.judge(key(number)) for number in (0, 1, 2, 3, 4, 5)] == [False, True, False, True, False, False]


# ------------------------------------------------------------------------------------------------------------- merge


async def candidates_of(shards: list[Shard], sources: list[ListUnion], want: int) -> Candidates:
    return await find_candidates(shards, sources, "idx", fits=None, unserved=False, want=want)


def study_of(candidate: Candidate) -> str:
    return candidate.postings[0].properties["study"]


async def merged(shard: Shard, *values: str) -> list[int]:
    cursors = []
    for value in values:
        cursor = ListCursor(shard, "idx", "pi", value)
        await cursor.open(2)
        cursors.append(cursor)
    candidates = Candidates([ShardStream(cursors, None)])
    return [int(candidate.sort_key[:12], 16) for candidate in await candidates.take(1000)]


async def test_a_merge_finds_what_is_on_all_lists_without_reading_what_lies_between():
    shard = await index_of(
        {"pi!a": [*range(300), 500, 700], "pi!b": [299, *range(301, 600), 700], "pi!c": list(range(0, 1000, 100))}
    )

    assert await merged(shard, "a", "b", "c") == [500, 700]
    assert shard.effort.rows < 150


async def test_candidates_of_all_shards_come_newest_first_and_once():
    shards = [
        await index_of({"mo!ct": [1, 4, 4, 8], "mo!mr": [1, 9]}),
        await index_of({"mo!ct": [0, 5], "mo!mr": [6]}),
        await index_of({}),
    ]
    shards = [Shard(shard.tables, "00!0", shards[0].effort) for shard in shards]
    sources = [ListUnion((PostingList("mo", "ct"), PostingList("mo", "mr")), 4)]

    candidates = await candidates_of(shards, sources, 3)

    first = await candidates.take(4)
    rest = await candidates.take(100)
    assert [study_of(candidate) for candidate in first + rest] == [f"1.{n}" for n in (0, 1, 4, 5, 6, 8, 9)]
    assert await candidates.take(1) == []


async def test_a_source_that_cannot_be_used_leaves_the_others_and_bounds_the_search():
    shard = await index_of({**{f"ds!c{number}": [number] for number in range(9)}, "pi!p": [3, 4, 5]})
    low, high = "ds!c", "ds!c\ud7ff"
    unusable = ListUnion((Span(low, high, (DistinctValues(low, high),)),), 3)
    sources = [unusable, ListUnion((PostingList("pi", "p"),), 3)]

    candidates = await candidates_of([shard], sources, 10)

    assert [study_of(candidate) for candidate in await candidates.take(9)] == ["1.3", "1.4", "1.5"]
    assert shard.effort.bounded


async def test_identifying_keys_are_asked_alone_first():
    shard = await index_of({"pi!p": [3], "mo!ct": list(range(50))}, replace(SMALL, few=2))
    sources = [ListUnion((PostingList("pi", "p"),), 1), ListUnion((PostingList("mo", "ct"),), 4)]

    candidates = await candidates_of([shard], sources, 10)

    assert [study_of(candidate) for candidate in await candidates.take(9)] == ["1.3"]
    assert shard.tables.requests == 1


async def test_lists_that_were_left_out_join_when_too_many_candidates_fail():
    shard = await index_of({"mo!ct": list(range(100)), "pi!p": [*range(20), 60, 90]})
    ct, patient = ListCursor(shard, "idx", "mo", "ct"), ListCursor(shard, "idx", "pi", "p")
    for cursor in (ct, patient):
        await cursor.open(2)
    candidates = Candidates([ShardStream([ct], None, [patient])])

    assert len(await candidates.take(30)) == 30
    candidates.narrow()

    found = [study_of(candidate) for candidate in await candidates.take(100)]
    assert found[-2:] == ["1.60", "1.90"]
    assert len(found) < 30


async def test_a_candidate_says_whether_its_postings_are_all_of_them():
    lists = {"pi!p": [*range(30)]}
    short = await candidates_of([await index_of(lists, DEFAULT_LIMITS)], [ListUnion((PostingList("pi", "p"),), 1)], 5)
    long = await candidates_of([await index_of(lists)], [ListUnion((PostingList("pi", "p"),), 1)], 5)

    assert [candidate.whole for candidate in await short.take(30)] == [True] * 30
    assert [candidate.whole for candidate in await long.take(30)] == [False] * 30
