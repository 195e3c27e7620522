"""Removing what is no longer implied: stale postings, obsolete files, emptied studies (storage §5: unpost, reap)."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from shared.index.changes import Cleanup, cleanup_in
from shared.index.instance_rows import BLOB_COLUMNS
from shared.index.postings import instance_postings, series_postings, study_postings
from shared.index.study_rows import read_study
from shared.index.trash import Trash
from shared.storage import keys
from shared.storage.keys import StudyPlace
from shared.storage.ports import Ambiguous, Entity, Kind, Operation, PreconditionFailed, TableStore

_ROUNDS = 2
"""A study, then what its removal leaves."""
_READS_IN_FLIGHT = 16
_SINGLE_READS = 8
_MOST = 100
_SERIES_AT_ONCE = 90


class Remover:
    """Finishes the clean-up of studies."""

    def __init__(self, tables: TableStore, trash: Trash) -> None:
        self._tables = tables
        self._trash = trash

    async def tidy(self, place: StudyPlace) -> None:
        """Do the clean-up of a study, unless changes of it are still to be logged. Raises Unavailable."""
        for _ in range(_ROUNDS):
            rows = await self._tables.range("dicom", place.partition_key, *keys.UNFINISHED)
            if any(row.row_key[0] != "G" for row in rows):
                return
            done = [await self._clean(place, cleanup_in(row)) for row in rows]
            if not all(done) or not await self.reap(place):
                return

    async def reap(self, place: StudyPlace) -> bool:
        """Remove the rows of a study that has no instances and no pending work. False if there is nothing to remove.

        The anchor's etag proves that nothing was stored since the rows were read.
        """
        partition_key = place.partition_key
        rows = await read_study(self._tables, place)
        if not (rows.anchor and rows.summary) or rows.pending or rows.tally().study.count:
            return False
        if await self._tables.range("dicom", partition_key, *keys.CLEANUP, select=("sk",)):
            return False
        tally, study, sort_key = rows.tally(), place.study_instance_uid, rows.sort_key
        gone = list(rows.series.values())[:_SERIES_AT_ONCE]
        if len(gone) == len(rows.series):
            gone += [rows.anchor, rows.summary]
        postings = study_postings(sort_key, study, tally.study.plain())
        for uid, summary in tally.series.items():
            postings |= series_postings(sort_key, study, uid, summary.plain())
        cleanup = Cleanup(keys.cleanup_row(int(rows.summary.properties["ver"]) + 1, sort_key), sort_key, list(postings))
        operations = [Operation("delete", partition_key, row.row_key, etag=row.etag) for row in gone]
        operations.append(Operation("insert", partition_key, cleanup.row_key, cleanup.properties()))
        with suppress(PreconditionFailed, Ambiguous):  # something came in between, or is left: look again
            await self._tables.commit("dicom", operations)
        return True

    # ----------------------------------------------------------------------------------------------------- inside

    async def _clean(self, place: StudyPlace, cleanup: Cleanup) -> bool:
        if not await self._unpost(place, cleanup) or not await self._unpost_instances(place, cleanup):
            return False
        await asyncio.gather(*(self._trash.put(place, blob) for blob in cleanup.blobs))
        with suppress(PreconditionFailed, Ambiguous):
            await self._tables.commit("dicom", [Operation("delete", place.partition_key, cleanup.row_key)])
        return True

    async def _unpost(self, place: StudyPlace, cleanup: Cleanup) -> bool:
        """Remove study- and series-level postings, unless something implies them.

        The order matters (storage invariant 3): postings are read before the state that decides, and removed only if
        they are still as they were read. While changes are pending nothing is removed: a fold under way has read them,
        and what it posts may be implied by them alone.
        """
        postings = await self._read(place, "idx", cleanup.postings)
        if not postings:
            return True
        rows = await read_study(self._tables, place)
        if rows.sort_key == cleanup.sort_key:
            if rows.pending:
                return False
            tally, study = rows.tally(), place.study_instance_uid
            implied = study_postings(rows.sort_key, study, tally.study.plain())
            for uid, summary in tally.series.items():
                implied |= series_postings(rows.sort_key, study, uid, summary.plain())
            postings = [posting for posting in postings if posting.row_key not in implied]
        return await self._remove("idx", postings)

    async def _unpost_instances(self, place: StudyPlace, cleanup: Cleanup) -> bool:
        """The same for the postings of deleted instances: a live row implies them."""
        study = place.study_instance_uid
        of_instance = {
            row_key: instance
            for instance in cleanup.instances
            for row_key in instance_postings(cleanup.sort_key, study, *instance)
        }
        postings = await self._read(place, "idxi", list(of_instance))
        if not postings:
            return True
        anchor = await self._tables.get("dicom", place.partition_key, keys.ANCHOR)
        if anchor and anchor.properties["sk"] == cleanup.sort_key:
            live = await self._live(place, [of_instance[posting.row_key] for posting in postings])
            postings = [posting for posting in postings if of_instance[posting.row_key] not in live]
        return await self._remove("idxi", postings)

    async def _read(self, place: StudyPlace, kind: Kind, row_keys: Sequence[str]) -> list[Entity]:
        slots = asyncio.Semaphore(_READS_IN_FLIGHT)

        async def read(row_key: str) -> Entity | None:
            async with slots:
                return await self._tables.get(kind, place.postings, row_key)

        return [entity for entity in await asyncio.gather(*map(read, row_keys)) if entity]

    async def _live(self, place: StudyPlace, instances: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of the instances that exist."""
        if len(instances) <= _SINGLE_READS:
            bounds = [keys.instance_range(*instance) for instance in instances]
        else:
            bounds = [keys.INSTANCES]
        found = await asyncio.gather(
            *(self._tables.range("dicom", place.partition_key, *bound, select=BLOB_COLUMNS) for bound in bounds)
        )
        return {keys.instance_of(row.row_key) for rows in found for row in rows if row.properties["live"]}

    async def _remove(self, kind: Kind, postings: Sequence[Entity]) -> bool:
        """Remove postings as they were read; False if some have been written since: they are looked at again."""
        done = True
        for at in range(0, len(postings), _MOST):
            batch = postings[at : at + _MOST]
            operations = [
                Operation("delete", posting.partition_key, posting.row_key, etag=posting.etag) for posting in batch
            ]
            try:
                await self._tables.commit(kind, operations)
            except (PreconditionFailed, Ambiguous):
                done = False
        return done
