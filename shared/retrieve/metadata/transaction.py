"""Retrieve Metadata (PS3.18 §10.4.1.1.2): one data set per instance, from the index alone.

A JSON array of them (Annex F), or multipart/related with an XML document for each (PS3.19 §A.1, ACC-5).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from shared import collector
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicom.media_types import DICOM_XML
from shared.dicomweb import multipart, xml_model
from shared.dicomweb.document_rules import DocumentRules
from shared.dicomweb.json_model import elements, large
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotFound
from shared.index.documents import CONVERTED
from shared.memory_budget import Lease
from shared.retrieve.metadata.selection import Selection, selected
from shared.retrieve.snapshot import NO_INSTANCE, Archive, Snapshot, current

_CHUNK: Final = 256 * 1024
"""Documents are sent in pieces of about this many bytes."""
_XML_CHUNK: Final = 64 * 1024
"""Likewise; they take longer to make."""
_INLINE: Final = 1024 * 1024
"""Bytes of a document that is finished on the event loop: some replacements in its bytes."""
_INLINE_PARSED: Final = 32 * 1024
"""Likewise where it has to be taken apart and put together."""
_RATIO: Final = 9
"""Memory that one byte of such a document can take, more or less: as bytes, and as a text of up to 4 bytes a character,
which is put together of pieces, and of which one element at a time is parsed and written.
"""
_SELECTED_RATIO: Final = 24
"""The same where some attributes are chosen (META-11): the document is parsed whole, and `"1",` is a value of 50 bytes.
"""
_COPIES: Final = 3
"""The same where it is finished as it is, in pieces that are joined again (JSON)."""
_TOGETHER: Final = 1024 * 1024
"""Bytes of XML that are made with one visit to a thread."""
_PARALLEL: Final = 16
"""Documents too large for the index that are read from blobs at a time."""
_SHORT: Final = 1024 * 1024
"""Bytes of such a document that is read together with others."""


class Stretch(NamedTuple):
    """Bytes of an answer that follow one another."""

    pieces: list[bytes]
    begins: bool = True
    """Whether a data set begins with them."""


@dataclass(frozen=True, slots=True)
class MetadataRules:
    """The rules by which stored documents are finished for one answer."""

    documents: DocumentRules
    version: ApiVersion
    urls: Urls
    boundary: str = ""
    """Of multipart/related, for XML; empty: JSON."""
    selection: Selection | None = None
    """The attributes that are sent (META-11); None: all."""

    def finish(self, document: bytes, identifier: InstanceIdentifier) -> Iterator[bytes]:
        """The pieces of the data set as it is sent, of XML the whole part, each made when it is asked for."""
        url = self.urls.instance(identifier)
        document = self.documents.finished(document, url, self.version)
        if self.selection is not None:
            document = selected(document, self.selection)
        if not self.boundary:
            return iter((document,))
        headers = (("Content-Type", DICOM_XML), ("Content-Location", f"{url}/metadata"))
        head = multipart.part_head(self.boundary, headers, first=True)
        return chain((head,), xml_model.pieces_of(elements(document)))

    def finished_inline(self, document: bytes, identifier: InstanceIdentifier) -> Stretch | None:
        """The same, once; None if that takes too long for the event loop (STOW-46)."""
        is_parsed = bool(self.boundary) or self.selection is not None
        if len(document) > (_INLINE_PARSED if is_parsed else _INLINE):
            return None
        return Stretch(list(self.finish(document, identifier)))

    async def finished(self, document: bytes, identifier: InstanceIdentifier) -> AsyncGenerator[Stretch]:
        """The same; what takes longer beside the event loop (STOW-46), what takes memory by a budget, until the
        next one is asked for. Raises Unavailable.
        """
        if (short := self.finished_inline(document, identifier)) is not None:
            yield short
            return
        lease = Lease(CONVERTED)
        try:
            if large(document):
                ratio = _SELECTED_RATIO if self.selection is not None else _RATIO if self.boundary else _COPIES
                await lease.grow(ratio * len(document))
                collector.keep_away()
            pieces = await asyncio.to_thread(self.finish, document, identifier)
            if not self.boundary:
                lease.shrink(len(document))
            begins = True
            while some := await asyncio.to_thread(_some, pieces):
                yield Stretch(some, begins)
                begins = False
        finally:
            lease.shrink()

    @property
    def framing(self) -> tuple[bytes, bytes, bytes]:
        """The bytes before, between and after finished data sets."""
        return (b"", b"\r\n", multipart.closing(self.boundary)) if self.boundary else (b"[", b",", b"]")


@dataclass(frozen=True, slots=True)
class RetrievedMetadata:
    """The metadata of a study, series or instance."""

    versions: Collection[int]
    """The watermarks of its instances, from which the ETag is made."""
    body: bytes | AsyncIterator[bytes] | None
    """None if the client has it already."""


async def retrieve_metadata(
    archive: Archive,
    scope: ResourceIdentifier,
    rules: MetadataRules,
    is_current: Callable[[Collection[int]], bool],
) -> RetrievedMetadata:
    """The metadata of every instance in `scope`, or none if `is_current` says that the client has them.

    One range read tells the versions; the documents follow in bounded memory. Raises NotFound
    (META-2), LostFile.
    """
    if scope.series_instance_uid is not None and scope.sop_instance_uid is not None:
        identifier = InstanceIdentifier(scope.study_instance_uid, scope.series_instance_uid, scope.sop_instance_uid)
        return await _of_one(await archive.snapshot(identifier), rules, is_current)
    versions = await archive.versions(scope)
    if not versions:
        raise NotFound(f"The requested {'study' if scope.series_instance_uid is None else 'series'} does not exist.")
    body = None if is_current(versions) else _framed(_documents(archive, scope, rules), rules)
    return RetrievedMetadata(versions, body)


async def _of_one(
    snapshot: Snapshot, rules: MetadataRules, is_current: Callable[[Collection[int]], bool]
) -> RetrievedMetadata:
    versions = [snapshot.instance.version]
    if is_current(versions):
        return RetrievedMetadata(versions, None)
    document = await _document(snapshot)
    if document is None:
        raise NotFound(NO_INSTANCE)
    finished = rules.finished(document, snapshot.identifier)
    if rules.boundary and large(document):
        return RetrievedMetadata(versions, _framed(finished, rules))
    before, _, after = rules.framing
    return RetrievedMetadata(
        versions, b"".join((before, *[piece async for stretch in finished for piece in stretch.pieces], after))
    )


async def _documents(archive: Archive, scope: ResourceIdentifier, rules: MetadataRules) -> AsyncGenerator[Stretch]:
    async with aclosing(_stored(archive, scope)) as documents:
        async for document, identifier in documents:
            if (short := rules.finished_inline(document, identifier)) is not None:
                yield short
                continue
            async with aclosing(rules.finished(document, identifier)) as finished:
                async for stretch in finished:
                    yield stretch


async def _stored(archive: Archive, scope: ResourceIdentifier) -> AsyncGenerator[tuple[bytes, InstanceIdentifier]]:
    apart: list[Snapshot] = []
    async with aclosing(archive.stream(scope)) as snapshots:
        async for snapshot in snapshots:
            if snapshot.instance.metadata is not None:
                yield await snapshot.document(), snapshot.identifier
                continue
            apart.append(snapshot)
            if len(apart) == _PARALLEL:
                together, apart = apart, []
                async for found in _read(together):
                    yield found
    async for found in _read(apart):
        yield found


async def _read(snapshots: Sequence[Snapshot]) -> AsyncGenerator[tuple[bytes, InstanceIdentifier]]:
    """The documents that are too large for the index; large ones one after the other, each when its turn comes."""
    short = await asyncio.gather(*(current(snapshot, _short_document) for snapshot in snapshots))
    for number, snapshot in enumerate(snapshots):
        document, short[number] = short[number], None
        if document is None:
            document = await _document(snapshot)
        if document is not None:
            yield document, snapshot.identifier


async def _short_document(snapshot: Snapshot) -> bytes | None:
    return await snapshot.short_document(_SHORT)


def _some(pieces: Iterator[bytes]) -> list[bytes]:
    """The next pieces, up to about _TOGETHER bytes; none at the end. They are made of values that are many and that the
    garbage collector would walk through again and again.
    """
    some: list[bytes] = []
    size = 0
    with collector.paused():
        for piece in pieces:
            some.append(piece)
            size += len(piece)
            if size >= _TOGETHER:
                break
        collector.keep_away()
    return some


async def _document(snapshot: Snapshot) -> bytes | None:
    """The stored document; None if the instance was deleted meanwhile (WADO-29). Raises LostFile."""
    return await current(snapshot, Snapshot.document)


async def _framed(documents: AsyncGenerator[Stretch], rules: MetadataRules) -> AsyncGenerator[bytes]:
    """The documents as one body, in pieces."""
    separator, between, after = rules.framing
    most = _XML_CHUNK if rules.boundary else _CHUNK
    waiting: list[bytes] = []
    size = 0
    async with aclosing(documents):
        async for stretch in documents:
            if stretch.begins:
                waiting.append(separator)
                separator = between
            for piece in stretch.pieces:
                waiting.append(piece)
                size += len(piece)
                if size >= most:
                    yield b"".join(waiting)
                    waiting.clear()
                    size = 0
                    await asyncio.sleep(0)  # documents of one page come without waiting: let others have their turn
    if separator != between:
        waiting.append(separator)
    yield b"".join([*waiting, after])
