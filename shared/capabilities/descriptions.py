"""PS3.18 §8.9 What each resource takes, gives and answers: the facts of the OpenAPI, WADL and conformance documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from shared.dicom.dictionary import keyword_of
from shared.dicomweb.media_types import DICOM, DICOM_JSON, DICOM_XML, JSON, OCTET_STREAM
from shared.dicomweb.query_parameters import DEFAULT_LIMIT, MAX_LIMIT
from shared.dicomweb.resources import FALLBACK, RESOURCES, Resource
from shared.dicomweb.versions import ApiVersion
from shared.index.postings import INDEXED

MULTIPART_DICOM = 'multipart/related; type="application/dicom"'
MULTIPART_FRAMES = 'multipart/related; type="application/octet-stream"'
MULTIPART_JSON = 'multipart/related; type="application/dicom+json"'
MULTIPART_XML = 'multipart/related; type="application/dicom+xml"'
WADL = "application/vnd.sun.wadl+xml"
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif")
YAML = "application/yaml"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or request header. `schema` is its JSON Schema."""

    name: str
    place: str
    """`query` or `header`."""
    text: str
    schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a resource takes and gives."""

    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    successes: tuple[int, ...] = (200,)
    failures: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()


_ACCEPT = Parameter("accept", "query", "Media types, instead of the Accept header", {"type": "string"})
_IF_NONE_MATCH = Parameter("If-None-Match", "header", "ETags that the client holds", {"type": "string"})
_SEARCH = (
    Parameter(
        "limit",
        "query",
        "The number of results",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    Parameter("offset", "query", "The number of results to skip", {"type": "integer", "minimum": 0, "default": 0}),
    Parameter("fuzzymatching", "query", "Match person names by words", {"type": "boolean", "default": False}),
    Parameter(
        "includefield",
        "query",
        "Attributes to return besides the default ones (keyword, tag, or all); repeated or separated by commas. "
        "Any other parameter is a matching key.",
        {"type": "array", "items": {"type": "string"}},
    ),
    _ACCEPT,
)
_EXPIRY = (
    Parameter(
        "msdicom-expiry-time-milliseconds",
        "header",
        "The study is deleted that long after now",
        {"type": "integer", "minimum": 1},
    ),
    Parameter("msdicom-expiry-option", "header", "", {"enum": ["RelativeToNow"]}),
    Parameter("msdicom-expiry-level", "header", "", {"enum": ["Study"]}),
)
_RANGE = Parameter("Range", "header", "The bytes of the value that are wanted", {"type": "string"})
_WADO_URI = tuple(
    Parameter(name, "query", text, {"type": kind})
    for name, text, kind in (
        ("requestType", "WADO", "string"),
        ("studyUID", "StudyInstanceUID", "string"),
        ("seriesUID", "SeriesInstanceUID", "string"),
        ("objectUID", "SOPInstanceUID", "string"),
        ("contentType", "application/dicom or the type of a picture; image/jpeg if it is left out", "string"),
        ("transferSyntax", "Of application/dicom: the transfer syntax, or * for the stored one", "string"),
        ("frameNumber", "The frame that is pictured; the first one is 1", "integer"),
        ("rows", "The height into which the picture fits", "integer"),
        ("columns", "The width into which the picture fits", "integer"),
        ("region", "left,top,right,bottom as fractions of the image", "string"),
        ("windowCenter", "The center of the window", "number"),
        ("windowWidth", "The width of the window", "number"),
        ("imageQuality", "The quality of a JPEG picture, 1 to 100", "integer"),
    )
)
_REFUSED = (401, 403)
_BUSY = (503,)
_INCLUDE_METADATA = Parameter(
    "includeMetadata", "query", "Give the present metadata of each instance", {"type": "boolean", "default": True}
)

_VIEWPORT = Parameter(
    "viewport", "query", "Width and height of the picture, and the region that it shows", {"type": "string"}
)
_RENDERING = (
    _ACCEPT,
    _VIEWPORT,
    Parameter(
        "quality", "query", "Quality of a JPEG", {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}
    ),
    Parameter(
        "window", "query", "center,width,function; the function is linear, linear-exact or sigmoid", {"type": "string"}
    ),
    Parameter("iccprofile", "query", "Colour profile of the picture", {"enum": ["no", "yes", "srgb"], "default": "no"}),
)
_FRAME_TYPES = tuple(f'multipart/related; type="image/{name}"' for name in ("jpeg", "dicom-rle", "jls", "jp2", "jphc"))
_PICTURES = (*IMAGE_TYPES, *(f'multipart/related; type="{name}"' for name in IMAGE_TYPES))

_BY_OPERATION: Mapping[str, Operation] = {
    "store": Operation(
        (DICOM_JSON, DICOM_XML),
        (DICOM, MULTIPART_DICOM, MULTIPART_JSON, MULTIPART_XML),
        (200, 202, 204),
        (400, *_REFUSED, 406, 409, 413, 415, *_BUSY),
        _EXPIRY,
    ),
    "retrieve": Operation((MULTIPART_DICOM,), (), (200,), (400, *_REFUSED, 404, 406, *_BUSY), (_ACCEPT,)),
    "retrieve-metadata": Operation(
        (DICOM_JSON, MULTIPART_XML), (), (200, 304), (400, *_REFUSED, 404, 406, *_BUSY), (_ACCEPT, _IF_NONE_MATCH)
    ),
    "retrieve-rendered": Operation(
        _PICTURES, (), (200, 304), (400, *_REFUSED, 404, 406, *_BUSY), (*_RENDERING, _IF_NONE_MATCH)
    ),
    "query": Operation((DICOM_JSON, MULTIPART_XML), (), (200, 204), (400, *_REFUSED, 406, 413, *_BUSY), _SEARCH),
    "delete": Operation((), (), (204,), (400, *_REFUSED, 404, *_BUSY)),
    "partition": Operation((JSON,), (), (200,), (400, *_REFUSED, *_BUSY)),
    "operation": Operation((JSON,), (), (200, 202), (400, *_REFUSED, 404, *_BUSY)),
}
_BY_NAME: Mapping[str, Operation] = {
    "retrieve_instance": Operation(
        (MULTIPART_DICOM, DICOM), (), (200, 304), (400, *_REFUSED, 404, 406, *_BUSY), (_ACCEPT, _IF_NONE_MATCH)
    ),
    "retrieve_frames": Operation(
        (MULTIPART_FRAMES, OCTET_STREAM, *_FRAME_TYPES),
        (),
        (200, 304),
        (400, *_REFUSED, 404, 406, *_BUSY),
        (_ACCEPT, _IF_NONE_MATCH),
    ),
    "retrieve_instance_bulk_value": Operation(
        (OCTET_STREAM, MULTIPART_FRAMES),
        (),
        (200, 206, 304),
        (400, *_REFUSED, 404, 406, 416, *_BUSY),
        (_ACCEPT, _IF_NONE_MATCH, _RANGE),
    ),
    **{
        f"retrieve_{level}_{kind}": Operation(
            (MULTIPART_FRAMES,), (), (200, 304), (400, *_REFUSED, 404, 406, *_BUSY), (_ACCEPT, _IF_NONE_MATCH)
        )
        for level in ("study", "series", "instance")
        for kind in ("bulk_data", "pixel_data")
    },
    **{
        f"retrieve_{level}_thumbnail": Operation(
            _PICTURES, (), (200, 304), (400, *_REFUSED, 404, 406, *_BUSY), (_ACCEPT, _VIEWPORT, _IF_NONE_MATCH)
        )
        for level in ("study", "series", "instance", "frames")
    },
    "change_feed_latest": Operation(
        (JSON,), (), (200, 204), (400, *_REFUSED, 406, *_BUSY), (_INCLUDE_METADATA, _ACCEPT)
    ),
    "retrieve_by_query": Operation(
        (DICOM, *IMAGE_TYPES),
        (),
        (200, 304),
        (400, *_REFUSED, 404, 406, *_BUSY),
        (*_WADO_URI, _IF_NONE_MATCH),
    ),
    "capabilities": Operation((WADL, DICOM_JSON)),
    "conformance": Operation((JSON,)),
    "openapi_yaml": Operation((YAML,)),
    "openapi_json": Operation((JSON,)),
    "health_check": Operation((JSON,), (), (200,), (503,)),
}


def _change_feed(version: ApiVersion) -> Operation:
    default, most = version.feed_limits
    limit = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    offset = {"type": "integer", "minimum": 0, "default": 0}
    time = {"type": "string", "format": "date-time"}
    window: tuple[Parameter, ...] = (
        Parameter("offset", "query", "The sequence after which the window begins", offset),
        Parameter("limit", "query", "How many sequences the window has", limit),
    )
    if version.feeds_by_time:
        window = (
            Parameter("startTime", "query", "The earliest timestamp, with a time zone", time),
            Parameter("endTime", "query", "The time before which the timestamps are, with a time zone", time),
            Parameter("offset", "query", "The number of entries to skip", offset),
            Parameter("limit", "query", "The number of entries", limit),
        )
    return Operation((JSON,), (), (200,), (400, *_REFUSED, 406, *_BUSY), (*window, _INCLUDE_METADATA, _ACCEPT))


def operation(resource: Resource, version: ApiVersion) -> Operation:
    """The facts of a row of the resource table. Raises KeyError if nobody has written them down."""
    if resource.name == "change_feed":
        return _change_feed(version)
    return _BY_NAME[resource.name] if resource.name in _BY_NAME else _BY_OPERATION[resource.audit or ""]


def documented(version: ApiVersion) -> list[tuple[Resource, tuple[str, ...]]]:
    """The rows that documents show, with their methods in `version`."""
    return [
        (row, tuple(method for method in row.methods if row.exists_in(version, method)))
        for row in RESOURCES.values()
        if row is not FALLBACK
    ]


def reason(status: int) -> str:
    """The standard phrase of a status."""
    return HTTPStatus(status).phrase


def path_parameters(template: str) -> list[str]:
    """The names of the parameters of a template, in order."""
    return [segment[1:-1].removeprefix("*") for segment in template.split("/") if segment.startswith("{")]


def matching_keys(resource: Resource) -> list[str]:
    """The attributes that a search resource can be searched by: those of its results and of their parents, unless the
    path has fixed them (dicomweb §8.1).
    """
    levels = ["study", "series", "instance"]
    results = {"studies": "study", "series": "series", "instances": "instance"}[resource.template.split("/")[-1]]
    fixed = path_parameters(resource.template)
    keys = search_keys()
    return [key for level in levels[: levels.index(results) + 1] if level not in fixed for key in keys[level]]


def search_keys() -> dict[str, list[str]]:
    """The attributes that can be searched by, per level: keywords, joined by a dot inside a sequence."""
    keys: dict[str, list[str]] = {"study": [], "series": [], "instance": []}
    for attribute in INDEXED.values():
        if attribute.searchable:
            keys[attribute.level].append(".".join(keyword_of(int(tag, 16)) or tag for tag in attribute.key.split(".")))
    return keys
