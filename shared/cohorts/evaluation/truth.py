"""Three values: true, false, unknown with the reason (cohorts §8.1). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Self


class Value(IntEnum):
    """False, unknown, true: `and` is the least of several, `or` the greatest."""

    FALSE = 0
    UNKNOWN = 1
    TRUE = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """The resource that shows that a criterion is met; none where it is met by there being none."""

    criterion: str
    resource: str = ""
    date: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """The value of a criterion, with what decides it."""

    value: Value
    criterion: str = ""
    """The member that is unknown, by its path in the canonical form."""
    why: str = ""
    evidence: tuple[Evidence, ...] = field(default=())

    @classmethod
    def of(cls, value: bool) -> Self:
        """True or false."""
        return cls(Value.TRUE if value else Value.FALSE)

    def within(self, path: str) -> "Truth":
        """The same, its criterion below a path."""
        return replace(self, criterion=f"{path}.{self.criterion}" if self.criterion else path)

    def negated(self) -> "Truth":
        """True and false exchanged; unknown stays."""
        return replace(self, value=Value(2 - self.value))

    @property
    def met(self) -> bool:
        """Whether it is true."""
        return self.value is Value.TRUE

    @property
    def possible(self) -> bool:
        """Whether it is not false."""
        return self.value is not Value.FALSE


TRUE = Truth(Value.TRUE)
FALSE = Truth(Value.FALSE)


def unknown(criterion: str, why: str) -> Truth:
    """Unknown, for a reason."""
    return Truth(Value.UNKNOWN, criterion, why)


def every(truths: Iterable[Truth]) -> Truth:
    """True if all are; the first that decides it otherwise."""
    return min(truths, key=lambda each: each.value, default=TRUE)


def some(truths: Iterable[Truth]) -> Truth:
    """True if one is; the first that decides it otherwise."""
    return max(truths, key=lambda each: each.value, default=FALSE)
