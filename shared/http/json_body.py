"""azure-apis §1.2 Bodies of plain JSON: received within a limit, read leniently (GEN-11)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from shared.dicom.media_types import JSON
from shared.dicomweb.content_negotiation import parse_content_type
from shared.dicomweb.json_input import read_json
from shared.errors import InvalidRequest, TooLarge, UnsupportedMedia
from shared.http.messages import Request

WHERE: Final = "request body"
MALFORMED: Final = "The syntax of the request body is invalid."
"""AERR-2."""
_AT_ONCE: Final = 256 * 1024
"""Bytes of a body that is read on the event loop: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body of JSON that has not been received yet."""

    chunks: AsyncIterator[bytes] = field(repr=False)
    most: int
    """Bytes."""

    async def read(self) -> Any:
        """Its value. Raises InvalidRequest (AERR-2), TooLarge."""
        data = await received(self.chunks, self.most)
        try:
            return await asyncio.to_thread(read_json, data) if len(data) > _AT_ONCE else read_json(data)
        except InvalidRequest:
            raise InvalidRequest(MALFORMED, where=WHERE) from None


async def received(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """The whole of a body that is held in memory. Raises TooLarge for one of more than `most` bytes."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) > most:
            raise TooLarge(f"The body is larger than {most} bytes.", where=WHERE)
    return bytes(held)


def json_body(request: Request, *, most: int) -> JsonBody:
    """The body of a request that has one. Raises UnsupportedMedia for one that is no JSON."""
    content_type = request.headers.get("content-type")
    if content_type is not None and parse_content_type(content_type).type != JSON:
        raise UnsupportedMedia("The body must have the Content-Type application/json.")
    return JsonBody(request.body, most)


def invalid_field(path: str, reason: str) -> InvalidRequest:
    """AERR-3."""
    return InvalidRequest(f"The field '{path}' in request body is invalid: {reason}", where=WHERE)
