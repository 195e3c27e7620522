"""Conditions, their dates, and the day of the diagnosis (COH-18, COH-19, COH-23). Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.cohorts.evaluation.calendar_dates import ANY_DAY, DayWindow, Interval, aged, interval
from shared.cohorts.evaluation.codes import CodeSet, codes_of
from shared.cohorts.evaluation.truth import FALSE, TRUE, Evidence, Truth, every, some, unknown
from shared.fhir.resources import Resource, local_reference

_ONSETS = ("onsetDateTime", "onsetPeriod", "onsetAge", "onsetRange", "onsetString")


@dataclass(frozen=True, slots=True)
class Dated:
    """The date of a condition: its days, or why nobody knows them."""

    days: Interval
    why: str = ""
    text: str = ""


def condition_date(condition: Resource, kinds: Sequence[str], birth: Interval | None) -> Dated:
    """The date of the first of `kinds` that the condition has."""
    for kind in kinds:
        if kind == "onset":
            name = next((each for each in _ONSETS if each in condition), "")
            if name:
                return _onset(name, condition[name], birth)
        elif "recordedDate" in condition:
            return _written(condition["recordedDate"], "recordedDate")
    return Dated(ANY_DAY, "neither onset nor recordedDate" if len(kinds) > 1 else f"no {kinds[0]} date")


def _written(text: Any, what: str) -> Dated:
    days = interval(text)
    return Dated(days, text=str(text)) if days else Dated(ANY_DAY, f"{what} is unreadable")


def _onset(name: str, value: Any, birth: Interval | None) -> Dated:
    if name == "onsetDateTime":
        return _written(value, "onset")
    if name == "onsetString":
        return Dated(ANY_DAY, "onset is text")
    if not isinstance(value, Mapping):
        return Dated(ANY_DAY, "onset is unreadable")
    if name == "onsetPeriod":
        return _written(value["start"], "onset") if "start" in value else Dated(ANY_DAY, "onset has no start")
    if birth is None:
        return Dated(ANY_DAY, "onset is an age, and there is no birthDate")
    low, high = (value, value) if name == "onsetAge" else (value.get("low"), value.get("high"))
    return _by_age(low, high, birth)


def _by_age(low: Any, high: Any, birth: Interval) -> Dated:
    first = _amount(low)
    last = _amount(high)
    unit = (first or last or (0, ""))[1]
    if first is None and last is None:
        return Dated(ANY_DAY, "onset is an age without a value")
    from_age = aged(birth, unit, first[0], first[0]) if first else None
    to_age = aged(birth, last[1], last[0], last[0]) if last else None
    if (first and from_age is None) or (last and to_age is None):
        return Dated(ANY_DAY, "onset is an age in another unit")
    days = Interval(from_age.first if from_age else date.min, to_age.last if to_age else date.max)
    return Dated(days, text=f"{days.first}/{days.last}")


def _amount(quantity: Any) -> tuple[int, str] | None:
    if not isinstance(quantity, Mapping) or not isinstance(quantity.get("value"), int | float):
        return None
    unit = quantity.get("code") or quantity.get("unit") or "a"
    named = {"years": "a", "year": "a", "yr": "a", "months": "mo", "month": "mo", "weeks": "wk", "days": "d"}
    return math.floor(quantity["value"]), named.get(unit, unit)


@dataclass(frozen=True, slots=True)
class ConditionCriterion:
    """An entry of `conditions`."""

    path: str
    codes: CodeSet
    window: DayWindow | None
    kinds: tuple[str, ...]
    refused: frozenset[str]
    """Verification statuses that do not count."""

    @classmethod
    def of(cls, entry: Mapping[str, Any], path: str, codes: CodeSet, as_of: date) -> "ConditionCriterion":
        """The criterion of a canonical entry."""
        when = entry["when"]
        kinds = tuple(when["of"]) if isinstance(when, dict) else ("onset", "recorded")
        return cls(path, codes, DayWindow.of(when, as_of), kinds, frozenset(entry["verification"]["not"]))

    def meets(self, condition: Resource, birth: Interval | None) -> Truth:
        """Whether one condition has everything that is asked."""
        if not self.codes.holds(condition.get("code")):
            return FALSE
        if codes_of([condition.get("verificationStatus")]) & self.refused:
            return FALSE
        dated = condition_date(condition, self.kinds, birth)
        evidence = (Evidence(self.path, local_reference(condition), dated.text),)
        truth = TRUE
        if self.window is not None:
            truth = self._in_window(self.window, dated)
        return Truth(truth.value, truth.criterion, truth.why, evidence)

    @staticmethod
    def _in_window(window: DayWindow, dated: Dated) -> Truth:
        if dated.why:
            return unknown("when", dated.why)
        return window.holds(dated.days, "onset" if dated.days.text == "" else "the date")

    def decide(self, conditions: Sequence[Resource], birth: Interval | None) -> Truth:
        """Whether the patient has such a condition."""
        truths = [self.meets(each, birth) for each in conditions]
        found = some(truths)
        if not found.met:
            return found.within(self.path) if found.possible else FALSE
        return Truth(found.value, evidence=tuple(each for truth in truths if truth.met for each in truth.evidence))

    def diagnosis(self, conditions: Sequence[Resource], birth: Interval | None) -> Interval:
        """The days that may be that of the diagnosis: the earliest of the conditions that meet the entry."""
        certain: list[Interval] = []
        maybe: list[Interval] = []
        for each in conditions:
            truth = self.meets(each, birth)
            if truth.possible:
                (certain if truth.met else maybe).append(condition_date(each, self.kinds, birth).days)
        first = min((each.first for each in (*certain, *maybe)), default=date.min)
        return Interval(first, min((each.last for each in certain), default=date.max))


def all_of(truths: Sequence[Truth]) -> Truth:
    """All of several criteria, with the evidence of each."""
    found = every(truths)
    return Truth(found.value, found.criterion, found.why, tuple(each for truth in truths for each in truth.evidence))
