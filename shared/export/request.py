"""azure-apis §7.1 Requests to export. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from shared.deidentification.profile import BurnedIn, Option, Profile, Subjects
from shared.dicom.identifiers import ResourceIdentifier, is_uid, trim_uid
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.export.destinations import FIELD, DestinationRules
from shared.export.model import Destination, NewExport
from shared.http.json_body import MALFORMED, WHERE, JsonBody, invalid_field, json_body, lower_members
from shared.http.messages import Request

_LARGEST_BODY: Final = 16 * 1024**2
"""Bytes: some hundred thousand identifiers. More are exported by several requests, or as a whole partition."""
_SHOWN: Final = 200
"""Characters of a text that a message repeats: longer than any identifier."""
_IDENTIFIERS: Final = "identifiers"
_AZURE_BLOB: Final = "azureblob"
_BASIC: Final = "basic"
_TEXTS: Final = ("blobContainerUri", "connectionString", "blobContainerName")


def parse_export(request: Request, _version: ApiVersion) -> JsonBody:
    """The body of a request. Raises UnsupportedMedia for one that is no JSON."""
    return json_body(request, most=_LARGEST_BODY)


def new_export(document: Any, rules: DestinationRules) -> NewExport:
    """The export that a body asks for. Raises InvalidRequest (XPT-2 to XPT-12).

    Members that are not known are refused: one that is misspelt would change what leaves the service.
    """
    members = _members(document, "$", ("source", "destination", "deidentify"))
    identifiers = None
    if members.get("source") is not None:
        settings = _settings(members["source"], "source", _IDENTIFIERS, ("values",))
        identifiers = _identifiers(settings.get("values"))
    if members.get("destination") is None:
        raise invalid_field("destination", "It is required.")
    allowed = (*_TEXTS, "useManagedIdentity")
    settings = _settings(members["destination"], "destination", _AZURE_BLOB, allowed)
    destination = _destination(settings, rules)
    if members.get("deidentify") is None:
        return NewExport(destination, identifiers)
    profile = read_profile(members["deidentify"])
    if not rules.secrets:
        raise InvalidRequest("De-identification needs a secret store, and none is configured.", where=WHERE)
    return NewExport(destination, identifiers, profile)


def read_profile(value: Any) -> Profile:
    """The profile that the member `deidentify` of a request asks for (DEID-1). Raises InvalidRequest."""
    members = _members(value, "deidentify", ("profile", "options", "subjects", "burnedIn"))
    if members.get("profile") != _BASIC:
        raise invalid_field("deidentify.profile", f"It must be one of the following values: ['{_BASIC}']")
    options = members.get("options") or []
    if not isinstance(options, list):
        raise invalid_field("deidentify.options", "It must be an array of options.")
    return Profile(
        frozenset(_choice(each, "deidentify.options", Option) for each in options),
        _choice(members.get("subjects") or Subjects.MAP, "deidentify.subjects", Subjects),
        _choice(members.get("burnedin") or BurnedIn.REFUSE, "deidentify.burnedIn", BurnedIn),
    )


def _choice[T: StrEnum](value: Any, name: str, choices: type[T]) -> T:
    """GEN-12: in any case of letters."""
    for each in choices:
        if isinstance(value, str) and value.lower() == each.lower():
            return each
    raise invalid_field(name, f"It must be one of the following values: {[str(each) for each in choices]}")


def resource_of(identifier: str) -> ResourceIdentifier | None:
    """The study, series or instance that `study`, `study/series` or `study/series/instance` names; None if none."""
    uids = identifier.strip().split("/")
    if len(uids) > 3 or not all(map(is_uid, uids)):
        return None
    return ResourceIdentifier(*map(trim_uid, uids))


def _identifiers(values: Any) -> list[str]:
    if not isinstance(values, list) or not values:
        raise invalid_field("source.settings.values", "It must be an array of at least one identifier.")
    for value in values:
        if not isinstance(value, str) or resource_of(value) is None:
            shown = str(value)[:_SHOWN]
            raise InvalidRequest(f"The string '{shown}' was not recognized as a valid DICOM identifier.", where=WHERE)
    return values


def _destination(settings: Mapping[str, Any], rules: DestinationRules) -> Destination:
    texts = {name: settings.get(name.lower()) for name in _TEXTS}
    for name, text in texts.items():
        if not isinstance(text, str | None):
            raise invalid_field(f"{FIELD}.{name}", "It must be a string.")
    managed_identity = settings.get("usemanagedidentity") or False
    if not isinstance(managed_identity, bool):
        raise invalid_field(f"{FIELD}.useManagedIdentity", "It must be true or false.")
    uri, connection, container = ((text or "").strip() for text in texts.values())
    if uri:
        if connection or container:
            raise invalid_field(FIELD, "blobContainerUri excludes connectionString and blobContainerName.")
        return rules.of_uri(uri, managed_identity=managed_identity)
    if not connection or not container:
        raise invalid_field(FIELD, "It needs blobContainerUri, or connectionString and blobContainerName.")
    if managed_identity:
        raise invalid_field(FIELD, "A managed identity cannot be used together with a connection string.")
    return rules.of_connection_string(connection, container)


def _settings(value: Any, name: str, kind: str, allowed: tuple[str, ...]) -> Mapping[str, Any]:
    """The settings of a source or a destination of that type."""
    members = _members(value, name, ("type", "settings"))
    given = members.get("type")
    if not isinstance(given, str) or given.strip().lower() != kind:
        known = "azureBlob" if kind == _AZURE_BLOB else kind
        raise invalid_field(f"{name}.type", f"It must be one of the following values: ['{known}']")
    if members.get("settings") is None:
        raise invalid_field(f"{name}.settings", "It is required.")
    return _members(members["settings"], f"{name}.settings", allowed)


def _members(value: Any, name: str, allowed: tuple[str, ...]) -> Mapping[str, Any]:
    """The members of an object, by their names in small letters (GEN-11)."""
    if not isinstance(value, dict):
        if name == "$":
            raise InvalidRequest(MALFORMED, where=WHERE, remedy="Send a JSON object with source and destination.")
        raise invalid_field(name, "It must be an object.")
    members = lower_members(value, name)
    known = {each.lower() for each in allowed}
    for key in value:
        if str(key).lower() not in known:
            raise invalid_field(name, f"It has a member that is not known: '{str(key)[:_SHOWN]}'.")
    return members
