"""dicomcast §4.5 A FHIR date or dateTime of a DICOM date, time and offset. Pure."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_OLD_DATE = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)
_OLD_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)", re.ASCII)
_DATE_TIME = re.compile(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?", re.ASCII)
_PARTIAL_DATE_TIME = re.compile(r"(\d{4}(?:\d\d)?)(?:[+-]\d{4})?", re.ASCII)
_LEAST, _MOST = -12 * 60, 14 * 60
"""Minutes of the offsets that PS3.3 §C.12.1.1.8 allows."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or dateTime of FHIR. `text` is empty where there is none; `faults` are the parts that are not as they
    should be: `date`, `time`, `offset`.
    """

    text: str
    faults: tuple[str, ...] = ()


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def combine(day: str, time: str, offset: str, zone: str) -> Moment:
    """The moment of DA, TM and (0008,0201) values; empty ones are absent. `zone`: an IANA name, or empty."""
    faults: list[str] = []
    found = read_date(day) if day else Moment("")
    faults += found.faults
    if not found.text:
        return Moment("", tuple(faults))
    clock = _time(time, faults) if time else ""
    if not clock:
        return Moment(found.text, tuple(faults))
    suffix = _offset(offset, faults) if offset else ""
    if not suffix and zone:
        local = datetime.fromisoformat(f"{found.text}T{clock[:8]}").replace(tzinfo=_zone(zone))
        suffix = _spelled(local.utcoffset() or timedelta())
    return Moment(f"{found.text}T{clock}{suffix}" if suffix else found.text, tuple(faults))


def read_date(text: str) -> Moment:
    """A full date; the form of the old standard has a fault and is read all the same."""
    matched = _DATE.fullmatch(text)
    faults = () if matched else ("date",)
    matched = matched or _OLD_DATE.fullmatch(text)
    if matched is None:
        return Moment("", ("date",))
    try:
        return Moment(date(*map(int, matched.groups())).isoformat(), faults)
    except ValueError:
        return Moment("", ("date",))


def read_partial_date(text: str) -> Moment:
    """A date that may be cut short to a month or a year, which is a fault."""
    if re.fullmatch(r"\d{6}", text, re.ASCII) and "01" <= text[4:] <= "12" and text[:4] != "0000":
        return Moment(f"{text[:4]}-{text[4:]}", ("date",))
    if re.fullmatch(r"\d{4}", text, re.ASCII) and text != "0000":
        return Moment(text, ("date",))
    return read_date(text)


def read_date_time(text: str, offset: str, zone: str) -> Moment:
    """The moment of a DT value, which may be a month or a year alone; `offset` is (0008,0201), for one that has none
    itself.
    """
    matched = _DATE_TIME.fullmatch(text)
    if matched is None:
        partial = _PARTIAL_DATE_TIME.fullmatch(text)
        found = read_partial_date(partial[1]).text if partial else ""
        return Moment(found, () if found else ("date",))
    day, time, own = matched.groups(default="")
    return combine(day, time, own or offset, zone)


def time_is_malformed(text: str) -> bool:
    """Whether a TM value is none, or one of the old standard, or has a second 60."""
    faults: list[str] = []
    _time(text, faults)
    return bool(faults)


def offset_is_malformed(text: str) -> bool:
    """Whether a value of (0008,0201) is none, or the negative nought (PS3.3 §C.12.1.1.8)."""
    faults: list[str] = []
    _offset(text, faults)
    return bool(faults)


def _time(text: str, faults: list[str]) -> str:
    """`hh:mm:ss[.f]`; empty where FHIR has no form for it."""
    matched = _TIME.fullmatch(text)
    if matched is None:
        matched = _OLD_TIME.fullmatch(text)
        faults.append("time")
    if matched is None:
        return ""
    hour, minute, second, fraction = matched.groups()
    if minute is None:
        if hour > "23":
            faults.append("time")
        return ""
    second = second or "00"
    if hour > "23" or minute > "59" or second > "60":
        faults.append("time")
        return ""
    if second == "60":
        faults.append("time")
        second, fraction = "59", None
    return f"{hour}:{minute}:{second}" + (f".{fraction}" if fraction else "")


def _offset(text: str, faults: list[str]) -> str:
    matched = _OFFSET.fullmatch(text)
    minutes = int(matched[2]) * 60 + int(matched[3]) if matched else 0
    if matched is None or int(matched[3]) > 59 or not _LEAST <= (-minutes if matched[1] == "-" else minutes) <= _MOST:
        faults.append("offset")
        return ""
    if minutes == 0 and matched[1] == "-":
        faults.append("offset")
        return "+00:00"
    return f"{matched[1]}{matched[2]}:{matched[3]}"


def _spelled(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
