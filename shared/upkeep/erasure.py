"""Erasing the files of deleted and replaced instances after their retention (storage §4, §5; S-3, DEL-11).

Until then the file lies where it was and the instance row remembers it, so an administrator can store it again.
"""

from collections.abc import AsyncIterator
from hashlib import sha1

import orjson

from shared import metrics
from shared.errors import DicomServiceError
from shared.index import obsolete_marks
from shared.index.instance_rows import BLOB_COLUMNS, original_blob_in
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import ObsoleteBlob, cleanup_in
from shared.index_schema.clock import HybridClock, milliseconds
from shared.index_schema.keys import RowKind, StudyPlace
from shared.registry.due_work import HOUR_MS, DueWork
from shared.storage.optimistic import best_effort_commit
from shared.storage.ports import BlobStore, Entity, RowWrite, TableStore

TOMBSTONE_MS = 48 * HOUR_MS
"""Tombstones outlive every event about their file: twice the time for which Event Grid tries to deliver one."""

_BUCKETS = 16


class Erasure:
    """The files and tombstones to erase. `retention_hours`: how long an obsolete file can be restored, 0 or more."""

    def __init__(
        self,
        tables: TableStore,
        clock: HybridClock,
        *,
        shards: int,
        retention_hours: float,
        marks: BlobStore | None = None,
    ) -> None:
        """`marks`: where obsolete files are marked, their container; None: nowhere."""
        self._tables = tables
        self._marks = marks
        self._clock = clock
        self._shards = shards
        self._retention_ms = int(retention_hours * HOUR_MS)
        self._due = DueWork(tables, "", buckets=_BUCKETS)

    async def put(self, place: StudyPlace, obsolete: ObsoleteBlob) -> None:
        """Note a file that no live instance names any more. Idempotent. Raises Unavailable."""
        if self._marks is not None:
            # Before it is in the trash: without the tables the mark alone tells that it is obsolete.
            await obsolete_marks.mark(self._marks, obsolete)
        work = orjson.dumps((place.namespace, place.study_instance_uid, *obsolete.fields()))
        digest = sha1(work, usedforsecurity=False)
        # rule: files are kept for their retention
        due_ms = milliseconds(obsolete.version) + self._retention_ms
        await self._due.put(
            due_ms, self._clock.now_ms(), digest.digest()[0], digest.hexdigest(), {"work": work.decode()}
        )

    async def erase_due(self, blobs: BlobStore, *, limit: int = 500) -> int:
        """Erase what is due, about `limit` files or tombstones; how many entries are done."""
        now_ms = self._clock.now_ms()
        oldest_ms = now_ms

        async def erase(row: Entity) -> bool:
            nonlocal oldest_ms
            oldest_ms = min(oldest_ms, int(row.properties["due"]))
            try:
                return await self._erase(row, blobs)
            except DicomServiceError:
                metrics.add(metrics.DELETIONS_FAILED)
                raise

        try:
            return await self._due.work(now_ms, erase, limit=limit)
        finally:
            metrics.set_to(metrics.OLDEST_PENDING_DELETION, (now_ms - oldest_ms) / 1000)

    async def waiting(self, namespace: str) -> AsyncIterator[list[ObsoleteBlob]]:
        """The files of a data partition that wait for the end of their retention and that no live instance names, by
        the hour in which it ends. Raises Unavailable.
        """
        now_ms = self._clock.now_ms()
        async for rows in self._due.waiting(now_ms, now_ms + self._retention_ms):
            found = []
            for row in rows:
                of, study, *fields = orjson.loads(str(row.properties["work"]))
                obsolete = ObsoleteBlob(*fields)
                if of != namespace or row.properties.get("erased"):
                    continue
                if not await self._is_in_use(keys.study_place(of, study, self._shards), obsolete):
                    found.append(obsolete)
            yield found

    # ----------------------------------------------------------------------------------------------------- inside

    async def _is_in_use(self, place: StudyPlace, obsolete: ObsoleteBlob) -> bool:
        bounds = keys.instance_range(obsolete.series, obsolete.instance)
        found = await self._tables.range("dicom", place.partition_key, *bounds, select=BLOB_COLUMNS)
        return any(
            row.properties["live"] and obsolete.blob in (row.properties["blob"], original_blob_in(row)) for row in found
        )

    async def _erase(self, row: Entity, blobs: BlobStore) -> bool:
        """Erase a file and, when its time has come too, the tombstone. True when nothing is left to do."""
        namespace, study, *fields = orjson.loads(str(row.properties["work"]))
        place, obsolete = keys.study_place(namespace, study, self._shards), ObsoleteBlob(*fields)
        bounds = keys.instance_range(obsolete.series, obsolete.instance)
        found = await self._tables.range("dicom", place.partition_key, *bounds, select=BLOB_COLUMNS)
        instance = found[0] if found else None
        # rule: a file in use is not erased
        if instance and instance.properties["live"]:
            named = (instance.properties["blob"], original_blob_in(instance))
            if obsolete.blob in named:
                return True  # in use: a file is erased only when no instance names it
        if not row.properties.get("erased"):
            beside = (blob_names.metadata_blob(obsolete.blob), blob_names.frames_blob(obsolete.blob))
            # The mark goes last: a file without one would come back with a rebuild.
            marks = (blob_names.committed_mark(obsolete.blob), blob_names.obsolete_mark(obsolete.blob))
            for name in (*beside, obsolete.blob, *marks):
                await blobs.delete(name)
        if not (obsolete.deleted and instance) or instance.properties["v"] != obsolete.version:
            return True
        return await self._purge(place, row, obsolete, instance)

    async def _purge(self, place: StudyPlace, row: Entity, obsolete: ObsoleteBlob, tombstone: Entity) -> bool:
        """Remove a tombstone, or put that off."""
        now_ms = self._clock.now_ms()
        purge_ms = milliseconds(obsolete.version) + TOMBSTONE_MS
        # rule: a tombstone stays while something of its instance is unfinished
        # rule: tombstones are kept for two days
        if now_ms < purge_ms or await self._is_needed(place, obsolete):
            bucket = int(row.partition_key[-2:], 16)
            later = max(purge_ms, now_ms + HOUR_MS)
            await self._due.put(later, now_ms, bucket, row.row_key, {**row.properties, "erased": True})
            return True
        # rule: a tombstone is purged only as it was read
        gone = RowWrite("delete", place.partition_key, tombstone.row_key, etag=tombstone.etag)
        # If not done, the instance was stored again meanwhile, or is found again at the next look.
        return await best_effort_commit(self._tables, "dicom", [gone])

    async def _is_needed(self, place: StudyPlace, obsolete: ObsoleteBlob) -> bool:
        """Whether a change or a clean-up of the instance is unfinished: both rely on its row."""
        digest = keys.instance_digest(obsolete.series, obsolete.instance)
        for row in await self._tables.range("dicom", place.partition_key, *keys.UNFINISHED):
            if keys.kind_of(row.row_key) is RowKind.CLEANUP:
                if (obsolete.series, obsolete.instance) in cleanup_in(row).instances:
                    return True
            elif row.row_key.endswith(digest):
                return True
        return False
