"""azure-apis §3.2, §3.6 Requests about extended query tags. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from shared.dicomweb.query_parameters import Window, window
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.extended_query_tags.paths import tag_path
from shared.http.json_body import MALFORMED, WHERE, JsonBody, invalid_field, json_body, lower_members
from shared.http.messages import Request
from shared.index_schema.indexed_attributes import Level

_LARGEST_BODY: Final = 256 * 1024
"""Bytes; 128 entries with every character escaped are well below it."""
_LEVELS: Final[Mapping[str, Level]] = {level: level for level in get_args(Level.__value__)}
_STATUSES: Final = {"enabled": True, "disabled": False}


@dataclass(frozen=True, slots=True)
class NewTag:
    """An entry of a request to add extended query tags, as it was sent."""

    path: str
    level: Level
    vr: str = ""
    creator: str = ""


def parse_body(request: Request, _version: ApiVersion) -> JsonBody:
    """The body of a request that has one. Raises UnsupportedMedia for one that is no JSON."""
    return json_body(request, most=_LARGEST_BODY)


def parse_window(request: Request, _version: ApiVersion) -> Window:
    """The part of the list that is asked for. Raises InvalidRequest."""
    return window(request.query)


def parse_path(request: Request, _version: ApiVersion) -> str:
    """The tag that the path names. Raises InvalidRequest (EQT-51)."""
    return tag_path(request.route["tag"], "path, {tag}")


def parse_errors(request: Request, version: ApiVersion) -> tuple[str, Window]:
    """The tag that the path names, and the part of its errors that is asked for. Raises InvalidRequest."""
    return parse_path(request, version), parse_window(request, version)


def parse_change(request: Request, version: ApiVersion) -> tuple[str, JsonBody]:
    """The tag that the path names, and the body. Raises InvalidRequest, UnsupportedMedia."""
    return parse_path(request, version), parse_body(request, version)


def new_tags(document: Any) -> list[NewTag]:
    """The entries of a body. Raises InvalidRequest (EQT-2 to EQT-5, EQT-19)."""
    if not isinstance(document, list) or not all(isinstance(each, dict) for each in document):
        raise InvalidRequest(MALFORMED, where=WHERE, remedy="Send a JSON array of objects with path and level.")
    entries = [lower_members(each, f"$[{at}]") for at, each in enumerate(document)]
    for name in ("path", "level", "vr", "privatecreator"):
        for at, each in enumerate(entries):
            if not isinstance(each.get(name), str | None):
                raise invalid_field(f"$[{at}].{_FIELDS[name]}", "It must be a string.")
    for name in ("path", "level"):
        for at, each in enumerate(entries):
            if not (each.get(name) or "").strip():
                field_name = _FIELDS[name]
                raise invalid_field(
                    f"[{at}].{field_name}",
                    f"The Dicom Tag Property {field_name} must be specified and must not be null, empty or whitespace.",
                )
    for at, each in enumerate(entries):
        if each["level"].strip().lower() not in _LEVELS:
            raise invalid_field(
                f"$[{at}].Level",
                f"Expected value '{each['level'][:64]}' to be one of the following values: "
                "['Instance', 'Series', 'Study']",
            )
    if not entries:
        raise InvalidRequest("The extended query tag(s) is missing.", where=WHERE)
    return [
        NewTag(
            each["path"].strip(),
            _LEVELS[each["level"].strip().lower()],
            (each.get("vr") or "").strip(),
            (each.get("privatecreator") or "").strip(),
        )
        for each in entries
    ]


_FIELDS: Final = {"path": "Path", "level": "Level", "vr": "VR", "privatecreator": "PrivateCreator"}


def query_status(document: Any) -> bool:
    """Whether searches may use a tag, by the body of a PATCH. Raises InvalidRequest (EQT-52 to EQT-54)."""
    if not isinstance(document, dict):
        raise InvalidRequest(MALFORMED, where=WHERE, remedy='Send {"queryStatus": "Enabled"} or "Disabled".')
    for name in document:
        if name.lower() != "querystatus":
            raise InvalidRequest(f'The field is not supported: "{name[:64]}".', where=WHERE)
    value = lower_members(document).get("querystatus")
    if not isinstance(value, str) or value.strip().lower() not in _STATUSES:
        raise invalid_field("QueryStatus", "It must be one of the following values: ['Enabled', 'Disabled']")
    return _STATUSES[value.strip().lower()]
