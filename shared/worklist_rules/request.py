"""AIX-2 Requests about worklist rules. Pure."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.dicom.attributes import Attributes, parse_attribute_id
from shared.dicom.identifiers import is_uid
from shared.dicomweb.json_elements import checked_data_set
from shared.dicomweb.json_input import with_tags
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotFound
from shared.http.json_body import MALFORMED, WHERE, JsonBody, invalid_field, json_body
from shared.http.messages import Request
from shared.worklist_rules.rule import condition
from shared.worklist_rules.template import check_template

_LARGEST_BODY: Final = 32 * 1024
"""Bytes: a template is codes and labels."""
_MOST_CONDITIONS: Final = 20
_MOST_VALUES: Final = 20
_LONGEST_VALUE: Final = 200
_LONGEST_NAME: Final = 64
"""Characters: what a label of a workitem takes (VR LO)."""
_MOST_INSTANCES: Final = 1_000_000
_LEAST_QUIET: Final = 0
_MOST_QUIET: Final = 86_400
_QUIET: Final = 120
"""Seconds: longer than the pauses of a modality that sends the series of a study one after the other."""
MOST_STUDIES: Final = 20
"""That one dry run judges."""
_MEMBERS: Final = frozenset({"name", "filter", "minimumInstances", "quietSeconds", "template", "enabled"})


@dataclass(frozen=True, slots=True)
class DryRun:
    """A rule, and the studies for which it is tried."""

    rule: Mapping[str, Any]
    studies: tuple[str, ...]


def parse_body(request: Request, _version: ApiVersion) -> JsonBody:
    """The body of a request that has one. Raises UnsupportedMedia for one that is no JSON."""
    return json_body(request, most=_LARGEST_BODY)


def parse_rule_id(request: Request, _version: ApiVersion) -> str:
    """The rule that the path names. Raises NotFound."""
    text = request.route["rule"]
    try:
        return uuid.UUID(text).hex
    except ValueError:
        raise unknown_rule() from None


def parse_replacement(request: Request, version: ApiVersion) -> tuple[str, JsonBody]:
    """The rule that the path names, and the body. Raises NotFound, UnsupportedMedia."""
    return parse_rule_id(request, version), parse_body(request, version)


def unknown_rule() -> NotFound:
    """The error for a rule that is not there."""
    return NotFound("There is no such worklist rule.", remedy="GET /v2/worklist-rules lists those that there are.")


def rule_document(document: Any) -> dict[str, Any]:
    """The rule in a body, complete and in one form. Raises InvalidRequest, TooLarge."""
    if not isinstance(document, dict):
        raise InvalidRequest(MALFORMED, where=WHERE, remedy="Send an object with name, filter and template.")
    for name in document:
        if name not in _MEMBERS:
            raise InvalidRequest(f'The field is not supported: "{str(name)[:64]}".', where=WHERE)
    name = document.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _LONGEST_NAME or not name.isprintable():
        raise invalid_field("name", f"It must be a text of 1 to {_LONGEST_NAME} characters.")
    found: dict[str, Any] = {
        "name": name.strip(),
        "filter": _filter(document.get("filter")),
        "minimumInstances": _whole(document, "minimumInstances", 1, 1, _MOST_INSTANCES),
        "quietSeconds": _whole(document, "quietSeconds", _QUIET, _LEAST_QUIET, _MOST_QUIET),
        "template": _template(document.get("template", {})),
        "enabled": document.get("enabled", True),
    }
    if not isinstance(found["enabled"], bool):
        raise invalid_field("enabled", "It must be true or false.")
    check_template(found["template"], found["name"])
    return found


def dry_run(document: Any) -> DryRun:
    """The rule and the studies of a dry run. Raises InvalidRequest, TooLarge."""
    if not isinstance(document, dict) or not isinstance(document.get("studies"), list):
        raise InvalidRequest(MALFORMED, where=WHERE, remedy="Send an object with the members of a rule, and studies.")
    studies = document["studies"]
    if not 0 < len(studies) <= MOST_STUDIES or not all(isinstance(uid, str) and is_uid(uid) for uid in studies):
        raise invalid_field("studies", f"It must be an array of 1 to {MOST_STUDIES} Study Instance UIDs.")
    rule = {name: value for name, value in document.items() if name != "studies"}
    return DryRun(rule_document(rule), tuple(dict.fromkeys(studies)))


def _filter(sent: Any) -> dict[str, list[str]]:
    if not isinstance(sent, dict) or not 0 < len(sent) <= _MOST_CONDITIONS:
        raise invalid_field("filter", f"It must be an object with 1 to {_MOST_CONDITIONS} attributes.")
    found: dict[str, list[str]] = {}
    paths: set[str] = set()
    for name, value in sent.items():
        values = value if isinstance(value, list) else [value]
        field = f"filter.{name[:_LONGEST_VALUE]}"
        if not 0 < len(values) <= _MOST_VALUES or not all(map(_is_value, values)):
            raise invalid_field(
                field, f"It must be a text, or an array of 1 to {_MOST_VALUES} texts, none of them empty."
            )
        try:
            path = parse_attribute_id(name).key
            condition(name, values)
        except InvalidRequest as error:
            raise invalid_field(field, str(error)) from error
        if path in paths:
            raise invalid_field(field, "The attribute is given more than once.")
        paths.add(path)
        found[name] = values
    return found


def _is_value(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip(" \0")) and len(value) <= _LONGEST_VALUE


def _whole(document: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = document.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid_field(name, f"It must be a whole number from {least} to {most}.")
    return value


def _template(sent: Any) -> Attributes:
    if not isinstance(sent, dict):
        raise invalid_field("template", "It must be a data set in the DICOM JSON model.")
    return checked_data_set(with_tags(sent))
