"""One instance of a batch on its way from received to answered, and the removal of its blobs when it is refused."""

import asyncio
from dataclasses import dataclass, replace

from shared import telemetry
from shared.dicom.part10.file_reader import InvalidPart10
from shared.dicom.reasons import FailureReason
from shared.index.model import NewInstance
from shared.index_schema import blob_names
from shared.ingest.store_outcome import StoreOutcome
from shared.storage.ports import BlobStore, BlobUpload


@dataclass(slots=True)
class PendingInstance:
    """An accepted instance that is not stored yet."""

    instance: NewInstance
    """Without its metadata."""
    upload: BlobUpload
    document: bytes = b""
    """Its metadata; empty if they wait in `beside`."""
    compressed: bool = False
    beside: BlobUpload | None = None
    written: bool = False
    """This batch has made the file durable, not an earlier attempt with it."""
    staging: asyncio.Task[None] | None = None

    async def abort(self) -> None:
        """End the uploads; nothing of them stays."""
        if self.staging is not None:
            self.staging.cancel()
            await asyncio.gather(self.staging, return_exceptions=True)
        await self.upload.abort()
        if self.beside is not None:
            await self.beside.abort()


@dataclass(slots=True)
class BatchEntry:
    """One instance of the batch, in any state from received to answered."""

    outcome: StoreOutcome
    pending: PendingInstance | None = None
    unavailable: bool = False
    """It failed only because a data store did not answer."""

    def fail(self, reason: FailureReason, *, unavailable: bool = False) -> None:
        """Make it a failure, whatever it was."""
        self.outcome = replace(self.outcome, failure=reason, warning=None)
        self.unavailable = unavailable

    @property
    def stored(self) -> bool:
        """Whether nothing has failed so far."""
        return self.outcome.failure is None


def explanation(fault: InvalidPart10 | None) -> str:
    """The fault of a file that cannot be read, and its place (STOW-37)."""
    if fault is None:
        return "The file is not a readable DICOM file."
    tag = fault.tag
    return str(fault) if tag is None else f"({tag >> 16:04x},{tag & 0xFFFF:04x}) - {str(fault).removesuffix('.')}"


async def discard(blobs: BlobStore, instance: NewInstance) -> bool:
    """Remove the blobs of an instance that the index has refused; whether all are gone. The file goes last: while it is
    there, the blob trigger and the scrubber know what the others belong to.
    """
    beside = []
    if instance.metadata is None:
        beside.append(blob_names.metadata_blob(instance.blob))
    if instance.frames_in_blob:
        beside.append(blob_names.frames_blob(instance.blob))
    try:
        for name in (*beside, instance.blob):
            await blobs.delete(name)
    except Exception as error:  # noqa: BLE001 - the answer is the same; the blob trigger and the scrubber remain
        telemetry.failure("refused-blob-not-removed", error)
        return False
    return True
