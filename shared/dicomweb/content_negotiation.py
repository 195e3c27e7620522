"""PS3.18 §8.7 Media types: reading Accept and Content-Type as real clients write them, and choosing what to send.

Lenient where clients are: a parameter may be quoted or not, `type=image/jpeg` and `transfer-syntax=*` included; several
values may come in one field or in several; a bare `*` is `*/*`. Strict where leniency would guess: a value that cannot
be read at all is refused.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from shared.dicom.media_types import (
    ANY,
    ANY_APPLICATION,
    ANY_MULTIPART,
    DICOM_JSON,
    DICOM_XML,
    JSON,
    MULTIPART_RELATED,
    PROBLEM_JSON,
)
from shared.errors import NotAcceptable, UnsupportedMedia

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_RANGE = re.compile(rf"\s*({_WORD}/{_WORD}|\*)\s*")
_PARAMETER = re.compile(rf'\s*;\s*(?:({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))\s*)?')
_BLANKS = re.compile(r"(;|,|%3B|%2C)\++", re.IGNORECASE)
"""Behind a separator a plus sign in a query is a blank, as forms write it: no name begins with one."""
_EMPTY = re.compile(r"[\s,]*")
_QUALITY = re.compile(r"[0-9]?(?:\.[0-9]*)?")
_CACHED_LENGTH = 1024

_UNREADABLE_ACCEPT = "The accepted media types cannot be read."
_NOT_ACCEPTED = "None of the accepted media types is one that this resource is sent as."
_NO_CONTENT_TYPE = "There is no Content-Type."
_UNREADABLE_CONTENT_TYPE = "The Content-Type is no media type such as application/dicom."


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range with its parameters. `type` and parameter names are in lower case, values as sent."""

    type: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    quality: float = 1.0
    """The weight `q` of an Accept value, 0 to 1; 0 means "not this"."""

    def get(self, name: str) -> str | None:
        """The value of a parameter, or None."""
        return self.parameters.get(name)


class _Unreadable(ValueError):
    """The text is no media type, or no list of them."""


def _quality(text: str) -> float:
    if not text or text == "." or not _QUALITY.fullmatch(text):
        raise _Unreadable
    return min(float(text), 1.0)


def _read_one(text: str, position: int) -> tuple[MediaType, int]:
    """The media type that begins at `position`, and where it ends."""
    found = _MEDIA_RANGE.match(text, position)
    if not found:
        raise _Unreadable
    media_type = ANY if found[1] == "*" else found[1].lower()
    position = found.end()
    parameters: dict[str, str] = {}
    quality = 1.0
    while parameter := _PARAMETER.match(text, position):
        position = parameter.end()
        name, quoted, bare = parameter.groups()
        if name is None:
            continue
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
        if name.lower() == "q":
            quality = _quality(value)
        else:
            parameters.setdefault(name.lower(), value)
    return MediaType(media_type, parameters, quality), position


def _read_list(text: str) -> tuple[MediaType, ...]:
    values: list[MediaType] = []
    position = 0
    while True:
        blank = _EMPTY.match(text, position)
        position = blank.end() if blank else position
        if position == len(text):
            return tuple(values)
        value, position = _read_one(text, position)
        values.append(value)
        if position < len(text) and text[position] != ",":
            raise _Unreadable


_read_list_cached = lru_cache(maxsize=256)(_read_list)


def parse_accept(values: Iterable[str]) -> list[MediaType]:
    """The values of one or several Accept fields, in order. Empty if there are none.

    Raises NotAcceptable if a field cannot be read.
    """
    found: list[MediaType] = []
    for text in values:
        try:
            found += _read_list_cached(text) if len(text) <= _CACHED_LENGTH else _read_list(text)
        except _Unreadable:
            raise NotAcceptable(_UNREADABLE_ACCEPT) from None
    return found


@dataclass(frozen=True, slots=True)
class Accept:
    """The Accept of a client, as it was sent: an unreadable value is refused when negotiated with (dicomweb §4.2)."""

    fields: tuple[str, ...]
    """The Accept fields of the request."""
    query: str = ""
    """The raw query string, whose parameter `accept` stands for the fields (ACC-6)."""

    def types(self) -> list[MediaType]:
        """The media types and ranges, in order. A client that says nothing accepts everything (W-2).

        Raises NotAcceptable if a value cannot be read.
        """
        return parse_accept(_accept_parameters(self.query) or self.fields) or [MediaType(ANY)]


def _accept_parameters(query: str) -> list[str]:
    """Percent-decoded only: within a media type `+` is a plus sign."""
    if "accept" not in query.lower():
        return []
    pairs = (pair.partition("=") for pair in query.split("&"))
    found = (value for name, _, value in pairs if unquote(name).lower() == "accept" and value)
    return [unquote(_BLANKS.sub(r"\1%20", value)) for value in found]


def parse_content_type(text: str | None) -> MediaType:
    """The Content-Type of a request or a part.

    Raises UnsupportedMedia if it is absent or cannot be read.
    """
    try:
        value, position = _read_one(text or "", 0)
    except _Unreadable:
        raise UnsupportedMedia(_UNREADABLE_CONTENT_TYPE if text else _NO_CONTENT_TYPE) from None
    if position != len(text or "") or "*" in value.type:
        raise UnsupportedMedia(_UNREADABLE_CONTENT_TYPE)
    return value


def negotiate_data_sets(accept: Sequence[MediaType]) -> str:
    """The media type of data sets in answers: DICOM_JSON or DICOM_XML (ACC-1 to ACC-5).

    The most specific range that covers JSON decides about it, so `application/dicom+json;q=0, */*` refuses it. XML has
    to be named, alone or as the type of multipart/related; it is sent when its weight is the greater one, or the same
    and JSON is not named. Raises NotAcceptable if neither is accepted.
    """
    json = _weight(accept, (DICOM_JSON, JSON))
    ranges = (_weight(accept, (name,)) for name in (ANY_APPLICATION, ANY))
    of_json = json if json is not None else next((weight for weight in ranges if weight is not None), 0.0)
    xml = max((value.quality for value in accept if _names_xml(value)), default=0.0)
    if of_json <= 0.0 and xml <= 0.0:
        xml = _weight(accept, (ANY_MULTIPART,)) or 0.0  # ACC-7: a range, after what is named
    if xml > of_json or (xml > 0.0 and xml == of_json and json is None):
        return DICOM_XML
    if of_json <= 0.0:
        raise NotAcceptable(_NOT_ACCEPTED)
    return DICOM_JSON


def _weight(accept: Iterable[MediaType], names: Sequence[str]) -> float | None:
    """The greatest weight of the values with one of these types; None if there are none."""
    return max((value.quality for value in accept if value.type in names), default=None)


def _names_xml(value: MediaType) -> bool:
    if value.type == MULTIPART_RELATED:
        return (value.get("type") or "").strip().lower() == DICOM_XML
    return value.type == DICOM_XML


def negotiate_dicom_json(accept: Sequence[MediaType]) -> str:
    """The media type of data sets that there are as DICOM JSON alone. Raises NotAcceptable."""
    ranges = (_weight(accept, (name,)) for name in (DICOM_JSON, ANY_APPLICATION, ANY))
    if next((weight for weight in ranges if weight is not None), 0.0) <= 0.0:
        raise NotAcceptable(_NOT_ACCEPTED)
    return DICOM_JSON


def negotiate_plain_json(accept: Iterable[MediaType]) -> str:
    """The media type of JSON that is no data set. Who asks for DICOM JSON gets it, too. Raises NotAcceptable."""
    accepted = {JSON, DICOM_JSON, ANY_APPLICATION, ANY}
    if not any(value.type in accepted and value.quality > 0 for value in accept):
        raise NotAcceptable(_NOT_ACCEPTED)
    return JSON


def accepts_problem(values: Iterable[str]) -> bool:
    """Whether the client asks by name for `application/problem+json` (D-4). Unreadable values count as no."""
    try:
        return any(value.type == PROBLEM_JSON and value.quality > 0 for value in parse_accept(values))
    except NotAcceptable:
        return False
