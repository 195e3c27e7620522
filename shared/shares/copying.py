"""The work of operations that make the de-identified copies of a share (SHR-7): an export into the service itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from shared import telemetry
from shared.deidentification.profile import Option, Profile
from shared.dicom.part10.file_reader import InvalidPart10
from shared.dicom.reasons import FailureReason
from shared.dicomweb.partitions import Partition
from shared.dicomweb.versions import ApiVersion
from shared.errors import Unavailable
from shared.export.copying import Files
from shared.export.deidentified import DeidentifiedCopies
from shared.export.model import InstanceSource, Position, SourcePage
from shared.export.records import ExportRecords
from shared.export.sources import IdentifierSource
from shared.export.work import Work, copy_all, results_of
from shared.ingest.ingest import Ingest
from shared.ingest.store_options import StoreOptions
from shared.operations.model import Document, OperationFailed
from shared.operations.store import Lease
from shared.pacing import Foreground
from shared.shares.copies import hidden_partition, key_name
from shared.shares.store import ShareStore

PROFILE: Final = Profile(frozenset({Option.DATES}))
"""The profile of the copies. Dates move, all of one patient by the same days: intervals are what a reader asks for.
What may show text in its pixels is left out.
"""
_FILE: Final = ".dcm"
_SHARE: Final = "share"


class CopyWork:
    """Makes the copies of one share; goes on where a worker that died has left it."""

    def __init__(
        self,
        files: Files,
        records: ExportRecords,
        shares: ShareStore,
        ingest: Ingest,
        *,
        foreground: Foreground | None = None,
    ) -> None:
        """`foreground`: the clients that it makes way for."""
        self._foreground = foreground or Foreground()
        self._files = files
        self._records = records
        self._shares = shares
        self._ingest = ingest

    async def __call__(self, lease: Lease) -> Document:
        """Do the work to its end. Raises OperationFailed where the share has ended; Unavailable, to be tried again."""
        operation = lease.operation
        share_id, namespace = str(operation.input[_SHARE]), str(operation.input["namespace"])
        key = await self._records.key(key_name(share_id))
        if key is None:
            raise OperationFailed(operation.results)
        container = _HiddenCopies(self._ingest, hidden_partition(share_id))
        work = Work(
            _WhileShared(IdentifierSource(self._records, self._files.lookup, operation), self._shares, share_id),
            DeidentifiedCopies(operation.id, namespace, self._files, container, PROFILE, key),
            container,
            self._foreground,
        )
        state = operation.checkpoint
        if not state.get("done"):
            state = await copy_all(lease, work, state)
        results = results_of(operation, state)
        if not await self._shares.complete(share_id):
            raise OperationFailed(results)
        await self._records.forget(operation.id)
        telemetry.event("share-copied", operation=operation.id, copied=state["exported"], skipped=state["skipped"])
        return results


@dataclass(frozen=True, slots=True)
class _WhileShared:
    """The instances of a source, as long as the share is there."""

    source: InstanceSource
    shares: ShareStore
    share_id: str

    async def page(self, position: Position) -> SourcePage:
        """The instances behind a position. Raises OperationFailed where the share has ended, Unavailable."""
        if await self.shares.get(self.share_id) is None:
            raise OperationFailed
        return await self.source.page(position)


@dataclass(frozen=True, slots=True)
class _HiddenCopies:
    """A destination of exports that stores files as instances of a hidden namespace. It has no log and no report: an
    operation tells how many files there are.
    """

    ingest: Ingest
    partition: Partition

    async def create_log(self, name: str) -> None:
        """Nothing."""

    async def append(self, name: str, data: bytes) -> None:
        """Nothing."""

    async def copy(self, name: str, source_url: str) -> bool:  # noqa: ARG002 - files are never taken as they are
        """Nothing can be copied as it is."""
        return False

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Store a file; one that is stored already stays. Raises InvalidPart10 for one that is no instance,
        Unavailable.
        """
        if not name.endswith(_FILE):
            return
        async with self.ingest.begin(self.partition, StoreOptions(ApiVersion.V2)) as batch:
            receiver = batch.receiver()
            async for chunk in chunks:
                await receiver.write(chunk)
            await batch.add(receiver)
            [outcome] = await batch.store()
        if outcome.failure is FailureReason.VALIDATION_FAILURE:
            raise InvalidPart10("The copy is not valid")
        if outcome.failure not in (None, FailureReason.ALREADY_STORED):
            raise Unavailable("The copy cannot be stored")

    async def close(self) -> None:
        """Nothing to close."""
