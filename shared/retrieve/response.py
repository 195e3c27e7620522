"""The answers of a retrieve: single part and multipart, validators and caching headers (PS3.18 §8.6, §10.4.1)."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from shared.dicom.identifiers import ResourceIdentifier
from shared.dicom.media_types import DICOM_JSON
from shared.dicomweb import multipart
from shared.http.messages import Response
from shared.retrieve.negotiation import Encoding, TransferSyntaxChoice
from shared.retrieve.snapshot import Snapshot

_JOINED_WITH_HEAD: Final = 64 * 1024
"""Parts up to this many bytes go out together with their head: one write instead of two."""

_WHOLE: Final = 1024 * 1024
"""A part of up to this many bytes, if it is the only one, is copied into an answer that is whole."""

CACHING: Final = (("Cache-Control", "private, no-cache"), ("Vary", "Accept, msdicom-request-original"))
"""A copy may be kept, but each use of it is checked with the service: rights and data may have changed (META-10)."""

DATA_SET_CACHING: Final = (
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Accept, Accept-Encoding, msdicom-request-original"),
)
"""The same for what may be compressed (HDR-8)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart answer."""

    encoding: Encoding
    location: str
    """Absolute URL of the instance or frame (W-9)."""
    body: bytes | AsyncIterator[bytes]


# -------------------------------------------------------------------------------------------------------- validators


def resource_tag(scope: ResourceIdentifier, versions: Collection[int], *, original: bool, xml: bool = False) -> str:
    """The ETag of metadata: the highest watermark and, unless of one instance, how many (META-6, D-24, D-25).

    That of XML is weak: the boundary of its multipart changes.
    """
    count = "" if scope.sop_instance_uid is not None else f"-{len(versions)}"
    tag = f"{max(versions)}{count}{'-o' if original else ''}"
    return f'W/"{tag}-xml"' if xml else f'"{tag}"'


def representation_tag(
    snapshot: Snapshot, choice: TransferSyntaxChoice, encoding: Encoding, *, changed: bool = False
) -> str:
    """The ETag of an instance or frame in one representation (META-10).

    One URL has several representations, and If-None-Match compares tags weakly, so each has a tag of its own. That of
    a multipart is weak as well: its boundary changes; and that of converted pixels, since codecs change (HTTP-2).
    """
    weak = "W/" if choice.multipart or changed else ""
    form = "multipart" if choice.multipart else "single"
    return f'{weak}"{form}-{snapshot.instance.version}-{encoding.media_type}-{encoding.transfer_syntax_uid}"'


# ------------------------------------------------------------------------------------------------------------ bodies


def not_modified(tag: str, caching: tuple[tuple[str, str], ...] = CACHING) -> Response:
    """304, with the headers that the 200 would have had (META-7, W-6)."""
    return Response(304, (("ETag", tag), *caching))


def metadata(body: bytes | AsyncIterator[bytes], tag: str, content_type: str = DICOM_JSON) -> Response:
    """A JSON array of data sets, or a multipart of XML documents (META-1, ACC-5)."""
    return Response(200, (("Content-Type", content_type), ("ETag", tag), *DATA_SET_CACHING), body)


def single_part(encoding: Encoding, length: int | None, body: bytes | AsyncIterator[bytes], tag: str) -> Response:
    """One instance or frame as the whole body (WADO-20, WADO-26)."""
    known = () if length is None else (("Content-Length", str(length)),)
    return Response(200, (("Content-Type", encoding.content_type), *known, ("ETag", tag), *CACHING), body)


def in_ranges(whole: Response, span: tuple[int, int] | None, size: int | None) -> Response:
    """An answer of which ranges can be had if its `size` is known (HTTP-1), and which one this is (RFC 9110 §14.4)."""
    if size is None:
        return whole
    headers = (*whole.headers, ("Accept-Ranges", "bytes"))
    if span is None:
        return Response(whole.status, headers, whole.body)
    return Response(206, (*headers, ("Content-Range", f"bytes {span[0]}-{span[1] - 1}/{size}")), whole.body)


def with_headers(answer: Response, *fields: tuple[str, str]) -> Response:
    """The same answer with further header fields."""
    return Response(answer.status, (*answer.headers, *fields), answer.body)


def several_parts(media_type: str, parts: AsyncGenerator[Part], tag: str | None = None) -> Response:
    """Instances or frames as multipart/related (WADO-21..24, D-21)."""
    boundary = multipart.new_boundary()
    return Response(200, _multipart_headers(boundary, media_type, tag), _framed(boundary, parts))


def one_part(part: Part, tag: str | None = None) -> Response:
    """One instance or frame as multipart/related (WADO-21..24, D-21).

    What is small and at hand is answered whole, which costs less than a stream.
    """
    if not isinstance(part.body, bytes) or len(part.body) > _WHOLE:
        return several_parts(part.encoding.media_type, these([part]), tag)
    boundary = multipart.new_boundary()
    body = b"".join((_head(boundary, part, first=True), part.body, multipart.closing(boundary)))
    return Response(200, _multipart_headers(boundary, part.encoding.media_type, tag), body)


def _multipart_headers(boundary: str, media_type: str, tag: str | None) -> tuple[tuple[str, str], ...]:
    headers = (("Content-Type", multipart.content_type(boundary, media_type)), *CACHING)
    return headers if tag is None else (*headers, ("ETag", tag))


def _head(boundary: str, part: Part, *, first: bool) -> bytes:
    headers = [("Content-Type", part.encoding.content_type), ("Content-Location", part.location)]
    return multipart.part_head(boundary, headers, first)


async def _framed(boundary: str, parts: AsyncGenerator[Part]) -> AsyncGenerator[bytes]:
    first = True
    async with aclosing(parts):
        async for part in parts:
            head = _head(boundary, part, first=first)
            first = False
            if not isinstance(part.body, bytes):
                yield head
                async for chunk in part.body:
                    yield chunk
            elif len(part.body) <= _JOINED_WITH_HEAD:
                yield head + part.body
            else:
                yield head
                yield part.body
        yield multipart.closing(boundary)


async def these(parts: Sequence[Part]) -> AsyncGenerator[Part]:
    """Parts that are at hand."""
    for part in parts:
        yield part


async def resumed(first: Part, rest: AsyncGenerator[Part]) -> AsyncGenerator[Part]:
    """`first`, which has been taken from `rest`, and what is left of it."""
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part
