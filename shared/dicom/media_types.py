"""PS3.18 §8.7.3 The media types that the service reads and writes, and the transfer syntaxes that pixel data of each
are in. Every other module names them from here.
"""

from typing import Final

from shared.dicom.transfer_syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000,
    JPEG_2000_COMPONENTS,
    JPEG_2000_COMPONENTS_LOSSLESS,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
    JPEG_XL,
    JPEG_XL_LOSSLESS,
    JPEG_XL_RECOMPRESSION,
    MPEG2,
    MPEG4,
    RLE_LOSSLESS,
)

ANY: Final = "*/*"
ANY_APPLICATION: Final = "application/*"
ANY_IMAGE: Final = "image/*"
ANY_MODEL: Final = "model/*"
ANY_MULTIPART: Final = "multipart/*"
ANY_TEXT: Final = "text/*"
ANY_VIDEO: Final = "video/*"

FORM: Final = "application/x-www-form-urlencoded"
FORM_DATA: Final = "multipart/form-data"
"""Media types that clients send by mistake where DICOM is meant."""

DICOM: Final = "application/dicom"
DICOM_JSON: Final = "application/dicom+json"
DICOM_XML: Final = "application/dicom+xml"
JSON: Final = "application/json"
JSON_UTF_8: Final = f"{JSON}; charset=utf-8"
MULTIPART_RELATED: Final = "multipart/related"
OCTET_STREAM: Final = "application/octet-stream"
PROBLEM_JSON: Final = "application/problem+json"
TEXT: Final = "text/plain"
TEXT_UTF_8: Final = f"{TEXT}; charset=utf-8"
TEXT_XML: Final = "text/xml"
CSS: Final = "text/css; charset=utf-8"
HTML: Final = "text/html"
FHIR_JSON: Final = "application/fhir+json"
CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"
"""One JSON document on each line."""
JAVASCRIPT: Final = "text/javascript; charset=utf-8"
SVG: Final = "image/svg+xml"
TABLE: Final = "text/tab-separated-values; charset=utf-8"
WASM: Final = "application/wasm"
WOFF2: Final = "font/woff2"
"""Of the pages for browsers."""
WADL: Final = "application/vnd.sun.wadl+xml"
XML: Final = "application/xml"
YAML: Final = "application/yaml"
YAML_NAMES: Final = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})
"""RFC 9512 §2.1: the media type, and what it was called before."""
ZIP: Final = "application/zip"

GIF: Final = "image/gif"
JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
IMAGE_TYPES: Final = (JPEG, PNG, GIF)
"""The types of rendered images; of equally wanted ones the first is sent (D-26)."""

MP4: Final = "video/mp4"
MPEG: Final = "video/mpeg"
MPEG2_FRAMES: Final = "video/mpeg2"
"""MPEG where frames are retrieved (FRM-10); rendered, the same stream is `video/mpeg` (REND-10)."""
PDF: Final = "application/pdf"
AS_STORED_TYPES: Final = (MP4, MPEG, PDF)
"""The types that are no pictures, and rendered as they are stored (REND-10)."""
DOCUMENT_TYPES: Final = frozenset({PDF, XML, "model/mtl", "model/obj", "model/stl", TEXT_XML})
"""PS3.3 §A.45, §A.85, §A.104: a type that no module names could be one that a browser would run."""

JP2: Final = "image/jp2"
JPX: Final = "image/jpx"
PIXEL_MEDIA_TYPES: Final[dict[str, tuple[str, ...]]] = {
    JPEG: (JPEG_LOSSLESS_SV1, JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS),
    "image/dicom-rle": (RLE_LOSSLESS,),
    "image/jls": (JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS),
    JP2: (JPEG_2000_LOSSLESS, JPEG_2000),
    JPX: (JPEG_2000_COMPONENTS_LOSSLESS, JPEG_2000_COMPONENTS),
    "image/jphc": (HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K),
    "image/jxl": (JPEG_XL_LOSSLESS, JPEG_XL_RECOMPRESSION, JPEG_XL),
    MPEG2_FRAMES: MPEG2,
    MP4: MPEG4,
}
"""FRM-10: the media types of compressed pixel data and the syntaxes that each covers, its default first."""

SYNONYMS: Final = {MPEG: MPEG2_FRAMES, "image/j2c": JP2, "image/jhc": "image/jphc"}
"""Further names of keys of `PIXEL_MEDIA_TYPES`."""


def video_type(transfer_syntax_uid: str) -> str | None:
    """The media type of a rendered video in a transfer syntax (REND-10); None: the syntax is not of video."""
    return MPEG if transfer_syntax_uid in MPEG2 else MP4 if transfer_syntax_uid in MPEG4 else None
