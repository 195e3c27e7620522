"""A request for rendered images or thumbnails, parsed (PS3.18 §8.3.5, §10.4.1.1.3; REND-1 to REND-4)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shared.dicom.media_types import (
    ANY,
    ANY_APPLICATION,
    ANY_IMAGE,
    ANY_MULTIPART,
    ANY_VIDEO,
    AS_STORED_TYPES,
    IMAGE_TYPES,
    MULTIPART_RELATED,
)
from shared.dicom.pixels.presentation import VoiFunction, Window
from shared.dicom.pixels.rendering import Viewport
from shared.dicomweb.content_negotiation import MediaType
from shared.dicomweb.query_parameters import invalid_parameter, pairs
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotAcceptable
from shared.http.messages import Request
from shared.retrieve.byte_ranges import RangeRequest, parse_range
from shared.retrieve.frames.request import frame_numbers

THUMBNAIL: Final = Viewport(128, 128)

_LARGEST_SIDE: Final = 16_384
_LARGEST_AREA: Final = 64 * 1024 * 1024
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?")
_FUNCTIONS: Final[Mapping[str, VoiFunction]] = {
    "linear": "LINEAR",
    "linear-exact": "LINEAR_EXACT",
    "sigmoid": "SIGMOID",
}

type Profile = Literal["no", "yes", "srgb"]


@dataclass(frozen=True, slots=True)
class Representation:
    """The form in which images are sent."""

    media_type: str
    multipart: bool


@dataclass(frozen=True, slots=True)
class RenderingOptions:
    """The look of images that a client asks for."""

    quality: int = 100
    viewport: Viewport | None = None
    window: Window | None = None
    profile: Profile = "no"
    ignored: tuple[str, ...] = ()
    """Known parameters that have no effect here, for a warning."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """Pictures that are asked for."""

    numbers: tuple[int, ...] | None
    """The frames that the path lists; None: it lists none."""
    query: str
    """The query parameters of their look; the values are checked after the Accept header (dicomweb §4.2)."""
    span: RangeRequest
    """Bytes of what is sent as stored: a video or a document."""


def parse_rendered(request: Request, version: ApiVersion) -> PictureRequest:
    """Of a rendered image. Raises InvalidRequest."""
    found = parse_thumbnail(request, version)
    check_types(request.query)
    return found


def parse_thumbnail(request: Request, version: ApiVersion) -> PictureRequest:
    """Of a thumbnail. Raises InvalidRequest."""
    frames = request.route.get("frames")
    numbers = None if frames is None else frame_numbers(frames)
    return PictureRequest(numbers, request.query, parse_range(request, version))


def check_types(query: str) -> None:
    """Step 4 of dicomweb §4.2: `quality` is an integer. Raises InvalidRequest."""
    for name, value in pairs(query):
        if name.lower() == "quality" and not _INTEGER.fullmatch(value):
            raise invalid_parameter("quality", "It is an integer from 1 to 100.")


def rendering_options(query: str) -> RenderingOptions:
    """The rendering parameters of a query string; unknown ones are ignored. Raises InvalidRequest (REND-4)."""
    given = _parameters(query)
    quality = int(given.get("quality") or 100)
    if not 1 <= quality <= 100:
        raise invalid_parameter("quality", "It is an integer from 1 to 100.")
    profile = given.get("iccprofile", "no").lower()
    ignored = [name for name in ("annotation",) if given.get(name)]
    if profile not in {"no", "yes", "srgb"}:
        ignored.append("iccprofile")
        profile = "no"
    return RenderingOptions(
        quality=quality,
        viewport=_viewport(given["viewport"]) if "viewport" in given else None,
        window=parse_window(given["window"]) if "window" in given else None,
        profile="yes" if profile == "yes" else "srgb" if profile == "srgb" else "no",
        ignored=tuple(ignored),
    )


def thumbnail(query: str) -> RenderingOptions:
    """Of a thumbnail: only the viewport can be asked for. Raises InvalidRequest."""
    given = _parameters(query)
    return RenderingOptions(quality=90, viewport=_viewport(given["viewport"]) if "viewport" in given else THUMBNAIL)


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs(query):
        found.setdefault(name.lower(), value)
    return found


def _numbers(name: str, text: str, count: Sequence[int]) -> list[float | None]:
    """Comma-separated decimals; None where there is nothing between commas."""
    values = [value.strip() for value in text.split(",")]
    if len(values) not in count or not all(_DECIMAL.fullmatch(value) for value in values if value):
        raise invalid_parameter(name, "It is a list of numbers.")
    return [float(value) if value else None for value in values]


def _viewport(text: str) -> Viewport:
    width, height, *rest = _numbers("viewport", text, (2, 6))
    if (
        width is None
        or height is None
        or not all(value.is_integer() and 1 <= value <= _LARGEST_SIDE for value in (width, height))
        or width * height > _LARGEST_AREA
    ):
        raise invalid_parameter("viewport", "Its width and height are whole numbers of pixels.")
    size = int(width), int(height)
    if all(value is None for value in rest):
        return Viewport(*size)
    left, top, across, down = rest
    if across == 0 or down == 0 or (left or 0.0) < 0 or (top or 0.0) < 0:
        raise invalid_parameter("viewport", "The region is empty or begins outside the image.")
    region = (left or 0.0, top or 0.0, None if across is None else abs(across), None if down is None else abs(down))
    return Viewport(*size, region, flip_horizontally=(across or 0.0) < 0, flip_vertically=(down or 0.0) < 0)


def parse_window(text: str) -> Window:
    """The window `center,width,function`. Raises InvalidRequest."""
    parts = [part.strip() for part in text.split(",")]
    function = _FUNCTIONS.get(parts[2].lower()) if len(parts) == 3 else None
    if function is None:
        raise invalid_parameter("window", "It is center,width,function: linear, linear-exact or sigmoid.")
    center, width = _numbers("window", ",".join(parts[:2]), (2,))
    if center is None or width is None or width < (1 if function == "LINEAR" else 0) or width == 0:
        raise invalid_parameter("window", "Its center and width are numbers; the width is positive.")
    return Window(center, width, function)


# ------------------------------------------------------------------------------------------------------- negotiation


def accepts_media(accept: Sequence[MediaType]) -> bool:
    """Whether the client takes anything that is no picture: a video or a document, by its type or a range (REND-10)."""
    return any(value.quality > 0 and value.type in _MEDIA for value in accept)


_MEDIA: Final = frozenset({ANY, ANY_VIDEO, ANY_APPLICATION, *AS_STORED_TYPES})


def negotiate(accept: Sequence[MediaType], images: int | None) -> Representation:
    """The form of an answer of so many images; None: of as many as the client has room for (D-26).

    The most specific value that covers a type says how much it is wanted. Raises NotAcceptable; InvalidRequest when
    several images could only be sent alone (FRM-4).
    """
    wanted = [
        (_wanted(accept, name, multipart=multipart), Representation(name, multipart)) for multipart, name in _ORDER
    ]
    possible = [(quality, form) for quality, form in wanted if quality > 0]
    if not possible:
        raise NotAcceptable("Rendered images are image/jpeg, image/png or image/gif.")
    if images is not None and images > 1:
        possible = [(quality, form) for quality, form in possible if form.multipart]
        if not possible:
            raise InvalidRequest(
                "Several images can only be retrieved as multipart/related.",
                where="header Accept",
                remedy='Accept multipart/related; type="image/jpeg", or name one frame.',
            )
    return max(possible, key=lambda each: each[0])[1]


_ORDER: Final = [(multipart, name) for multipart in (False, True) for name in IMAGE_TYPES]


def _wanted(accept: Sequence[MediaType], media_type: str, *, multipart: bool) -> float:
    best: tuple[int, float] = (-1, 0.0)
    for value in accept:
        related = value.type in {MULTIPART_RELATED, ANY_MULTIPART}
        covering = value.parameters.get("type", ANY).strip().lower() if related else value.type
        if related != multipart and covering != ANY:
            continue
        if related and not multipart:
            continue
        specificity = {media_type: 2, ANY_IMAGE: 1, ANY: 0}.get(covering, -1)
        if specificity >= 0 and (specificity, value.quality) > best:
            best = (specificity, value.quality)
    return best[1]
