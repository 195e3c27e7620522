"""An instance comes into being: file → checks → blob → index (P-2).

There are two ways in, and one routine. A transaction stores a batch and answers; the blob trigger calls `ensure` for
every blob that appears, finds nothing to do, or finishes what a crash left, or takes in a file that somebody dropped
(P-2).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from shared import telemetry
from shared.bounded import RecentValues
from shared.concurrency import together
from shared.dicom.identifiers import InstanceIdentifier
from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader
from shared.dicomweb.partitions import Partition, PartitionDirectory
from shared.errors import Unavailable
from shared.index import documents, obsolete_marks
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.model import CommitOutcome, NewInstance, original_of
from shared.index_schema import blob_names, keys
from shared.index_schema.hidden_namespaces import is_hidden
from shared.index_schema.service_documents import is_service_document
from shared.ingest import parsing
from shared.ingest.batch_entries import discard
from shared.ingest.index_commit import commit_instances
from shared.ingest.ingest_settings import IngestSettings
from shared.ingest.instance_validation import KEPT_TEXT, Invalid, Valid, document_of, needs_strict_reading, validate
from shared.ingest.part10_upload import HELD_BYTES_UNREADABLE
from shared.ingest.repeated_stores import RepeatedStores
from shared.ingest.store_batch import StoreBatch
from shared.ingest.store_options import StoreOptions, UpdatedFile
from shared.memory_budget import Lease
from shared.storage.ports import BlobNotFound, BlobProperties, BlobStore

_YOUNG_SECONDS: Final = 10
"""A blob of this age is most likely being committed by the transaction that wrote it."""
_GRACE_SECONDS: Final = 3.0
_FILES_AT_ONCE: Final = 8
"""Of one study, that are read at a time: each holds its header."""
_ABANDONED_SECONDS: Final = 48 * 3600
"""A file of an update that is no instance belongs to nobody any more when it is that old and the update has ended."""
_REMEMBERED: Final = 20_000
"""Blobs: those of some minutes at the highest rate, and their events come within seconds."""


class Ensured(Enum):
    """The result of `Ingest.ensure`."""

    INDEXED = auto()
    """It is in the index, and was not before."""
    KNOWN = auto()
    """It was in the index, or is no file of an instance."""
    GONE = auto()
    """It has been refused or erased meanwhile."""
    OBSOLETE = auto()
    """It has been deleted or replaced (DAT-52)."""
    ALREADY_STORED = auto()
    """Another file is the instance."""
    NOT_READABLE = auto()
    INVALID = auto()
    UNKNOWN_PARTITION = auto()


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An instance that is to be committed."""

    partition: Partition
    instance: NewInstance


class Ingest:
    """Takes instances in."""

    def __init__(
        self,
        blobs: BlobStore,
        index: InstanceIndex,
        lookup: InstanceLookup,
        partitions: PartitionDirectory,
        *,
        rules: IngestSettings,
        now: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        is_active: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """`is_active`: whether an operation, by its id, has not ended; None: no file that one has made is removed."""
        self.now = now
        """Seconds since 1970."""
        self._blobs = blobs
        self._index = index
        self._lookup = lookup
        self._partitions = partitions
        self._rules = rules
        self._pause = pause
        self._is_active = is_active
        self._repeats = RepeatedStores(lookup)
        self._last_ms = 0
        self._finished: RecentValues[bool] = RecentValues(_REMEMBERED)
        """Names of blobs that this process has written and brought to their end."""

    # ---- transactions

    def begin(self, partition: Partition, options: StoreOptions, *, upload_id: str = "") -> StoreBatch:
        """The instances of one request, none so far.

        With `upload_id` it takes one file, which may have been stored under that id before, wholly or in part: the
        same upload begun again. What was done of it stays done, and an instance deleted since stays deleted.
        """
        return StoreBatch(
            self._blobs,
            self._index,
            rules=self._rules,
            partition=partition,
            options=options,
            repeats=self._repeats,
            new_upload_id=(lambda: upload_id) if upload_id else self._new_upload_id,
            resumes=bool(upload_id),
            on_finished=lambda blob: self._finished.put(blob, True),
        )

    def _new_upload_id(self) -> str:
        """Of two uploads of this process the later one has the greater id, even within a millisecond (PUT-2)."""
        self._last_ms = max(self._last_ms + 1, int(self.now() * 1000))
        return blob_names.new_upload_id(self._last_ms)

    # ---- the blob trigger

    async def ensure(self, blob: str, *, again: bool = False) -> Ensured:
        """The instance in `blob` is in the index when this returns, unless it must not be.

        Idempotent: events come late, twice and in any order. A blob that this process wrote and committed, or removed
        again, costs nothing. One that the service wrote is committed under the options
        of its request, or removed if another one has won. A file that somebody else dropped is indexed where it lies;
        one that is not DICOM, fails validation or is already stored is reported and left alone. `again`: it was in the
        index before, whoever made it.

        Raises Unavailable when it should be tried again.
        """
        prepared = await self._prepare(blob, again=again)
        if isinstance(prepared, Ensured):
            return prepared
        instance = prepared.instance
        [outcome] = await commit_instances(self._index, self._blobs, prepared.partition, [instance], late=True)
        ensured = _ensured(outcome)
        if ensured is Ensured.ALREADY_STORED:
            name = blob_names.parse_blob_name(blob)
            if name is not None and name.identifier == instance.identifier:
                await discard(self._blobs, instance)
            else:
                _report(blob, "already-stored")
        return ensured

    async def ensure_study(self, blobs: Sequence[str]) -> list[Ensured]:
        """The same of several files of one study, in the order of their uploads, which becomes that of their versions.

        A file that an update has made becomes the instance: that it was committed, the caller knows. One that is not to
        be the instance is left where it is. Raises Unavailable when all should be tried again.
        """
        slots = asyncio.Semaphore(_FILES_AT_ONCE)

        async def prepare(blob: str) -> _Prepared | Ensured:
            async with slots:
                return await self._prepare(blob, again=True)

        found = await together(*map(prepare, blobs))
        prepared = [each for each in found if isinstance(each, _Prepared)]
        outcomes: list[CommitOutcome] = []
        if prepared:
            instances = [each.instance for each in prepared]
            outcomes = await commit_instances(self._index, self._blobs, prepared[0].partition, instances, late=True)
        following = map(_ensured, outcomes)
        return [each if isinstance(each, Ensured) else next(following) for each in found]

    async def _prepare(self, blob: str, *, again: bool = False) -> _Prepared | Ensured:
        """The instance of a file that is not in the index; or why there is nothing to commit. `again`: it was in the
        index before, and so were the files of updates.
        """
        if blob_names.file_beside(blob) or is_service_document(blob) or self._finished.get(blob):
            return Ensured.KNOWN
        name = blob_names.parse_blob_name(blob)
        if name is not None and is_hidden(name.namespace):  # a copy: who makes it brings it to its end (SHR-7)
            return Ensured.KNOWN
        partition = await self._partitions.by_namespace(name.namespace if name else keys.DEFAULT_NAMESPACE)
        if partition is None:
            _report(blob, "unknown-partition")
            return Ensured.UNKNOWN_PARTITION
        if name is not None and await self._is_indexed(partition, name.identifier, blob):
            return Ensured.KNOWN
        # Deleted or replaced: it must not come back when the tables are lost.
        if await obsolete_marks.marked(self._blobs, blob) is not None:
            return Ensured.OBSOLETE
        try:
            properties = await self._blobs.properties(blob)
            if made := UpdatedFile.of_blob(properties.metadata):
                if again:
                    return await self._update_again(partition, properties, name, made)
                return await self._of_operation(partition, properties, name, made)
            if name is not None and self.now() - properties.created.timestamp() < _YOUNG_SECONDS:
                await self._pause(_GRACE_SECONDS)
                if await self._is_indexed(partition, name.identifier, blob):
                    return Ensured.KNOWN
            return await self._take_in(partition, properties, name)
        except BlobNotFound:
            return Ensured.GONE

    async def _of_operation(
        self, partition: Partition, properties: BlobProperties, name: blob_names.BlobName | None, made: UpdatedFile
    ) -> Ensured:
        """A file that an update has made, and that is no instance: the update decides about it, as long as it can."""
        blob = properties.name
        if name is None or self._is_active is None:
            return Ensured.KNOWN
        young = self.now() - properties.created.timestamp() < _ABANDONED_SECONDS
        if young or await self._is_active(made.operation):
            return Ensured.KNOWN
        if await self._lookup.remembers(self._index.place(partition, name.identifier), name.identifier, blob):
            return Ensured.OBSOLETE
        for beside in (blob_names.metadata_blob(blob), blob_names.frames_blob(blob), blob):
            await self._blobs.delete(beside)
        return Ensured.GONE

    async def _update_again(
        self, partition: Partition, properties: BlobProperties, name: blob_names.BlobName | None, made: UpdatedFile
    ) -> _Prepared | Ensured:
        """A file that an update has made and committed, as the version that follows the original one."""
        prepared = await self._take_in(partition, properties, name)
        if isinstance(prepared, Ensured) or not made.original:
            return prepared
        identifier = prepared.instance.identifier
        stored = await self._lookup.instance(partition, identifier, metadata=True)
        if stored is None:
            await self.ensure(made.original, again=True)
            stored = await self._lookup.instance(partition, identifier, metadata=True)
        if stored is None:  # somebody has removed it: what was made of it is all that there is
            return prepared
        if stored.metadata is not None:
            await documents.put_beside(self._blobs, blob_names.metadata_blob(stored.blob), stored.metadata)
        original = stored.original or original_of(stored)
        return _Prepared(partition, replace(prepared.instance, updates=stored.blob, original=original))

    async def entry_of(self, partition: Partition, blob: str) -> NewInstance | None:
        """The entry for the index of a file, by what is in it; None if it cannot be an instance, which is reported.

        Raises BlobNotFound, Unavailable.
        """
        properties = await self._blobs.properties(blob)
        prepared = await self._take_in(partition, properties, blob_names.parse_blob_name(blob), again=True)
        return prepared.instance if isinstance(prepared, _Prepared) else None

    async def _take_in(
        self, partition: Partition, properties: BlobProperties, name: blob_names.BlobName | None, *, again: bool = False
    ) -> _Prepared | Ensured:
        """`again`: whether it is in the index does not matter."""
        blob = properties.name
        options = StoreOptions.of_blob(properties.metadata)
        arriving, odd = Lease(parsing.ARRIVING), Lease(parsing.ODD)
        try:
            part10 = await self._read(None if again else partition, properties, options, arriving, odd)
            judged = None if isinstance(part10, Ensured) else await self._judge(part10, options)
        finally:
            arriving.shrink()
            odd.shrink()
        if isinstance(part10, Ensured):
            return part10
        if judged is None:
            return Ensured.NOT_READABLE
        verdict, document = judged
        if isinstance(verdict, Invalid):
            _report(blob, "validation")
            return Ensured.INVALID
        created = int(properties.created.timestamp() * 1000)
        instance = verdict.new_instance(
            part10,
            metadata=document,
            blob=blob,
            length=properties.length,
            replace=options.replace,
            expires=options.expires,
            upload_id="" if name else blob_names.dropped_upload_id(blob, created),
        )
        instance = await documents.move_to_blobs(instance, self._blobs, metadata_inline=self._rules.metadata_inline)
        uploaded = int(blob_names.upload_time(name.upload_id) * 1000) if name else created
        return _Prepared(partition, replace(instance, uploaded_ms=uploaded))

    async def _judge(self, part10: Part10, options: StoreOptions) -> tuple[Valid | Invalid, bytes]:
        full, schema = self._rules.full_item_validation, self._index.schema

        def judge() -> tuple[Valid | Invalid, bytes]:
            verdict = validate(part10, version=options.version, schema=schema, full_item_validation=full)
            examined = document_of(verdict)
            parsing.release(part10.attributes)
            return examined

        return await parsing.parse(judge, part10.header_bytes)

    async def _read(
        self,
        partition: Partition | None,
        properties: BlobProperties,
        options: StoreOptions,
        arriving: Lease,
        odd: Lease,
    ) -> Part10 | Ensured:
        """The instance in a blob; NOT_READABLE if it is not DICOM, which is reported, KNOWN if it is in the index of
        the partition.
        """
        strict = needs_strict_reading(options.version, full_item_validation=self._rules.full_item_validation)
        reader = Part10Reader(strict=strict, keep_text=KEPT_TEXT)
        source = await self._blobs.open(properties.name)
        known = partition is None
        try:
            async for chunk in source.chunks():
                await parsing.feed(reader, chunk, arriving)
                if not known and reader.identifier is not None:
                    known = True
                    if partition is not None and await self._is_indexed(partition, reader.identifier, properties.name):
                        return Ensured.KNOWN
            return await parsing.finish(reader)
        except InvalidPart10 as error:
            await parsing.discard(reader)
            arriving.shrink()
            if not error.final and properties.length <= HELD_BYTES_UNREADABLE:
                with contextlib.suppress(InvalidPart10):
                    return await parsing.read_tolerantly([await self._blobs.read(properties.name)], odd, strict=strict)
            _report(properties.name, "not-readable")
            return Ensured.NOT_READABLE

    async def _is_indexed(self, partition: Partition, identifier: InstanceIdentifier, blob: str) -> bool:
        stored = await self._lookup.instance(partition, identifier, metadata=False)
        original = stored and stored.original
        return stored is not None and blob in (stored.blob, original.blob if original else "")


def _ensured(outcome: CommitOutcome) -> Ensured:
    """The meaning of a commit for its file. Raises Unavailable if it should be tried again."""
    match outcome:
        case CommitOutcome.STORED:
            return Ensured.INDEXED
        case CommitOutcome.ALREADY_STORED:
            return Ensured.ALREADY_STORED
        case CommitOutcome.DELETED | CommitOutcome.SUPERSEDED:
            return Ensured.OBSOLETE
        case CommitOutcome.BUSY:
            raise Unavailable("The instance is being stored by somebody else.")
        case _:
            raise Unavailable("The data stores did not answer.")


def _report(blob: str, reason: str) -> None:
    telemetry.event("blob-not-indexed", level=logging.WARNING, blob=telemetry.pseudonym(blob), reason=reason)
