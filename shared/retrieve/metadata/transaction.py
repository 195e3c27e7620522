"""Retrieve Metadata (PS3.18 §10.4.1.1.2): one data set per instance, from the index alone.

A JSON array of them (Annex F), or multipart/related with an XML document for each (PS3.19 §A.1, ACC-5).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from shared.dicom.attributes import take_apart
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicom.media_types import DICOM_XML
from shared.dicomweb import multipart, xml_model
from shared.dicomweb.document_rules import DocumentRules
from shared.dicomweb.json_model import large, loads
from shared.dicomweb.urls import Urls
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotFound
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
_PARALLEL: Final = 16
"""Documents too large for the index that are read from blobs at a time."""


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

    def finish(self, document: bytes, identifier: InstanceIdentifier) -> bytes:
        """The data set as it is sent; of XML the whole part."""
        url = self.urls.instance(identifier)
        document = self.documents.finished(document, url, self.version)
        if self.selection is not None:
            document = selected(document, self.selection)
        if not self.boundary:
            return document
        headers = (("Content-Type", DICOM_XML), ("Content-Location", f"{url}/metadata"))
        attributes = loads(document)
        written = xml_model.dumps(attributes)
        if large(document):
            take_apart(attributes)
        return b"".join((multipart.part_head(self.boundary, headers, first=True), written))

    async def finish_aside(self, document: bytes, identifier: InstanceIdentifier) -> bytes:
        """The same; what takes longer, beside the event loop (STOW-46)."""
        if len(document) <= (_INLINE_PARSED if self.boundary or self.selection is not None else _INLINE):
            return self.finish(document, identifier)
        return await asyncio.to_thread(self.finish, document, identifier)

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
    snapshots = await archive.snapshots(scope)
    if not snapshots:
        raise NotFound(f"The requested {'study' if scope.series_instance_uid is None else 'series'} does not exist.")
    versions = [snapshot.instance.version for snapshot in snapshots]
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
    before, _, after = rules.framing
    return RetrievedMetadata(
        versions, b"".join((before, await rules.finish_aside(document, snapshot.identifier), after))
    )


async def _documents(archive: Archive, scope: ResourceIdentifier, rules: MetadataRules) -> AsyncGenerator[bytes]:
    async with aclosing(archive.stream(scope)) as snapshots:
        apart: list[Snapshot] = []
        async for snapshot in snapshots:
            if snapshot.instance.metadata is not None:
                yield await rules.finish_aside(snapshot.instance.metadata, snapshot.identifier)
                continue
            apart.append(snapshot)
            if len(apart) == _PARALLEL:
                for document in await _read(apart, rules):
                    yield document
                apart.clear()
        for document in await _read(apart, rules):
            yield document


async def _read(snapshots: Sequence[Snapshot], rules: MetadataRules) -> list[bytes]:
    """The documents that are too large for the index, finished."""
    found = await asyncio.gather(*map(_document, snapshots))
    return [
        await rules.finish_aside(document, snapshot.identifier)
        for snapshot, document in zip(snapshots, found, strict=True)
        if document is not None
    ]


async def _document(snapshot: Snapshot) -> bytes | None:
    """The stored document; None if the instance was deleted meanwhile (WADO-29). Raises LostFile."""
    return await current(snapshot, Snapshot.document)


async def _framed(documents: AsyncGenerator[bytes], rules: MetadataRules) -> AsyncGenerator[bytes]:
    """The documents as one body, in pieces."""
    separator, between, after = rules.framing
    most = _XML_CHUNK if rules.boundary else _CHUNK
    pieces: list[bytes] = []
    size = 0
    async with aclosing(documents):
        async for document in documents:
            pieces += (separator, document)
            separator = between
            size += len(document)
            if size >= most:
                yield b"".join(pieces)
                pieces.clear()
                size = 0
                await asyncio.sleep(0)  # documents of one page come without waiting: let others have their turn
    if separator != between:
        pieces.append(separator)
    yield b"".join([*pieces, after])
