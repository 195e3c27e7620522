"""The update of one study, in steps that may be done again (UPD-20 to UPD-34).

1. *Prepare*: the new file of every instance is written. Nothing is visible, and a failure leaves the study as it was.
2. *Commit*: the instances become their new versions, some at a time, each in one transaction of rows. From here on the
   update only goes forward.
3. *Discard* instead of commit, if a file could not be made: the new files are removed.

Which files an operation has made, their names and metadata say; which of them are instances, the rows say. Nothing else
is remembered, so any step can be taken up by another process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from shared import metrics
from shared.dicom.part10.attribute_changes import CannotChange
from shared.dicomweb.partitions import Partition
from shared.errors import Unavailable
from shared.index import obsolete_marks
from shared.index.instance_rows import IndexedInstance
from shared.index.instances import InstanceIndex
from shared.index.lookup import InstanceLookup
from shared.index.model import CommitOutcome, NewInstance, StoredInstance
from shared.index_schema import blob_names
from shared.index_schema.keys import StudyPlace
from shared.ingest.index_commit import commit_instances
from shared.ingest.store_options import UpdatedFile
from shared.storage.ports import BlobNotFound, BlobStore
from shared.study_updates.former_version import EntryOf
from shared.study_updates.new_version import Operation
from shared.study_updates.versions import Versions

_INSTANCES_AT_ONCE = 32
"""Rows with metadata in memory, and instances of one transaction."""
_FILES_AT_ONCE = 4
_MOST_FAILURES = 6
"""Instances that may fail before the rest of the study is no longer tried."""
_LOST_FILE = "Its file is missing."

type Step = Callable[[int, int], Awaitable[None]]
"""Called between steps with how many instances are done, and how many of them this step has changed; it may raise, and
the study is taken up again later.
"""


@dataclass(frozen=True, slots=True)
class Stores:
    """The services that an update works on."""

    blobs: BlobStore
    index: InstanceIndex
    lookup: InstanceLookup
    entry_of: EntryOf
    """As of Ingest."""


class StudyUpdate:
    """The update of one study by one operation. `applies`: whether an instance is to be updated. `into`: the study that
    its instances become instances of; None: they stay what they are.
    """

    def __init__(
        self,
        stores: Stores,
        partition: Partition,
        place: StudyPlace,
        operation: Operation,
        versions: Versions,
        *,
        applies: Callable[[IndexedInstance], Awaitable[bool]],
        into: StudyPlace | None = None,
    ) -> None:
        self._blobs = stores.blobs
        self._index = stores.index
        self._lookup = stores.lookup
        self._partition = partition
        self._place = place
        self._operation = operation
        self._versions = versions
        self._applies = applies
        self._moves = into is not None
        self._into = into or place

    async def prepare(self, step: Step) -> Mapping[str, str]:
        """Write the new files; of instances that have none, by SOP Instance UID, why. Raises Unavailable."""
        written = await self._made()
        failures: dict[str, str] = {}
        done = 0
        async for page in self._pages():
            waiting = [each for each in page if await self._is_wanted(each, written)]
            slots = asyncio.Semaphore(_FILES_AT_ONCE)

            async def write(instance: IndexedInstance, slots: asyncio.Semaphore = slots) -> None:
                async with slots:
                    reason = await self._write(instance)
                    if reason:
                        failures[instance.stored.identifier.sop_instance_uid] = reason

            failed = len(failures)
            await asyncio.gather(*map(write, waiting))
            if len(failures) >= _MOST_FAILURES:
                break
            done += len(page)
            await step(done, len(waiting) + failed - len(failures))
        return failures

    async def commit(self, step: Step) -> int:
        """Let the instances become their new versions; how many have. Those that have been deleted or replaced
        meanwhile are left alone, and so are those that came later. Raises Unavailable.
        """
        made = await self._made()
        updated = done = 0
        async for page in self._pages():
            before, changed = await self._commit(page, made)
            updated += before + changed
            done += len(page)
            await step(done, changed)
        live = await self.live()
        await self._remove_unused(live)
        return len(live & made.keys()) if self._moves else updated

    async def discard(self) -> None:
        """Remove the new files. Raises Unavailable."""
        await self._remove_unused(await self.live())

    async def live(self) -> frozenset[str]:
        """The files of the instances of the study that is updated, or that they have moved into. Raises Unavailable."""
        found: set[str] = set()
        async for page in self._pages(self._into):
            found |= {each.stored.blob for each in page}
        return frozenset(found)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _pages(self, place: StudyPlace | None = None) -> AsyncIterator[list[IndexedInstance]]:
        start: str | None = ""
        while start is not None:
            page, start = await self._lookup.walk(place or self._place, start, top=_INSTANCES_AT_ONCE)
            yield page

    async def _is_wanted(self, instance: IndexedInstance, written: Mapping[str, int]) -> bool:
        if self._operation.has_made(instance.stored.blob) or not await self._applies(instance):
            return False
        blob = self._versions.blob(instance)
        return blob is not None and blob not in written

    async def _made(self) -> dict[str, int]:
        """The files of this operation, and how long they are."""
        return {
            name: length for name, (_, length) in (await made_files(self._blobs, self._operation, self._into)).items()
        }

    async def _write(self, instance: IndexedInstance) -> str:
        """Write one new file; why that is not possible, or nothing."""
        try:
            await self._versions.write(instance)
        except CannotChange as error:
            return str(error)
        except BlobNotFound:
            stored = instance.stored
            now = await self._lookup.instance(self._partition, stored.identifier, metadata=False)
            # Deleted or replaced since its row was read: it is not the operation's any more.
            return _LOST_FILE if now is not None and now.blob == stored.blob else ""
        return ""

    async def _commit(self, page: Sequence[IndexedInstance], made: Mapping[str, int]) -> tuple[int, int]:
        """Commit those instances of a page that have new files; how many were their new versions before, and how many
        have become them.
        """
        before = [each for each in page if self._operation.has_made(each.stored.blob)]
        entries: list[NewInstance] = []
        schema = self._index.schema
        sources: list[IndexedInstance] = []
        for each in page:
            length = made.get(self._versions.blob(each) or "")
            if length is not None and each not in before:
                try:
                    entries.append(await self._versions.entry(each, length, schema))
                    sources.append(each)
                except BlobNotFound:  # deleted or replaced, and erased without retention
                    continue
        outcomes = await commit_instances(self._index, self._blobs, self._partition, entries) if entries else []
        if any(outcome in (CommitOutcome.BUSY, CommitOutcome.UNAVAILABLE) for outcome in outcomes):
            raise Unavailable("Instances could not be committed")
        stored = [entry for entry, outcome in zip(entries, outcomes, strict=True) if outcome is CommitOutcome.STORED]
        metrics.add(metrics.INSTANCES_UPDATED, len(stored))
        marked = [each.stored.blob for each in before] + [entry.blob for entry in stored]
        # rule: what an update has committed is marked before it succeeds
        await asyncio.gather(*(obsolete_marks.mark_committed(self._blobs, blob) for blob in marked))
        if self._moves:
            await self._delete(
                [
                    each.stored
                    for each, outcome in zip(sources, outcomes, strict=True)
                    if outcome in (CommitOutcome.STORED, CommitOutcome.DELETED)
                ]
            )
        return len(before), len(stored)

    async def _delete(self, moved: Sequence[StoredInstance]) -> None:
        """Delete what has become an instance of another study, unless something else has come in its place."""
        files = {(each.identifier.series_instance_uid, each.identifier.sop_instance_uid): each.blob for each in moved}
        await self._index.delete_files(self._place, files)

    async def _remove_unused(self, live: AbstractSet[str]) -> None:
        """Remove files of this operation that are no instance: it failed, or others have ended the version they were
        made of. A file that was an instance is the erasure's.
        """
        made = await self._made()
        if not made:
            return
        for blob in made.keys() - live:
            if await obsolete_marks.marked(self._blobs, blob) is not None or await self._was_instance(blob):
                continue
            for name in (blob_names.metadata_blob(blob), blob_names.frames_blob(blob), blob):
                await self._blobs.delete(name)

    async def _was_instance(self, blob: str) -> bool:
        name = blob_names.parse_blob_name(blob)
        return name is not None and await self._lookup.remembers(self._into, name.identifier, blob)


async def made_files(blobs: BlobStore, operation: Operation, place: StudyPlace) -> dict[str, tuple[UpdatedFile, int]]:
    """The files that an operation has made in a study: of what, and how long they are. Raises Unavailable."""
    made = {}
    async for blob in blobs.list(blob_names.blob_prefix(place.namespace, place.study_instance_uid)):
        file = UpdatedFile.of_blob(blob.metadata)
        if file is not None and file.operation == operation.id:
            made[blob.name] = (file, blob.length)
    return made
