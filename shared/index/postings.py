"""What the search index holds: the indexed attributes and their postings (storage §6.1; dicomweb §8.3, D-29). Pure.

A posting is a row `code!value!sk[!s16[!i16]]` whose properties name the study, series and instance. `sk` is the study's
sort key, so one list is newest study first; `s16` and `i16` stand for the series and the instance. Values are encoded:

| VR | values of one attribute |
|---|---|
| text, UI | `keys.encode(text)` |
| IS DS and binary numbers | `keys.encode_number(number)` |
| DA | `dYYYYMMDD`, `mYYYYMM`, `yYYYY`, `xYYY` (day, month, year, decade) |
| TM | `tHHMMSSFFFFFF` (shorter times padded with 0), `hHH` |
| PN | first code: each component group of the folded name; second: its words; third: their first 1 to 3 letters |

List `a` holds every study. Its rows are `a!!sk!h8`, where h8 depends on the attributes that the row carries: while they
change a study has two rows side by side, and it fits if one of them fits. Postings may be stale, never missing: every
hit is verified on the study's own rows.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha1
from typing import Literal

import orjson

from shared.dicom import person_names
from shared.index import keys
from shared.index.values import Attributes
from shared.storage.ports import Entity, Value

type Level = Literal["study", "series", "instance"]

STUDY_INSTANCE_UID = "0020000D"
SERIES_INSTANCE_UID = "0020000E"
SOP_INSTANCE_UID = "00080018"
SOP_CLASS_UID = "00080016"
PATIENT_ID = "00100020"
MODALITY = "00080060"
MODALITIES_IN_STUDY = "00080061"
SCHEDULED_PROCEDURE_STEP_ID = "00400275.00400009"
REQUESTED_PROCEDURE_ID = "00400275.00401001"

ALL_STUDIES = "a"
"""The code of the list of all studies."""


@dataclass(frozen=True, slots=True)
class IndexedAttribute:
    """An attribute that the rows of the index carry."""

    key: str
    """Tag, or tags joined by a dot, as in `AttributePath.key`."""
    vr: str
    level: Level
    codes: tuple[str, ...] = ()
    """The lists that hold its values; none: compared on the rows only."""
    searchable: bool = True
    """False: carried because searches return it."""


def _table(*attributes: IndexedAttribute) -> Mapping[str, IndexedAttribute]:
    return {attribute.key: attribute for attribute in attributes}


INDEXED: Mapping[str, IndexedAttribute] = _table(
    IndexedAttribute(STUDY_INSTANCE_UID, "UI", "study"),
    IndexedAttribute("00080020", "DA", "study", ("sd",)),
    IndexedAttribute("00080030", "TM", "study", ("st",)),
    IndexedAttribute("00080050", "SH", "study", ("an",)),
    IndexedAttribute(MODALITIES_IN_STUDY, "CS", "study", ("mo",)),
    IndexedAttribute("00080090", "PN", "study", ("rn", "rt", "re")),
    IndexedAttribute("00081030", "LO", "study", ("ds",)),
    IndexedAttribute("00100010", "PN", "study", ("pn", "pt", "pe")),
    IndexedAttribute(PATIENT_ID, "LO", "study", ("pi",)),
    IndexedAttribute("00100030", "DA", "study", ("bd",)),
    IndexedAttribute("00200010", "SH", "study", ("si",)),
    IndexedAttribute(SERIES_INSTANCE_UID, "UI", "series", ("su",)),
    IndexedAttribute(MODALITY, "CS", "series", ("mo",)),
    IndexedAttribute("00081090", "LO", "series", ("mm",)),
    IndexedAttribute("00200011", "IS", "series", ("sn",)),
    IndexedAttribute("00400244", "DA", "series", ("pd",)),
    IndexedAttribute("00400245", "TM", "series", ("pm",)),
    IndexedAttribute(SCHEDULED_PROCEDURE_STEP_ID, "SH", "series", ("ps",)),
    IndexedAttribute(REQUESTED_PROCEDURE_ID, "SH", "series", ("rp",)),
    IndexedAttribute(SOP_INSTANCE_UID, "UI", "instance", ("iu",)),
    IndexedAttribute(SOP_CLASS_UID, "UI", "instance"),
    IndexedAttribute("00200013", "IS", "instance"),
    # Carried, so that the default and the `all` results need no metadata (dicomweb §8.5).
    IndexedAttribute("00080056", "CS", "study", searchable=False),
    IndexedAttribute("00080201", "SH", "study", searchable=False),
    IndexedAttribute("00081060", "PN", "study", searchable=False),
    IndexedAttribute("00081080", "LO", "study", searchable=False),
    IndexedAttribute("00100040", "CS", "study", searchable=False),
    IndexedAttribute("00101010", "AS", "study", searchable=False),
    IndexedAttribute("00101020", "DS", "study", searchable=False),
    IndexedAttribute("00101030", "DS", "study", searchable=False),
    IndexedAttribute("00102180", "SH", "study", searchable=False),
    IndexedAttribute("001021B0", "LT", "study", searchable=False),
    IndexedAttribute("00080021", "DA", "series", searchable=False),
    IndexedAttribute("00080031", "TM", "series", searchable=False),
    IndexedAttribute("0008103E", "LO", "series", searchable=False),
    IndexedAttribute("00200060", "CS", "series", searchable=False),
)
"""Every attribute of the index, by key."""

SHARED_KEYS = ("00080005", "00080201")
"""Carried by rows of both levels, study and series: each level returns its own value."""

IDENTITY = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, SOP_CLASS_UID, MODALITIES_IN_STUDY})
"""Known from the rows themselves or derived; never among the attributes of a row."""


def _carried(level: Level) -> tuple[str, ...]:
    own = [key for key, attribute in INDEXED.items() if attribute.level == level and key not in IDENTITY]
    return tuple(dict.fromkeys(own if level == "instance" else [*own, *SHARED_KEYS]))


CARRIED: Mapping[Level, tuple[str, ...]] = {level: _carried(level) for level in ("study", "series", "instance")}
"""Level to the keys that `StudyView.attributes`, `SeriesView.attributes` and `StoredInstance.attributes` may hold."""

# ------------------------------------------------------------------------------------------------------------ reading


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
    attributes: Attributes | None = None
    """List `a` alone: the study's searchable attributes at the time."""


def parse_posting(entity: Entity) -> Posting:
    """The posting in a row of `idx` or `idxi`."""
    code, value, sort_key, *_ = entity.row_key.split("!")
    properties = entity.properties
    series, sop_instance = properties.get("series"), properties.get("instance")
    carried = properties.get("attributes")
    return Posting(
        entity.row_key,
        code,
        value,
        sort_key,
        str(properties["study"]),
        None if series is None else str(series),
        None if sop_instance is None else str(sop_instance),
        orjson.loads(carried) if isinstance(carried, bytes) else None,
    )


def equality_range(code: str, value: str) -> tuple[str, str]:
    """The rows of one value (encoded), newest study first."""
    return f"{code}!{value}!", f'{code}!{value}"'


def prefix_range(code: str, value: str) -> tuple[str, str]:
    """The rows of all values that begin with `value` (encoded), by value, then newest study first."""
    return f"{code}!{value}", f"{code}!{value}\uffff"


def listed_range(sort_key: str) -> tuple[str, str]:
    """The rows of a study in the list of all studies."""
    return f"{ALL_STUDIES}!!{sort_key}!", f'{ALL_STUDIES}!!{sort_key}"'


def seek(code: str, value: str, sort_key: str) -> str:
    """Where the rows of `value` start that are not newer than `sort_key`."""
    return f"{code}!{value}!{sort_key}"


# ------------------------------------------------------------------------------------------------------------ values

_TIME = re.compile(r"(\d\d)(\d\d)?(\d\d)?(?:\.(\d{1,6}))?", re.ASCII)
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"})


def posting_values(attribute: IndexedAttribute, text: str) -> list[str]:
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
    if vr in _NUMBERS:
        try:
            return (keys.encode_number(float(text)),)
        except ValueError:
            return ()
    return (keys.encode(text),)


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


# ----------------------------------------------------------------------------------------------------------- writing

type Postings = dict[str, Mapping[str, Value]]
"""Row key to properties."""


def study_postings(sort_key: str, study: str, attributes: Attributes) -> Postings:
    """The study-level postings that these attributes imply, the row of list `a` included."""
    carried = orjson.dumps(
        {key: text for key, text in attributes.items() if (known := INDEXED.get(key)) and known.searchable},
        option=orjson.OPT_SORT_KEYS,
    )
    digest = sha1(carried, usedforsecurity=False).hexdigest()[:8]
    rows = study_value_postings(sort_key, study, attributes)
    rows[f"{ALL_STUDIES}!!{sort_key}!{digest}"] = {"study": study, "attributes": carried}
    return rows


def study_value_postings(sort_key: str, study: str, attributes: Attributes) -> Postings:
    """The postings of these values of a study."""
    return _value_postings("study", f"!{sort_key}", {"study": study}, attributes)


def series_postings(sort_key: str, study: str, series: str, attributes: Attributes) -> Postings:
    """The series-level postings that these attributes imply, that of the series' UID included."""
    rows = series_value_postings(sort_key, study, series, attributes)
    row_key = f"su!{keys.encode(series)}!{sort_key}!{keys.uid_digest(series)}"
    rows[row_key] = {"study": study, "series": series}
    return rows


def series_value_postings(sort_key: str, study: str, series: str, attributes: Attributes) -> Postings:
    """The postings of these values of a series."""
    tail = f"!{sort_key}!{keys.uid_digest(series)}"
    return _value_postings("series", tail, {"study": study, "series": series}, attributes)


def _value_postings(level: Level, tail: str, properties: Mapping[str, Value], attributes: Attributes) -> Postings:
    return {
        f"{value}{tail}": properties
        for key, text in attributes.items()
        if (attribute := INDEXED.get(key)) and attribute.level == level
        for value in posting_values(attribute, text)
    }


def instance_postings(sort_key: str, study: str, series: str, sop_instance: str) -> Postings:
    """The instance-level postings of an instance."""
    row_key = f"iu!{keys.encode(sop_instance)}!{sort_key}!{keys.uid_digest(series)}!{keys.uid_digest(sop_instance)}"
    return {row_key: {"study": study, "series": series, "instance": sop_instance}}
