"""Retrieve Metadata (PS3.18 §10.4.1.1.2, Annex F): one DICOM JSON data set per instance, from the index alone."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.json_model import finished
from shared.dicomweb.partitions import Partition
from shared.dicomweb.urls import Urls
from shared.errors import NotFound
from shared.index.documents import read_metadata
from shared.index.values import StoredInstance
from shared.retrieve.instances import Sources, successor
from shared.storage.ports import BlobNotFound

_CHUNK: Final = 256 * 1024
"""Documents are sent in pieces of about this many bytes."""
_PARALLEL: Final = 16
"""How many documents that are too large for the index are read from blobs at a time."""


@dataclass(frozen=True, slots=True)
class MetadataRules:
    """How stored documents are finished for one answer."""

    bulk_data_uris: bool
    """Name bulk values by BulkDataURI (W-3), or leave them out (META-3)."""
    character_set_as_stored: bool
    """D-7."""
    urls: Urls

    def finish(self, document: bytes, identifier: InstanceIdentifier) -> bytes:
        """The data set as it is sent."""
        url = self.urls.instance(identifier) if self.bulk_data_uris else None
        return finished(document, url, character_set_as_stored=self.character_set_as_stored)


@dataclass(frozen=True, slots=True)
class RetrievedMetadata:
    """The metadata of a study, series or instance."""

    versions: Collection[int]
    """The watermarks of its instances, from which the ETag is made."""
    body: bytes | AsyncIterator[bytes] | None
    """The JSON array; None if the client has it already."""


async def retrieve_metadata(
    sources: Sources,
    partition: Partition,
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
        return await _of_one(sources, partition, identifier, rules, is_current)
    instances = await sources.lookup.instances(partition, scope, metadata=False)
    if not instances:
        raise NotFound(f"The requested {'study' if scope.series_instance_uid is None else 'series'} does not exist.")
    versions = [instance.version for instance in instances]
    body = None if is_current(versions) else _array(_documents(sources, partition, scope, rules))
    return RetrievedMetadata(versions, body)


async def _of_one(
    sources: Sources,
    partition: Partition,
    identifier: InstanceIdentifier,
    rules: MetadataRules,
    is_current: Callable[[Collection[int]], bool],
) -> RetrievedMetadata:
    instance = await sources.lookup.instance(partition, identifier, metadata=True)
    if instance is None:
        raise NotFound("The requested instance does not exist.")
    versions = [instance.version]
    if is_current(versions):
        return RetrievedMetadata(versions, None)
    document = await _document(sources, partition, instance)
    if document is None:
        raise NotFound("The requested instance does not exist.")
    return RetrievedMetadata(versions, b"[" + rules.finish(document, identifier) + b"]")


async def _documents(
    sources: Sources, partition: Partition, scope: ResourceIdentifier, rules: MetadataRules
) -> AsyncGenerator[bytes]:
    async with aclosing(sources.lookup.stream(partition, scope)) as instances:
        apart: list[StoredInstance] = []
        async for instance in instances:
            if instance.metadata is not None:
                yield rules.finish(instance.metadata, instance.identifier)
                continue
            apart.append(instance)
            if len(apart) == _PARALLEL:
                for document in await _read(sources, partition, apart, rules):
                    yield document
                apart.clear()
        for document in await _read(sources, partition, apart, rules):
            yield document


async def _read(
    sources: Sources, partition: Partition, instances: Sequence[StoredInstance], rules: MetadataRules
) -> list[bytes]:
    """The documents that are too large for the index, finished."""
    found = await asyncio.gather(*(_document(sources, partition, instance) for instance in instances))
    return [
        rules.finish(document, instance.identifier)
        for instance, document in zip(instances, found, strict=True)
        if document is not None
    ]


async def _document(sources: Sources, partition: Partition, instance: StoredInstance) -> bytes | None:
    """The stored document; None if the instance was deleted meanwhile (WADO-29). Raises LostFile."""
    found: StoredInstance | None = instance
    while found is not None:
        try:
            return await read_metadata(found, sources.blobs)
        except BlobNotFound:
            found = await successor(sources, partition, found, metadata=True)
    return None


async def _array(documents: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The documents as a JSON array, in pieces."""
    pieces: list[bytes] = []
    size = 0
    separator = b"["
    async with aclosing(documents):
        async for document in documents:
            pieces += (separator, document)
            separator = b","
            size += len(document)
            if size >= _CHUNK:
                yield b"".join(pieces)
                pieces.clear()
                size = 0
                await asyncio.sleep(0)  # documents of one page come without waiting: let others have their turn
    yield b"".join([*pieces, b"]" if separator == b"," else b"[]"])
