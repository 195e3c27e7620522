"""Calendar durations of ISO 8601 and the days that they lead to (COH-18). Pure."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

_DURATION = re.compile(r"P(?=[0-9])(?:([0-9]{1,4})Y)?(?:([0-9]{1,5})M)?(?:([0-9]{1,5})W)?(?:([0-9]{1,6})D)?")
_LONGEST_MONTHS = 12 * 1000
"""A thousand years: what is longer is a slip of the pen, and dates have no days for it."""


@dataclass(frozen=True, slots=True)
class Duration:
    """Months, then days; a month is never a number of days."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """The duration of `P2Y`, `P18M`, `P10W`, `P1Y6M` and their like.

        Raises ValueError for another form, a time part or a duration of nothing.
        """
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError("it must be an ISO 8601 duration of years, months, weeks and days, such as P2Y or P18M")
        years, months, weeks, days = (int(part or 0) for part in match.groups())
        duration = cls(12 * years + months, 7 * weeks + days)
        if duration == cls(0, 0):
            raise ValueError("it must be longer than nothing")
        if duration.months + duration.days / 30 > _LONGEST_MONTHS:
            raise ValueError("it must be at most a thousand years")
        return duration

    def __str__(self) -> str:
        """The canonical form: months and days, zero parts left out."""
        return "P" + (f"{self.months}M" if self.months else "") + (f"{self.days}D" if self.days else "")

    def before(self, day: date) -> date:
        """The day that lies so long before `day`: months are taken off first, then days. At the earliest 0001-01-01."""
        try:
            return shifted(day, -self.months) - timedelta(days=self.days)
        except (ValueError, OverflowError):
            return date.min

    def after(self, day: date) -> date:
        """The day that lies so long after `day`: months first, then days. At the latest 9999-12-31."""
        try:
            return shifted(day, self.months) + timedelta(days=self.days)
        except (ValueError, OverflowError):
            return date.max


def shifted(day: date, months: int) -> date:
    """The same day of another month; a day that it does not have becomes its last. Raises ValueError."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise ValueError("the year does not exist")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
