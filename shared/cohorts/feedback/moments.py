"""Moments: FHIR dates, and whether one is later than another (COH-18). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from shared.cohorts.definition.durations import Duration
from shared.cohorts.evaluation.calendar_dates import interval
from shared.fhir.resources import Resource

_NEVER = "~"
"""Sorts behind every date."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A date of FHIR as it is written, and what is known of it."""

    text: str
    first: date
    last: date
    instant: datetime | None = None
    """None where no time with an offset is given."""

    @classmethod
    def of(cls, text: Any) -> "Moment | None":
        """None: absent or unreadable."""
        days = interval(text)
        if days is None:
            return None
        return cls(days.text, days.first, days.last, _instant(days.text))

    @property
    def order(self) -> str:
        """The sort key of moments: the instant in UTC, else the text as it is written."""
        return self.text if self.instant is None else self.instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def later_than(self, other: "Moment") -> bool | None:
        """Whether it is later; None: nobody knows. Of one day only instants are compared."""
        if self.instant is not None and other.instant is not None:
            return self.instant > other.instant
        if self.first > other.last:
            return True
        single = self.first == self.last and other.first == other.last
        return False if self.last < other.first or (single and self.first == other.first) else None

    def within(self, other: "Moment", reach: Duration) -> bool | None:
        """Whether it is later than another, by so much at most; None: nobody knows."""
        later = self.later_than(other)
        if later is False or self.first > reach.after(other.last):
            return False
        return True if later and self.last <= reach.after(other.first) else None


def order_of(moment: Moment | None) -> str:
    """The sort key of a moment; one that nobody knows comes last."""
    return moment.order if moment else _NEVER


def read_at(resource: Resource) -> Moment | None:
    """`effective[x]`, else `issued`, of a DiagnosticReport or an Observation."""
    return _first(resource, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")


def performed_at(procedure: Resource) -> Moment | None:
    """`performed[x]` of a Procedure, as far as it is a date; of a period its end, else its start."""
    period = procedure.get("performedPeriod")
    if isinstance(period, Mapping):
        return Moment.of(period.get("end")) or Moment.of(period.get("start"))
    return Moment.of(procedure.get("performedDateTime"))


def _first(resource: Resource, *names: str) -> Moment | None:
    for name in names:
        value = resource.get(name)
        moment = Moment.of(value.get("start") if isinstance(value, Mapping) else value)
        if moment is not None:
            return moment
    return None


def _instant(text: str) -> datetime | None:
    if "T" not in text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
