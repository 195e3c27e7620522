"""PS3.18 §10.5.1 Store request: its kind of body, and how long what it stores is kept (dicomweb §6.1, §6.9)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from shared.dicom.media_types import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    FORM,
    FORM_DATA,
    JSON,
    MULTIPART_RELATED,
    OCTET_STREAM,
)
from shared.dicomweb.content_negotiation import parse_content_type
from shared.dicomweb.multipart import PartHeaders
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.http.messages import Headers, Request

_EXPIRY_TIME: Final = "msdicom-expiry-time-milliseconds"
_LONGEST_LIFETIME: Final = timedelta(days=2_800_000)
"""Later ends would lie beyond the year 9999."""
_EXPIRY_CHOICES: Final = {"msdicom-expiry-option": "RelativeToNow", "msdicom-expiry-level": "Study"}

_EXTERNAL_METADATA: Final = "msdicom-meta-"
"""How names of header fields begin that give a study attributes outside its files."""


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


type Content = SingleFile | Multipart | MetadataAndBulkData


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A store: what its body is, and what it says about all its instances."""

    content: Content | None
    """None: there is no Content-Type, which is only an error after the Accept check (STOW-1)."""
    replace: bool
    """PUT: existing instances are replaced (PUT-1)."""
    lifetime: timedelta | None
    """The retention of the study; None: until it is deleted (EXP-1)."""
    body: AsyncIterator[bytes] = field(repr=False)
    """The body that the client sends, which can be read once. Raises TooLarge, InvalidRequest."""


def parse_store(request: Request, version: ApiVersion) -> StoreRequest:
    """The headers of a store; nothing of its body is read.

    Raises UnsupportedMedia for a Content-Type that is no store (STOW-1, STOW-2), InvalidRequest (STOW-2, EXP-2, XMD-0).
    """
    _check_no_external_metadata(request.headers)
    content_type = request.headers.get("content-type")
    content = None if content_type is None else _content(content_type)
    lifetime = _lifetime(request.headers) if version.expires_studies else None
    return StoreRequest(content, request.method == "PUT", lifetime, request.body)


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
        raise UnsupportedMedia(
            "Each part of a store must have the Content-Type application/dicom.",
            where="part of the request body, header Content-Type",
            remedy=_REMEDY,
        )


_ONE_FILE: Final = f"curl -X POST -H 'Content-Type: {DICOM}' --data-binary @image.dcm URL"
_REMEDY: Final = (
    f"Send one file by {_ONE_FILE} (URL is the address of this request), or several as "
    f'{MULTIPART_RELATED}; type="{DICOM}"; boundary=BOUNDARY, each in a part with the Content-Type {DICOM}.'
)
_METADATA: Final = (
    f'Send metadata as {MULTIPART_RELATED}; type="{DICOM_JSON}"; boundary=BOUNDARY, bulk values in further parts; '
    f"or a file by {_ONE_FILE}"
)
_SLIPS: Final = {
    "": "The request has no Content-Type.",
    FORM: "A form is no store: curl sends this type for -d and --data-binary when none is given.",
    FORM_DATA: "A form is no store: curl sends this type for -F.",
    OCTET_STREAM: "Octets may be anything: a DICOM file is application/dicom.",
    MULTIPART_RELATED: "The Content-Type multipart/related has no boundary.",
}
"""The text about the types that clients send by mistake (STOW-1)."""


def unsupported_body(media_type: str | None) -> UnsupportedMedia:
    """The refusal of a body of a type that no store has; None: the request says none."""
    text = _SLIPS.get(media_type or "", "The Content-Type is not one that can be stored.")
    return UnsupportedMedia(text, remedy=_METADATA if media_type in {DICOM_JSON, DICOM_XML, JSON} else _REMEDY)


def _content(text: str) -> Content:
    try:
        media_type = parse_content_type(text)
    except UnsupportedMedia as error:
        raise UnsupportedMedia(str(error), remedy=_REMEDY) from None
    if media_type.type == DICOM:
        content: Content = SingleFile()
    elif media_type.type == MULTIPART_RELATED and (boundary := media_type.get("boundary")):
        part_type = media_type.get("type")
        root = (part_type or "").strip().lower()
        if root in {DICOM_JSON, DICOM_XML}:
            content = MetadataAndBulkData(boundary.encode(), root)
        else:
            content = Multipart(boundary.encode(), part_type)
    else:
        raise unsupported_body(media_type.type)
    if "start" in media_type.parameters:
        raise InvalidRequest(
            "The parameter 'start' of a multipart request is not supported.",
            where="header Content-Type",
            remedy="Leave the parameter out: the parts are taken in their order.",
        )
    return content


def _check_no_external_metadata(headers: Headers) -> None:
    """XMD-0: the client must not believe that its attribute was kept."""
    if any(name.startswith(_EXTERNAL_METADATA) for name, _ in headers):
        raise InvalidRequest(
            "Attributes outside the files are not supported, and nothing was stored.",
            where=f"header {_EXTERNAL_METADATA}*",
            remedy="Leave the header out, or write the attribute into the files.",
        )


def _lifetime(headers: Headers) -> timedelta | None:
    """EXP-1, EXP-2."""
    for name, only in _EXPIRY_CHOICES.items():
        if any(value.strip().casefold() != only.casefold() for value in headers.all(name)):
            raise InvalidRequest(f"The header {name} must be {only}.", where=f"header {name}")
    times = headers.all(_EXPIRY_TIME)
    if not times:
        if any(headers.all(name) for name in _EXPIRY_CHOICES):
            raise InvalidRequest(f"The header {_EXPIRY_TIME} is missing.", where=f"header {_EXPIRY_TIME}")
        return None
    text = times[0].strip()
    if len(times) > 1 or not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) > 0):
        raise InvalidRequest(
            f"The header {_EXPIRY_TIME} must be one positive integer of at most 15 digits.",
            where=f"header {_EXPIRY_TIME}",
        )
    lifetime = timedelta(milliseconds=int(text))
    if lifetime > _LONGEST_LIFETIME:
        raise InvalidRequest(f"The header {_EXPIRY_TIME} is too large.", where=f"header {_EXPIRY_TIME}")
    return lifetime
