"""azure-apis §4.2 The parameters of the change feed: a window of sequences in v1, a window of time in v2. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from shared.dicomweb.query_parameters import MAX_OFFSET, boolean, integer, invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion

_NAMES = {
    "offset": "Offset",
    "limit": "Limit",
    "starttime": "StartTime",
    "endtime": "EndTime",
    "includemetadata": "IncludeMetadata",
}
_BY_SEQUENCE = frozenset({"offset", "limit", "includemetadata"})
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,9}))?)?[ ]?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)
_NO_ZONE = "Date and time value must specify a time zone."
_LATEST = datetime.max.replace(tzinfo=UTC)
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SequenceWindow:
    """The request of v1: the entries with after < sequence ≤ after + limit (CF-10)."""

    after: int
    limit: int
    metadata: bool


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The request of v2: the entries with start ≤ timestamp < end, `limit` of them after the first `offset` (CF-11)."""

    start: datetime | None
    end: datetime | None
    offset: int
    limit: int
    metadata: bool


def parse_window(query: str, version: ApiVersion) -> SequenceWindow | TimeWindow:
    """The window that a query string describes; parameters that the version does not know are ignored (CF-19).

    Raises InvalidRequest (CF-12, CF-13, CF-15, GEN-16).
    """
    given = _given(query, _NAMES.keys() if version.feeds_by_time else _BY_SEQUENCE)
    default, most = version.feed_limits
    limit = integer(given.get("limit"), "Limit", default, 1, most)
    offset = integer(given.get("offset"), "Offset", 0, 0, MAX_OFFSET)
    metadata = boolean(given.get("includemetadata"), "IncludeMetadata", default=True)
    if not version.feeds_by_time:
        return SequenceWindow(offset, limit, metadata)
    start, end = _time(given, "starttime"), _time(given, "endtime")
    if end is not None and end <= (start or _EARLIEST):
        raise invalid_parameter("EndTime", "It must be later than the start time.")
    return TimeWindow(start, end, offset, limit, metadata)


def parse_include_metadata(query: str) -> bool:
    """The only parameter of `latest` (CF-17). Raises InvalidRequest."""
    given = _given(query, {"includemetadata"})
    return boolean(given.get("includemetadata"), "IncludeMetadata", default=True)


def _given(query: str, read: Collection[str]) -> dict[str, str]:
    """The values of the parameters that are read, by name in lower case (GEN-6)."""
    given: dict[str, str] = {}
    for name, value in pairs(query):
        parameter = name.lower()
        if parameter in read:
            if parameter in given:
                raise invalid_parameter(_NAMES[parameter], "It is given more than once.")
            given[parameter] = value
    return given


def _time(given: Mapping[str, str], parameter: str) -> datetime | None:
    text = given.get(parameter)
    if text is None:
        return None
    name = _NAMES[parameter]
    found = _TIME.fullmatch(text)
    if not found:
        raise invalid_parameter(name, "It is not a date and time.")
    date, minute, second, fraction, utc, sign, hours, minutes = found.groups()
    if not (utc or sign):
        raise invalid_parameter(name, _NO_ZONE)
    try:
        local = datetime.fromisoformat(f"{date}T{minute or '00:00'}{second or ':00'}")
        east = timedelta() if utc else timedelta(hours=int(hours), minutes=int(minutes or 0))
        zone = timezone(-east if sign == "-" else east)
    except ValueError as error:
        raise invalid_parameter(name, "It is not a date and time.") from error
    return _exactly(local.replace(tzinfo=zone), fraction or "")


def _exactly(time: datetime, fraction: str) -> datetime:
    """`time` and a fraction of a second, in UTC, rounded up to microseconds.

    Entries have whole microseconds, so that t ≥ x and t < x are what they would be without rounding. What lies beyond
    the years 1 to 9999 is their edge: clients write the earliest and latest time that they know for "always".
    """
    nanoseconds = int(fraction.ljust(9, "0"))
    try:
        return time.astimezone(UTC) + timedelta(microseconds=-(-nanoseconds // 1000))
    except OverflowError:
        return _LATEST if time.year > 5000 else _EARLIEST
