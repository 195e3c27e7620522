"""PS3.18 §8.3.4.1 The matching keys of a search: which attribute a parameter names, and what to say of one that names
none here (QIDO-10 to QIDO-12, D-27).
"""

import re
from typing import Final

from shared.dicom.attributes import parse_attribute_id
from shared.dicom.dictionary import keyword_of, vr_of
from shared.dicom.suggestions import most_like, nearest_keyword, same_but_for_case
from shared.dicomweb.query_parameters import invalid_parameter
from shared.errors import InvalidRequest
from shared.index_schema.indexed_attributes import (
    CUSTOM_VRS,
    MODALITIES_IN_STUDY,
    MODALITY,
    IndexedAttribute,
    Level,
)
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.search.attributes import (
    INSTANCE_AVAILABILITY,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_SERIES,
    SPECIFIC_CHARACTER_SET,
    TIMEZONE_OFFSET,
)

_SHOWN: Final = 100
"""Characters of a client's text that a refusal quotes."""
_FOREIGN: Final = re.compile(r"[a-z][A-Za-z0-9_-]{0,63}")
_TAG: Final = re.compile(r"[0-9a-f]{8}", re.IGNORECASE)


_COMPUTED: Final = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        INSTANCE_AVAILABILITY,
        TIMEZONE_OFFSET,
        NUMBER_OF_STUDY_RELATED_SERIES,
        NUMBER_OF_STUDY_RELATED_INSTANCES,
        NUMBER_OF_SERIES_RELATED_INSTANCES,
    }
)
"""Attributes that mean something else in a result, or nothing by themselves: an extended query tag would not help."""


def is_foreign(name: str) -> bool:
    """Whether a parameter is another service's: it names no attribute, and is no misspelt one either (D-27).

    To ignore a misspelt attribute would widen the search beyond what was asked for, so it is not foreign.
    """
    if not _FOREIGN.fullmatch(name) or _TAG.fullmatch(name) or same_but_for_case(name):
        return False
    return most_like(name, _USUAL) is None


def searchable_attribute(name: str, levels: tuple[Level, ...], schema: IndexSchema) -> IndexedAttribute:
    """The attribute that the parameter `name` names. Raises InvalidRequest (QIDO-11, QIDO-12)."""
    try:
        key = attribute_key(name, schema)
    except InvalidRequest as error:
        raise invalid_parameter(shown(name), unknown_attribute(name)) from error
    attribute = schema.searchable.get(key)
    if attribute is not None and attribute.level in levels:
        return attribute
    custom = schema.custom.get(key)
    if custom is None or custom.level not in levels or schema.status(custom) != "ready":
        raise invalid_parameter(shown(name), _not_queryable(key, levels, schema), *_what_to_do(key, levels, schema))
    if not custom.enabled:
        raise invalid_parameter(
            shown(name),
            f"Query is disabled on specified attribute '{shown(name)}'.",
            "Enable it with PATCH on its extended query tag, or leave the parameter out.",
        )
    return custom


def attribute_key(name: str, schema: IndexSchema) -> str:
    """The attribute that a client names, as in `AttributePath.key`; a custom one may be one that the standard does not
    have. Raises InvalidRequest (QIDO-10).
    """
    return key if (key := name.upper()) in schema.custom else parse_attribute_id(name).key


def unknown_attribute(name: str) -> str:
    """The refusal of a name that names no attribute."""
    text = "It names no attribute: use a keyword or 8 hexadecimal digits."
    parts = name.split(".")
    suggestions = [nearest_keyword(part, _USUAL) for part in parts]
    if len(parts) > 2 or None in suggestions or suggestions == parts:
        return text
    return f"{text} Did you mean {'.'.join(each for each in suggestions if each)}?"


def shown(name: str) -> str:
    """A client's text as a refusal quotes it."""
    return name[:_SHOWN]


def _not_queryable(key: str, levels: tuple[Level, ...], schema: IndexSchema) -> str:
    text = "The attribute is not queryable at this resource."
    if key == MODALITY and "study" in levels:
        return f"{text} Use {_keyword(MODALITIES_IN_STUDY)}. {_queryable(levels, schema)}"
    return f"{text} {_queryable(levels, schema)}"


def _what_to_do(key: str, levels: tuple[Level, ...], schema: IndexSchema) -> tuple[str, ...]:
    """The advice to a client whose attribute an extended query tag could make a matching key; else nothing."""
    custom = schema.custom.get(key)
    if custom is not None and custom.level in levels:
        return (f"Its extended query tag is being added: GET extendedquerytags/{key} says how far it is.",)
    vr = vr_of(int(key.rpartition(".")[2], 16))
    if custom is not None or key in schema.searchable or key in _COMPUTED or vr not in CUSTOM_VRS:
        return ()
    return ("Leave the parameter out, or make the attribute an extended query tag: POST extendedquerytags.",)


def _queryable(levels: tuple[Level, ...], schema: IndexSchema) -> str:
    names = {_keyword(each.path) for each in schema.searchable.values() if _is_shown(each, levels, schema)}
    return f"Queryable here: {', '.join(sorted(names))}."


def _is_shown(attribute: IndexedAttribute, levels: tuple[Level, ...], schema: IndexSchema) -> bool:
    usable = attribute.enabled and schema.status(attribute) == "ready"
    return attribute.level in levels and (usable or not attribute.custom)


def _keyword(key: str) -> str:
    return ".".join(keyword_of(int(tag, 16)) or tag for tag in key.split("."))


_USUAL: Final = tuple(_keyword(key) for key in BUILT_IN.searchable if "." not in key)
"""The keywords that searches are made by."""
