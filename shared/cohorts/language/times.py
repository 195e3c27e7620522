"""Phrases of time (NL-14). Pure."""

from datetime import date, timedelta
from typing import Final

from shared.cohorts.definition.durations import shifted
from shared.cohorts.language.ages import number_at
from shared.cohorts.language.choices import Choices
from shared.cohorts.language.cursor import Cursor
from shared.cohorts.language.dates import Period, month_of, year_of
from shared.cohorts.language.dictionary import TermKind
from shared.cohorts.language.parts import TimePart

_LETTERS: Final = {"day": "D", "week": "W", "month": "M", "year": "Y"}
_DAY: Final = timedelta(days=1)


class TimeReader:
    """Reads one phrase at the cursor."""

    def __init__(self, cursor: Cursor, choices: Choices, as_of: date) -> None:
        self._cursor = cursor
        self._choices = choices
        self._as_of = as_of
        self._periods: dict[int, Period] = {}

    def read(self) -> TimePart | None:
        """The phrase that begins at the cursor; the cursor is behind it then."""
        for form in (self._after_diagnosis, self._last, self._this, self._range, self._bound, self._in):
            part = form(self._cursor.at)
            if part is not None:
                return part
        return None

    def as_of(self) -> tuple[str, set[int]] | None:
        """`as of 2026-06-30`: the day and its words."""
        cursor, at = self._cursor, self._cursor.at
        inner = cursor.skip(at + 1)
        if not cursor.has(at, "as_of") or not cursor.has(inner, "date"):
            return None
        period = self._period(inner)
        if period.first != period.last:
            return None
        cursor.at = inner + 1
        return period.first.isoformat(), set(range(at, inner + 1))

    def look_for_as_of(self) -> None:
        """Take `this year`, `last month` of the day that the question names, wherever it stands."""
        cursor = self._cursor
        for at in range(len(cursor)):
            cursor.at = at
            if (found := self.as_of()) is not None:
                self._as_of = date.fromisoformat(found[0])
        cursor.at = 0

    # ------------------------------------------------------------------------------------------------------- inside

    def _period(self, at: int) -> Period:
        if at not in self._periods:
            written = self._cursor.lexemes[at].date
            self._periods[at] = written[self._choices.choose(len(written))] if len(written) > 1 else written[0]
        return self._periods[at]

    def _after_diagnosis(self, at: int) -> TimePart | None:
        cursor = self._cursor
        if cursor.has(at, "afterwards"):
            cursor.at = at + 1
            return TimePart({at}, window={"after": "diagnosis"})
        if not cursor.has(at, "after"):
            return None
        inner = cursor.skip(at + 1, "possessive", "being", "with")
        words = {at, *(each for each in range(at + 1, inner) if cursor.has(each, "being", "possessive", "with"))}
        if cursor.has(inner, "diagnosis_noun", "diagnosis_verb"):
            cursor.at = inner + 1
            return TimePart(words | {inner}, window={"after": "diagnosis"})
        if inner < len(cursor) and cursor.lexemes[inner].means(TermKind.CONDITION):
            cursor.at = at + 1
            return TimePart(words, window={"after": "diagnosis"})
        return None

    def _opened(self, at: int) -> tuple[int, int]:
        """The place behind prepositions and articles, and the place of the article or -1."""
        cursor = self._cursor
        article = -1
        while cursor.has(at, "time_preposition", "article") and not cursor.has(at, "last"):
            if cursor.has(at, "article"):
                article = at
            at += 1
        return at, article

    def _last(self, at: int) -> TimePart | None:
        cursor = self._cursor
        inner, article = self._opened(at)
        if not cursor.has(inner, "last"):
            return self._last_behind(at, inner)
        number, end = number_at(cursor, inner + 1)
        if not cursor.has(end, "unit") or cursor.value(end, "unit") == "hour":
            return None
        unit = cursor.value(end, "unit")
        if number == 0:
            return None
        if number is None and article < 0 and unit in ("week", "month", "year") and self._choices.choose(2):
            cursor.at = end + 1
            period = self._calendar_unit(unit)
            open_end = any(cursor.has(each, "since") and not cursor.has(each, "in") for each in range(at, inner))
            window = {"since": period.first.isoformat()} if open_end else _between(period)
            return TimePart(set(range(at, end + 1)), window=window)
        return self._duration(at, end, number or 1)

    def _last_behind(self, at: int, inner: int) -> TimePart | None:
        """`the two last years`, as other languages have it: number, then last, then unit; or unit, then last.

        A unit without a number is a duration and a unit of the calendar (`l'année dernière`, `el año pasado`): these
        languages need the article for both.
        """
        cursor = self._cursor
        number, end = number_at(cursor, inner)
        if number and cursor.has(end, "last") and cursor.has(end + 1, "unit"):
            return self._duration(at, end + 1, number) if cursor.value(end + 1, "unit") != "hour" else None
        if cursor.has(end, "unit") and cursor.has(end + 1, "last_behind") and cursor.value(end, "unit") != "hour":
            unit = cursor.value(end, "unit")
            calendar = number is None and unit in ("week", "month", "year") and self._choices.choose(2)
            part = self._duration(at, end, number or 1)
            if calendar:
                part.window = _between(self._calendar_unit(unit))
            part.words.add(end + 1)
            cursor.at = end + 2
            return part
        return None

    def _duration(self, at: int, unit_at: int, number: int) -> TimePart:
        """N units, and perhaps more of smaller ones."""
        cursor = self._cursor
        amounts = {_LETTERS[cursor.value(unit_at, "unit")]: number}
        end = unit_at + 1
        while cursor.has(end, "and"):
            more, unit = number_at(cursor, end + 1)
            if not more or not cursor.has(unit, "unit") or cursor.value(unit, "unit") == "hour":
                break
            letter = _LETTERS[cursor.value(unit, "unit")]
            if letter in amounts:
                break
            amounts[letter] = more
            end = unit + 1
        cursor.at = end
        text = "P" + "".join(f"{amounts[letter]}{letter}" for letter in "YMWD" if letter in amounts)
        return TimePart(set(range(at, end)), window={"within": text})

    def _calendar_unit(self, unit: str) -> Period:
        """The calendar unit before that of `as_of`."""
        today = self._as_of
        if unit == "year":
            return year_of(today.year - 1)
        if unit == "month":
            before = shifted(today.replace(day=1), -1)
            return month_of(before.year, before.month)
        monday = today - timedelta(days=today.weekday() + 7)
        return Period(monday, monday + timedelta(days=6))

    def _this(self, at: int) -> TimePart | None:
        cursor = self._cursor
        inner = at
        while cursor.has(inner, "time_preposition") and not cursor.has(inner, "this_period"):
            inner += 1
        if not cursor.has(inner, "this_period") or not cursor.has(inner + 1, "unit"):
            return None
        first = {"month": self._as_of.replace(day=1), "year": self._as_of.replace(month=1, day=1)}
        day = first.get(cursor.value(inner + 1, "unit"))
        if day is None:
            return None
        cursor.at = inner + 2
        return TimePart(set(range(at, inner + 2)), window={"since": day.isoformat()})

    def _date_behind(self, at: int) -> int:
        """The place of the date behind a preposition; -1: none."""
        inner = self._cursor.skip(at)
        return inner if self._cursor.has(inner, "date") else -1

    def _range(self, at: int) -> TimePart | None:
        cursor = self._cursor
        opened = cursor.has(at, "between", "since", "in")
        first = cursor.skip(at + 1) if opened else at
        if not cursor.has(first, "date", "month") or not cursor.has(first + 1, "to", "and", "until"):
            return None
        if cursor.has(first + 1, "and") and not cursor.has(at, "between"):
            return None
        second = self._date_behind(first + 2)
        if second < 0:
            return None
        end = self._period(second)
        if cursor.has(first, "date"):
            start = self._period(first)
        elif end == month_of(end.first.year, end.first.month):
            start = month_of(end.first.year, int(cursor.value(first, "month")))
        else:
            return None
        if start.first > end.last:
            return None
        cursor.at = second + 1
        return TimePart(set(range(at, second + 1)), window=_between(Period(start.first, end.last)))

    def _bound(self, at: int) -> TimePart | None:
        cursor = self._cursor
        for category in ("after", "before", "until", "since"):
            inner = self._date_behind(at + 1) if cursor.has(at, category) else -1
            if inner < 0 or (category == "since" and self._plain_from(at, inner)):
                continue
            period = self._period(inner)
            window = {
                "after": ("since", period.last, _DAY),
                "before": ("until", period.first, -_DAY),
                "until": ("until", period.last, timedelta()),
                "since": ("since", period.first, timedelta()),
            }[category]
            try:
                day = window[1] + window[2]
            except OverflowError:
                return None
            cursor.at = inner + 1
            words = set(range(at, inner + 1))
            if category == "since" and self._onwards(cursor.at):
                words.add(cursor.at)
                cursor.at += 1
            return TimePart(words, window={window[0]: day.isoformat()})
        return None

    def _plain_from(self, at: int, inner: int) -> bool:
        """`from 2019` without `on` may be the period itself."""
        return self._cursor.has(at, "in") and not self._onwards(inner + 1)

    def _onwards(self, at: int) -> bool:
        """`on`, `onwards`; not the `on` of a drug that somebody takes."""
        cursor = self._cursor
        if not cursor.has(at, "onwards"):
            return False
        inner = cursor.skip(at + 1)
        drug = inner < len(cursor) and cursor.lexemes[inner].means(TermKind.MEDICATION)
        return not (cursor.has(at, "drug_verb") and (drug or cursor.has(inner, "drug_noun")))

    def _in(self, at: int) -> TimePart | None:
        cursor = self._cursor
        inner = self._date_behind(at + 1) if cursor.has(at, "in") else at if cursor.has(at, "date") else -1
        if inner < 0:
            return None
        period = self._period(inner)
        words = set(range(at, inner + 1))
        cursor.at = inner + 1
        if self._onwards(inner + 1):
            cursor.at = inner + 2
            return TimePart(words | {inner + 1}, window={"since": period.first.isoformat()})
        if inner > at and cursor.has(at, "since") and self._choices.choose(2):
            return TimePart(words, window={"since": period.first.isoformat()})
        return TimePart(words, window=_between(period))


def _between(period: Period) -> dict[str, str]:
    return {"since": period.first.isoformat(), "until": period.last.isoformat()}
