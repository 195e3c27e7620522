from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.index_search.date_cover import date_cover


def is_inside(day: date, cover: list[tuple[str, str]]) -> bool:
    text = day.isoformat().replace("-", "")
    return any(first <= first[0] + text[: len(first) - 1] <= last and len(first) == len(last) for first, last in cover)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2020, 1, 31), date(2020, 1, 31), ["d20200131"]),
        (date(2020, 1, 30), date(2020, 2, 29), ["d20200130", "d20200131", "m202002"]),
        (date(2015, 1, 1), date(2016, 12, 31), ["y2015", "y2016"]),
        (date(2010, 1, 1), date(2019, 12, 31), ["x201"]),
        (date(2019, 12, 1), date(2031, 1, 1), ["m201912", "x202", "y2030", "d20310101"]),
    ],
)
def test_a_range_is_covered_by_whole_periods(first, last, expected):
    cover = date_cover(first, last, 16)

    assert sorted(cover) == sorted((name, name) for name in expected)


def test_an_open_range_takes_the_far_decades_as_one_run():
    assert date_cover(date(2026, 10, 1), date.max, 16)[-1] == ("x203", "x999")
    assert date_cover(date.min, date(2019, 12, 31), 16) == [("x000", "x201")]


def test_a_ragged_range_is_widened_until_it_takes_few_periods():
    cover = date_cover(date(2020, 1, 2), date(2021, 3, 30), 16)

    assert cover[0] == ("y2020", "y2020")
    assert len(cover) <= 16
    assert is_inside(date(2020, 1, 2), cover)
    assert is_inside(date(2021, 3, 30), cover)


@given(
    first=st.dates(),
    days=st.integers(0, 40_000),
    inside=st.floats(0, 1),
)
@settings(max_examples=200)
def test_every_day_of_a_range_is_covered_by_few_periods(first, days, inside):
    last = min(date.max, first + timedelta(days=min(days, (date.max - first).days)))
    cover = date_cover(first, last, 16)

    assert len(cover) <= 16
    for day in (first, last, first + (last - first) * inside):
        assert is_inside(day, cover)
