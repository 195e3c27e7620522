"""dicomcast §4, §5.1 Which mapped values of an instance are not as they should be: noted, or a reason to leave it out.

Each value is judged by itself: a time without a date is written nowhere, and a malformed one is noted all the same.
What can be read in spite of a fault is written (dates of the old standard, further components of a name), the rest is
left out.
"""

from collections.abc import Iterator
from typing import Final

from shared.cast.mapping.codes import is_malformed, is_oid
from shared.cast.mapping.date_times import (
    offset_is_malformed,
    read_date,
    read_date_time,
    read_partial_date,
    time_is_malformed,
)
from shared.cast.mapping.imaging_study import modality
from shared.cast.mapping.measurements import measured_items
from shared.cast.mapping.observation import dose_items, is_whole, name_of, quantity
from shared.cast.settings import CastSettings
from shared.cast.values import DataSet, is_unwritable, item, items, text, texts, unsigned
from shared.dicom.identifiers import is_uid

_DATES: Final = ("00080020", "00080021", "00400244")
_TIMES: Final = ("00080030", "00080031", "00400245")
_OFFSET: Final = "00080201"
_NUMBERS: Final = ("00200011", "00200013")
_NAMES: Final = ("00080090", "00081050", "00081060", "00081070", "00100010")
_MOST_GROUPS: Final = 3
_MOST_COMPONENTS: Final = 5
"""Of a person name (PS3.5 §6.2.1)."""
_SEXES: Final = frozenset("MFO")
_LATERALITIES: Final = {"00200060": frozenset("RL"), "00200062": frozenset("RLUB")}
"""PS3.3 §C.7.3.1 and §C.8.3.1; `B` of a series is read as that of an image."""
_CODES: Final = ("00081032", "00082218", "00321064", "00401012")
_WRITTEN: Final = (
    "00080008", "00080050", "00080051", "00080060", "00080080", "00080096", "0008103E", "00081030", "00081040",
    "00100020", "00100021", "00100024", "00100030", "00100040", "00101002", "00180015", "00200060", "00200062",
    "00400275", "0040A043", "00420010", _OFFSET, *_CODES, *_DATES, *_NAMES, *_NUMBERS, *_TIMES,
)  # fmt: skip  # a table
"""Where a text that cannot be written is a fault by itself."""
_DATE_TIME: Final = "0040A120"
_UID: Final = "0040A124"
_NUMERIC_VALUE: Final = "0040A30A"


def malformed_values(data_set: DataSet, settings: CastSettings, *, report: bool) -> set[str]:
    """The tags of malformed values. `report`: its content tree counts too."""
    return {*_of_instance(data_set, settings), *(_of_report(data_set) if report else ())}


def _of_instance(data_set: DataSet, settings: CastSettings) -> Iterator[str]:
    yield from (tag for tag in _WRITTEN if is_unwritable(data_set.get(tag)))
    yield from (tag for tag in _DATES if (found := text(data_set, tag)) and read_date(found).faults)
    yield from (tag for tag in _TIMES if (found := text(data_set, tag)) and time_is_malformed(found))
    yield from (tag for tag in _NUMBERS if (found := text(data_set, tag)) and unsigned(found) is None)
    yield from (tag for tag in _NAMES if any(_is_no_name(each) for each in texts(data_set, tag)))
    if (offset := text(data_set, _OFFSET)) and offset_is_malformed(offset):
        yield _OFFSET
    if (birth := text(data_set, "00100030")) and read_partial_date(birth).faults:
        yield "00100030"
    if (sex := text(data_set, "00100040")) and sex not in _SEXES:
        yield "00100040"
    if (kind := text(data_set, "00080060")) and modality(data_set) != kind:
        yield "00080060"
    for tag, allowed in _LATERALITIES.items():
        if (side := text(data_set, tag)) and side not in allowed | {"B"}:
            yield tag
    yield from _of_issuers(data_set, settings)
    request = item(data_set, "00400275")
    yield from (tag for tag in _CODES if any(map(is_malformed, items(data_set, tag))))
    if any(is_malformed(each) for tag in ("00321064", "0040100A") for each in items(request, tag)):
        yield "00400275"


def _of_issuers(data_set: DataSet, settings: CastSettings) -> Iterator[str]:
    """Universal Entity IDs that say to be object identifiers and are none."""
    looked_at = (("00080051", ("", "ISO")), *([("00100024", ("ISO",))] if settings.issuer_is_used else []))
    for tag, kinds in looked_at:
        issuer = item(data_set, tag)
        identifier = text(issuer, "00400032")
        if identifier and text(issuer, "00400033") in kinds and not is_oid(identifier):
            yield tag


def _of_report(data_set: DataSet) -> Iterator[str]:
    if (day := text(data_set, "00080023")) and read_date(day).faults:
        yield "00080023"
    if (time := text(data_set, "00080033")) and time_is_malformed(time):
        yield "00080033"
    for child in (*dose_items(data_set), *measured_items(data_set)):
        measured = item(child, "0040A300")
        if text(measured, _NUMERIC_VALUE) and not quantity(measured, whole=is_whole(name_of(child))):
            yield _NUMERIC_VALUE
        if (moment := text(child, _DATE_TIME)) and read_date_time(moment, "", "").faults:
            yield _DATE_TIME
        if (uid := text(child, _UID)) and not is_uid(uid):
            yield _UID


def _is_no_name(name: str) -> bool:
    groups = name.split("=")
    return len(groups) > _MOST_GROUPS or any(group.count("^") >= _MOST_COMPONENTS for group in groups)
