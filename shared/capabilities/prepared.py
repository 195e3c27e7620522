"""Descriptions of the service that are made once: anybody may ask for them, and making one costs more than a search."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from xml.sax.saxutils import quoteattr

import orjson

from shared.capabilities import yaml
from shared.capabilities.openapi import document
from shared.capabilities.response import wadl
from shared.dicom.media_types import JSON, WADL, YAML
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.settings import Settings

_ROOT: Final = "https://root.invalid"
"""Stands for the URL by which a client reaches the service; in JSON and YAML it occurs as a whole string."""
_KEPT: Final = 16
"""Documents that are kept: the versions can be written in capitals, too."""
_CACHING: Final = ("Cache-Control", "public, max-age=300")


class PreparedDescriptions:
    """OpenAPI documents and the WADL document, one per version; each answer has the URLs of its request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._openapi = lru_cache(_KEPT)(self._make_openapi)
        self._wadl = lru_cache(_KEPT)(self._make_wadl)

    def openapi_json(self, context: Context) -> Response:
        """The OpenAPI document (URL-8)."""
        return self._openapi_in(context, f"{JSON}; charset=utf-8", orjson.dumps)

    def openapi_yaml(self, context: Context) -> Response:
        """The same as YAML."""
        return self._openapi_in(context, f"{YAML}; charset=utf-8", yaml.dumps)

    def wadl(self, context: Context) -> Response:
        """The Web Application Description."""
        made = self._wadl(context.version, context.urls.version_segment)
        base = quoteattr(f"{context.urls.base}/").encode()
        return _answer(context, WADL, made.replace(quoteattr(f"{_ROOT}/").encode(), base, 1))

    def _openapi_in(self, context: Context, content_type: str, dumps: Callable[..., bytes]) -> Response:
        made = self._openapi(context.version, dumps)
        body = made.replace(orjson.dumps(_ROOT), orjson.dumps(context.urls.root))
        return _answer(context, content_type, body)

    def _make_openapi(self, version: ApiVersion, dumps: Callable[..., bytes]) -> bytes:
        settings = self._settings
        urls = Urls(_ROOT, "", None, prefix="")
        sign_in = settings.authentication != "off"
        return dumps(document(version, urls, data_partitions=settings.data_partitions, sign_in=sign_in))

    def _make_wadl(self, version: ApiVersion, segment: str) -> bytes:
        return wadl(self._settings, version, base=_ROOT, segment=segment)


def _answer(context: Context, content_type: str, body: bytes) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if context.if_none_match.has(tag):
        return Response(304, (("ETag", tag), _CACHING))
    return Response(200, (("Content-Type", content_type), ("ETag", tag), _CACHING), body)
