"""WADO-URI (PS3.18 §9; URI-1, W-8): an instance, or a picture of it, named by a query.

The query is put into the words of WADO-RS, whose handlers then answer: the file in a transfer syntax, or a rendered
frame.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from shared.dicom.identifiers import InstanceIdentifier, is_uid, trim_uid
from shared.dicomweb.media_types import DICOM, parse_accept
from shared.dicomweb.query_parameters import invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, InvalidUid, NotAcceptable, NotFound
from shared.http.messages import Headers, Request, Response
from shared.http.transaction import Checks, Context, Handler
from shared.retrieve.bulk_data import BulkData
from shared.retrieve.instances import Sources
from shared.retrieve.rendered_handlers import RenderedHandlers
from shared.retrieve.rendered_request import IMAGE_TYPES

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
_DEFAULT_TYPE: Final = "image/jpeg"

_WHOLE = re.compile(r"[0-9]{1,9}")
_FRACTION = re.compile(r"[0-9]{0,3}(?:\.[0-9]{0,15})?")
_LARGEST_SIDE: Final = 16_384
_LARGEST_AREA: Final = 64 * 1024 * 1024

type Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class UriRequest:
    """What a query asks for."""

    identifier: InstanceIdentifier
    accept: str
    """The media type of the answer, as Accept of WADO-RS."""
    frame: str | None = None
    rows: int | None = None
    columns: int | None = None
    region: Region | None = None
    """Left, top, right and bottom edge, as fractions of the image."""
    rendering: tuple[tuple[str, str], ...] = ()
    """Further query parameters of WADO-RS."""

    @property
    def is_file(self) -> bool:
        """Whether the instance itself is asked for."""
        return self.accept.startswith(DICOM)


def parse_uri_request(query: str) -> UriRequest:
    """Read a query string. Raises InvalidRequest, InvalidUid, NotAcceptable."""
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
            raise InvalidUid(f"The query parameter '{name}' is not a valid UID.")
    if given.get("anonymize", "no").lower() != "no":
        raise invalid_parameter("anonymize", "Anonymization is not supported.")
    for name in _UNSUPPORTED:
        if name in given:
            raise invalid_parameter(name, "Presentation states are not supported.")
    identifier = InstanceIdentifier(*(trim_uid(given[name]) for name in _UIDS))
    media_type = _media_type(given.get("contentType", _DEFAULT_TYPE))
    if media_type == DICOM:
        if "frameNumber" in given:
            raise invalid_parameter("frameNumber", "An instance is retrieved whole.")
        syntax = given.get("transferSyntax")
        return UriRequest(identifier, f'{DICOM}; transfer-syntax="{_syntax(syntax)}"' if syntax else DICOM)
    if "transferSyntax" in given:
        raise invalid_parameter("transferSyntax", "It is for application/dicom only.")
    return UriRequest(
        identifier,
        media_type,
        given.get("frameNumber"),
        _side(given, "rows"),
        _side(given, "columns"),
        _region(given["region"]) if "region" in given else None,
        tuple(_rendering(given)),
    )


def _media_type(text: str) -> str:
    """The first of the wanted types that there is."""
    for value in parse_accept([text]):
        if value.type in {DICOM, *IMAGE_TYPES}:
            return value.type
        if value.type in {"image/*", "*/*"}:
            return _DEFAULT_TYPE
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


def _rendering(given: Mapping[str, str]) -> list[tuple[str, str]]:
    window = [given.get("windowCenter"), given.get("windowWidth")]
    if window.count(None) == 1:
        raise InvalidRequest("The query parameters 'windowCenter' and 'windowWidth' belong together.")
    found = [("window", f"{window[0]},{window[1]},linear")] if window[0] else []
    found += [(theirs, given[ours]) for ours, theirs in _RENAMED if ours in given]
    return found


_RENAMED: Final = (("imageQuality", "quality"), ("annotation", "annotation"))


def _check(request: Request, _: ApiVersion) -> None:
    parse_uri_request(request.query)


CHECK_URI: Final = Checks(early=_check)


@dataclass(frozen=True, slots=True)
class UriHandler:
    """Answers with the handlers of WADO-RS."""

    sources: Sources
    bulk: BulkData
    instance: Handler
    rendered: RenderedHandlers

    async def answer(self, request: Request, context: Context) -> Response:
        """What the query asks for."""
        wanted = parse_uri_request(request.query)
        one = wanted.identifier
        route = {
            "study": one.study_instance_uid,
            "series": one.series_instance_uid,
            "instance": one.sop_instance_uid,
        }
        headers = Headers([*(field for field in request.headers if field[0] != "accept"), ("accept", wanted.accept)])
        if wanted.is_file:
            return await self.instance(replace(request, route=route, headers=headers, query=""), context)
        viewport = await self._viewport(wanted, context)
        query = urlencode([*wanted.rendering, *([("viewport", viewport)] if viewport else [])])
        if wanted.frame is None:
            return await self.rendered.instance(replace(request, route=route, headers=headers, query=query), context)
        route["frames"] = wanted.frame
        if not _WHOLE.fullmatch(wanted.frame):
            raise invalid_parameter("frameNumber", "It is the number of a frame.")
        return await self.rendered.frames(replace(request, route=route, headers=headers, query=query), context)

    async def _viewport(self, wanted: UriRequest, context: Context) -> str:
        """Rows, columns and region as the viewport of WADO-RS; empty where they say nothing."""
        rows, columns = wanted.rows, wanted.columns
        if wanted.region is None:
            if rows is None and columns is None:
                return ""
            rows = rows or _room(columns)
            return f"{columns or _room(rows)},{rows}"
        height, width = await self._size(wanted, context)
        left, top, right, bottom = wanted.region
        x, y, across, down = left * width, top * height, (right - left) * width, (bottom - top) * height
        columns = columns or (_room(rows) if rows else max(1, round(across)))
        rows = rows or (_room(columns) if wanted.columns else max(1, round(down)))
        return ",".join([str(columns), str(rows), *(f"{edge:.6f}" for edge in (x, y, across, down))])

    async def _size(self, wanted: UriRequest, context: Context) -> tuple[int, int]:
        """Rows and columns of the image. Raises NotFound."""
        found = await self.sources.lookup.instance(context.partition, wanted.identifier, metadata=True)
        known = await self.bulk.document(context.partition, found) if found else None
        if known is None:
            raise NotFound("The requested instance does not exist.")
        rows, columns = (_first(known[1], key) for key in ("00280010", "00280011"))
        if not isinstance(rows, int) or not isinstance(columns, int):
            raise NotFound("The instance has no pixel data.")
        return rows, columns


def _room(other: int | None) -> int:
    """The side of a viewport that sets no limit beside the one that does."""
    return min(_LARGEST_SIDE, _LARGEST_AREA // (other or 1))


def _first(attributes: Mapping[str, Any], key: str) -> Any:
    values = attributes.get(key, {}).get("Value")
    return values[0] if values else None
