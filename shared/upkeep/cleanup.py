"""Removing what is no longer implied: stale postings, obsolete files, emptied studies (storage §5: unpost, reap)."""

import asyncio
from collections.abc import Sequence

from shared.index.covering_rows import CoveringRows
from shared.index.implied_postings import ImpliedPostings
from shared.index.indexing_errors import IndexingErrors
from shared.index.label_rows import label_row_in
from shared.index.study_rows import StudyRows, read_study
from shared.index_schema import keys
from shared.index_schema.changes import Cleanup, cleanup_in
from shared.index_schema.clock import milliseconds
from shared.index_schema.keys import RowKind, StudyPlace
from shared.index_schema.labels import label_postings
from shared.index_schema.schema import Schemas
from shared.storage.optimistic import best_effort_commit
from shared.storage.ports import Entity, Kind, RowWrite, TableStore
from shared.study_documents.documents import StudyDocuments
from shared.upkeep.erasure import Erasure
from shared.upkeep.stale_postings import StalePostings

_ROUNDS = 2
"""A study, then what its removal leaves."""
_SERIES_AT_ONCE = 90
_YOUNG_MS = 120_000


class StudyCleanup:
    """Finishes the clean-up of studies."""

    def __init__(
        self,
        tables: TableStore,
        trash: Erasure,
        schemas: Schemas,
        lists: CoveringRows,
        documents: StudyDocuments | None = None,
    ) -> None:
        """`documents`: what studies have beside their files; None: nothing."""
        self._documents = documents
        self._tables = tables
        self._trash = trash
        self._schemas = schemas
        self._lists = lists
        self._unposter = StalePostings(tables, schemas)
        self._errors = IndexingErrors(tables)

    async def tidy(self, place: StudyPlace) -> None:
        """Do the clean-up of a study, unless changes of it are still to be logged. Raises Unavailable."""
        for _ in range(_ROUNDS):
            rows = await self._tables.range("dicom", place.partition_key, *keys.UNFINISHED)
            if any(keys.kind_of(row.row_key) is not RowKind.CLEANUP for row in rows):
                return
            done = [await self._clean(place, cleanup_in(row)) for row in rows]
            # rule: an emptied study is removed
            if not all(done) or not await self.reap(place):
                return

    async def settle(self, place: StudyPlace, *, emptied: bool) -> bool:
        """Let the study lists say what a study is that has nothing pending. False if it is not at rest: its hint stays.

        Raises Unavailable.
        """
        if not await self._lists.kept():
            return not (emptied and await self.reap(place))
        rows = await read_study(self._tables, place)
        if await self._reap(place, rows):
            return False
        # A study whose changes all lie within two minutes has hardly been in the lists before: it has no head to read.
        if _is_young(rows) and await self._lists.write(place, rows, None):
            return True
        # rule: the head of a study is read before the study
        head = await self._lists.head(place)
        rows = await read_study(self._tables, place)
        return await self._lists.write(place, rows, head)

    async def reap(self, place: StudyPlace) -> bool:
        """Remove the rows of a study that has no instances and no pending work. False if there is nothing to remove.

        The anchor's etag proves that nothing was stored since the rows were read.
        """
        return await self._reap(place, await read_study(self._tables, place))

    async def _reap(self, place: StudyPlace, rows: StudyRows) -> bool:
        partition_key = place.partition_key
        # rule: a study is not removed while changes are pending
        if not (rows.anchor and rows.summary) or rows.pending or rows.tally().study.count:
            return False
        if await self._tables.range("dicom", partition_key, *keys.CLEANUP, select=("sk",)):
            return False
        sort_key = rows.sort_key
        gone = list(rows.series.values())[:_SERIES_AT_ONCE]
        if len(gone) == len(rows.series):
            gone += [rows.anchor, rows.summary]
        schema = await self._schemas.current()
        postings = ImpliedPostings(schema, place.study_instance_uid, sort_key).allowed(rows.tally())
        labels, emptied = label_row_in(rows.anchor), 0
        if labels:
            postings |= label_postings(sort_key, place.study_instance_uid, labels.labels)
            emptied = max(int(rows.anchor.properties["lv"]), labels.version)
        row_key = keys.cleanup_row(int(rows.summary.properties["ver"]) + 1, sort_key)
        cleanup = Cleanup(row_key, sort_key, list(postings), emptied=emptied)
        # rule: only an untouched study is removed
        operations = [RowWrite("delete", partition_key, row.row_key, etag=row.etag) for row in gone]
        operations.append(RowWrite("insert", partition_key, cleanup.row_key, cleanup.properties()))
        await best_effort_commit(self._tables, "dicom", operations)
        return True  # something came in between, or is left: look again

    # ----------------------------------------------------------------------------------------------------- inside

    async def _clean(self, place: StudyPlace, cleanup: Cleanup) -> bool:
        """Do the work of one G row; False if it has to wait."""
        study, sort_key = place.study_instance_uid, cleanup.sort_key
        schema = self._schemas.known
        of_instances = [
            key for instance in cleanup.instances for key in schema.instance_postings(sort_key, study, instance, {})
        ]
        of_instances = list(dict.fromkeys((*of_instances, *cleanup.listed)))
        changed = await self._unposter.read_changed(place, sort_key, cleanup.postings)
        if not await self._unpost(place, "idx", changed):
            return False
        if not await self._unpost(place, "idxi", await self._unposter.read(place, "idxi", of_instances)):
            return False
        await asyncio.gather(*(self._trash.put(place, blob) for blob in cleanup.blobs))
        await self._errors.remove(cleanup.errors)
        if cleanup.emptied and self._documents:
            await self._documents.remove(place, version=cleanup.emptied)
        gone = RowWrite("delete", place.partition_key, cleanup.row_key)
        await best_effort_commit(self._tables, "dicom", [gone])
        return True

    async def _unpost(self, place: StudyPlace, kind: Kind, postings: Sequence[Entity]) -> bool:
        stale = await self._unposter.stale(place, kind, postings)
        return stale is not None and await self._unposter.remove(kind, stale)


def _is_young(rows: StudyRows) -> bool:
    if rows.anchor is None:
        return False
    created, last = (int(rows.anchor.properties[name]) for name in ("created", "lv"))
    return milliseconds(last) - created < _YOUNG_MS
