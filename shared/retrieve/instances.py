"""Retrieve Study, Series and Instance (PS3.18 §10.4.1.1): files as stored or transcoded, in bounded memory."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.errors import DicomServiceError, NotAcceptable
from shared.index.lookup import InstanceLookup
from shared.index.values import StoredInstance
from shared.retrieve.converted import ConvertedFile, check_conversion, convert_file, convertible_objects
from shared.retrieve.request import Encoding, TransferSyntaxChoice, choose_checked, nothing_found
from shared.retrieve.workshop import Workshop
from shared.storage.ports import BlobNotFound, BlobReader, BlobStore

_SMALL: Final = 1024 * 1024
"""Files up to this many bytes are read whole, and ahead of their turn."""
_AHEAD: Final = 4
"""How many small files are read ahead of the one that is being sent."""


class LostFile(DicomServiceError):
    """The index names a file that is not there: a fault of the service, 500 (D-41)."""

    def __init__(self) -> None:
        super().__init__("The file of the instance is missing from storage.")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a retrieve looks: the index, and the files; and where it has pixels converted."""

    lookup: InstanceLookup
    blobs: BlobStore
    workshop: Workshop = field(default_factory=Workshop)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file of which the first bytes are at hand or on their way."""

    instance: StoredInstance
    encoding: Encoding
    body: bytes | BlobReader | ConvertedFile

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    def content(self) -> bytes | AsyncIterator[bytes]:
        """The bytes, to be read once."""
        return self.body if isinstance(self.body, bytes) else self.body.chunks()


@dataclass(frozen=True, slots=True)
class RetrievedInstances:
    """The files of a study or series, in no particular order (WADO-27). `files` must be closed."""

    media_type: str
    files: AsyncGenerator[OpenedFile]


async def find_instance(
    sources: Sources,
    partition: Partition,
    identifier: InstanceIdentifier,
    accepted: Sequence[TransferSyntaxChoice],
) -> StoredInstance:
    """The instance. Raises NotFound, or NotAcceptable by D-18."""
    instance = await sources.lookup.instance(partition, identifier, metadata=False)
    if instance is None:
        raise nothing_found(accepted, "instance")
    return instance


async def successor(
    sources: Sources, partition: Partition, lost: StoredInstance, *, metadata: bool = False
) -> StoredInstance | None:
    """What stands in the index for an instance whose file was not found: a newer version, or None when it was deleted.

    Raises LostFile when it is still the same: then the file should be there.
    """
    instance = await sources.lookup.instance(partition, lost.identifier, metadata=metadata)
    if instance is not None and instance.blob == lost.blob:
        raise LostFile
    return instance


async def open_file(
    sources: Sources,
    partition: Partition,
    instance: StoredInstance,
    choice: TransferSyntaxChoice,
) -> OpenedFile | None:
    """Open the file of `instance`, or of the version that has replaced it meanwhile; None when it was deleted
    meanwhile (WADO-29). It is transcoded where `choice` does not take it as stored (WADO-11).

    Raises LostFile, Unavailable, and NotAcceptable when it cannot be transcoded, or the newer version is in a syntax
    that was not accepted.
    """
    found: StoredInstance | None = instance
    while found is not None:
        stored = choice.encoding(found.transfer_syntax_uid)
        encoding = stored or choice.produced()
        if encoding is None:
            raise NotAcceptable("The instance was replaced by one in a transfer syntax that is not accepted.")
        try:
            body: bytes | BlobReader | ConvertedFile
            if stored is None:
                target = encoding.transfer_syntax_uid
                body = await convert_file(
                    sources.workshop,
                    sources.lookup,
                    sources.blobs,
                    partition=partition,
                    instance=found,
                    target=target,
                )
            elif found.length <= _SMALL:
                body = await sources.blobs.read(found.blob, 0, found.length)
            else:
                body = await sources.blobs.open(found.blob)
            return OpenedFile(found, encoding, body)
        except BlobNotFound:
            found = await successor(sources, partition, found)
    return None


async def settle(
    sources: Sources,
    partition: Partition,
    scope: ResourceIdentifier,
    accepted: Sequence[TransferSyntaxChoice],
    stored: Collection[str],
) -> tuple[TransferSyntaxChoice, dict[str, Encoding]]:
    """The best choice in which everything in `scope`, which is stored in these syntaxes, can really be sent.

    What needs transcoding is looked at first, each object of it. Raises NotAcceptable (D-18, D-19).
    """

    async def check(choice: TransferSyntaxChoice) -> None:
        await check_conversion(
            sources.workshop, sources.lookup, sources.blobs, partition=partition, scope=scope, choice=choice
        )

    return await choose_checked(accepted, stored, convertible_objects, check)


async def retrieve_instances(
    sources: Sources,
    partition: Partition,
    scope: ResourceIdentifier,
    accepted: Sequence[TransferSyntaxChoice],
) -> RetrievedInstances:
    """All files of a study or series: one range read of the index, the first file opened before this returns.

    Raises NotFound, NotAcceptable (D-18, D-19), LostFile.
    """
    instances = await sources.lookup.instances(partition, scope, metadata=False)
    if not instances:
        raise nothing_found(accepted, "study" if scope.series_instance_uid is None else "series")
    stored = {instance.transfer_syntax_uid for instance in instances}
    choice, _ = await settle(sources, partition, scope, accepted, stored)
    for at, instance in enumerate(instances):
        first = await open_file(sources, partition, instance, choice)
        if first is not None:
            return RetrievedInstances(
                first.encoding.media_type, _opened(sources, partition, first, instances[at + 1 :], choice)
            )
    raise nothing_found(accepted, "study" if scope.series_instance_uid is None else "series")


async def _opened(
    sources: Sources,
    partition: Partition,
    first: OpenedFile,
    rest: Iterable[StoredInstance],
    choice: TransferSyntaxChoice,
) -> AsyncGenerator[OpenedFile]:
    """`first` and the files of `rest`, in order; small files are read while earlier ones are being sent.

    A large file is opened when its turn comes: an open download that nobody reads would be cut by the store.
    """
    waiting = deque(rest)
    ahead: deque[asyncio.Task[OpenedFile | None]] = deque()

    def read_ahead() -> None:
        while waiting and len(ahead) < _AHEAD and waiting[0].length <= _SMALL:
            ahead.append(asyncio.create_task(open_file(sources, partition, waiting.popleft(), choice)))

    try:
        read_ahead()
        yield first
        while ahead or waiting:
            if ahead:
                opened = await ahead.popleft()
            else:
                opened = await open_file(sources, partition, waiting.popleft(), choice)
            read_ahead()
            if opened is not None:
                yield opened
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
