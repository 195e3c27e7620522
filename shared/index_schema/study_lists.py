"""The orders of studies, and the keys of the lists that have them (storage §6.5). Pure."""

from enum import StrEnum

from shared.index_schema import keys
from shared.index_schema.indexed_attributes import ACCESSION_NUMBER, PATIENT_ID, STUDY_DATE, IndexedValues
from shared.index_schema.postings import Range, is_date

_UNDATED = "~"
"""Sorts behind every date."""


class StudyOrder(StrEnum):
    """An order of studies; its value is that of the setting and of the parameter `orderby` (B-23)."""

    STORED = "stored"
    """By their first store, newest first."""
    LATEST_FIRST = "-StudyDate"
    """By StudyDate, the latest first."""
    EARLIEST_FIRST = "StudyDate"
    """By StudyDate, the earliest first."""


def position(order: StudyOrder, attributes: IndexedValues, sort_key: str) -> str:
    """The place of a study in an order, ascending. Studies of one date are as they were stored, newest first, and
    studies without a date the last ones, in both orders of dates.
    """
    if order is StudyOrder.STORED:
        return sort_key
    date = attributes.get(STUDY_DATE, "").strip(" \0")
    return f"{dated(order, date) if is_date(date) else _UNDATED}!{sort_key}"


def dated(order: StudyOrder, date: str) -> str:
    """A date (YYYYMMDD) in the keys of an order by dates."""
    return date if order is StudyOrder.EARLIEST_FIRST else f"{99_999_999 - int(date):08}"


# ------------------------------------------------------------------------------------------------ the study lists

_ORDER_CODES = {StudyOrder.STORED: "s", StudyOrder.EARLIEST_FIRST: "u", StudyOrder.LATEST_FIRST: "v"}
VALUE_CODES = {PATIENT_ID: "pi", ACCESSION_NUMBER: "an"}
"""The attributes by whose values studies are listed, with the codes of their lists."""
_HEAD = "h"


def partition_key(namespace: str) -> str:
    """The partition of the study lists of a data partition, in `idx`."""
    return f"l!{namespace}"


def head_key(digest: str) -> str:
    """The row key of the head of a study, by a digest of its UID."""
    return f"{_HEAD}!{digest}"


def row_keys(sort_key: str, attributes: IndexedValues) -> list[str]:
    """The rows of a study in the lists."""
    ordered = [f"{code}!{position(order, attributes, sort_key)}" for order, code in _ORDER_CODES.items()]
    texts = ((code, attributes.get(key, "").strip(" \0")) for key, code in VALUE_CODES.items())
    return [*ordered, *(f"{code}!{keys.encode(text)}!{sort_key}" for code, text in texts if text)]


def position_in(row_key: str) -> str:
    """The position in the key of a row of an order."""
    return row_key.partition("!")[2]


def order_range(order: StudyOrder) -> Range:
    """All studies in an order."""
    code = _ORDER_CODES[order]
    return f"{code}!", f'{code}"'


def date_range(order: StudyOrder, first: str | None, last: str | None) -> Range:
    """The studies in an order by dates that are of the days from `first` to `last`; None for no such bound."""
    code = _ORDER_CODES[order]
    low, high = (first, last) if order is StudyOrder.EARLIEST_FIRST else (last, first)
    start = f"{code}!{dated(order, low)}!" if low else f"{code}!"
    end = f'{code}!{dated(order, high)}"' if high else f"{code}!{_UNDATED}"
    return start, end
