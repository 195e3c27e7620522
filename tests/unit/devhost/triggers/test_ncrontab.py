"""NCRONTAB: what timers follow."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.triggers.ncrontab import InvalidSchedule, Schedule


def occurrences(expression: str, after: str, count: int = 3, zone: str = "UTC") -> list[str]:
    """The next occurrences in local time."""
    schedule = Schedule.parse(expression)
    local = ZoneInfo(zone)
    moment = datetime.fromisoformat(after).replace(tzinfo=local)
    found = []
    for _ in range(count):
        moment = schedule.next_after(moment, local)
        found.append(moment.astimezone(local).strftime("%Y-%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("*/5 * * * * *", "2026-01-01T00:00:03", ["2026-01-01 00:00:05", "2026-01-01 00:00:10"]),
        ("0 */5 * * * *", "2026-01-01T00:05:00", ["2026-01-01 00:10:00", "2026-01-01 00:15:00"]),
        ("0 0 3 * * *", "2026-12-31T03:00:00", ["2027-01-01 03:00:00", "2027-01-02 03:00:00"]),
        ("0 30 9 * * 1-5", "2026-11-20T12:00:00", ["2026-11-23 09:30:00", "2026-11-24 09:30:00"]),
        ("0 30 9 * * Mon-FRI", "2026-11-20T12:00:00", ["2026-11-23 09:30:00", "2026-11-24 09:30:00"]),
        ("0 0 0 1 Jan,jul *", "2026-02-01T00:00:00", ["2026-07-01 00:00:00", "2027-01-01 00:00:00"]),
        ("0 0 0 29 2 *", "2096-03-01T00:00:00", ["2104-02-29 00:00:00", "2108-02-29 00:00:00"]),
        ("0 0 0 31 * *", "2026-01-31T00:00:00", ["2026-03-31 00:00:00", "2026-05-31 00:00:00"]),
        ("5,10-12,50/5 0 0 * * *", "2026-01-01T00:00:10", ["2026-01-01 00:00:11", "2026-01-01 00:00:12"]),
        ("50/5 0 0 * * *", "2026-01-01T00:00:50", ["2026-01-01 00:00:55", "2026-01-02 00:00:50"]),
        ("0-30/15 0 0 * * *", "2026-01-01T00:00:15", ["2026-01-01 00:00:30", "2026-01-02 00:00:00"]),
        ("30 4 * * *", "2026-01-01T00:00:00", ["2026-01-01 04:30:00", "2026-01-02 04:30:00"]),
        ("0 0 0 13 * 5", "2026-01-01T00:00:00", ["2026-02-13 00:00:00", "2026-03-13 00:00:00"]),
    ],
)
def test_an_expression_occurs_when_every_field_matches(expression: str, after: str, expected: list[str]) -> None:
    assert occurrences(expression, after, len(expected)) == expected


def test_fields_are_read_in_the_time_zone() -> None:
    moment = Schedule.parse("0 0 3 * * *").next_after(datetime(2026, 7, 1, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    assert moment == datetime(2026, 7, 1, 1, tzinfo=UTC)


def test_a_day_on_which_clocks_change_is_not_skipped() -> None:
    spring = occurrences("0 30 2 * * *", "2026-03-28T12:00:00", 2, "Europe/Berlin")
    assert [text[:10] for text in spring] == ["2026-03-29", "2026-03-30"]
    autumn = occurrences("0 30 2 * * *", "2026-10-24T12:00:00", 2, "Europe/Berlin")
    assert autumn == ["2026-10-25 02:30:00", "2026-10-26 02:30:00"]


@pytest.mark.parametrize(
    "expression",
    [
        "", "* * * *", "* * * * * * *", "60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * * 13 *", "* * * * * 7",
        "*/0 * * * * *", "a * * * * *", "5-3 * * * * *", "1- * * * * *", "* * * * Ja *", "-1 * * * * *", "1/ * * * * *",
        "0 0 0 30 2 *", "٣ * * * * *", "00:05:00",
    ],
)  # fmt: skip  # a table
def test_what_is_no_schedule_or_never_occurs_is_invalid(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        Schedule.parse(expression)


_NUMBERS = [(0, 59), (0, 59), (0, 23), (1, 28), (1, 12), (0, 6)]
_FIELDS = st.tuples(*(st.one_of(st.just("*"), st.integers(*ends).map(str)) for ends in _NUMBERS[:5]), st.just("*"))


@given(_FIELDS, st.integers(1_577_836_800, 1_893_456_000), st.floats(0, 1))
def test_the_next_occurrence_matches_and_no_second_before_it_does(
    fields: tuple[str, ...], began: int, place: float
) -> None:
    def matches(moment: datetime) -> bool:
        values = (moment.second, moment.minute, moment.hour, moment.day, moment.month)
        return all(field in {"*", str(value)} for field, value in zip(fields, values, strict=False))

    moment = datetime.fromtimestamp(began, UTC)
    found = Schedule.parse(" ".join(fields)).next_after(moment, UTC)
    assert matches(found)
    between = int((found - moment).total_seconds() * place)
    assert (found - moment).total_seconds() > 0
    for second in range(max(1, between - 60), between + 60):
        earlier = moment + timedelta(seconds=second)
        assert earlier >= found or not matches(earlier)
