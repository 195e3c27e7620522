"""Dates of FHIR as intervals of days, and windows (COH-18). Pure."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from shared.cohorts.definition.durations import Duration, shifted
from shared.cohorts.evaluation.truth import FALSE, TRUE, Truth, unknown

_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T.*)?)?)?")
_PRECISION: Final = {1: "year", 2: "month", 3: "day"}
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """The days that a date may be; `date.min` and `date.max` where an end is open."""

    first: date
    last: date
    text: str = ""
    precision: str = "day"


ANY_DAY: Final = Interval(date.min, date.max)


def interval(text: Any) -> Interval | None:
    """The days of a `date` or `dateTime`; an instant is the day that is written in it. None: absent or unreadable."""
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    parts = [int(each) for each in match.groups() if each is not None]
    try:
        first = date(*[*parts, 1, 1][:3])
        last = first if len(parts) == 3 else _before(shifted(first, 1 if len(parts) == 2 else 12))
    except ValueError:
        return None
    return Interval(first, last, str(text), _PRECISION[len(parts)])


def _added(day: date, days: int) -> date:
    return day + timedelta(days=days)


@dataclass(frozen=True, slots=True)
class DayWindow:
    """A closed window of days; none reaches beyond the day of the run."""

    first: date
    last: date

    @classmethod
    def of(cls, when: Any, as_of: date) -> "DayWindow | None":
        """The window of a canonical WHEN; None for `any`."""
        if not isinstance(when, dict) or "after" in when:
            return None
        if "within" in when:
            return cls(Duration.parse(when["within"]).before(as_of), as_of)
        first = date.fromisoformat(when["since"]) if "since" in when else date.min
        last = date.fromisoformat(when["until"]) if "until" in when else as_of
        return cls(first, min(last, as_of))

    def holds(self, days: Interval, what: str) -> Truth:
        """Whether the date lies inside; unknown where it straddles a limit."""
        if days.last < self.first or days.first > self.last:
            return FALSE
        if self.first <= days.first and days.last <= self.last:
            return TRUE
        return unknown("when", f"{what} {days.text} has {days.precision} precision" if days.text else f"{what} is open")


def birthday(birth: date, years: int) -> date:
    """The birthday after so many years: 1 March for 29 February in a year without it. At most `date.max`."""
    year = birth.year + years
    if year > date.max.year:
        return date.max
    try:
        return birth.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def age_on(birth: date, day: date) -> int:
    """Completed years; negative before birth."""
    years = day.year - birth.year
    return years if birthday(birth, years) <= day else years - 1


def aged(birth: Interval, unit: str, low: int, high: int) -> Interval | None:
    """The days on which somebody is from `low` to `high` units old, one unit wide. None: an unknown unit."""
    try:
        if unit == "a":
            return Interval(birthday(birth.first, low), _before(birthday(birth.last, high + 1)))
        if unit == "mo":
            return Interval(shifted(birth.first, low), _before(shifted(birth.last, high + 1)))
        days = {"wk": 7, "d": 1}.get(unit)
        if days is None:
            return None
        return Interval(_added(birth.first, low * days), _before(_added(birth.last, (high + 1) * days)))
    except (ValueError, OverflowError):
        return None


def _before(day: date) -> date:
    return day if day == date.max else day - _DAY
