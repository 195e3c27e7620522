"""Representations of bulk data that are accepted (PS3.18 §8.7.3; BULK-2 to BULK-4, BULK-6)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.dicom.media_types import (
    ANY,
    ANY_APPLICATION,
    ANY_MODEL,
    ANY_MULTIPART,
    ANY_TEXT,
    ANY_VIDEO,
    MULTIPART_RELATED,
    OCTET_STREAM,
    SYNONYMS,
)
from shared.dicom.part10.bulk_data import value_path
from shared.dicom.transfer_syntaxes import EXPLICIT_LITTLE_ENDIAN
from shared.dicomweb.content_negotiation import MediaType
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotAcceptable
from shared.http.messages import Request
from shared.retrieve.byte_ranges import RangeRequest, parse_range
from shared.retrieve.negotiation import (
    AS_STORED,
    RetrievedResource,
    TransferSyntaxChoice,
    choices,
)


@dataclass(frozen=True, slots=True)
class ValueRequest:
    """The bulk value that a path names, and the bytes of it that are asked for."""

    path: str | None
    """As in metadata; None: no value can have the path."""
    span: RangeRequest


@dataclass(frozen=True, slots=True)
class ValueForm:
    """The form in which one value is sent."""

    media_type: str
    multipart: bool


def parse_value(request: Request, version: ApiVersion) -> ValueRequest:
    """The path and the range of a request; whether there is such a value is found out later."""
    return ValueRequest(value_path(request.route.get("path", "")), parse_range(request, version))


_RANGES: Final = {"application": ANY_APPLICATION, "video": ANY_VIDEO, "text": ANY_TEXT, "model": ANY_MODEL}


def negotiate_value(
    accept: Iterable[MediaType], own: str | None = None, syntax: str | None = None, *, prefer_own: bool = False
) -> ValueForm:
    """The form of a value that is octets, and of the media type `own`, if it has one; a video is in the transfer
    syntax `syntax` (BULK-2, BULK-6).

    A client that takes everything gets the bytes alone: with `prefer_own` under their own type, else as octets.
    Raises NotAcceptable.
    """
    named = syntax or EXPLICIT_LITTLE_ENDIAN
    names = {own, SYNONYMS.get(own or "")} - {None}  # sent under the name that is asked for
    ranges = {_RANGES.get((own or "").partition("/")[0]), ANY if prefer_own else None} - {None}
    for value in sorted(accept, key=lambda each: (-each.quality, "*" in each.type)):
        multipart = value.type in {MULTIPART_RELATED, ANY_MULTIPART}
        media_type = value.parameters.get("type", ANY).strip().lower() if multipart else value.type
        asked = value.parameters.get("transfer-syntax", "").strip() or AS_STORED
        if value.quality <= 0 or asked not in {AS_STORED, named}:
            continue
        if media_type in names:
            return ValueForm(media_type, multipart)
        if own is not None and media_type in ranges:
            return ValueForm(own, multipart)
        if media_type in {OCTET_STREAM, ANY_APPLICATION, ANY}:
            return ValueForm(OCTET_STREAM, multipart)
    raise NotAcceptable(f"The value is {OCTET_STREAM}{f' or {own}' if own else ''}.")


def check_acceptable(accept: Iterable[MediaType]) -> None:
    """Raises NotAcceptable where no bulk value of any instance could be sent."""
    accept = tuple(accept)
    if not any(_kind(value) in _RANGES and value.quality > 0 for value in accept):
        negotiate_value(accept)


def _kind(value: MediaType) -> str:
    """The top-level type of what is accepted, as a part or alone."""
    media_type = value.parameters.get("type", ANY) if value.type == MULTIPART_RELATED else value.type
    kind, _, name = media_type.strip().lower().partition("/")
    return kind if name != "dicom" else ""


def set_choices(accept: Iterable[MediaType], *, pixels_only: bool) -> tuple[TransferSyntaxChoice, ...]:
    """The forms of the pixel data among all bulk values of a resource: as frames are, in multipart (BULK-3, BULK-4).

    Beside other values only octets can be promised. Raises NotAcceptable.
    """
    accepted = tuple(
        choice
        for choice in choices(RetrievedResource.FRAMES, accept)
        if choice.multipart and (pixels_only or choice.media_type in {OCTET_STREAM, ANY})
    )
    if not accepted:
        raise NotAcceptable("The bulk data of a resource are multipart/related.")
    return accepted
