"""The orders of studies, and the keys of the lists that have them (storage §6.5). Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from shared.dicom import person_names
from shared.dicom.matching import AttributeMatch, Equal, NameEqual, NameLike, NameWords, literal_prefix
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import (
    ACCESSION_NUMBER,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY_DATE,
    IndexedValues,
)
from shared.index_schema.postings import Range, is_date, prefix_range, value_range

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
_TEXT_CODES = {PATIENT_ID: "pi", ACCESSION_NUMBER: "an"}
"""The attributes by whose values studies are listed, with the codes of their lists."""
_WORD_CODE = "pw"
"""The list by the words of PatientName."""
_MOST_WORDS = 16
"""A name of more words is listed once, under `~`: what is written of a study fits one transaction."""
_MANY_WORDS = "~"
_MANY_WORDS_RANGE = value_range(_WORD_CODE, _MANY_WORDS)
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
    texts = ((code, attributes.get(key, "").strip(" \0")) for key, code in _TEXT_CODES.items())
    values = [f"{code}!{keys.encode(text)}" for code, text in texts if text]
    words = dict.fromkeys(person_names.words(attributes.get(PATIENT_NAME, "")))
    escaped = map(keys.escape, words) if len(words) <= _MOST_WORDS else (_MANY_WORDS,)
    values += dict.fromkeys(f"{_WORD_CODE}!{word}" for word in escaped)
    return [*ordered, *(f"{value}!{sort_key}" for value in values)]


def matching_ranges(attribute: str, match: AttributeMatch) -> Sequence[Range]:
    """The studies, and perhaps others, whose `attribute` (a key of IndexedValues) matches; empty if no list tells."""
    code = _TEXT_CODES.get(attribute)
    match match:
        case Equal(value) if code:
            return (value_range(code, keys.encode(value)),)
        case NameEqual(groups) if attribute == PATIENT_NAME:
            word = _longest(person_names.words("=".join(groups)))
            return (value_range(_WORD_CODE, keys.escape(word)), _MANY_WORDS_RANGE) if word else ()
        case NameLike(groups) if attribute == PATIENT_NAME:
            return _beginning(person_names.words("=".join(groups), keep="*?"))
        case NameWords(words) if attribute == PATIENT_NAME:
            return _beginning(words)
        case _:
            return ()


def _beginning(words: Iterable[str]) -> Sequence[Range]:
    """Names with a word that begins as the longest of `words` does up to its first wildcard. That holds for a wildcard
    match of the whole name too: what follows a separator there follows one in the name.
    """
    beginning = _longest(map(literal_prefix, words))
    return (prefix_range(_WORD_CODE, keys.escape(beginning)), _MANY_WORDS_RANGE) if beginning else ()


def _longest(words: Iterable[str]) -> str:
    return max(words, key=len, default="")


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
