"""PS3.15 §E.3.6 Dates moved by a number of days, and ages that are rare enough to name somebody (DEID-4)."""

import datetime as dt
import re
from typing import Final

_DATE = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(.*))?)?", re.ASCII | re.DOTALL)
_TIME_OF_DAY = re.compile(r"[\d.]{0,13}(?:[+-]\d{4})?", re.ASCII)
_TIME = re.compile(r"\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?", re.ASCII)
_AGE = re.compile(r"(\d{3})([DWMY])", re.ASCII)
_OLDEST: Final = 89
"""The highest age that is told (45 CFR 164.514(b)(2)(i)(C)); all above are one."""


def shifted(vr: str, text: str, days: int) -> str | None:
    """A DA, TM or DT value with its date moved; None where it is none. Times of the day stay.

    A DT that is cut short is moved as the middle of its period, and stays as short.
    """
    if vr == "TM":
        return text if _TIME.fullmatch(text) else None
    parts = _DATE.fullmatch(text.replace(".", "") if vr == "DA" else text)
    if parts is None:
        return None
    year, month, day, time = parts.groups()
    if (vr == "DA" and (day is None or time)) or (time and not _TIME_OF_DAY.fullmatch(time)):
        return None
    try:
        moved = dt.date(int(year), int(month or 7), int(day or 15)) + dt.timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    length = 8 if day else 6 if month else 4
    return f"{moved:%Y%m%d}".zfill(8)[:length] + (time or "")


def capped_age(text: str) -> str | None:
    """An AS value, ages over 89 years as 90; None where it is none."""
    age = _AGE.fullmatch(text.strip())
    if age is None:
        return None
    number, unit = int(age[1]), age[2]
    years = number / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[unit]
    return f"{_OLDEST + 1:03}Y" if years >= _OLDEST + 1 else age[0]
