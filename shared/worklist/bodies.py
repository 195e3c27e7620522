"""PS3.18 §11.1.2 Bodies of worklist requests: one data set as DICOM JSON (WL-1, WL-2, WL-4, WL-9)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from shared.dicom.attributes import Attributes
from shared.dicom.media_types import DICOM_JSON
from shared.dicomweb.content_negotiation import parse_content_type
from shared.dicomweb.json_elements import checked_data_set
from shared.dicomweb.json_input import read_data_sets
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.http.json_body import WHERE, received
from shared.http.messages import Request

LARGEST_BODY: Final = 2 * 1024**2
"""Bytes: references to some ten thousand instances."""
_INLINE_BYTES: Final = 64 * 1024
"""A body up to this size is parsed on the event loop, a longer one in a thread."""
_NOT_JSON: Final = "The body must have the Content-Type application/dicom+json."


@dataclass(frozen=True, slots=True)
class DataSetBody:
    """A body that has not been received yet."""

    chunks: AsyncIterator[bytes] = field(repr=False)
    typed: bool = True
    """Whether the request names the media type of the body."""

    async def read(self) -> Attributes:
        """Its first data set. Raises InvalidRequest, TooLarge."""
        data_set = await self.read_optional()
        if data_set is None:
            raise InvalidRequest("The request body is missing.", where=WHERE, remedy="Send one data set.")
        return data_set

    async def read_optional(self) -> Attributes | None:
        """Its first data set; None if there is no body, or none in it.

        Raises InvalidRequest, TooLarge, UnsupportedMedia for a body without a media type.
        """
        data = await received(self.chunks, LARGEST_BODY)
        if not data.strip():
            return None
        if not self.typed:
            raise UnsupportedMedia(_NOT_JSON)
        return await asyncio.to_thread(_first, data) if len(data) > _INLINE_BYTES else _first(data)


def typed_body(request: Request, _version: ApiVersion) -> DataSetBody:
    """The body of a request that must have one. Raises UnsupportedMedia (WL-1)."""
    if parse_content_type(request.headers.get("content-type")).type != DICOM_JSON:
        raise UnsupportedMedia(_NOT_JSON)
    return DataSetBody(request.body)


def optional_body(request: Request, version: ApiVersion) -> DataSetBody:
    """The body of a request that may have one (WX-2). Raises UnsupportedMedia."""
    if request.headers.get("content-type") is None:
        return DataSetBody(request.body, typed=False)
    return typed_body(request, version)


def _first(data: bytes) -> Attributes | None:
    data_sets = read_data_sets(data)
    return checked_data_set(data_sets[0]) if data_sets else None
