"""Storing one file of the import container, whatever happens on the way (IMP-4 to IMP-8, IMP-10 to IMP-12).

Every step may be the last one of a process, and every message may come again; so

1. the upload of a file has an id that follows from the file alone. What an earlier attempt did is found again: the
   instance is stored once, and one that has been deleted since is not brought back;
2. the file leaves the import container last, and only in the version that was read: until then nothing is forgotten;
3. a refused file is copied, then reported, then removed: no record without its file, no file lost without a record.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from shared import telemetry
from shared.bulk_import.comparison import is_same_file
from shared.bulk_import.completion import CompletedFile
from shared.bulk_import.request import ImportMessage, partition_of, results_queue, write_message
from shared.bulk_import.response import ImportOutcome, error_metadata, record
from shared.dicom.reasons import FailureReason
from shared.dicomweb.partitions import DEFAULT_NAME, Partition, PartitionDirectory
from shared.dicomweb.versions import ApiVersion
from shared.errors import DependencyRefused, InvalidRequest, TooLarge, Unavailable
from shared.index.lookup import InstanceLookup
from shared.index_schema import blob_names
from shared.ingest.ingest import Ingest
from shared.ingest.store_options import StoreOptions
from shared.ingest.store_outcome import StoreOutcome
from shared.storage.ports import Ambiguous, BlobNotFound, BlobProperties, BlobStore, QueueNotFound, QueueStore

DELAYS: Final = (10, 60, 300, 900)
"""Seconds before the second attempt, the third, and so on (IMP-10)."""
_OPTIONS: Final = StoreOptions(ApiVersion.V2)
_LARGE_BYTES: Final = 4 * 1024**2
_LARGE_AT_ONCE: Final = 4
"""Of large files; each holds some 40 MiB while it passes, whatever its size. Small ones are as many as messages."""
_FORGOTTEN_SECONDS: Final = 600
_SWEPT: Final = 5000
_OPERATION: Final = "bulk-import-store"
_TRANSIENT: Final = (Unavailable, Ambiguous, DependencyRefused)


@dataclass(frozen=True, slots=True)
class ImportPlaces:
    """The containers of an import (IMP-3). `account_url`: of the account's blobs, without trailing slash."""

    account_url: str
    container: str
    error_container: str
    queue: str
    error_queue: str

    def url(self, container: str, name: str) -> str:
        """Of a blob."""
        return f"{self.account_url}/{container}/{quote(name)}"


@dataclass(frozen=True, slots=True)
class Inbox:
    """The container that files come from."""

    files: BlobStore
    """The import container."""
    queues: QueueStore
    places: ImportPlaces


@dataclass(frozen=True, slots=True)
class Archive:
    """The store that files go to."""

    ingest: Ingest
    lookup: InstanceLookup
    files: BlobStore
    """The container of the service's own files."""
    partitions: PartitionDirectory


@dataclass(frozen=True, slots=True)
class ImportRules:
    """The settings of bulk import."""

    data_partitions: bool
    max_file_bytes: int
    delays: Sequence[int] = DELAYS
    """Seconds before each further attempt."""


class _TryAgain(Exception):
    """Nothing is decided yet; the reason that stands when there is no further attempt."""

    def __init__(self, outcome: ImportOutcome) -> None:
        super().__init__()
        self.outcome = outcome


class BulkImport:
    """Imports files. One per process."""

    def __init__(
        self,
        inbox: Inbox,
        archive: Archive,
        rules: ImportRules,
        *,
        audit: telemetry.AuditLog,
        now: Callable[[], float],
    ) -> None:
        self._files = inbox.files
        self._queues = inbox.queues
        self._places = inbox.places
        self._archive = archive
        self._rules = rules
        self._audit = audit
        self._now = now
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def run(self, message: ImportMessage) -> None:
        """Import a file, or arrange for the next attempt. A file that is gone has been dealt with.

        Raises Unavailable, DependencyRefused and what else keeps the message from being done with.
        """
        file = await self._find(message.names)
        if file is None:
            return
        record_of_request = self._audited(file)
        if message.attempt == 1:
            self._audit.executing(record_of_request)
        try:
            async with self._large if file.length > _LARGE_BYTES else nullcontext():
                outcome = await self._import(file)
        except BlobNotFound:
            return  # another message about it was faster
        except _TryAgain as error:
            if message.attempt <= len(self._rules.delays):
                await self._postpone(file, message.attempt)
                return
            outcome = error.outcome
        await self._finish(file, outcome)
        self._audit.executed(record_of_request, outcome.status)
        self._report(file, outcome.result, message.attempt)

    async def give_up(self, message: ImportMessage) -> None:
        """The host has given up a message: whatever the file does to those who read it, it is read no more (IMP-10)."""
        file = await self._find(message.names)
        if file is None:
            return
        outcome = ImportOutcome.refused(
            FailureReason.PROCESSING_FAILURE, error="The import of the file was begun several times and never ended."
        )
        await self._finish(file, outcome)
        self._audit.executed(self._audited(file), outcome.status)
        self._report(file, outcome.result, message.attempt)

    async def sweep(self) -> int:
        """Announce again the files whose announcement was lost: those that have been there for some time although the
        queue is empty. Returns how many, at most some thousands.
        """
        if await self._queues.length(self._places.queue):
            return 0
        found = 0
        async for file in self._files.list():
            if self._now() - file.created.timestamp() >= _FORGOTTEN_SECONDS:
                await self._queues.send(self._places.queue, write_message(file.name, 1))
                found += 1
                if found == _SWEPT:
                    break
        if found:
            telemetry.event("imports-announced-again", level=logging.WARNING, files=found)
        return found

    # ------------------------------------------------------------------------------------------------- one attempt

    async def _find(self, names: Sequence[str]) -> BlobProperties | None:
        for name in names:
            try:
                return await self._files.properties(name)
            except BlobNotFound:
                continue
        return None

    async def _import(self, file: BlobProperties) -> ImportOutcome:
        """Store a file as by STOW (IMP-4). Raises BlobNotFound when it is gone, _TryAgain."""
        if file.length > self._rules.max_file_bytes:
            return _too_large(self._rules.max_file_bytes)
        try:
            name = partition_of(file.name, data_partitions=self._rules.data_partitions)
            partition = await self._archive.partitions.resolve(name, create=True)
            outcome, added = await self._store(file, partition)
            judged = await self._judge(file, partition, outcome)
            return judged if judged.result == "refused" else replace(judged, added=added)
        except InvalidRequest as error:
            return ImportOutcome.refused(FailureReason.PROCESSING_FAILURE, status=400, error=str(error))
        except TooLarge:
            return _too_large(self._rules.max_file_bytes)
        except _TRANSIENT as error:
            telemetry.failure("import-not-finished", error, level=logging.WARNING, blob=telemetry.pseudonym(file.name))
            text = "A data store was not available, several times."
            failed = ImportOutcome.refused(FailureReason.PROCESSING_FAILURE, status=503, error=text)
            raise _TryAgain(failed) from None

    async def _store(self, file: BlobProperties, partition: Partition) -> tuple[StoreOutcome, str]:
        """The outcome of the file, and the parts that had to be added to it."""
        created = int(file.created.timestamp() * 1000)
        upload_id = blob_names.dropped_upload_id(f"{self._places.container}/{file.name}/{file.etag}", created)
        async with self._archive.ingest.begin(partition, _OPTIONS, upload_id=upload_id) as batch:
            source = await self._files.open(file.name)
            if source.etag != file.etag:
                raise BlobNotFound("The file has been replaced; its own message follows")
            completed = await CompletedFile.of(source)
            receiver = batch.receiver()
            async for chunk in completed.chunks():
                await receiver.write(chunk)
                if receiver.hopeless:
                    break
            await batch.add(receiver)
            [outcome] = await batch.store()
        return outcome, completed.added

    async def _judge(self, file: BlobProperties, partition: Partition, outcome: StoreOutcome) -> ImportOutcome:
        if outcome.failure is None:
            return ImportOutcome.stored(outcome)
        failed = ImportOutcome.refused(outcome.failure, outcome=outcome)
        if outcome.failure is FailureReason.ALREADY_STORED:
            if outcome.identifier is None:
                return failed
            present = await self._archive.lookup.instance(partition, outcome.identifier, metadata=False)
            if present is None:
                raise _TryAgain(failed)  # deleted this moment
            try:
                other = await self._archive.files.open(present.blob)
            except BlobNotFound:
                raise _TryAgain(failed) from None
            same = await is_same_file(await CompletedFile.of(await self._files.open(file.name)), other)
            return ImportOutcome.stored(outcome, duplicate=True) if same else failed
        if outcome.failure in (FailureReason.CREATION_PENDING, FailureReason.PROCESSING_FAILURE):
            raise _TryAgain(failed)
        return failed

    async def _postpone(self, file: BlobProperties, attempt: int) -> None:
        delay = self._rules.delays[attempt - 1]
        await self._queues.send(self._places.queue, write_message(file.name, attempt + 1), delay_seconds=delay)
        self._report(file, "postponed", attempt)

    # ------------------------------------------------------------------------------------------------- its outcome

    async def _finish(self, file: BlobProperties, outcome: ImportOutcome) -> None:
        """Move and report a refused file, remove one that is stored (IMP-5, IMP-6). Idempotent up to the record."""
        places, container = self._places, self._places.container
        if outcome.result == "refused":
            container = places.error_container
            try:
                metadata = error_metadata(outcome, file.metadata)
                await self._files.copy_to(container, file.name, etag=file.etag, metadata=metadata)
            except BlobNotFound:
                return  # another message about it was faster
        text = record(
            outcome,
            name=file.name,
            url=places.url(container, file.name),
            partition=self._partition_name(file.name),
            now=datetime.fromtimestamp(self._now(), UTC),
        )
        if outcome.result == "refused":
            await self._queues.send(places.error_queue, text)
        await self._tell_uploader(file.metadata, text)
        await self._files.delete(file.name, etag=file.etag)

    async def _tell_uploader(self, metadata: Mapping[str, str], text: str) -> None:
        queue = results_queue(metadata)
        if queue is not None:
            try:
                await self._queues.send(queue, text)
            except QueueNotFound:
                return  # nobody waits for it any more

    def _partition_name(self, name: str) -> str:
        try:
            return partition_of(name, data_partitions=self._rules.data_partitions)
        except InvalidRequest:
            return DEFAULT_NAME

    def _audited(self, file: BlobProperties) -> telemetry.AuditedRequest:
        """The request of the audit records (IMP-11); all attempts share its id."""
        uri = self._places.url(self._places.container, file.name)
        trace = sha256(f"{uri}/{file.etag}".encode()).hexdigest()[:32]
        return telemetry.AuditedRequest(_OPERATION, uri, "", trace, "", {}, {})

    def _report(self, file: BlobProperties, result: str, attempt: int) -> None:
        blob = telemetry.pseudonym(file.name)
        telemetry.event("import", result=result, attempt=attempt, bytes=file.length, blob=blob)


def _too_large(limit: int) -> ImportOutcome:
    text = f"The file is larger than {limit} bytes."
    return ImportOutcome.refused(FailureReason.OUT_OF_RESOURCES, error=text)
