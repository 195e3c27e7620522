"""PS3.18 §10.6.3.3 The metadata documents of a search's results: of a long one, what the response has of it."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from shared.dicom.elements import items
from shared.dicomweb.json_model import LARGEST_PLAIN, dumps_in_slices, elements, large, loads
from shared.errors import TooLarge
from shared.index.model import StoredInstance
from shared.memory_budget import Lease
from shared.search.reads import Reads
from shared.search.request import SearchQuery

_WHOLE: Final = 64 * 1024
"""Bytes of a document that is kept as it is: a page of them is no burden, and to look into them is one."""
_TOGETHER: Final = 1024 * 1024
"""Bytes of a document that is read together with others; longer ones one after the other."""
_RATIO: Final = 9
"""Memory that one byte of such a document takes while it is looked into: as bytes, as text, one element as values."""
_ANSWER_RATIO: Final = 8
"""The same of what is kept, until the response is there."""
_MOST: Final = 32 * 1024 * 1024
"""Bytes of documents that are kept for one response."""


class Documents:
    """The documents of one search. `lease` is for what is kept; its maker ends it when the response is there."""

    def __init__(self, reads: Reads, query: SearchQuery, lease: Lease) -> None:
        self._reads = reads
        self._lease = lease
        self._wanted = _by_tag(query.stored)
        custom = query.schema.custom.values()
        self._groups = frozenset(each.path[:4] for each in custom if each.creator and each.path in query.stored)
        """Groups of which private elements are asked for: their places depend on the creators there."""
        self._kept = 0
        self._turn = asyncio.Lock()

    async def of(self, instance: StoredInstance) -> bytes:
        """The metadata of an instance, which was read with them, as far as the response has them.

        Raises BlobNotFound, TooLarge for more than a response has, Unavailable.
        """
        document = await self._reads.document(instance, most=_TOGETHER)
        if document is None:
            document = await self._of_long(instance)
        elif len(document) > _WHOLE:
            document = await asyncio.to_thread(self._reduced, document)
        self._kept += len(document)
        if self._kept > _MOST:
            raise TooLarge(
                f"The results are larger than {_MOST} bytes.",
                where="query parameters limit and includefield",
                remedy="Ask for fewer results or attributes; GET metadata of an instance has all of them.",
            )
        if self._kept > _TOGETHER:
            async with self._turn:
                await self._lease.grow(_ANSWER_RATIO * self._kept)
        return document

    async def _of_long(self, instance: StoredInstance) -> bytes:
        async with self._turn:
            before = self._lease.size
            try:
                await self._lease.grow(before + LARGEST_PLAIN)
                document = await self._reads.document(instance)
                await self._lease.grow(before + _RATIO * len(document))
                return await asyncio.to_thread(self._reduced, document)
            finally:
                self._lease.shrink(before)

    def _reduced(self, document: bytes) -> bytes:
        """The elements of a document that the response has."""
        found = elements(document) if large(document) else iter(loads(document).items())
        kept: list[bytes] = []
        for key, element in found:
            wanted = {key} if key[:4] in self._groups else self._wanted.get(key)
            if wanted and (chosen := pick({key: element}, wanted)):
                kept.append(dumps_in_slices(chosen)[1:-1])
        return b"{" + b",".join(kept) + b"}"


def _by_tag(paths: Iterable[str]) -> Mapping[str, Collection[str]]:
    found: dict[str, set[str]] = {}
    for path in paths:
        found.setdefault(path.partition(".")[0], set()).add(path)
    return found


def pick(document: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The elements of `document` that `keys` name; of a sequence only what dotted paths name in its items (D-28)."""
    found: dict[str, Any] = {}
    nested: dict[str, set[str]] = {}
    for key in keys:
        tag, _, inner_tag = key.partition(".")
        if inner_tag:
            nested.setdefault(tag, set()).add(inner_tag)
        elif key in document:
            found[key] = document[key]
    for tag, inner_tags in nested.items():
        inner = items(document, tag)
        if tag not in found and any(inner_tags & item.keys() for item in inner):
            picked = [{key: item[key] for key in item if key in inner_tags} for item in inner]
            found[tag] = {"vr": "SQ", "Value": picked}
    return found
