"""PS3.18 §10.6.3 Search response: what is known of each result becomes a DICOM JSON data set."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from shared.dicom.dictionary import vm_of, vr_of
from shared.dicom.elements import items
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.media_types import DICOM_JSON, DICOM_XML
from shared.dicomweb import json_model, multipart, xml_model
from shared.dicomweb.urls import Urls
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.index_schema.attribute_extraction import located
from shared.index_schema.indexed_attributes import (
    MODALITIES_IN_STUDY,
    MODALITY,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    IndexedAttribute,
    Level,
)
from shared.index_schema.postings import NUMBERS
from shared.index_schema.schema import IndexSchema
from shared.search.attributes import (
    AVAILABLE_TRANSFER_SYNTAX_UID,
    INSTANCE_AVAILABILITY,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_SERIES,
    RETRIEVE_URL,
    SPECIFIC_CHARACTER_SET,
)
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


_NAMED: Final = 10
"""Ignored parameters that a Warning names: a header has its limits."""

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
    return _UIDS | _whole(*(key for key in carried if not _is_tag(schema, key)))


@lru_cache(256)
def _said_by_instance(schema: IndexSchema, instance: int) -> frozenset[str]:
    """The same of an instance, which speaks for itself (D-44)."""
    carried = schema.upto(instance).carried("instance")
    return _UIDS | {SOP_CLASS_UID} | _whole(*(key for key in carried if not _is_tag(schema, key)))


def _is_tag(schema: IndexSchema, key: str) -> bool:
    attribute = schema.attributes.get(key)
    return attribute is not None and attribute.tag is not None


@lru_cache(256)
def _returned_tags(schema: IndexSchema, levels: tuple[Level, ...]) -> tuple[IndexedAttribute, ...]:
    """The extended query tags that rows carry whole where they have a value: not that there is none, for rows have no
    value that is not valid in its VR. A private element may stand anywhere in its data set, and have many values.
    """
    return tuple(
        each
        for each in schema.tags.values()
        if each.level in levels and each.tag and not each.tag.creator and _whole(each.path)
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
    said = _said(result, query).union(_tag_elements(result, query))
    if not query.stored <= (said if character_set_as_stored else said | {SPECIFIC_CHARACTER_SET}):
        return True
    times = query.stored & _times(said) if query.level != "instance" else frozenset[str]()
    return bool(times) and not times <= _row_attributes(result, query).keys()


def needs_instance(query: SearchQuery) -> bool:
    """Whether something of the row of each result's newest instance is asked for, beside its metadata."""
    return AVAILABLE_TRANSFER_SYNTAX_UID in query.computed


def render(
    results: Sequence[SearchResult],
    query: SearchQuery,
    context: Context,
    *,
    more: bool,
    character_set_as_stored: bool,
    erroneous: Sequence[str] = (),
    media_type: str = DICOM_JSON,
) -> Response:
    """The response of a search; `more` results exist beyond them (QIDO-2, QIDO-44).

    `erroneous`: the matching keys by which instances may be missing (QIDO-17).
    `media_type` is that of the data sets: DICOM_JSON, or DICOM_XML as multipart/related with a part for each result.
    """
    headers: list[tuple[str, str]] = []
    if more:
        headers.append(context.warning("There are additional results that can be requested"))
    if query.ignored:
        headers.append(context.warning(_ignored(query.ignored)))
    if erroneous:
        headers.append(("erroneous-dicom-attributes", ",".join(erroneous)))
    if not results:
        return Response(204, tuple(headers))
    documents: list[bytes] = []
    for result in results:
        document = json_model.dumps(dataset(result, query, context.urls))
        if b'"BulkDataURI"' in document:
            document = json_model.without_bulk_data(document)
        documents.append(json_model.with_character_set(document, character_set_as_stored))
    if media_type == DICOM_XML:
        boundary = multipart.new_boundary()
        parts = (
            multipart.part_head(boundary, [("Content-Type", DICOM_XML)], first=not number)
            + xml_model.dumps(orjson.loads(document))
            for number, document in enumerate(documents)
        )
        headers.append(("Content-Type", multipart.content_type(boundary, DICOM_XML)))
        return Response(200, tuple(headers), b"".join([*parts, multipart.closing(boundary)]))
    headers.append(("Content-Type", DICOM_JSON))
    return Response(200, tuple(headers), json_model.join(documents))


def _ignored(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"Query parameters that are not known here were ignored: {', '.join(names[:_NAMED])}{more}"


def dataset(result: SearchResult, query: SearchQuery, urls: Urls) -> dict[str, dict[str, Any]]:
    """The attributes of one result in the DICOM JSON model, in ascending order (JSON-1)."""
    rows = {key: element for key, element in _row_elements(result, query).items() if key in query.stored}
    if result.metadata is None:
        found = rows
    else:
        whole = orjson.loads(result.metadata)
        document = pick(whole, query.stored | _private_elements(whole, query))
        found = document | rows if query.level != "instance" else rows | document
    found |= {
        tag: _element(tag, values)
        for tag, values in _computed(result, urls, query.level)
        if values and tag in query.computed  # QIDO-39
    }
    return dict(sorted(found.items()))


def _private_elements(document: Mapping[str, Any], query: SearchQuery) -> frozenset[str]:
    """Where a data set has the private extended query tags that are asked for, and their creators: without the element
    of its creator a private one means nothing (PS3.5 §7.8.1).
    """
    tags = [each.tag for each in query.schema.tags.values() if each.path in query.stored and each.tag]
    found = [path for tag in tags if tag.creator and (path := located(document, tag))]
    return frozenset(found) | {f"{path[:4]}00{path[4:6]}" for path in found}


def pick(document: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The elements of `document` that `keys` name; of a sequence only what dotted paths name in its items (D-28)."""
    found: dict[str, Any] = {}
    nested: dict[str, set[str]] = {}
    for key in keys:
        tag, _, inner_tag = key.partition(".")
        if inner_tag:
            nested.setdefault(tag, set()).add(inner_tag)
        elif key in document:
            found[key] = document[key]
    for tag, inner_tags in nested.items():
        inner = items(document, tag)
        if tag not in found and any(inner_tags & item.keys() for item in inner):
            picked = [{key: item[key] for key in item if key in inner_tags} for item in inner]
            found[tag] = {"vr": "SQ", "Value": picked}
    return found


def _row_elements(result: SearchResult, query: SearchQuery) -> dict[str, dict[str, Any]]:
    """The elements of a result that come from its index rows, by tag."""
    found = _tag_elements(result, query)
    found |= {key: _element_of_text(_vr(key), text) for key, text in _row_attributes(result, query).items()}
    identifier = result.identifier
    found[STUDY_INSTANCE_UID] = _element(STUDY_INSTANCE_UID, [identifier.study_instance_uid])
    found[SERIES_INSTANCE_UID] = _element(SERIES_INSTANCE_UID, [identifier.series_instance_uid])
    found[SOP_INSTANCE_UID] = _element(SOP_INSTANCE_UID, [identifier.sop_instance_uid])
    if query.level == "instance" and result.instance:
        found[SOP_CLASS_UID] = _element(SOP_CLASS_UID, [result.instance.sop_class_uid])
    return found


def _tag_elements(result: SearchResult, query: SearchQuery) -> dict[str, dict[str, Any]]:
    """The elements of a result that are extended query tags with values in its index rows, by tag."""
    levels: tuple[Level, ...] = ("instance",) if query.level == "instance" else ("study", "series")
    tags = [each for each in _returned_tags(query.schema, levels) if each.path in query.stored]
    if not tags:
        return {}
    carried = _carried(result, query)
    return {each.path: _element_of_text(each.vr, carried[each.key]) for each in tags if each.key in carried}


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


def _computed(result: SearchResult, urls: Urls, level: Level) -> Iterator[tuple[str, list[Any]]]:
    """Values of the computed attributes of a result (dicomweb §8.5); of one that it does not have, none."""
    study, series, identifier = result.study, result.series, result.identifier
    modalities = {item.attributes.get(MODALITY, "").strip(" \0") for item in study.series.values()}
    yield MODALITIES_IN_STUDY, sorted(modalities - {""})
    yield INSTANCE_AVAILABILITY, ["ONLINE"]
    yield NUMBER_OF_STUDY_RELATED_SERIES, [len(study.series)]
    yield NUMBER_OF_STUDY_RELATED_INSTANCES, [study.instances]
    if series:
        yield NUMBER_OF_SERIES_RELATED_INSTANCES, [series.instances]
    if result.instance:
        yield AVAILABLE_TRANSFER_SYNTAX_UID, [result.instance.transfer_syntax_uid]
    if level == "study":
        yield RETRIEVE_URL, [urls.study(study.study_instance_uid)]
    elif level == "series":
        yield RETRIEVE_URL, [urls.series(study.study_instance_uid, identifier.series_instance_uid)]
    else:
        yield RETRIEVE_URL, [urls.instance(identifier)]


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


def _element(tag: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"vr": _vr(tag), "Value": list(values)}
