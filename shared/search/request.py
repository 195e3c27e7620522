"""PS3.18 §10.6.1 Search request: the resource and its query parameters become a SearchQuery."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.dicom.key_values import attribute_match
from shared.dicom.matching import AttributeMatch
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.query_parameters import QueryParameters, invalid_parameter
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.index_schema.indexed_attributes import (
    MODALITIES_IN_STUDY,
    MODALITY,
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    IndexedAttribute,
    Level,
)
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.index_schema.study_lists import StudyOrder
from shared.search.attributes import (
    COMPUTED,
    LIST_SEPARATORS,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    SEARCH_LEVELS,
    SERIES_NUMBER,
    STUDY_SUMMARY,
    all_attributes,
    default_attributes,
)
from shared.search.label_key import NAME, is_label_key, parse_labels
from shared.search.matching_keys import attribute_key, is_foreign, searchable_attribute, shown, unknown_attribute

_MAX_IGNORED: Final = 50
"""Parameters of other services in one query string: each is compared with the keywords, which takes its time."""
_ORDERS: Final = (StudyOrder.LATEST_FIRST, StudyOrder.EARLIEST_FIRST)
"""The values of `orderby` (QIDO-53, B-23)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One matching key."""

    attribute: IndexedAttribute
    match: AttributeMatch = field(repr=False)
    name: str = ""
    """As the request spells it."""

    @property
    def key(self) -> str:
        """Which attribute it is about."""
        return self.attribute.key


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The matching keys of a search, and the attributes to return of each result."""

    levels: tuple[Level, ...]
    """Searchable levels of the resource; the last is the level of the results."""
    study: str | None = None
    """StudyInstanceUID of the path, trimmed."""
    series: str | None = None
    """SeriesInstanceUID of the path, trimmed."""
    filters: tuple[Filter, ...] = ()
    """All of them must match (QIDO-4)."""
    stored: frozenset[str] = frozenset()
    """Keys of the attributes to return as they are stored."""
    computed: frozenset[str] = frozenset()
    """Tags of the attributes to return as the service knows them."""
    limit: int = 100
    offset: int = 0
    schema: IndexSchema = BUILT_IN
    """The schema that it was read by: the attributes that exist, and their lists that are complete."""
    ignored: tuple[str, ...] = ()
    """Parameters of other services, which say nothing here (D-27)."""
    order: StudyOrder = StudyOrder.STORED
    """The order of studies; of results below them it says nothing."""
    within: Confinement | None = None
    """The part of the partition that the caller may see; None: all of it."""
    labels: AttributeMatch | None = field(default=None, repr=False)
    """The labels of which the study has one; None if nothing is said of them (SEL-3)."""

    @property
    def level(self) -> Level:
        """The level of the results."""
        return self.levels[-1]

    def at(self, level: Level) -> list[Filter]:
        """The matching keys of one level."""
        return [item for item in self.filters if item.attribute.level == level]


def parse_search(
    resource: str,
    uids: Mapping[str, str],
    parameters: QueryParameters,
    version: ApiVersion,
    schema: IndexSchema,
    *,
    study_order: StudyOrder = StudyOrder.STORED,
) -> SearchQuery:
    """Read a search of `resource` (a key of SEARCH_LEVELS).

    `uids` holds `study` and `series` of the path. `schema`: that of the index. `study_order`: that of studies where the
    request names none (QIDO-53, B-23).
    Raises InvalidRequest for matching keys and attributes to return (dicomweb §8.1, §8.2).
    """
    study, series = uids.get("study"), uids.get("series")
    levels = SEARCH_LEVELS[resource]
    filters: dict[str, Filter] = {}
    ignored: list[str] = []
    labels: AttributeMatch | None = None
    for name, value in parameters.keys:
        if version is not ApiVersion.V1 and is_label_key(name):
            if labels is not None:
                raise invalid_parameter(NAME, "It is given more than once.")
            labels = parse_labels(value)
            continue
        if is_foreign(name):
            ignored.append(name)
            if len(ignored) > _MAX_IGNORED:
                raise InvalidRequest(
                    f"The query string has more than {_MAX_IGNORED} parameters that are not known.",
                    where="query string",
                )
            continue
        attribute = searchable_attribute(name, levels, schema)
        if attribute.key in filters:
            raise invalid_parameter(shown(name), "The attribute is given more than once.")
        filters[attribute.key] = Filter(attribute, _match(name, value, attribute, parameters), name)
    if parameters.order is not None:
        if levels[-1] == "study" and parameters.order in _ORDERS:
            study_order = StudyOrder(parameters.order)
        else:
            ignored.append("orderby")
    paths = (each.attribute.path for each in filters.values())
    asked = {_included(name, schema) for name in parameters.include_fields}.union(paths)
    stored, computed = _returned(parameters, levels, version, asked)
    path = {STUDY_INSTANCE_UID: study, SERIES_INSTANCE_UID: series}
    return SearchQuery(
        levels=levels,
        study=study,
        series=series,
        filters=tuple(filters.values()),
        stored=stored | {tag for tag, uid in path.items() if uid},
        computed=computed,
        limit=parameters.limit,
        offset=parameters.offset,
        schema=schema,
        ignored=tuple(dict.fromkeys(ignored)),
        order=study_order if levels[-1] == "study" else StudyOrder.STORED,
        labels=labels,
    )


def _match(name: str, value: str, attribute: IndexedAttribute, parameters: QueryParameters) -> AttributeMatch:
    if not value.strip(" \0"):
        raise invalid_parameter(shown(name), "It has no value.")
    try:
        return attribute_match(
            attribute.vr,
            value,
            fuzzy=parameters.fuzzy_matching,
            list_separator=LIST_SEPARATORS.get(attribute.key, ""),
            empty_value=parameters.empty_value_matching,
            multiple_values=parameters.multiple_value_matching,
        )
    except InvalidRequest as error:
        raise invalid_parameter(shown(name), str(error)) from error


def _returned(
    parameters: QueryParameters, levels: tuple[Level, ...], version: ApiVersion, asked: set[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The attributes to return as stored, and as computed (QIDO-30, dicomweb §8.5)."""
    if parameters.include_all:
        asked |= all_attributes(levels)
    if levels[-1] == "study" and MODALITY in asked:
        # No study has a Modality. Viewers that ask for one want to list what PS3.18 Table 10.6.3-3 has of each study.
        asked |= STUDY_SUMMARY
    if levels[-1] == "series" and SERIES_NUMBER in asked:
        # No default either; viewers that ask for it show beside it how many instances there are (Table 10.6.3-4).
        asked |= {NUMBER_OF_SERIES_RELATED_INSTANCES}
    # A default of v1 is InstanceAvailability as stored; whoever asks for it gets the truth (W-7).
    computed = asked & COMPUTED
    if levels[-1] == "instance" or (levels[-1] == "series" and not version.short_search_defaults):
        computed -= {MODALITIES_IN_STUDY}
    return frozenset((asked | default_attributes(version, levels)) - computed), frozenset(computed)


def _included(name: str, schema: IndexSchema) -> str:
    try:
        return attribute_key(name, schema)
    except InvalidRequest as error:
        raise invalid_parameter(
            "IncludeField", f"'{shown(name)}' names no attribute. {unknown_attribute(name)}"
        ) from error
