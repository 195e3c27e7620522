"""PS3.18 §11.9.1 A search of the worklist: the query string becomes a WorklistQuery (worklist §9)."""

from dataclasses import dataclass, field
from typing import Final

from shared.dicom.attributes import parse_attribute_id
from shared.dicom.dictionary import keyword_of
from shared.dicom.key_values import attribute_match
from shared.dicom.matching import AttributeMatch
from shared.dicomweb.query_parameters import QueryParameters, invalid_parameter, parse_query
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.http.messages import Request
from shared.workitems.attribute_table import returned
from shared.workitems.searchable import KEYS, SearchKey
from shared.workitems.workitem import TRANSACTION_UID

_SHOWN: Final = 100
"""Characters of a client's text that a refusal quotes."""
_DEEPEST: Final = 3
"""Levels of the deepest attribute that is matched: the code of a performer."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One matching key."""

    key: SearchKey
    match: AttributeMatch = field(repr=False)


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """The matching keys of a search, and the attributes to return of each workitem."""

    filters: tuple[Filter, ...] = ()
    """All of them must match."""
    returned: frozenset[str] | None = None
    """Tags; None: all."""
    limit: int = 100
    offset: int = 0


def parse_search(request: Request, _version: ApiVersion) -> WorklistQuery:
    """The query of a request. Raises InvalidRequest (WQ-5, WQ-6)."""
    parameters = parse_query(request.query)
    if parameters.order is not None:
        raise invalid_parameter("OrderBy", "Workitems are returned newest first.")
    filters = read_filters(parameters)
    return WorklistQuery(
        tuple(filters.values()), _returned(parameters, filters), limit=parameters.limit, offset=parameters.offset
    )


def read_filters(parameters: QueryParameters) -> dict[str, Filter]:
    """The matching keys of a query, by path. Raises InvalidRequest (WQ-5, WQ-6)."""
    filters: dict[str, Filter] = {}
    for name, value in parameters.keys:
        key = _search_key(name)
        if key.path in filters:
            raise invalid_parameter(name[:_SHOWN], "The attribute is given more than once.")
        filters[key.path] = Filter(key, _match(name, value, key, parameters))
    return filters


def _search_key(name: str) -> SearchKey:
    try:
        path = parse_attribute_id(name, deepest=_DEEPEST).key
    except InvalidRequest as error:
        raise invalid_parameter(name[:_SHOWN], str(error)) from error
    key = KEYS.get(path)
    if key is None:
        shown = ".".join(keyword_of(int(tag, 16)) or tag for tag in path.split("."))
        raise InvalidRequest(
            f"Invalid query: AttributeId {shown} is not queryable. {_queryable()}", where=f"query parameter {shown}"
        )
    return key


def _queryable() -> str:
    names = (".".join(keyword_of(int(tag, 16)) or tag for tag in path.split(".")) for path in KEYS)
    return f"Queryable here: {', '.join(sorted(names))}."


def _match(name: str, value: str, key: SearchKey, parameters: QueryParameters) -> AttributeMatch:
    if not value.strip(" \0"):
        raise invalid_parameter(name[:_SHOWN], "It has no value.")
    try:
        return attribute_match(
            key.vr,
            value,
            fuzzy=parameters.fuzzy_matching,
            empty_value=parameters.empty_value_matching,
            multiple_values=parameters.multiple_value_matching,
        )
    except InvalidRequest as error:
        raise invalid_parameter(name[:_SHOWN], str(error)) from error


def _returned(parameters: QueryParameters, filters: dict[str, Filter]) -> frozenset[str] | None:
    """The tags to return (WQ-4). Raises InvalidRequest."""
    if parameters.include_all:
        if parameters.include_fields:
            raise invalid_parameter("IncludeField", "'all' stands alone.")
        return None
    tags = {path.partition(".")[0] for path in filters}
    for name in parameters.include_fields:
        try:
            tags.add(parse_attribute_id(name, deepest=1).key)
        except InvalidRequest as error:
            raise invalid_parameter("IncludeField", f"'{name[:_SHOWN]}' names no attribute of a workitem.") from error
    return (returned() | tags) - {TRANSACTION_UID}
