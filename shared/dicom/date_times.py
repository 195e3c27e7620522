"""PS3.5 §6.2 DA, TM and DT: the period of time that a value names, however far it is cut short."""

import calendar
import re

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(\d[\d.]*)?)?)?", re.ASCII)
_LEAP_SECOND = "60"
_OFFSET = re.compile(r"[+-]\d{4}", re.ASCII)


def period(vr: str, text: str, *, stored: bool = False) -> tuple[str, str] | None:
    """The first and the last moment that `text` (of VR DA, TM or DT) names; None if it is not of that VR.

    Moments are digits that compare as they follow one another: `YYYYMMDD`, `HHMMSSFFFFFF`, or both. The offset from UTC
    of a `stored` DT does not count; elsewhere it is not allowed.
    """
    if vr == "DA":
        return (text, text) if (date := _DATE.fullmatch(text)) and _is_date(*date.groups()) else None
    if vr == "TM":
        return _time_of_day(text)
    if stored:  # stored moments are compared by their local time (QIDO-51)
        text = text[:-5] if _OFFSET.fullmatch(text[-5:]) else text
    parts = _DATE_TIME.fullmatch(text)
    if parts is None:
        return None
    year, month, day, time = parts.groups()
    if not _is_date(year, month or "01", day or "01"):
        return None
    clock = ("000000000000", "235960999999") if time is None else _time_of_day(time)
    if clock is None:
        return None
    return f"{year}{month or '01'}{day or '01'}{clock[0]}", f"{year}{month or '12'}{day or '31'}{clock[1]}"


def _is_date(year: str, month: str, day: str) -> bool:
    if year == "0000" or not "01" <= month <= "12":
        return False
    return 1 <= int(day) <= calendar.monthrange(int(year), int(month))[1]


def _time_of_day(text: str) -> tuple[str, str] | None:
    parts = _TIME.fullmatch(text)
    if parts is None:
        return None
    hour, minute, second, fraction = parts.groups(default="")
    if hour > "23" or minute > "59" or second > _LEAP_SECOND:
        return None
    low = hour + (minute or "00") + (second or "00") + fraction.ljust(6, "0")
    return low, hour + (minute or "59") + (second or _LEAP_SECOND) + fraction.ljust(6, "9")
