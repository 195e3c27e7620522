"""azure-apis §1.2 Bodies of plain JSON: received within a limit, read leniently (GEN-11). Some may be YAML."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.dicom.media_types import JSON, YAML, YAML_NAMES
from shared.dicomweb.content_negotiation import parse_content_type
from shared.dicomweb.json_input import read_json
from shared.errors import InvalidRequest, TooLarge, UnsupportedMedia
from shared.http.messages import Request
from shared.yaml_documents import MalformedYaml, read_yaml

WHERE: Final = "request body"
MALFORMED: Final = "The syntax of the request body is invalid."
"""AERR-2."""
_AT_ONCE: Final = 256 * 1024
"""Bytes of a body that is read on the event loop: a few milliseconds."""
_YAML_AT_ONCE: Final = 8 * 1024
"""The same of YAML, which takes thirty times as long."""
_YAML_MOST: Final = 256 * 1024
"""Bytes of YAML at most, which a process reads in a second."""


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body of JSON that has not been received yet."""

    chunks: AsyncIterator[bytes] = field(repr=False)
    most: int
    """Bytes."""
    yaml: bool = False
    """Whether it is YAML."""

    async def read(self) -> Any:
        """Its value. Raises InvalidRequest (AERR-2), TooLarge."""
        data = await received(self.chunks, self.most)
        value_of: Callable[[bytes], Any] = read_yaml if self.yaml else read_json
        try:
            if len(data) > (_YAML_AT_ONCE if self.yaml else _AT_ONCE):
                return await asyncio.to_thread(value_of, data)
            return value_of(data)
        except MalformedYaml as error:
            raise InvalidRequest(f"{MALFORMED} {error}", where=WHERE) from None
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


def json_body(request: Request, *, most: int, or_yaml: bool = False) -> JsonBody:
    """The body of a request that has one; `or_yaml`: it may be YAML. Raises UnsupportedMedia for any other type."""
    content_type = request.headers.get("content-type")
    media_type = JSON if content_type is None else parse_content_type(content_type).type
    if or_yaml and media_type in YAML_NAMES:
        return JsonBody(request.body, min(most, _YAML_MOST), yaml=True)
    if media_type != JSON:
        others = f" or {YAML}" if or_yaml else ""
        raise UnsupportedMedia(f"The body must have the Content-Type {JSON}{others}.")
    return JsonBody(request.body, most)


def lower_members(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The members of the object at `path` by their names in small letters (GEN-11).

    Raises InvalidRequest where two have one name: nobody could tell which of them is meant.
    """
    members = {str(name).lower(): member for name, member in value.items()}
    if len(members) < len(value):
        twice = "It has a member twice."
        raise invalid_field(path, twice) if path else InvalidRequest(f"{MALFORMED} {twice}", where=WHERE)
    return members


def invalid_field(path: str, reason: str) -> InvalidRequest:
    """AERR-3."""
    return InvalidRequest(f"The field '{path}' in request body is invalid: {reason}", where=WHERE)
