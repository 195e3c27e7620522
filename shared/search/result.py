"""PS3.18 §10.6.3 Results of a search, and the elements that their index rows have of them (D-35). Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.dicom.dictionary import vm_of, vr_of
from shared.dicom.identifiers import InstanceIdentifier
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.index_schema.indexed_attributes import (
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    IndexedAttribute,
    Level,
)
from shared.index_schema.postings import NUMBERS
from shared.index_schema.schema import IndexSchema
from shared.search.attributes import AVAILABLE_TRANSFER_SYNTAX_UID, SPECIFIC_CHARACTER_SET
from shared.search.request import SearchQuery


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A study, series or instance that was found."""

    study: StudyView
    series: SeriesView | None = None
    """None: the result is a study."""
    instance: StoredInstance | None = None
    """The result itself, if it is an instance; else its newest instance, None if nothing of it is needed."""
    metadata: bytes | None = None
    """The document of `instance`; None if nothing of it is needed."""

    @property
    def identifier(self) -> InstanceIdentifier:
        """The result itself if it is an instance, else its newest instance."""
        if self.instance:
            return self.instance.identifier
        return (self.series or self.study).newest


_UIDS = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID})


def _vr(tag: str) -> str:
    return vr_of(int(tag, 16)) or "UN"


def _whole(*keys: str) -> frozenset[str]:
    """Those of `keys` whose attributes rows carry whole: of several values they have the first, and no long text."""
    return frozenset(key for key in keys if "." not in key and vm_of(int(key, 16)) == "1" and _vr(key) != "LT")


@lru_cache(256)
def _said_by(schema: IndexSchema, study: int, series: int) -> frozenset[str]:
    """The content of the rows of a study and a series, written under the schemas of these numbers."""
    carried = (*schema.upto(study).carried("study"), *schema.upto(series).carried("series"))
    return _UIDS | _whole(*(key for key in carried if not _is_custom(schema, key)))


@lru_cache(256)
def _said_by_instance(schema: IndexSchema, instance: int) -> frozenset[str]:
    """The same of an instance, which speaks for itself (D-44)."""
    carried = schema.upto(instance).carried("instance")
    return _UIDS | {SOP_CLASS_UID} | _whole(*(key for key in carried if not _is_custom(schema, key)))


def _is_custom(schema: IndexSchema, key: str) -> bool:
    attribute = schema.attributes.get(key)
    return attribute is not None and attribute.custom


@lru_cache(256)
def _returned_custom(schema: IndexSchema, levels: tuple[Level, ...]) -> tuple[IndexedAttribute, ...]:
    """The custom attributes that rows carry whole where they have a value: not that there is none, for rows have no
    value that is not valid in its VR. A private element may stand anywhere in its data set, and have many values.
    """
    return tuple(
        each for each in schema.custom.values() if each.level in levels and not each.creator and _whole(each.path)
    )


@lru_cache(256)
def _times(said: frozenset[str]) -> frozenset[str]:
    """Rows do not carry times in an old notation, as `10:30`; the metadata show them."""
    return frozenset(key for key in said if _vr(key) == "TM")


def _said(result: SearchResult, query: SearchQuery) -> frozenset[str]:
    """The elements of a result that come from its index rows (D-35)."""
    if query.level == "instance":
        return _said_by_instance(query.schema, result.instance.schema if result.instance else 0)
    series = _series_of(result)
    return _said_by(query.schema, result.study.schema, series.schema if series else result.study.schema)


def _series_of(result: SearchResult) -> SeriesView | None:
    """The series of the result; that of its newest instance if it is a study (QIDO-34)."""
    return result.series or result.study.series.get(result.study.newest.series_instance_uid)


def needs_metadata(query: SearchQuery, result: SearchResult, *, character_set_as_stored: bool) -> bool:
    """Whether the metadata document of a result (of its newest instance) must be read."""
    said = _said(result, query).union(_custom_elements(result, query))
    if not query.stored <= (said if character_set_as_stored else said | {SPECIFIC_CHARACTER_SET}):
        return True
    times = query.stored & _times(said) if query.level != "instance" else frozenset[str]()
    return bool(times) and not times <= _row_attributes(result, query).keys()


def needs_instance(query: SearchQuery) -> bool:
    """Whether something of the row of each result's newest instance is asked for, beside its metadata."""
    return AVAILABLE_TRANSFER_SYNTAX_UID in query.computed


def row_elements(result: SearchResult, query: SearchQuery) -> dict[str, dict[str, Any]]:
    """The elements of a result that come from its index rows, by tag."""
    found = _custom_elements(result, query)
    found |= {key: _element_of_text(_vr(key), text) for key, text in _row_attributes(result, query).items()}
    identifier = result.identifier
    found[STUDY_INSTANCE_UID] = element(STUDY_INSTANCE_UID, [identifier.study_instance_uid])
    found[SERIES_INSTANCE_UID] = element(SERIES_INSTANCE_UID, [identifier.series_instance_uid])
    found[SOP_INSTANCE_UID] = element(SOP_INSTANCE_UID, [identifier.sop_instance_uid])
    if query.level == "instance" and result.instance:
        found[SOP_CLASS_UID] = element(SOP_CLASS_UID, [result.instance.sop_class_uid])
    return found


def _custom_elements(result: SearchResult, query: SearchQuery) -> dict[str, dict[str, Any]]:
    """The elements of a result that are custom attributes with values in its index rows, by tag."""
    levels: tuple[Level, ...] = ("instance",) if query.level == "instance" else ("study", "series")
    wanted = [each for each in _returned_custom(query.schema, levels) if each.path in query.stored]
    if not wanted:
        return {}
    carried = _carried(result, query)
    return {each.path: _element_of_text(each.vr, carried[each.key]) for each in wanted if each.key in carried}


def _row_attributes(result: SearchResult, query: SearchQuery) -> dict[str, str]:
    """The text of the attributes that rows carry whole."""
    said = _said(result, query)
    return {key: text for key, text in _carried(result, query).items() if key in said}


def _carried(result: SearchResult, query: SearchQuery) -> Mapping[str, str]:
    """The values in the rows of a result, by the keys of the schema."""
    if query.level == "instance":
        return result.instance.attributes if result.instance else {}
    study = result.study.attributes
    series_view = _series_of(result)
    series = series_view.attributes if series_view else {}
    return {**series, **study} if query.level == "study" else {**study, **series}


def _element_of_text(vr: str, text: str) -> dict[str, Any]:
    """An attribute of an index row: the first value as DICOM text, padding kept (JSON-3 to JSON-6)."""
    text = text.rstrip(" ")
    if not text:
        return {"vr": vr}  # an empty PatientID (QIDO-31)
    if vr == "PN":
        groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False)
        return {"vr": vr, "Value": [{name: group for name, group in groups if group}]}
    return {"vr": vr, "Value": [_number(text) if vr in NUMBERS else text]}


def _number(text: str) -> int | float | str:
    """A number if the text is one, else the text (JSON-4)."""
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


def element(tag: str, values: Sequence[Any]) -> dict[str, Any]:
    """An element of the standard with these values."""
    return {"vr": _vr(tag), "Value": list(values)}
