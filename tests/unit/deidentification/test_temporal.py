import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deidentification.temporal import capped_age, shifted

DATES = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))


@pytest.mark.spec("DEID-4")
@given(one=DATES, other=DATES, days=st.integers(-365, 365))
def test_intervals_survive(one: dt.date, other: dt.date, days: int) -> None:
    moved = [
        dt.datetime.strptime(shifted("DA", f"{each:%Y%m%d}", days) or "", "%Y%m%d").replace(tzinfo=dt.UTC).date()
        for each in (one, other)
    ]
    assert moved[0] - one == dt.timedelta(days=days)
    assert moved[1] - moved[0] == other - one


@pytest.mark.spec("DEID-4")
@pytest.mark.parametrize(
    ("vr", "text", "moved"),
    [
        ("DA", "20240131", "20240210"),
        ("DA", "2024.01.31", "20240210"),
        ("DT", "20240131101112.5+0100", "20240210101112.5+0100"),
        ("DT", "202401", "202401"),
        ("DT", "2024", "2024"),
        ("TM", "101112.123456", "101112.123456"),
        ("DA", "20240132", None),
        ("DA", "202401", None),
        ("DA", "20240131x", None),
        ("DA", "99991231", None),
        ("DT", "20240131 Zquxmorf", None),
        ("TM", "Zquxmorf", None),
        ("TM", "19630817", None),
        ("DA", "", None),
    ],
)
def test_dates_move_times_stay_and_all_else_goes(vr: str, text: str, moved: str | None) -> None:
    assert shifted(vr, text, 10) == moved


@pytest.mark.spec("DEID-4")
@pytest.mark.parametrize(
    ("text", "left"),
    [("089Y", "089Y"), ("090Y", "090Y"), ("110Y", "090Y"), ("999M", "999M"), ("045D ", "045D"), ("old", None)],
)
def test_ages_over_89_years_are_one(text: str, left: str | None) -> None:
    assert capped_age(text) == left
