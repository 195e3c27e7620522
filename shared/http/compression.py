"""gzip for JSON and XML bodies (HDR-8, W-18; RFC 9110 §8.4.1.3, §12.5.3).

DICOM files and images are never compressed: they are so already, or should be in a way that their viewers know. A
compressed representation has a weak ETag, for its bytes differ from those that the strong one names.
"""

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Final

from shared.http.messages import Body, Request, Response, close

_LEAST: Final = 1024
"""Shorter bodies are left alone. Streams are taken for longer."""
_LEVEL: Final = 5
_GZIP_WINDOW: Final = 31
_INLINE: Final = 64 * 1024
"""More than this many bytes at once are compressed in a thread."""

_CODING = re.compile(r"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*(?:;\s*q\s*=\s*([0-9.]{1,8})\s*)?", re.IGNORECASE)
_TYPE = re.compile(r"(?:[a-z]+/(?:[^;\s]*\+)?(?:json|xml)|multipart/related\s*;\s*type=\"[^\"]*\+xml\")\s*(?:;|$)")


def accepts_gzip(accept_encoding: Iterable[str]) -> bool:
    """Whether a client takes gzip, and does not like unchanged bytes better. One that says nothing does not."""
    weights: dict[str, float] = {}
    for value in accept_encoding:
        for item in value.split(","):
            if found := _CODING.fullmatch(item):
                try:
                    weights[found[1].lower()] = float(found[2] or 1)
                except ValueError:
                    continue
    weight = max((weights[name] for name in ("gzip", "x-gzip") if name in weights), default=weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)


async def encoded(request: Request, answer: Response, first: bytes | None) -> tuple[Response, bytes | None]:
    """`answer` in the encoding that the client takes, and what has been read of its stream and is not in it any more.

    `first` is what has been read of a streamed body already.
    """
    if answer.status == 304:
        return _with_known_tag(request, answer), first
    types = [value for name, value in answer.headers if name.lower() == "content-type"]
    if any(name.lower() == "content-encoding" for name, _ in answer.headers):  # encoded where it was made
        return answer, first
    if not types or not _TYPE.match(types[0].lower()):
        return answer, first
    answer = replace(answer, headers=(*answer.headers, ("Vary", "Accept-Encoding")))
    if not accepts_gzip(request.headers.all("accept-encoding")):
        return answer, first
    if isinstance(answer.body, bytes):
        if len(answer.body) < _LEAST:
            return answer, first
        return _marked(answer, await _compressed(answer.body)), first
    if request.method == "HEAD":
        return _marked(answer, answer.body), first
    return _marked(answer, GzipStream(answer.body, first)), None


def _marked(answer: Response, body: Body) -> Response:
    headers = [field for field in answer.headers if field[0].lower() not in {"content-length", "etag"}]
    tags = [("ETag", _weak(value)) for name, value in answer.headers if name.lower() == "etag"]
    return Response(answer.status, (*headers, *tags, ("Content-Encoding", "gzip")), body)


def _with_known_tag(request: Request, answer: Response) -> Response:
    """A 304 that names the representation as the client does: by the weak tag, if it holds a compressed one."""
    if not accepts_gzip(request.headers.all("accept-encoding")):
        return answer
    client_tags = request.headers.all("if-none-match")
    headers = (
        (name, _weak(value) if name.lower() == "etag" and any(_weak(value) in each for each in client_tags) else value)
        for name, value in answer.headers
    )
    return replace(answer, headers=tuple(headers))


def _weak(tag: str) -> str:
    return tag if tag.startswith("W/") else f"W/{tag}"


async def _compressed(body: bytes) -> bytes:
    if len(body) <= _INLINE:
        return gzip.compress(body, _LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)


class GzipStream:
    """A streamed body in gzip. `first` is what has been read of `body` already."""

    def __init__(self, body: AsyncIterator[bytes], first: bytes | None) -> None:
        self._body = body
        self._first = first
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._ended = False

    def __aiter__(self) -> "GzipStream":
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            chunk, self._first = self._first, None
            if chunk is None:
                try:
                    chunk = await anext(self._body)
                except StopAsyncIteration:
                    self._ended = True
                    return self._packer.flush()
            if len(chunk) <= _INLINE:
                packed = self._packer.compress(chunk)
            else:
                packed = await asyncio.to_thread(self._packer.compress, chunk)
            if packed:
                return packed
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Release what the body holds."""
        await close(self._body)
