"""NCRONTAB: the schedules of timer triggers.

Six fields - second, minute, hour, day, month, day of the week - or five without the second. A field is a list of `*`,
`n`, `a-b`, each optionally with a step `/n`; months and days may be named. Day and day of the week must both match.
"""

from bisect import bisect_left
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

_MONTHS: Final = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
                  "november", "december")  # fmt: skip  # read at once: one item a line says no more
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_YEARS_TO_SEARCH: Final = 9
"""29 February can be eight years away."""


class InvalidSchedule(ValueError):
    """Text that is not an NCRONTAB expression, or one that never occurs."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def value(self, text: str) -> int:
        lowered = text.lower()
        if len(lowered) >= 3:
            for number, name in enumerate(self.names, self.low):
                if name.startswith(lowered):
                    return number
        if not (text.isascii() and text.isdigit()) or not self.low <= int(text) <= self.high:
            raise InvalidSchedule(f"{text!r} is no {self.name}")
        return int(text)

    def values(self, text: str) -> tuple[int, ...]:
        found: set[int] = set()
        for part in text.split(","):
            span, slash, step_text = part.partition("/")
            if slash and not (step_text.isascii() and step_text.isdigit() and int(step_text)):
                raise InvalidSchedule(f"{step_text!r} is no step")
            if span == "*":
                first, last = self.low, self.high
            elif "-" in span:
                first, last = (self.value(end) for end in span.split("-", 1))
                if first > last:
                    raise InvalidSchedule(f"the range {span!r} runs backwards")
            else:
                first = self.value(span)
                last = self.high if slash else first
            found.update(range(first, last + 1, int(step_text) if slash else 1))
        return tuple(sorted(found))


_FIELDS: Final = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed expression: the values that each field may take, ascending."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Read an expression. Raises InvalidSchedule."""
        parts = text.split()
        if len(parts) == 5:
            parts.insert(0, "0")
        if len(parts) != len(_FIELDS):
            raise InvalidSchedule(f"{text!r} has not the six fields of an NCRONTAB expression")
        schedule = cls(*(field.values(part) for field, part in zip(_FIELDS, parts, strict=True)))
        schedule.next_after(datetime(2000, 1, 1, tzinfo=UTC), UTC)
        return schedule

    def next_after(self, moment: datetime, zone: tzinfo) -> datetime:
        """The first occurrence after `moment` (aware), in UTC; the fields are read in the time zone `zone`.

        Raises InvalidSchedule when there is none.
        """
        local = moment.astimezone(zone).replace(tzinfo=None, microsecond=0)
        while True:
            local = self._next_local(local)
            found = local.replace(tzinfo=zone).astimezone(UTC)
            if found > moment:  # where clocks go back, an earlier wall time comes again
                return found

    def _next_local(self, after: datetime) -> datetime:
        start = after + timedelta(seconds=1)
        day, earliest = start.date(), start.time()
        while day.year <= after.year + _YEARS_TO_SEARCH:
            if day.month not in self.months:
                day, earliest = _first_of_next_month(day), time.min
                continue
            if day.day in self.days and day.isoweekday() % 7 in self.weekdays:
                found = self._time_from(earliest)
                if found is not None:
                    return datetime.combine(day, found)
            day, earliest = day + timedelta(days=1), time.min
        raise InvalidSchedule("the schedule never occurs")

    def _time_from(self, earliest: time) -> time | None:
        for hour in self.hours[bisect_left(self.hours, earliest.hour) :]:
            for minute in self.minutes:
                for second in self.seconds:
                    if (hour, minute, second) >= (earliest.hour, earliest.minute, earliest.second):
                        return time(hour, minute, second)
        return None


def _first_of_next_month(day: date) -> date:
    return day.replace(day=1) + timedelta(days=monthrange(day.year, day.month)[1])
