"""azure-apis §7.2 The copy of one file (XPT-20, XPT-21, XPT-27)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.deidentification.report import Report
from shared.dicom.identifiers import InstanceIdentifier
from shared.export.model import file_name
from shared.index.lookup import InstanceLookup
from shared.index.model import StoredInstance
from shared.operations.model import Document
from shared.storage.ports import BlobNotFound, BlobStore, ForeignContainer

DELETED: Final = "The instance was deleted while it was exported."
LOST: Final = "The file of the instance is missing from storage."
_SERVER_COPY_BYTES: Final = 256 * 1024**2
"""The service copies files up to this size at once."""
_SMALL: Final = 1024**2
"""Bytes of a file that is read whole."""
_GIVES_UP: Final = 32
"""Refused copies in a row after which a destination is not asked to copy any more, until the work begins anew."""
_LARGE_AT_ONCE: Final = 2
"""Larger files that pass through the process at the same time: each holds some 20 MB."""


@dataclass(frozen=True, slots=True)
class Copied:
    """The outcome of an instance."""

    identifier: str
    """As the error log names it: the path of the instance, or what tells nothing of it where its names are secret."""
    fault: str = ""
    """Why there is no file; '' if there is one."""
    report: Report | None = None
    """The changes to it, of one that is de-identified."""


type Ending = Callable[[], Awaitable[None]]
"""Writes one thing that an export ends with, whole; again does no harm. Raises ContainerRefused, Unavailable."""


class FileCopies(Protocol):
    """Makes the files of one export."""

    async def copy(self, instance: StoredInstance) -> Copied:
        """Write the file of an instance. Raises ContainerRefused, Unavailable."""
        ...

    def named(self, identifier: str) -> str:
        """The name of an identifier in the error log."""
        ...

    def tally(self, before: Document, copied: Sequence[Copied]) -> Document:
        """The part of the report that is about all files so far: a JSON object of bounded size."""
        ...

    def endings(self, tally: Document, /) -> Sequence[Ending]:
        """The files that are written behind all others, in this order: each is done whole, or again."""
        ...


class SourceUrls(Protocol):
    """Lets a storage service read files of ours."""

    async def url(self, name: str) -> str:
        """A URL that reads the blob `name` for a while."""
        ...


def path_of(identifier: InstanceIdentifier) -> str:
    """The path of an instance, as identifiers of requests are written."""
    return f"{identifier.study_instance_uid}/{identifier.series_instance_uid}/{identifier.sop_instance_uid}"


@dataclass(slots=True)
class Files:
    """The stored files, for one process."""

    blobs: BlobStore
    lookup: InstanceLookup
    urls: SourceUrls
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LARGE_AT_ONCE))


async def of_latest(
    files: Files,
    namespace: str,
    instance: StoredInstance,
    copy: Callable[[StoredInstance], Awaitable[Copied]],
    name: str,
) -> Copied:
    """The result of `copy` for an instance, or for the version that has replaced it meanwhile; a fault, under `name`,
    if there is none any more. `copy` raises BlobNotFound for a file that is not there.
    """
    while True:
        try:
            return await copy(instance)
        except BlobNotFound:
            found = await files.lookup.instance_in(namespace, instance.identifier, metadata=False)
            if found is None:
                return Copied(name, DELETED)
            if found.blob == instance.blob:
                return Copied(name, LOST)
            instance = found


class CopiesAsStored:
    """Byte for byte what is stored, the latest version (XPT-21): copied by the storage service, or else streamed."""

    def __init__(self, operation_id: str, namespace: str, files: Files, container: ForeignContainer) -> None:
        self._operation_id = operation_id
        self._namespace = namespace
        self._files = files
        self._container = container
        self._streamed = 0
        """Files in a row that had to be streamed although they are small enough for the service."""

    async def copy(self, instance: StoredInstance) -> Copied:
        """Write the file of an instance, or of the version that has replaced it meanwhile."""
        name = file_name(self._operation_id, instance.identifier)
        path = path_of(instance.identifier)

        async def copy(version: StoredInstance) -> Copied:
            await self._copy(version, name)
            return Copied(path)

        return await of_latest(self._files, self._namespace, instance, copy, path)

    def named(self, identifier: str) -> str:
        """As it was given."""
        return identifier

    def tally(self, before: Document, copied: Sequence[Copied]) -> Document:  # noqa: ARG002 - there is nothing to tell
        """Nothing."""
        return before

    def endings(self, _tally: Document, /) -> Sequence[Ending]:
        """Nothing is left to write."""
        return ()

    async def _copy(self, instance: StoredInstance, name: str) -> None:
        """Raises BlobNotFound when the file is not there any more."""
        if instance.length <= _SERVER_COPY_BYTES and self._streamed < _GIVES_UP:
            if await self._container.copy(name, await self._files.urls.url(instance.blob)):
                self._streamed = 0
                return
            self._streamed += 1
        if instance.length <= _SMALL:
            await self._stream(instance, name)
            return
        async with self._files.large:
            await self._stream(instance, name)

    async def _stream(self, instance: StoredInstance, name: str) -> None:
        reader = await self._files.blobs.open(instance.blob)
        await self._container.write(name, reader.chunks())
