"""Rows of the search index: their keys, and the values in them (storage §6.1). Pure.

A posting is a row `code!value!sk[!s16[!i16]]` whose properties name the study, series and instance. `sk` is the study's
sort key, so one list is newest study first; `s16` and `i16` stand for the series and the instance. Values are encoded:

| VR | values of one attribute |
|---|---|
| text, UI | `keys.encode(text)` |
| IS DS and binary numbers | `keys.encode_number(number)` |
| DA | `dYYYYMMDD`, `mYYYYMM`, `yYYYY`, `xYYY` (day, month, year, decade) |
| DT | those of its day, and `tYYYYMMDDHHMMSSFFFFFF` (its first moment; the offset from UTC does not count) |
| TM | `tHHMMSSFFFFFF` (shorter times padded with 0), `hHH` |
| PN | first code: each component group of the folded name; second: its words; third: their first 1 to 3 letters |

List `a` holds every study. Its rows are `a!!sk!h8`, where h8 depends on the attributes that the row carries: while they
change a study has two rows side by side, and it fits if one of them fits. Postings may be stale, never missing: every
hit is verified on the study's own rows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha1
from typing import Protocol

import orjson

from shared.dicom import person_names
from shared.dicom.date_times import period
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import IndexedAttribute, IndexedValues
from shared.storage.ports import Entity, Value

ALL = "a"
"""The code of the list of everything: of all studies in `idx`."""

type Postings = dict[str, Mapping[str, Value]]
"""Row key to properties."""

# --------------------------------------------------------------------------------------------------------------- keys

type Range = tuple[str, str]
"""Row keys from the first, without the second."""


def value_range(code: str, value: str) -> Range:
    """The rows of one value (encoded), newest study first."""
    return f"{code}!{value}!", f'{code}!{value}"'


def prefix_range(code: str, value: str) -> Range:
    """The rows of all values that begin with `value` (encoded), by value, then newest study first."""
    return f"{code}!{value}", f"{code}!{value}{keys.LAST}"


def values_range(code: str, first: str, last: str) -> Range:
    """The rows of all values from `first` to `last` (encoded), by value, then newest study first."""
    return f"{code}!{first}", value_range(code, last)[1]


def listed_range(sort_key: str) -> Range:
    """The rows of a study in the list of all studies."""
    return f"{ALL}!!{sort_key}!", f'{ALL}!!{sort_key}"'


def seek(code: str, value: str, sort_key: str) -> str:
    """The first key of the rows of `value` that are not newer than `sort_key`."""
    return f"{code}!{value}!{sort_key}"


def after(sort_key: str) -> str:
    """Greater than all keys of the study with that sort key, less than those of all older ones."""
    return f"{sort_key}~"


def sort_key_of(row_key: str) -> str:
    """The study's sort key in the key of a posting."""
    return row_key.split("!", 3)[2]


def value_of(row_key: str) -> tuple[str, str]:
    """Code and value (encoded) of a posting."""
    code, value, _ = row_key.split("!", 2)
    return code, value


def is_listed(row_key: str) -> bool:
    """Whether it is a row of the list of all studies."""
    return row_key.startswith(f"{ALL}!")


@dataclass(frozen=True, slots=True)
class Posting:
    """One row of the search index."""

    row_key: str
    code: str
    value: str
    """Encoded."""
    sort_key: str
    """Of the study: it must still be the study's, else the posting is stale."""
    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    attributes: IndexedValues | None = None
    """List `a` alone: the study's searchable attributes at the time."""
    schema: int = 1
    """List `a` alone: the number of the schema that `attributes` are complete for."""

    @staticmethod
    def parse(entity: Entity) -> "Posting":
        """The posting in a row of `idx` or `idxi`."""
        code, value, sort_key, *_ = entity.row_key.split("!")
        properties = entity.properties
        series, sop_instance = properties.get("series"), properties.get("instance")
        carried, schema = properties.get("attributes"), properties.get("schema")
        return Posting(
            entity.row_key,
            code,
            value,
            sort_key,
            str(properties["study"]),
            None if series is None else str(series),
            None if sop_instance is None else str(sop_instance),
            orjson.loads(carried) if isinstance(carried, bytes) else None,
            schema if isinstance(schema, int) else 1,
        )


# ------------------------------------------------------------------------------------------------------------- values


class Listed(Protocol):
    """An attribute that has lists."""

    @property
    def vr(self) -> str:
        """Its VR."""
        ...

    @property
    def codes(self) -> tuple[str, ...]:
        """Its lists: three of a PN."""
        ...


_TIME = re.compile(r"(\d\d)(\d\d)?(\d\d)?(?:\.(\d{1,6}))?", re.ASCII)
NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"})
"""The VRs whose values are numbers."""


def posting_values(attribute: Listed, text: str) -> list[str]:
    """`code!value` of every posting that `text`, a value of `attribute`, has."""
    if not attribute.codes or not text.strip(" \0"):
        return []
    if attribute.vr == "PN":
        return _name_values(attribute.codes, text)
    code = attribute.codes[0]
    return [f"{code}!{value}" for value in _values(attribute.vr, text.strip(" \0"))]


def _values(vr: str, text: str) -> Iterable[str]:
    if vr == "DA":
        return (f"d{text}", f"m{text[:6]}", f"y{text[:4]}", f"x{text[:3]}") if is_date(text) else ()
    if vr == "TM":
        return time_values(text)
    if vr == "DT":
        return _moment_values(text)
    if vr in NUMBERS:
        try:
            return (keys.encode_number(float(text)),)
        except ValueError:
            return ()
    return (keys.encode(text),)


def _moment_values(text: str) -> Iterable[str]:
    moments = period("DT", text, stored=True)
    return () if moments is None else (f"t{moments[0]}", *_values("DA", moments[0][:8]))


def is_date(text: str) -> bool:
    """Whether `text` is a day of the calendar, `YYYYMMDD` (IDX-1)."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def time_values(text: str) -> tuple[str, ...]:
    """The values of a time of day, none if `text` is not one."""
    parts = _TIME.fullmatch(text)
    if parts is None:
        return ()
    hour, minute, second, fraction = parts.groups(default="")
    return f"t{hour}{minute or '00'}{second or '00'}{fraction.ljust(6, '0')}", f"h{hour}"


def _name_values(codes: tuple[str, ...], text: str) -> list[str]:
    full, word_code, prefix_code = codes
    groups = [group for group in person_names.component_groups(text) if group]
    words = dict.fromkeys(person_names.words(text))
    prefixes = dict.fromkeys(word[:length] for word in words for length in range(1, min(3, len(word)) + 1))
    return list(
        dict.fromkeys(
            f"{code}!{keys.escape(value)}"
            for code, values in ((full, groups), (word_code, words), (prefix_code, prefixes))
            for value in values
        )
    )


# --------------------------------------------------------------------------------------------------------------- rows


def value_postings(attribute: IndexedAttribute, text: str, tail: str, properties: Mapping[str, Value]) -> Postings:
    """The postings of a value of an attribute; `tail` is what follows `code!value` in their keys."""
    return {f"{value}!{tail}": properties for value in posting_values(attribute, text)}


def uid_posting(code: str, uid: str, tail: str, properties: Mapping[str, Value]) -> Postings:
    """The posting of a series or an instance by its own UID."""
    return {f"{code}!{keys.encode(uid)}!{tail}": properties}


def listed_posting(sort_key: str, study: str, attributes: IndexedValues, schema: int) -> Postings:
    """The row of a study in the list of all studies; `attributes` are complete for the schema of that number."""
    carried = orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)
    digest = sha1(carried, usedforsecurity=False).hexdigest()[:8]
    properties: dict[str, Value] = {"study": study, "attributes": carried}
    if schema > 1:
        properties["schema"] = schema
    return {f"{ALL}!!{sort_key}!{digest}": properties}


def tail(sort_key: str, uids: Sequence[str] = ()) -> str:
    """The rest behind `code!value` in the keys of the postings of a study, a series or an instance."""
    return "!".join((sort_key, *map(keys.uid_digest, uids)))
