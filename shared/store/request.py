"""PS3.18 §10.5.1 What a store asks for: its kind of body, the study of the path, its expiry (dicomweb §6.1, §6.9)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.dicomweb.media_types import DICOM, DICOM_JSON, DICOM_XML, MULTIPART_RELATED, parse_content_type
from shared.dicomweb.multipart import PartHeaders
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.http.messages import Headers, Request

MAX_PARTS: Final = 20_000
"""Of a multipart body: what is remembered of a part is small, but it must not grow without end."""

_EXPIRY_TIME: Final = "msdicom-expiry-time-milliseconds"
_EXPIRY_CHOICES: Final = {"msdicom-expiry-option": "RelativeToNow", "msdicom-expiry-level": "Study"}


@dataclass(frozen=True, slots=True)
class SingleFile:
    """The body is one Part 10 file."""


@dataclass(frozen=True, slots=True)
class Multipart:
    """Each part of the body is a Part 10 file. `part_type` is what a first part without a Content-Type is (STOW-4)."""

    boundary: bytes
    part_type: str | None


@dataclass(frozen=True, slots=True)
class MetadataAndBulkData:
    """The parts of the body are data sets in DICOM_JSON or DICOM_XML, and bulk values (STOW-16)."""

    boundary: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A store: what its body is, and what it says about all its instances."""

    content: SingleFile | Multipart | MetadataAndBulkData
    study: str | None
    """The StudyInstanceUID of the path, trimmed."""
    replace: bool
    """PUT: existing instances are replaced (PUT-1)."""
    expires: datetime | None


def check_content_type(request: Request, _version: ApiVersion) -> None:
    """STOW-1, STOW-2. Raises UnsupportedMedia for a Content-Type that is no store; one that is absent passes here."""
    if request.headers.get("content-type") is not None:
        _content(request.headers)


def parse_store(request: Request, version: ApiVersion, now: datetime) -> StoreRequest:
    """Everything but the body. Raises UnsupportedMedia, InvalidRequest; nothing of the body has been read."""
    content = _content(request.headers)
    if "start" in parse_content_type(request.headers.get("content-type")).parameters:
        raise InvalidRequest("The parameter 'start' of a multipart request is not supported.")
    expires = _expires(request.headers, now) if version.expires_studies else None
    return StoreRequest(content, request.route.get("study"), request.method == "PUT", expires)


def check_part_type(headers: PartHeaders, content: Multipart, *, first: bool) -> None:
    """STOW-3, STOW-4, D-8: whether a part is a Part 10 file. Raises UnsupportedMedia."""
    value = headers.get("content-type")
    if value is None and first:
        value = content.part_type
    try:
        accepted = parse_content_type(value).type == DICOM
    except UnsupportedMedia:
        accepted = False
    if not accepted:
        raise UnsupportedMedia("Each part of a store must have the Content-Type application/dicom.")


def _content(headers: Headers) -> SingleFile | Multipart | MetadataAndBulkData:
    media_type = parse_content_type(headers.get("content-type"))
    if media_type.type == DICOM:
        return SingleFile()
    boundary = media_type.get("boundary")
    if media_type.type != MULTIPART_RELATED or not boundary:
        raise UnsupportedMedia
    part_type = (media_type.get("type") or "").strip().lower()
    if part_type in {DICOM_JSON, DICOM_XML}:
        return MetadataAndBulkData(boundary.encode(), part_type)
    return Multipart(boundary.encode(), media_type.get("type"))


def _expires(headers: Headers, now: datetime) -> datetime | None:
    """EXP-1, EXP-2."""
    for name, only in _EXPIRY_CHOICES.items():
        if any(value.strip().casefold() != only.casefold() for value in headers.all(name)):
            raise InvalidRequest(f"The header {name} must be {only}.")
    times = headers.all(_EXPIRY_TIME)
    if not times:
        if any(headers.all(name) for name in _EXPIRY_CHOICES):
            raise InvalidRequest(f"The header {_EXPIRY_TIME} is missing.")
        return None
    text = times[0].strip()
    if len(times) > 1 or not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise InvalidRequest(f"The header {_EXPIRY_TIME} must be one positive integer.")
    try:
        return now + timedelta(milliseconds=int(text))
    except OverflowError:
        raise InvalidRequest(f"The header {_EXPIRY_TIME} is too large.") from None
