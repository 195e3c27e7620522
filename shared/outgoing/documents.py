"""JSON documents that another server sends: counted before anything is built of them, large ones read beside the event
loop.
"""

import asyncio
from typing import Any, Final

import orjson

AT_ONCE: Final = 256 * 1024
"""Bytes that are read on the event loop: some milliseconds."""
_MOST_OBJECTS: Final = 1 << 20
_MOST_VALUES: Final = 1 << 21
"""Objects and arrays, and values, of one document: three characters can become a hundred bytes of memory."""


async def read_document(body: bytes) -> Any:
    """The value of a document. Raises ValueError for what is no JSON, nested too deep, or of too many values."""
    if len(body) <= AT_ONCE:
        return orjson.loads(body)
    return await asyncio.to_thread(_read, body)


def check_count(body: bytes) -> None:
    """Raises ValueError for a document of too many values."""
    if body.count(b"{") + body.count(b"[") > _MOST_OBJECTS or body.count(b",") > _MOST_VALUES:
        raise ValueError("The document has too many values.")


def _read(body: bytes) -> Any:
    check_count(body)
    return orjson.loads(body)
