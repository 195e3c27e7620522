"""WADO-URI (PS3.18 §9; URI-1, W-8): an instance, or a picture of it, named by a query.

Its values are those of WADO-RS, whose transactions answer: the file in a transfer syntax, or a rendered frame.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first
from shared.dicom.identifiers import InstanceIdentifier, is_uid, trim_uid
from shared.dicom.media_types import ANY, ANY_IMAGE, AS_STORED_TYPES, DICOM, IMAGE_TYPES, JPEG
from shared.dicom.pixels.rendering import Viewport
from shared.dicomweb.content_negotiation import MediaType, parse_accept
from shared.dicomweb.query_parameters import invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, InvalidUid, NotAcceptable, NotFound
from shared.http.messages import Request, Response
from shared.http.transaction import Context
from shared.retrieve.byte_ranges import RangeRequest, parse_range
from shared.retrieve.frames.request import check_frame_numbers
from shared.retrieve.instances.functions import InstanceTransactions
from shared.retrieve.negotiation import RetrievedResource, choices
from shared.retrieve.rendered.request import RenderingOptions, Representation, parse_window
from shared.retrieve.rendered.transaction import PictureOrder, RenderedTransactions, picture_of
from shared.retrieve.snapshot import NO_INSTANCE, Snapshot, current

_UIDS: Final = ("studyUID", "seriesUID", "objectUID")
_NAMES: Final = (
    *("requestType", *_UIDS, "contentType", "transferSyntax", "anonymize", "frameNumber", "rows", "columns"),
    *(
        "region",
        "windowCenter",
        "windowWidth",
        "imageQuality",
        "annotation",
        "presentationUID",
        "presentationSeriesUID",
    ),
)
_BY_LOWER: Final = {name.lower(): name for name in _NAMES}
_UNSUPPORTED: Final = ("presentationUID", "presentationSeriesUID")

_WHOLE = re.compile(r"[0-9]{1,9}")
_FRACTION = re.compile(r"[0-9]{0,3}(?:\.[0-9]{0,15})?")
_LARGEST_SIDE: Final = 16_384
_LARGEST_AREA: Final = 64 * 1024 * 1024

type Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class UriRequest:
    """The request in a query string."""

    identifier: InstanceIdentifier
    accept: tuple[MediaType, ...]
    """The media types of the answer, best first."""
    is_file: bool
    """Whether the instance itself is asked for."""
    span: RangeRequest = field(default_factory=RangeRequest)
    frame: int | None = None
    rows: int | None = None
    columns: int | None = None
    region: Region | None = None
    """Left, top, right and bottom edge, as fractions of the image."""
    look: RenderingOptions = field(default_factory=RenderingOptions)


def parse_uri_request(request: Request, version: ApiVersion) -> UriRequest:
    """Read a query string. Raises InvalidRequest, InvalidUid, NotAcceptable."""
    given = _given(request.query)
    identifier = InstanceIdentifier(*(trim_uid(given[name]) for name in _UIDS))
    span = parse_range(request, version)
    accept = _media_types(given.get("contentType"))
    if accept[0].type == DICOM:
        if "frameNumber" in given:
            raise invalid_parameter("frameNumber", "An instance is retrieved whole.")
        syntax = given.get("transferSyntax")
        parameters = {"transfer-syntax": _syntax(syntax)} if syntax else {}
        return UriRequest(identifier, (MediaType(DICOM, parameters),), is_file=True, span=span)
    if "transferSyntax" in given:
        raise invalid_parameter("transferSyntax", "It is for application/dicom only.")
    return UriRequest(
        identifier,
        accept,
        is_file=False,
        span=span,
        frame=_frame(given.get("frameNumber")),
        rows=_side(given, "rows"),
        columns=_side(given, "columns"),
        region=_region(given["region"]) if "region" in given else None,
        look=_look(given),
    )


def _given(query: str) -> dict[str, str]:
    """The known parameters, those that every request has among them. Raises InvalidRequest, InvalidUid."""
    given: dict[str, str] = {}
    for name, value in pairs(query):
        known = _BY_LOWER.get(name.lower())
        if known is not None and value and given.setdefault(known, value) != value:
            raise invalid_parameter(known, "It is given more than once.")
    if given.get("requestType", "").upper() != "WADO":
        raise invalid_parameter("requestType", "It must be WADO.")
    for name in _UIDS:
        if name not in given:
            raise invalid_parameter(name, "It is required.")
        if not is_uid(given[name]):
            raise InvalidUid(f"The query parameter '{name}' is not a valid UID.", where=f"query parameter {name}")
    if given.get("anonymize", "no").lower() != "no":
        raise invalid_parameter("anonymize", "Anonymization is not supported.")
    for name in _UNSUPPORTED:
        if name in given:
            raise invalid_parameter(name, "Presentation states are not supported.")
    return given


def _media_types(text: str | None) -> tuple[MediaType, ...]:
    """The first of the wanted types that there is; a picture when none is named, or the video or document itself."""
    for value in parse_accept([text or ANY]):
        if value.type in {DICOM, *IMAGE_TYPES, *AS_STORED_TYPES}:
            return (MediaType(value.type),)
        if value.type == ANY_IMAGE:
            return (MediaType(JPEG),)
        if value.type == ANY:
            return (MediaType(JPEG), *(MediaType(name, quality=0.5) for name in AS_STORED_TYPES))
    raise NotAcceptable("The contentType is none of application/dicom, image/jpeg, image/png and image/gif.")


def _syntax(text: str) -> str:
    if text != "*" and not is_uid(text):
        raise invalid_parameter("transferSyntax", "It is no transfer syntax.")
    return trim_uid(text)


def _side(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= _LARGEST_SIDE:
        raise invalid_parameter(name, "It is a number of pixels.")
    return int(text)


def _region(text: str) -> Region:
    edges = [edge.strip() for edge in text.split(",")]
    if len(edges) == 4 and all(edge not in {"", "."} and _FRACTION.fullmatch(edge) for edge in edges):
        left, top, right, bottom = map(float, edges)
        if left < right <= 1 and top < bottom <= 1:
            return left, top, right, bottom
    raise invalid_parameter("region", "It is left,top,right,bottom as fractions of the image.")


def _frame(text: str | None) -> int | None:
    if text is None:
        return None
    if not _WHOLE.fullmatch(text):
        raise invalid_parameter("frameNumber", "It is the number of a frame.")
    return int(text)


def _look(given: Mapping[str, str]) -> RenderingOptions:
    quality = given.get("imageQuality", "100")
    if not _WHOLE.fullmatch(quality) or not 1 <= int(quality) <= 100:
        raise invalid_parameter("imageQuality", "It is an integer from 1 to 100.")
    center, width = given.get("windowCenter"), given.get("windowWidth")
    if (center is None) != (width is None):
        raise InvalidRequest(
            "The query parameters 'windowCenter' and 'windowWidth' belong together.",
            where="query parameter windowCenter",
            remedy="Send both, or neither.",
        )
    return RenderingOptions(
        quality=int(quality),
        window=None if center is None else parse_window(f"{center},{width},linear"),
        ignored=("annotation",) if "annotation" in given else (),
    )


@dataclass(frozen=True, slots=True)
class UriTransaction:
    """WADO-URI: answered by the transactions of instances and of rendered resources."""

    instances: InstanceTransactions
    rendered: RenderedTransactions

    async def answer(self, request: UriRequest, _accepted: None, context: Context) -> Response:
        """The request in the query string."""
        if request.is_file:
            if context.confinement is not None and not context.confinement.downloads:
                raise NotFound(NO_INSTANCE)
            accepted = choices(RetrievedResource.INSTANCE, request.accept)
            return await self.instances.instance(request.identifier, request.span, accepted, context)
        numbers = None if request.frame is None else (request.frame,)
        if numbers is not None:
            check_frame_numbers(numbers)
        archive = self.rendered.backend.archive(
            context.partition, original=context.original, within=context.confinement
        )
        snapshot = await archive.snapshot(request.identifier)

        async def attempt(version: Snapshot) -> Response:
            attributes = {} if request.region is None else await version.attributes()
            look = replace(request.look, viewport=_viewport(request, attributes))
            wanted = PictureOrder(numbers, look, request.accept, _form(request), request.span, thumbnail=False)
            return await picture_of(version, wanted, context)

        answer = await current(snapshot, attempt)
        if answer is None:
            raise NotFound(NO_INSTANCE)
        return answer


def _form(request: UriRequest) -> Representation | None:
    media_type = request.accept[0].type
    return Representation(media_type, multipart=False) if media_type in IMAGE_TYPES else None


def _viewport(request: UriRequest, attributes: Attributes) -> Viewport | None:
    """Rows, columns and region as a viewport; None where they say nothing. Raises NotFound."""
    rows, columns = request.rows, request.columns
    if request.region is None:
        if rows is None and columns is None:
            return None
        rows = rows or _room(columns)
        return Viewport(columns or _room(rows), rows)
    height, width = (first(attributes, key) for key in ("00280010", "00280011"))
    if not isinstance(height, int) or not isinstance(width, int):
        raise NotFound("The instance has no pixel data.")
    left, top, right, bottom = request.region
    x, y, across, down = left * width, top * height, (right - left) * width, (bottom - top) * height
    columns = columns or (_room(rows) if rows else max(1, round(across)))
    rows = rows or (_room(columns) if request.columns else max(1, round(down)))
    return Viewport(columns, rows, (x, y, across, down))


def _room(other: int | None) -> int:
    """The side of a viewport that sets no limit beside the one that does."""
    return min(_LARGEST_SIDE, _LARGEST_AREA // (other or 1))
