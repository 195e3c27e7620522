"""Dates as they are written in questions (NL-14). Pure."""

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

from shared.cohorts.folding import fold

_YEAR: Final = r"(?P<y>(?:18|19|20|21)\d\d)"
_EDGE: Final = r"(?![\w])"
_ORDINAL: Final = r"(?:st|nd|rd|th|\.|er|º|ª)?"


@dataclass(frozen=True, slots=True)
class Period:
    """A day, a month or a year."""

    first: date
    last: date


type Written = tuple[Period, ...]
"""The readings of a date: one period, or two where the order of day and month is open."""


def date_at(text: str, at: int, months: Mapping[str, int], *, day_first: bool) -> tuple[Written, int] | None:
    """The date that begins at a place of the text, and its end; None where there is none. A day that never was, or one
    of a year in two digits, is a date without a meaning.
    """
    for pattern, read in _forms():
        match = pattern.match(text, at)
        if match is not None:
            written = read(match, months, day_first)
            named = match.groupdict().get("m") or "0"
            if written or named.isdecimal() or fold(named) in months:
                return written, match.end()
    return None


@cache
def _forms() -> tuple[tuple[re.Pattern[str], Callable[..., Written]], ...]:
    month = r"(?P<m>[^\W\d_]+)\.?"
    between = r"(?:\s+(?:of|de|du|do))?\s+"
    flags = re.IGNORECASE
    return (
        (re.compile(rf"{_YEAR}-(?P<m>\d\d)-(?P<d>\d\d){_EDGE}"), _ymd),
        (re.compile(rf"{_YEAR}/(?P<m>\d\d?)/(?P<d>\d\d?){_EDGE}"), _ymd),
        (re.compile(rf"(?P<d>\d\d?)\.\s?(?P<m>\d\d?)\.\s?{_YEAR}{_EDGE}"), _ymd),
        (re.compile(rf"(?P<a>\d\d?)[/-](?P<b>\d\d?)[/-]{_YEAR}{_EDGE}"), _either),
        (re.compile(rf"(?P<d>\d\d?){_ORDINAL}{between}{month},?{between}{_YEAR}{_EDGE}", flags), _named),
        (re.compile(rf"{month}\s+(?:the\s+)?(?P<d>\d\d?){_ORDINAL}\s*,?\s+{_YEAR}{_EDGE}", flags), _named),
        (re.compile(rf"{month},?{between}{_YEAR}{_EDGE}(?!-\d)", flags), _named_month),
        (re.compile(rf"{_YEAR}-(?P<m>\d\d)(?![\d]|-\d)"), _month),
        (re.compile(rf"\d\d?([/.-])\d\d?\1\d\d{_EDGE}(?![/.-]\d)"), _short),
        (re.compile(rf"{_YEAR}(?![\w]|[.,]\d)"), _year),
    )


def _day(year: int, month: int, day: int) -> Written:
    try:
        found = date(year, month, day)
    except ValueError:
        return ()
    return (Period(found, found),)


def _ymd(match: re.Match[str], _months: Mapping[str, int], _day_first: bool) -> Written:
    return _day(int(match["y"]), int(match["m"]), int(match["d"]))


def _either(match: re.Match[str], _months: Mapping[str, int], day_first: bool) -> Written:
    year, first, second = int(match["y"]), int(match["a"]), int(match["b"])
    if first == second:
        return _day(year, first, second)
    meanings = (_day(year, second, first), _day(year, first, second))
    if day_first and meanings[0]:
        return meanings[0]
    return meanings[0] + meanings[1]


def _named(match: re.Match[str], months: Mapping[str, int], _day_first: bool) -> Written:
    month = months.get(fold(match["m"]))
    return _day(int(match["y"]), month, int(match["d"])) if month else ()


def _named_month(match: re.Match[str], months: Mapping[str, int], _day_first: bool) -> Written:
    month = months.get(fold(match["m"]))
    return (month_of(int(match["y"]), month),) if month else ()


def _month(match: re.Match[str], _months: Mapping[str, int], _day_first: bool) -> Written:
    month = int(match["m"])
    return (month_of(int(match["y"]), month),) if 1 <= month <= 12 else ()


def _short(_match: re.Match[str], _months: Mapping[str, int], _day_first: bool) -> Written:
    return ()


def _year(match: re.Match[str], _months: Mapping[str, int], _day_first: bool) -> Written:
    return (year_of(int(match["y"])),)


def month_of(year: int, month: int) -> Period:
    """A month, first to last day."""
    return Period(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


def year_of(year: int) -> Period:
    """A year, first to last day."""
    return Period(date(year, 1, 1), date(year, 12, 31))
