"""The orders of studies, and the keys of the lists that have them (storage §6.5). Pure."""

from enum import StrEnum

from shared.index_schema.indexed_attributes import STUDY_DATE, IndexedValues
from shared.index_schema.postings import is_date

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
    """Where a study stands: ascending is its order. Studies of one date are as they were stored, newest first, and
    studies without a date the last ones, in both orders of dates.
    """
    if order is StudyOrder.STORED:
        return sort_key
    date = attributes.get(STUDY_DATE, "").strip(" \0")
    return f"{dated(order, date) if is_date(date) else _UNDATED}!{sort_key}"


def dated(order: StudyOrder, date: str) -> str:
    """A date (YYYYMMDD) in the keys of an order by dates."""
    return date if order is StudyOrder.EARLIEST_FIRST else f"{99_999_999 - int(date):08}"
