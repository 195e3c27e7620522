"""A range of dates as few calendar periods: the index lists days, months, years and decades (storage §6.1). Pure."""

import calendar
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_LONGEST_RUN = 3


@dataclass(frozen=True, slots=True)
class _Period:
    letter: str
    digits: int
    start: Callable[[date], date]
    end: Callable[[date], date]

    def name(self, day: date) -> str:
        """The period of `day` as the index names it: `d20200131`, `m202001`, `y2020`, `x202`."""
        return self.letter + day.isoformat().replace("-", "")[: self.digits]


_DAY = _Period("d", 8, lambda day: day, lambda day: day)
_MONTH = _Period(
    "m",
    6,
    lambda day: day.replace(day=1),
    lambda day: day.replace(day=calendar.monthrange(day.year, day.month)[1]),
)
_YEAR = _Period("y", 4, lambda day: date(day.year, 1, 1), lambda day: date(day.year, 12, 31))
_DECADE = _Period(
    "x",
    3,
    lambda day: date(max(1, day.year // 10 * 10), 1, 1),  # there is no year 0
    lambda day: date(day.year // 10 * 10 + 9, 12, 31),
)


def date_cover(first: date, last: date, most: int) -> list[tuple[str, str]]:
    """Periods that together hold all days from `first` to `last`, as (name, name).

    Two different names are the ends of a run of decades. Where exact periods would be more than `most`, the ends are
    moved outwards to whole months, years or decades.
    """
    cover = _runs(first, last)
    for period in (_MONTH, _YEAR, _DECADE):
        if len(cover) <= most:
            break
        cover = _runs(period.start(first), period.end(last))
    return cover


def _runs(first: date, last: date) -> list[tuple[str, str]]:
    found = list(_periods(first, last))
    decades = [name for period, name in found if period is _DECADE]
    if len(decades) <= _LONGEST_RUN:
        return [(name, name) for _, name in found]
    return [(name, name) for period, name in found if period is not _DECADE] + [(decades[0], decades[-1])]


def _periods(first: date, last: date) -> Iterator[tuple[_Period, str]]:
    """The largest whole periods, one after the other."""
    while True:
        period = next(
            period
            for period in (_DECADE, _YEAR, _MONTH, _DAY)
            if period.start(first) == first and period.end(first) <= last
        )
        yield period, period.name(first)
        end = period.end(first)
        if end >= last:
            return
        first = end + timedelta(days=1)
