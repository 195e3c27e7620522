"""azure-apis §4 Reading the change feed: the entries of a window, with what is stored of their instances now."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from shared.change_feed.newest import NewestEntries
from shared.change_feed.request import SequenceWindow, TimeWindow
from shared.change_feed.response import Entry
from shared.change_log.reader import ChangeFeed, FeedEntry
from shared.dicomweb.document_rules import DocumentRules
from shared.dicomweb.json_model import LARGEST_DOCUMENT
from shared.dicomweb.partitions import PartitionDirectory
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest
from shared.http.roles import Scope
from shared.index.documents import CONVERTED, read_metadata
from shared.index.model import StoredInstance
from shared.memory_budget import Lease
from shared.storage.ports import BlobNotFound, BlobStore

BATCH = 32
"""Entries that are looked up together with the metadata of their instances, which are in memory until they are sent."""
_BARE_BATCH = 256
"""The same without metadata."""
_SCANNED = 1000
"""Entries that are read at a time for a caller who may not see all of them."""
_MOST_SCANNED = 100_000
_PARALLEL = 16
"""Documents too large for the index that are read from blobs at a time."""
_SHORT = 1024 * 1024
"""Bytes of such a document that is read together with others; longer ones come one after the other."""
_COPIES = 4
"""Memory that one byte of a long document takes until it is sent: as stored, finished, in its entry, in the answer."""


@dataclass(frozen=True, slots=True)
class _LongDocument:
    """Metadata that are read when their turn comes."""

    instance: StoredInstance
    url: str


@dataclass(frozen=True, slots=True)
class _Incomplete:
    """An entry without its long metadata."""

    entry: Entry
    document: _LongDocument


class ChangeFeedReader:
    """The use cases of the change feed. `data_partitions`: URLs name partitions."""

    def __init__(
        self,
        feed: ChangeFeed,
        partitions: PartitionDirectory,
        blobs: BlobStore,
        rules: DocumentRules,
        *,
        data_partitions: bool,
    ) -> None:
        self._feed = feed
        self._newest = NewestEntries(feed)
        self._partitions = partitions
        self._blobs = blobs
        self._data_partitions = data_partitions
        self._rules = rules

    async def window(self, window: SequenceWindow | TimeWindow, visible: Scope) -> list[FeedEntry]:
        """The entries of a window, in order, of data partitions that are `visible` (AUTH-22).

        Raises InvalidRequest if too much lies between them, and Unavailable.
        """
        if isinstance(window, SequenceWindow):
            return await self._of(visible, await self._feed.by_sequence(window.after, window.limit))
        if visible.whole_service:
            return await self._feed.by_time(window.start, window.end, window.offset, window.limit)
        found: list[FeedEntry] = []
        for at in range(0, _MOST_SCANNED, _SCANNED):
            entries = await self._feed.by_time(window.start, window.end, at, _SCANNED)
            found += await self._of(visible, entries)
            if len(entries) < _SCANNED or len(found) >= window.offset + window.limit:
                return found[window.offset : window.offset + window.limit]
        raise InvalidRequest(
            "More changes than can be looked through at once lie between those that you may see: ask for a shorter "
            "time by startTime and endTime."
        )

    async def latest(self, visible: Scope) -> list[FeedEntry]:
        """The entry with the highest sequence (CF-17) that is visible; [] if there is none. Raises Unavailable."""
        if visible.whole_service:
            latest = await self._feed.latest()
        else:
            latest = await self._newest.latest(partial(self._is_visible, visible))
        return [] if latest is None else [latest]

    async def _of(self, visible: Scope, entries: list[FeedEntry]) -> list[FeedEntry]:
        if visible.whole_service:
            return entries
        return [entry for entry in entries if await self._is_visible(visible, entry.namespace)]

    async def _is_visible(self, visible: Scope, namespace: str) -> bool:
        return await self._name(namespace) in visible

    async def resolved(
        self, entries: Sequence[FeedEntry], version: ApiVersion, urls: Urls, *, metadata: bool
    ) -> AsyncGenerator[list[Entry]]:
        """The entries with what is stored of them now, in batches; one with long metadata alone, within a budget that
        it has until the next batch is asked for. Must be closed.

        Raises Unavailable.
        """
        size = BATCH if metadata else _BARE_BATCH
        for at in range(0, len(entries), size):
            ready: list[Entry] = []
            for each in await self._batch(entries[at : at + size], version, urls, metadata=metadata):
                if isinstance(each, Entry):
                    ready.append(each)
                    continue
                if ready:
                    yield ready
                    ready = []
                lease = Lease(CONVERTED)
                try:
                    yield [await self._completed(each, version, lease)]
                finally:
                    lease.shrink()
            if ready:
                yield ready

    async def _completed(self, incomplete: _Incomplete, version: ApiVersion, lease: Lease) -> Entry:
        """An entry with its metadata."""
        await lease.grow(LARGEST_DOCUMENT)
        try:
            stored = await read_metadata(incomplete.document.instance, self._blobs)
        except BlobNotFound:
            return incomplete.entry
        await lease.grow(_COPIES * len(stored))
        finished = await asyncio.to_thread(self._rules.finished, stored, incomplete.document.url, version)
        return replace(incomplete.entry, metadata=finished)

    async def _batch(
        self, entries: Sequence[FeedEntry], version: ApiVersion, urls: Urls, *, metadata: bool
    ) -> list[Entry | _Incomplete]:
        names = {namespace: await self._name(namespace) for namespace in {entry.namespace for entry in entries}}
        resolved = await self._feed.resolve(entries, metadata=metadata)
        slots = asyncio.Semaphore(_PARALLEL)

        async def document(namespace: str, instance: StoredInstance) -> bytes | _LongDocument | None:
            stored = instance.metadata
            if stored is None:
                try:
                    async with slots:
                        stored = await read_metadata(instance, self._blobs, _SHORT + 1)
                except BlobNotFound:  # deleted or replaced since the row was read (CF-31)
                    return None
            within = urls.within(names[namespace]) if self._data_partitions else urls
            url = within.instance(instance.identifier)
            if instance.metadata is None and len(stored) > _SHORT:
                return _LongDocument(instance, url)
            return self._rules.finished(stored, url, version)

        documents: dict[tuple[str, object], bytes | _LongDocument | None] = {}
        if metadata:  # an instance may have several entries; its document is the same for all of them (CF-26)
            present = {
                (each.entry.namespace, each.entry.identifier): each.instance for each in resolved if each.instance
            }
            found = await asyncio.gather(*(document(key[0], instance) for key, instance in present.items()))
            documents = dict(zip(present, found, strict=True))
        batch: list[Entry | _Incomplete] = []
        for each in resolved:
            found_document = documents.get((each.entry.namespace, each.entry.identifier))
            name = names[each.entry.namespace]
            if isinstance(found_document, _LongDocument):
                batch.append(_Incomplete(Entry(each.entry, name, each.state, None), found_document))
            else:
                batch.append(Entry(each.entry, name, each.state, found_document))
        return batch

    async def _name(self, namespace: str) -> str:
        """The name of a data partition; one that is not registered must not stop the feed."""
        partition = await self._partitions.by_namespace(namespace)
        return partition.name if partition else namespace
