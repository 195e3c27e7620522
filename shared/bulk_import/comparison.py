"""Comparison of a file with the one that is stored (IMP-8)."""

import asyncio
import hashlib
from typing import Final

from shared.storage.ports import BlobReader

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_OPENING_BYTES: Final = _PREAMBLE_BYTES + len(_MAGIC)


async def is_same_file(one: BlobReader, other: BlobReader) -> bool:
    """Whether two files have the same bytes, read as they stream past. What a preamble holds does not count: it may
    have been cleared when the file was stored (P-6).
    """
    if one.length != other.length:
        return False
    first, second = await asyncio.gather(_digest(one), _digest(other))
    return first == second


async def _digest(source: BlobReader) -> bytes:
    digest = hashlib.sha256()
    head: bytes | None = b""
    async for chunk in source.chunks():
        if head is None:
            await asyncio.to_thread(digest.update, chunk)
            continue
        head += chunk
        if len(head) >= _OPENING_BYTES:
            await asyncio.to_thread(digest.update, _opening(head))
            head = None
    if head is not None:
        digest.update(head)
    return digest.digest()


def _opening(head: bytes) -> bytes:
    if head[_PREAMBLE_BYTES:_OPENING_BYTES] == _MAGIC:
        return bytes(_PREAMBLE_BYTES) + head[_PREAMBLE_BYTES:]
    return head
