"""PS3.18 §10.6.3 Search response: what is known of each result becomes a DICOM JSON data set."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from shared.dicom.media_types import DICOM_JSON, DICOM_XML
from shared.dicomweb import json_model, multipart, xml_model
from shared.dicomweb.urls import Urls
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.index_schema.attribute_extraction import located
from shared.index_schema.indexed_attributes import MODALITIES_IN_STUDY, MODALITY, Level
from shared.search.attributes import (
    AVAILABLE_TRANSFER_SYNTAX_UID,
    INSTANCE_AVAILABILITY,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_SERIES,
    RETRIEVE_URL,
)
from shared.search.documents import pick
from shared.search.request import SearchQuery
from shared.search.result import SearchResult, element, row_elements

_NAMED: Final = 10
"""Ignored parameters that a Warning names: a header has its limits."""


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
    rows = {key: element for key, element in row_elements(result, query).items() if key in query.stored}
    if result.metadata is None:
        found = rows
    else:
        whole = orjson.loads(result.metadata)
        document = pick(whole, query.stored | _private_elements(whole, query))
        found = document | rows if query.level != "instance" else rows | document
    found |= {
        tag: element(tag, values)
        for tag, values in _computed(result, urls, query.level)
        if values and tag in query.computed  # QIDO-39
    }
    return dict(sorted(found.items()))


def _private_elements(document: Mapping[str, Any], query: SearchQuery) -> frozenset[str]:
    """Where a data set has the private attributes that are asked for, and their creators: without the element of its
    creator a private one means nothing (PS3.5 §7.8.1).
    """
    private = [each for each in query.schema.custom.values() if each.creator and each.path in query.stored]
    found = [path for each in private if (path := located(document, each))]
    return frozenset(found) | {f"{path[:4]}00{path[4:6]}" for path in found}


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
