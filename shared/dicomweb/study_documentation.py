"""The documentation of the transactions on studies, series and instances (PS3.18 §9, §10)."""

from typing import Any, Final

from shared.dicom.media_types import (
    AS_STORED_TYPES,
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    IMAGE_TYPES,
    JPEG,
    MULTIPART_RELATED,
    OCTET_STREAM,
    ZIP,
)
from shared.dicomweb.documentation import (
    DATA_SETS,
    FLAG,
    MATCHING,
    PRINTABLE,
    STORED,
    UID,
    Documentation,
    Parameter,
    accept,
    failures,
    query,
)
from shared.dicomweb.versions import ApiVersion


def _multipart(media_type: str) -> str:
    return f'{MULTIPART_RELATED}; type="{media_type}"'


def _header(name: str, text: str, schema: dict[str, Any], example: Any = None) -> Parameter:
    return Parameter(name, "header", text, schema, example)


_TIME: Final = {"type": "string", "format": "date-time"}
_IF_NONE_MATCH: Final = _header("If-None-Match", "Entity tags that the client holds", {"type": "string"}, '"63-2"')
_DATA_SET_TYPES: Final = (DICOM_JSON, _multipart(DICOM_XML))
_FRAMES: Final = (_multipart(OCTET_STREAM), OCTET_STREAM)
_COMPRESSED: Final = tuple(_multipart(f"image/{name}") for name in ("jpeg", "dicom-rle", "jls", "jp2", "jphc", "jxl"))
_PICTURES: Final = (*IMAGE_TYPES, *map(_multipart, IMAGE_TYPES))

# -------------------------------------------------------------------------------------------------- store and delete

STORE: Final = Documentation(
    "Each part of the body is a DICOM file, or the body is one; metadata with bulk data are taken as well. Instances "
    "succeed and fail one by one: the answer names both kinds with their reasons. POST leaves an instance that exists "
    "as it is (409 or 202, reason 45070); PUT replaces it.",
    produces=(DICOM_JSON, DICOM_XML),
    consumes=(DICOM, _multipart(DICOM), _multipart(DICOM_JSON), _multipart(DICOM_XML)),
    successes=(200, 202, 204),
    failures=failures(406, 409, 413, 415),
    failure_bodies=((409, DICOM_JSON, STORED),),
    parameters=(
        _header(
            "msdicom-expiry-time-milliseconds",
            "The study is deleted that long after now",
            {"type": "integer", "minimum": 1, "maximum": 241_920_000_000_000},
            86_400_000,
        ),
        _header("msdicom-expiry-option", "How the expiry time is meant", {"enum": ["RelativeToNow"]}),
        _header("msdicom-expiry-level", "What expires", {"enum": ["Study"]}),
        accept(DICOM_JSON, DICOM_XML),
    ),
    schema=STORED,
)
DELETE: Final = Documentation(
    "What is deleted is gone for every reader at once; its files are erased when their retention is over.",
    successes=(204,),
    failures=failures(404),
)

# ---------------------------------------------------------------------------------------------------------- retrieve

_DICOMDIR: Final = Parameter(
    "dicomdir",
    "query",
    "Whether an archive gets a DICOMDIR, and names that media may have; other media types refuse it.",
    {"type": "boolean", "default": False},
    True,
)
_RANGE: Final = _header("Range", "The bytes that are sent", {"type": "string"}, "bytes=0-1023")
INSTANCES: Final = Documentation(
    "Every instance is a part of a multipart answer, in Explicit VR Little Endian unless the accepted media type names "
    "another transfer syntax; `transfer-syntax=*` retrieves the files as they were stored. As application/zip they are "
    "files of one archive, as stored unless a transfer syntax is named.",
    produces=(_multipart(DICOM), ZIP),
    failures=failures(404, 406),
    parameters=(accept(_multipart(DICOM), ZIP), _DICOMDIR),
)
INSTANCE: Final = Documentation(
    "The file, alone or as the only part of a multipart answer, in Explicit VR Little Endian unless the accepted media "
    "type names another transfer syntax; `transfer-syntax=*` retrieves it as it was stored.",
    produces=(_multipart(DICOM), DICOM, ZIP),
    successes=(200, 206, 304),
    failures=failures(404, 406, 416),
    parameters=(accept(DICOM, _multipart(DICOM), ZIP), _IF_NONE_MATCH, _RANGE, _DICOMDIR),
)
FRAMES: Final = Documentation(
    "Frames are parts in the order of the request; one frame can be retrieved alone. Uncompressed frames are octets, "
    "compressed ones have the media type of their transfer syntax.",
    produces=(*_FRAMES, *_COMPRESSED),
    successes=(200, 206, 304),
    failures=failures(404, 406, 416),
    parameters=(accept(*_FRAMES, *_COMPRESSED), _IF_NONE_MATCH, _RANGE),
)
METADATA: Final = Documentation(
    "The attributes of every instance. Long binary values are left out (v1) or replaced by a BulkDataURI (v2).",
    produces=_DATA_SET_TYPES,
    successes=(200, 304),
    failures=failures(404, 406),
    parameters=(
        query(
            "includefield",
            "The only attributes to return, with the four UIDs: keywords, tags or paths of them; repeated or by commas",
            {"type": "array", "items": {"type": "string", "minLength": 1, "pattern": PRINTABLE}},
            ["Modality"],
        ),
        accept(*_DATA_SET_TYPES),
        _IF_NONE_MATCH,
    ),
    schema=DATA_SETS,
)
BULK_DATA: Final = Documentation(
    "Every value is a part of a multipart answer, with its URL as Content-Location.",
    produces=(_multipart(OCTET_STREAM),),
    successes=(200, 304),
    failures=failures(404, 406),
    parameters=(accept(_multipart(OCTET_STREAM)), _IF_NONE_MATCH),
)
BULK_VALUE: Final = Documentation(
    "The value that a BulkDataURI names, whole or a range of its bytes.",
    produces=(OCTET_STREAM, _multipart(OCTET_STREAM)),
    successes=(200, 206, 304),
    failures=failures(404, 406, 416),
    parameters=(
        accept(OCTET_STREAM, _multipart(OCTET_STREAM)),
        _IF_NONE_MATCH,
        _RANGE,
    ),
)

_PIXELS: Final = "([1-9][0-9]{0,3}|1[0-5][0-9]{3}|16[0-2][0-9]{2}|163[0-7][0-9]|1638[0-4])"
"""A width or height up to 16,384."""
_VIEWPORT: Final = query(
    "viewport",
    "Width and height of the picture, and the region of the image that it shows: left, top, width, height",
    {
        "type": "string",
        "pattern": f"^{_PIXELS},{_PIXELS}(,[0-9]{{0,5}},[0-9]{{0,5}},-?[1-9][0-9]{{0,4}},-?[1-9][0-9]{{0,4}})?$",
    },
    "512,512",
)
_RENDERING: Final = (
    accept(*_PICTURES),
    _VIEWPORT,
    query("quality", "The quality of a JPEG", {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}, 90),
    query(
        "window",
        "Center, width and function of the window",
        {
            "type": "string",
            "pattern": "^-?[0-9]{1,5}(\\.[0-9]{1,5})?,[1-9][0-9]{0,4}(\\.[0-9]{1,5})?,(linear|linear-exact|sigmoid)$",
        },
        "40,400,linear",
    ),
    query("iccprofile", "The colour profile of the picture", {"enum": ["no", "yes", "srgb"], "default": "no"}),
)
RENDERED: Final = Documentation(
    "A picture with the window of the instance unless another one is given; a study or series is represented by one "
    "picture. Every frame is a part when a multipart is accepted. A video or a PDF is sent as stored.",
    produces=(*_PICTURES, *AS_STORED_TYPES),
    successes=(200, 206, 304),
    failures=failures(404, 406, 416),
    parameters=(*_RENDERING, _IF_NONE_MATCH, _RANGE),
)
THUMBNAIL: Final = Documentation(
    "A picture of at most 128 by 128 pixels unless a viewport is given.",
    produces=_PICTURES,
    successes=(200, 304),
    failures=failures(404, 406),
    parameters=(accept(*_PICTURES), _VIEWPORT, _IF_NONE_MATCH),
)
_SIDE: Final = {"type": "integer", "minimum": 1, "maximum": 16_384}
WADO_URI: Final = Documentation(
    "WADO-URI (PS3.18 §9): the file of an instance, or a picture of it or of one of its frames.",
    produces=(DICOM, *IMAGE_TYPES),
    successes=(200, 304),
    failures=failures(404, 406),
    parameters=(
        query("requestType", "The kind of the request", {"enum": ["WADO"]}, "WADO", required=True),
        query("studyUID", "StudyInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.1", required=True),
        query("seriesUID", "SeriesInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.2", required=True),
        query("objectUID", "SOPInstanceUID", UID.reference, "1.2.826.0.1.3680043.8.498.3", required=True),
        query("contentType", "The media type of the answer", {"enum": [DICOM, *IMAGE_TYPES], "default": JPEG}),
        query(
            "transferSyntax",
            "The transfer syntax of a file, * for the stored one",
            {"type": "string", "pattern": "^(\\*|[0-9.]{0,63}[0-9])$"},
        ),
        query("frameNumber", "The frame that is pictured", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, 1),
        query("rows", "The height into which the picture fits", {"type": "integer", "minimum": 1, "maximum": 16_384}),
        query("columns", "The width into which the picture fits", {"type": "integer", "minimum": 1, "maximum": 16_384}),
        query(
            "region",
            "The left, top, right and bottom edge as fractions of the image",
            {"type": "string", "pattern": "^0?\\.[0-9]{1,6},0?\\.[0-9]{1,6},(1|0?\\.[0-9]{1,6}),(1|0?\\.[0-9]{1,6})$"},
            "0.25,0.25,0.75,0.75",
        ),
        query("windowCenter", "The center of the window; it needs windowWidth", {"type": "number"}, 40),
        query("windowWidth", "The width of the window; it needs windowCenter", {"type": "number", "minimum": 1}, 400),
        query("imageQuality", "The quality of a JPEG", {"type": "integer", "minimum": 1, "maximum": 100}),
        _IF_NONE_MATCH,
    ),
)

# ------------------------------------------------------------------------------------------------------------ search

SEARCH: Final = Documentation(
    "Every parameter that is not named here is a matching key: keyword or tag of a searchable attribute, which "
    "`conformance` lists. `*` and `?` are wildcards, `20260101-20260131` is a range. Results are ordered by the time "
    "at which they were stored, newest first; a Warning header tells that there are more than `limit`.",
    produces=_DATA_SET_TYPES,
    successes=(200, 204),
    failures=failures(406, 413),
    parameters=(
        *MATCHING,
        query("emptyvaluematching", 'A key with the value "" matches what has no value', FLAG),
        query("multiplevaluematching", "A key may list values, of which one has to match", FLAG),
        query(
            "includefield",
            "Attributes to return besides the default ones: keywords, tags or `all`; repeated or separated by commas",
            {"type": "array", "items": {"type": "string", "minLength": 1, "pattern": PRINTABLE}},
            ["StudyDescription"],
        ),
        query(
            "Label",
            "Studies with one of these labels, separated by commas; with wildcards",
            {"type": "string", "minLength": 1, "pattern": PRINTABLE},
            "tumour board",
            only=ApiVersion.V2,
        ),
        accept(*_DATA_SET_TYPES),
    ),
    schema=DATA_SETS,
)
