"""The instances of one request: all are received before the first is stored, each succeeds or fails alone (STOW-7).

Memory is bounded whatever their number and size: the bytes of received files beyond a budget wait as staged blocks, and
metadata documents beyond theirs as blobs in the making beside the files.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import batched
from typing import Final, Self

from shared import memory_plan, metrics, telemetry
from shared.concurrency import together
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.file_reader import Part10
from shared.dicom.reasons import FailureReason
from shared.dicomweb.partitions import Partition
from shared.errors import DependencyRefused, Unavailable
from shared.index import documents
from shared.index.instances import InstanceIndex
from shared.index.model import CommitOutcome, NewInstance
from shared.index_schema import blob_names
from shared.ingest import parsing
from shared.ingest.batch_entries import BatchEntry, PendingInstance, discard, explanation
from shared.ingest.index_commit import commit_instances
from shared.ingest.ingest_settings import IngestSettings
from shared.ingest.instance_validation import Invalid, Valid, document_of, needs_strict_reading, validate
from shared.ingest.part10_upload import Part10Upload
from shared.ingest.repeated_stores import AlreadyStored, RepeatedStores
from shared.ingest.store_options import StoreOptions
from shared.ingest.store_outcome import StoreOutcome
from shared.memory_budget import MemoryBudget
from shared.storage.ports import Ambiguous, BlobExists, BlobStore, BlobUpload

HELD_BYTES: Final = 32 * 1024**2
"""Bytes of received files that wait in memory for one request; more wait as staged blocks."""
_HELD_PER_FILE: Final = 8 * 1024**2
"""The most that an upload keeps in memory, in bytes."""
_PLAIN_DOCUMENTS: Final = 16 * 1024**2
"""Bytes of metadata documents that wait as they are; more wait compressed."""
_HELD_DOCUMENTS: Final = 32 * 1024**2
"""Bytes of metadata documents that wait in memory for one request; more become blobs beside the files."""
_STAGED: Final = MemoryBudget(memory_plan.STAGED, "")
"""For both, of all requests. Nobody waits for it: what it has no room for waits in storage."""
_KEPT_BY_ENCODER: Final = 64 * 1024
"""Bytes of a document from which on what the encoder keeps beside them does not matter."""
_STAGING: Final = 2
"""Uploads that are being staged at a time."""
_COMMENTS: Final = 20_000
"""Error comments of one response; instances after that many are stored or refused without."""
_TOGETHER: Final = 90
"""Instances that are written, then committed together: two entity group transactions of the index."""
_WRITES: Final = 16
"""Files of one request that are committed at a time."""


class StoreBatch:
    """The instances of one request. `receiver` and `add` for each of them, then `store`; leaving the context gives up
    whatever was not stored.
    """

    def __init__(
        self,
        blobs: BlobStore,
        index: InstanceIndex,
        *,
        rules: IngestSettings,
        partition: Partition,
        options: StoreOptions,
        repeats: RepeatedStores,
        new_upload_id: Callable[[], str],
        resumes: bool = False,
        on_finished: Callable[[str], None],
    ) -> None:
        """`resumes`: blobs of these names may be there, of an earlier attempt with the same file. `on_finished` is told
        the name of each blob with which nothing is left to do.
        """
        self._blobs = blobs
        self._index = index
        self._rules = rules
        self._partition = partition
        self._options = options
        self._repeats = repeats
        self._new_upload_id = new_upload_id
        self._resumes = resumes
        self._on_finished = on_finished
        self._strict = needs_strict_reading(options.version, full_item_validation=rules.full_item_validation)
        self._entries: list[BatchEntry] = []
        self._receivers: set[Part10Upload] = set()
        self._refused: DependencyRefused | None = None
        """Access to the data stores has been withdrawn."""
        self._comments = 0
        self._held_bytes = 0
        self._held_documents = 0
        self._reserved = 0
        self._staging = asyncio.Semaphore(_STAGING)
        self._writing = asyncio.Semaphore(_WRITES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for receiver in self._receivers:
                await receiver.abort()
            for entry in self._entries:
                if entry.pending is not None:
                    await entry.pending.abort()
        finally:  # who ends it may be cancelled once more
            reserved, self._reserved = self._reserved, 0
            _STAGED.release(reserved)

    # ---- receiving

    def receiver(self) -> Part10Upload:
        """The upload that takes in the bytes of the next instance."""
        receiver = Part10Upload(
            self._open_upload,
            strict=self._strict,
            max_bytes=self._rules.max_file_bytes,
            clear_preamble=self._rules.clear_preamble,
        )
        self._receivers.add(receiver)
        return receiver

    async def add(self, receiver: Part10Upload) -> None:
        """The bytes of `receiver` are complete: judge them. Nothing becomes visible."""
        try:
            self._entries.append(await self._judge(receiver))
        finally:
            await receiver.abort()
            self._receivers.discard(receiver)

    def refuse(self, outcome: StoreOutcome) -> None:
        """An instance of the request that has no file: it fails as `outcome` says, at its place in the order."""
        self._entries.append(BatchEntry(outcome))

    @property
    def max_file_bytes(self) -> int:
        """The largest file that is taken."""
        return self._rules.max_file_bytes

    async def _judge(self, receiver: Part10Upload) -> BatchEntry:
        part10 = await receiver.finish()
        if part10 is None:
            return BatchEntry(
                StoreOutcome(
                    *receiver.references,
                    failure=FailureReason.VALIDATION_FAILURE,
                    explanation=explanation(receiver.fault),
                )
            )
        try:
            verdict, document = await self._validate(part10)
        except Exception as error:  # noqa: BLE001 - one instance that trips the reader must not fail the others
            telemetry.failure("instance-not-judged", error)
            return BatchEntry(StoreOutcome(failure=FailureReason.PROCESSING_FAILURE))
        comments = verdict.comments[: max(0, _COMMENTS - self._comments)]
        self._comments += len(comments)
        if isinstance(verdict, Invalid):
            return BatchEntry(
                StoreOutcome(
                    verdict.sop_class_uid,
                    verdict.sop_instance_uid,
                    failure=FailureReason.VALIDATION_FAILURE,
                    comments=comments,
                )
            )
        taken = await receiver.take_upload(verdict.identifier)
        if taken is None:
            return BatchEntry(StoreOutcome(failure=FailureReason.VALIDATION_FAILURE))
        blob, upload = taken
        instance = verdict.new_instance(
            part10,
            metadata=None,
            blob=blob,
            length=receiver.length,
            replace=self._options.replace,
            expires=self._options.expires,
        )
        pending = PendingInstance(instance, upload)
        await self._hold(pending, document)
        return BatchEntry(
            StoreOutcome(
                verdict.sop_class_uid,
                verdict.identifier.sop_instance_uid,
                verdict.identifier,
                None,
                verdict.warning,
                comments,
                verdict.several_values,
                bool(part10.oddities),
            ),
            pending,
        )

    async def _validate(self, part10: Part10) -> tuple[Valid | Invalid, bytes]:
        def judge() -> tuple[Valid | Invalid, bytes]:
            verdict = validate(
                part10,
                version=self._options.version,
                schema=self._index.schema,
                study=self._options.study,
                full_item_validation=self._rules.full_item_validation,
            )
            validated = document_of(verdict, large=large)
            if large:
                parsing.release(part10.attributes)
            return validated

        large = part10.header_bytes > parsing.LARGE
        return await parsing.parse(judge, part10.header_bytes)

    def _open_upload(self, identifier: InstanceIdentifier) -> tuple[str, BlobUpload]:
        blob = blob_names.blob_name(self._partition.namespace, identifier, self._new_upload_id())
        upload: BlobUpload = self._blobs.upload(blob)
        # What replaces is stored anyhow, and the file of an earlier attempt may itself be what is stored.
        refusable = not self._options.replace and not self._resumes
        if refusable and self._repeats.expected(self._partition, identifier):
            upload = self._repeats.deferred(upload, self._partition, identifier)
        return blob, upload

    async def _hold(self, pending: PendingInstance, document: bytes) -> None:
        """Keep what was received, within the budgets."""
        size = min(pending.instance.length, _HELD_PER_FILE)
        if self._held_bytes + size <= HELD_BYTES and self._has_room(size):
            self._held_bytes += size
        else:
            await self._staging.acquire()
            pending.staging = asyncio.create_task(self._stage(pending.upload))
        if self._held_documents + len(document) > _PLAIN_DOCUMENTS:
            document = await parsing.parse(partial(documents.compress, document), len(document))
            pending.compressed = True
        if self._held_documents + len(document) <= _HELD_DOCUMENTS and self._has_room(len(document)):
            self._held_documents += len(document)
            # A copy: what the encoder returns keeps 8 KiB, however few of them are used.
            pending.document = bytes(memoryview(document)) if len(document) < _KEPT_BY_ENCODER else document
            return
        pending.beside = self._blobs.upload(blob_names.metadata_blob(pending.instance.blob))
        if pending.compressed:
            document = await parsing.parse(partial(documents.decompress, document), len(document))
        await pending.beside.write(document)
        await pending.beside.stage()

    def _has_room(self, size: int) -> bool:
        """Whether `size` more bytes may wait in memory, as they do from now on until the request ends."""
        if not _STAGED.reserve_at_once(size):
            return False
        self._reserved += size
        return True

    async def _stage(self, upload: BlobUpload) -> None:
        try:
            await upload.stage()
        finally:
            self._staging.release()

    # ---- storing

    async def store(self) -> list[StoreOutcome]:
        """Store what was received and accepted; what became of each instance, in the order of `add`.

        Raises Unavailable if the data stores answered for none of them, DependencyRefused if they refused (STOW-44).
        """
        wanted, repeated = self._first_of_each()
        committing: asyncio.Task[None] | None = None
        for group in batched(wanted, _TOGETHER, strict=False):
            await together(*map(self._write, group))
            if committing is not None:
                await committing
            committing = asyncio.create_task(self._commit([entry for entry in group if entry.stored]))
        if committing is not None:
            await committing
        for entry, first in repeated:
            # The first one won, or failed for a reason that holds for the second, too (STOW-40).
            entry.fail(first.outcome.failure or FailureReason.ALREADY_STORED, unavailable=first.unavailable)
        if wanted and all(entry.unavailable for entry in wanted):
            raise self._refused or Unavailable("The data stores are unavailable. Please retry the request.")
        outcomes = [entry.outcome for entry in self._entries]
        for outcome in outcomes:
            if outcome.failure is not None:
                metrics.add(metrics.INSTANCES_REFUSED, reason=int(outcome.failure))
        return outcomes

    def _first_of_each(self) -> tuple[list[BatchEntry], list[tuple[BatchEntry, BatchEntry]]]:
        """The accepted entries without repeated instances; and those, each with the entry that comes first."""
        first: dict[InstanceIdentifier, BatchEntry] = {}
        repeated = []
        for entry in self._entries:
            if entry.pending is not None:
                earlier = first.setdefault(entry.pending.instance.identifier, entry)
                if earlier is not entry:
                    repeated.append((entry, earlier))
        return list(first.values()), repeated

    async def _write(self, entry: BatchEntry) -> None:
        """Make the file of an instance durable, and what is too large for rows beside it."""
        pending = entry.pending
        if pending is None:
            return
        async with self._writing:
            try:
                if pending.staging is not None:
                    await pending.staging
                pending.written = await self._commit_upload(pending.upload, self._options.blob_metadata())
                if not pending.written:
                    await self._check_earlier(pending.instance)
                if pending.beside is not None:
                    await self._commit_upload(pending.beside, {})
                else:
                    document = pending.document
                    if pending.compressed:
                        document = await parsing.parse(partial(documents.decompress, document), len(document))
                    pending.instance = replace(pending.instance, metadata=document)
                pending.document = b""
                pending.instance = await documents.move_to_blobs(
                    pending.instance, self._blobs, metadata_inline=self._rules.metadata_inline
                )
            except AlreadyStored:
                entry.fail(FailureReason.ALREADY_STORED)
            except (Unavailable, Ambiguous, DependencyRefused) as error:
                telemetry.failure("instance-not-written", error)
                self._note(error)
                entry.fail(FailureReason.PROCESSING_FAILURE, unavailable=True)
            except Exception as error:  # noqa: BLE001 - a fault of one instance must not fail the others
                telemetry.failure("instance-not-written", error)
                entry.fail(FailureReason.PROCESSING_FAILURE)

    def _note(self, error: Exception) -> None:
        if isinstance(error, DependencyRefused):
            self._refused = error

    async def _commit_upload(self, upload: BlobUpload, metadata: Mapping[str, str]) -> bool:
        """Make an upload durable; False if an earlier attempt has."""
        try:
            await upload.commit(metadata)
        except BlobExists:
            if not self._resumes:
                raise
            return False
        return True

    async def _check_earlier(self, instance: NewInstance) -> None:
        """Raise BlobExists unless the blob of an earlier attempt is whole: the scrubber may be removing it."""
        if (await self._blobs.properties(instance.blob)).length != instance.length:
            raise BlobExists("The blob of an earlier attempt has another length")

    async def _commit(self, entries: Sequence[BatchEntry]) -> None:
        """Commit written instances to the index. Whatever was committed stays, whatever happens after."""
        instances = [entry.pending.instance for entry in entries if entry.pending is not None]
        if not instances:
            return
        try:
            outcomes = await commit_instances(self._index, self._blobs, self._partition, instances)
        except DependencyRefused as error:
            telemetry.failure("instances-not-committed", error, instances=len(entries))
            self._note(error)
            for entry in entries:
                entry.fail(FailureReason.PROCESSING_FAILURE, unavailable=True)
        except Exception as error:  # noqa: BLE001 - a fault of one instance must not fail the others
            telemetry.failure("instances-not-committed", error, instances=len(entries))
            if len(entries) == 1:
                entries[0].fail(FailureReason.PROCESSING_FAILURE)
            else:
                for entry in entries:
                    await self._commit([entry])
        else:
            await together(*map(self._record_outcome, entries, outcomes))

    async def _record_outcome(self, entry: BatchEntry, outcome: CommitOutcome) -> None:
        pending, entry.pending = entry.pending, None
        if outcome is CommitOutcome.STORED and pending is not None:
            metrics.add(metrics.INSTANCES_STORED)
            metrics.add(metrics.INSTANCE_BYTES_STORED, pending.instance.length)
            self._repeats.stored(self._partition, pending.instance.identifier)
            self._on_finished(pending.instance.blob)
        elif outcome is CommitOutcome.BUSY:
            # The blob stays: if the other store of this instance dies, the blob trigger takes this one.
            entry.fail(FailureReason.CREATION_PENDING)
        elif outcome is CommitOutcome.UNAVAILABLE:
            # Likewise: it may have been committed, and if not, the blob trigger finishes it.
            entry.fail(FailureReason.PROCESSING_FAILURE, unavailable=True)
        elif outcome is CommitOutcome.ALREADY_STORED:
            entry.fail(FailureReason.ALREADY_STORED)
            if pending is not None:
                self._repeats.refused(self._partition, pending.instance.identifier)
            if pending is not None and await discard(self._blobs, pending.instance):
                self._on_finished(pending.instance.blob)
        elif outcome is CommitOutcome.DELETED and self._resumes and pending is not None and pending.written:
            # An earlier attempt was stored, then deleted, and its file has been erased: nobody would erase it again.
            await discard(self._blobs, pending.instance)
