"""dicomcast §4, §5.1 Malformed values of an instance among those that are mapped: noted, or a reason to leave it out.

Each value is judged by itself: a time without a date is written nowhere, and a malformed one is noted all the same.
What can be read in spite of a fault is written (dates of the old standard, further components of a name), the rest is
left out.
"""

from collections.abc import Callable, Iterator, Mapping
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
from shared.cast.mapping.measurements import is_measured_item
from shared.cast.mapping.observation import CONTENT, is_dose_item, is_whole, name_of
from shared.cast.settings import CastSettings
from shared.cast.values import (
    MOST_UNSIGNED,
    DataSet,
    decimal,
    is_unwritable,
    item,
    items,
    text,
    texts,
    unsigned,
    values,
)
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
_LATERALITIES: Final = frozenset("RLB")
"""PS3.3 §C.7.3.1 and §C.8.3.1; `B` of a series is read as that of an image, whose `U` says that there is none."""
_CODES: Final = ("00081032", "00082218", "00321064", "00401012")
_LOOKED_AT: Final = frozenset((
    "00080008", "00080050", "00080051", "00080060", "00080080", "00080096", "0008103E", "00081030", "00081040",
    "00100020", "00100021", "00100024", "00100030", "00100040", "00101002", "00180015", "00200060", "00200062",
    "00400275", "0040A043", "00420010", _OFFSET, *_CODES, *_DATES, *_NAMES, *_NUMBERS, *_TIMES,
))  # fmt: skip  # a table
"""The attributes, without those that identify an instance: a text that cannot be written is a fault in any."""
_DATE_TIME: Final = "0040A120"
_UID: Final = "0040A124"
_NUMERIC_VALUE: Final = "0040A30A"
_DEPTH: Final = 32
"""Deepest level of a content tree that is looked at."""


def malformed_values(data_set: DataSet, settings: CastSettings, *, report: bool) -> set[str]:
    """The tags of malformed values. `report`: its content tree counts too."""
    return {*_of_instance(data_set, settings), *(_of_report(data_set) if report else ())}


def _of_instance(data_set: DataSet, settings: CastSettings) -> Iterator[str]:
    yield from (tag for tag in _LOOKED_AT & data_set.keys() if _is_fault(data_set, tag))
    yield from _of_issuers(data_set, settings)
    request = item(data_set, "00400275")
    if any(is_malformed(each) for tag in ("00321064", "0040100A") for each in items(request, tag)):
        yield "00400275"


def _is_fault(data_set: DataSet, tag: str) -> bool:
    if is_unwritable(data_set[tag]):
        return True
    if tag in _CODES:
        return any(map(is_malformed, items(data_set, tag)))
    judge = _JUDGES.get(tag)
    if judge is None:
        return False
    found = texts(data_set, tag)
    return any(map(judge, found if tag in _NAMES else found[:1]))  # of others the first alone is mapped


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
    for parent, child in _content(data_set, 0):
        # the concept is looked at last: of the items of a large report nearly none is malformed
        tags = [tag for tag in (_NUMERIC_VALUE, _DATE_TIME, _UID) if _is_malformed(child, tag)]
        if tags and (is_dose_item(name_of(child)) or is_measured_item(parent, child)):
            yield from tags


def _content(parent: DataSet, depth: int) -> Iterator[tuple[DataSet, DataSet]]:
    """The content items of a report, each with the one that it hangs on."""
    for child in items(parent, CONTENT):
        yield parent, child
        if depth < _DEPTH:
            yield from _content(child, depth + 1)


def _is_malformed(child: DataSet, tag: str) -> bool:
    """Whether the value of a content item is none of its kind."""
    if tag == _NUMERIC_VALUE:
        measured = item(child, "0040A300")
        if not text(measured, tag):
            return False
        number = decimal(values(measured, tag)[0])
        if number is not None and number.is_integer() and abs(number) <= MOST_UNSIGNED:
            return False
        return number is None or is_whole(name_of(child))
    found = text(child, tag)
    if tag == _UID:
        return bool(found) and not is_uid(found)
    return bool(found) and bool(read_date_time(found, "", "").faults)


def _is_no_name(name: str) -> bool:
    groups = name.split("=")
    return len(groups) > _MOST_GROUPS or any(group.count("^") >= _MOST_COMPONENTS for group in groups)


def _is_no_modality(kind: str) -> bool:
    return modality({"00080060": {"Value": [kind]}}) != kind


_JUDGES: Final[Mapping[str, Callable[[str], bool]]] = {
    **{tag: lambda found: bool(read_date(found).faults) for tag in _DATES},
    **dict.fromkeys(_TIMES, time_is_malformed),
    **{tag: lambda found: unsigned(found) is None for tag in _NUMBERS},
    **dict.fromkeys(_NAMES, _is_no_name),
    _OFFSET: offset_is_malformed,
    "00100030": lambda found: bool(read_partial_date(found).faults),
    "00100040": lambda found: found not in _SEXES,
    "00080060": _is_no_modality,
    "00200060": lambda found: found not in _LATERALITIES,
    "00200062": lambda found: found not in _LATERALITIES | {"U"},
}
"""Whether a text is no value of an attribute."""
