import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.storage.blob_ranges import merge, read_merged

ranges = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 200_000)), max_size=30)


@settings(max_examples=100)
@given(ranges)
def test_every_range_lies_in_exactly_one_span(wanted: list[tuple[int, int]]) -> None:
    spans = merge(wanted)
    assert sorted(position for _, _, positions in spans for position in positions) == list(range(len(wanted)))
    for start, length, positions in spans:
        for position in positions:
            offset, size = wanted[position]
            assert start <= offset
            assert offset + size <= start + length


def test_neighbours_are_read_together_and_others_apart() -> None:
    frames = [(number * 500_000, 500_000) for number in range(40)]
    assert [length for _, length, _ in merge(frames)] == [8_000_000, 8_000_000, 4_000_000]
    assert len(merge([(0, 10), (100_000, 10), (200_000, 10)])) == 3
    assert len(merge([(0, 10), (50_000, 10), (20, 5)])) == 1
    assert [length for _, length, _ in merge([(0, 20_000_000), (5, 5)])] == [20_000_000, 5]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 5_000)), max_size=20))
def test_the_pieces_come_in_the_order_asked_for(wanted: list[tuple[int, int]]) -> None:
    data = bytes(number % 251 for number in range(300_000))
    under_way = most = 0

    async def read(offset: int, length: int) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return data[offset : offset + length]

    pieces = asyncio.run(read_merged(read, wanted))
    assert pieces == [data[offset : offset + length] for offset, length in wanted]
    assert most <= 6
