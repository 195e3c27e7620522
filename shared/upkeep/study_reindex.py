"""Bringing one study to a later schema, while it is read, stored to and deleted from (storage §8).

Nothing is taken for done before it is: rows get the number of the schema last, after all that the number promises.

1. Pending changes of lower schemas are folded.
2. Instances get what the schema has beside theirs, out of their metadata. Values of which there are lists are written
   first, then posted, then the number follows: what removes stale postings goes by the values of the row.
3. Summary and series take the new values from their instances, in the same two steps.

A row is written only as it was read; whoever was faster is read again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from shared import metrics, telemetry
from shared.hints import Hints
from shared.index.documents import data_set_in, metadata_in
from shared.index.fold import Folder, post
from shared.index.implied_postings import ImpliedPostings
from shared.index.indexing_errors import IndexingError, IndexingErrors, errors_of
from shared.index.instance_rows import (
    LIVE_INSTANCE_COLUMNS,
    Failures,
    attribute_properties,
    failure_property,
    failures_in,
    live_instance_in,
    taken_in,
)
from shared.index.study_rows import StudyRows, read_study
from shared.index.summary import PSEUDO, LiveInstance, Summary, Tally
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import Cleanup, schema_in
from shared.index_schema.clock import HybridClock
from shared.index_schema.indexed_attributes import IndexedValues
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import Postings
from shared.index_schema.schema import IndexSchema, Schemas
from shared.pacing import Pace
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import BlobNotFound, BlobStore, Entity, RowWrite, TableStore

_INSTANCES_AT_ONCE = 32
"""Rows with metadata in memory; a page of them is at most 4 MiB."""
_SERIES_AT_ONCE = 90
"""They fit a transaction, with the summary and a clean-up."""


@dataclass(slots=True)
class Reindexed:
    """The work done."""

    studies: int = 0
    instances: int = 0
    unreadable: int = 0
    """Instances whose metadata are gone: they have no values of the new attributes."""


class StudyReindex:
    """Brings studies to later schemas. One per process."""

    def __init__(
        self, tables: TableStore, blobs: BlobStore, clock: HybridClock, schemas: Schemas, hints: Hints
    ) -> None:
        """`hints`: those of this process, which are dropped as soon as nothing is left to do. Others would be looked at
        for two minutes, by each search and each reading of the feed.
        """
        self._tables = tables
        self._blobs = blobs
        self._schemas = schemas
        self._clock = clock
        self._errors = IndexingErrors(tables)
        self._folder = Folder(tables, clock, schemas)
        self._hints = hints

    async def bring(self, place: StudyPlace, number: int, done: Reindexed, pace: Pace) -> None:
        """Let no row of a study be of a lower schema than `number`, which is active. Idempotent. Raises Unavailable.

        A step of `pace` is one page of instances.
        """
        schema = await self._schemas.at_least(number)
        rounds = Rounds("The study changes too fast to be re-indexed")
        is_old = False
        progress: bool | None
        while True:
            rows = await read_study(self._tables, place)
            # rule: pending changes of lower schemas are folded before their study is brought on
            if any(change.schema < number and change.operation != "delete" for change in rows.pending):
                async with self._folder.lock(place):
                    progress = bool(await self._folder.fold(place, rows))
            elif not _is_older(rows, number):
                done.studies += is_old
                return
            else:
                is_old = True
                progress = await self._instances(place, rows.sort_key, (schema, number), done, pace)
                if progress is None:
                    progress = await self._summaries(place, rows, schema, number)
            if not progress:
                await rounds.next()

    # --------------------------------------------------------------------------------------------------- instances

    async def _instances(
        self, place: StudyPlace, sort_key: str, target: tuple[IndexSchema, int], done: Reindexed, pace: Pace
    ) -> bool | None:
        """Bring instances on; whether that went undisturbed. None if there is nothing to do."""
        number = target[1]
        entities = await self._tables.range("dicom", place.partition_key, *keys.INSTANCES, select=("live", "schema"))
        older = [row.row_key for row in entities if row.properties["live"] and schema_in(row) < number]
        if not older:
            return None
        undisturbed = True
        for wanted in batched(older, _INSTANCES_AT_ONCE, strict=False):
            page = await self._tables.page(
                "dicom",
                place.partition_key,
                wanted[0],
                keys.after_instance(wanted[-1]),
                top=_INSTANCES_AT_ONCE,
            )
            rows = [row for row in page.entities if row.properties["live"] and schema_in(row) < number]
            undisturbed &= await self._bring_instances(place, sort_key, target, rows, done)
            await pace.rest()
        return undisturbed

    async def _bring_instances(
        self,
        place: StudyPlace,
        sort_key: str,
        target: tuple[IndexSchema, int],
        rows: Sequence[Entity],
        done: Reindexed,
    ) -> bool:
        schema, number = target
        operations: list[RowWrite] = []
        posted: Postings = {}
        errors: list[tuple[str, IndexingError]] = []
        for row in rows:
            data_set = await self._data_set(row, done)
            taken = taken_in(row)
            study, series, own = schema.extend(taken, schema_in(row), data_set)
            known = failures_in(row)
            failures = self._failures(known, schema.faults(data_set, schema_in(row), number))
            if schema.listed(own) == schema.listed(taken[2]) and failures == known:
                uids = keys.instance_of(row.row_key)
                posted |= schema.instance_postings(sort_key, place.study_instance_uid, uids, own)
                found = errors_of(place, uids, int(row.properties["v"]), failures)
                errors += [(key, found[key]) for key in found if schema.is_adding(key, schema_in(row))]
                written = number
            else:  # the number follows when the values are there, and posted
                # rule: values of an instance are written before they are posted
                written = schema_in(row)
            properties = attribute_properties(study, series, own, written) | failure_property(failures)
            operations.append(RowWrite("merge", place.partition_key, row.row_key, properties, row.etag))
            done.instances += written == number
        await post(self._tables, place, "idxi", posted)
        await self._report(errors)
        return not operations or await best_effort_commit(self._tables, "dicom", operations)

    def _failures(self, known: Failures, faults: Mapping[str, str]) -> Failures:
        """The errors of an instance, known and found now: an error keeps its time when a step is repeated."""
        now_ms = self._clock.now_ms()
        return {**{key: (fault, now_ms) for key, fault in faults.items()}, **known}

    async def _report(self, errors: Sequence[tuple[str, IndexingError]]) -> None:
        """Record errors, and let no search use their attributes until somebody says so (EQT-40, EQT-41)."""
        # rule: errors are there before the number says that the instance is done
        await self._errors.record(errors)
        metrics.add(metrics.INDEXING_ERRORS, len(errors))
        await self._schemas.disable(sorted({key for key, _ in errors}))

    async def _data_set(self, row: Entity, done: Reindexed) -> dict[str, dict[str, object]]:
        document = metadata_in(row.properties)
        try:
            if document is None:
                document = await self._blobs.read(blob_names.metadata_blob(str(row.properties["blob"])))
        except BlobNotFound:
            done.unreadable += 1
            telemetry.event("metadata-missing", level=40, blob=telemetry.pseudonym(str(row.properties["blob"])))
            return {}
        return await data_set_in(document)

    # ----------------------------------------------------------------------------------------- summary and series

    async def _summaries(self, place: StudyPlace, rows: StudyRows, schema: IndexSchema, number: int) -> bool:
        """One step of summary and series; whether it went undisturbed."""
        if rows.summary is None:
            return False
        entities = await self._tables.range("dicom", place.partition_key, *keys.INSTANCES, select=LIVE_INSTANCE_COLUMNS)
        instances = [live for entity in entities if (live := live_instance_in(entity))]
        old, new = rows.tally(), rows.tally()
        _take_over(new.study, schema, [(live, live.study_attributes) for live in instances])
        touched = [uid for uid, summary in new.series.items() if summary.schema < number][:_SERIES_AT_ONCE]
        for uid in touched:
            of_series = [(live, live.series_attributes) for live in instances if live.series == uid]
            _take_over(new.series[uid], schema, of_series)
        # rule: the number follows what it promises
        if not _differ(old, new):
            for uid in touched:
                new.series[uid].schema = number
            if all(summary.schema >= number for summary in new.series.values()):
                new.study.schema = max(new.study.schema, number)
        return await self._commit(place, rows, schema, _Step(old, new, touched))

    async def _commit(self, place: StudyPlace, rows: StudyRows, schema: IndexSchema, step: "_Step") -> bool:
        if rows.summary is None:
            return False
        sort_key = rows.sort_key
        implied = ImpliedPostings(schema, place.study_instance_uid, sort_key)
        present, required = implied.required(step.old), implied.required(step.new)
        # rule: a re-index posts before it writes
        await post(self._tables, place, "idx", {key: row for key, row in required.items() if present.get(key) != row})
        after = implied.allowed(step.new)
        removed = [row_key for row_key in implied.allowed(step.old) if row_key not in after]
        version, partition_key = int(rows.summary.properties["ver"]) + 1, place.partition_key
        summary = {**step.new.study.properties(), "ver": version}
        # rule: a re-index writes rows only as it read them
        operations = [RowWrite("replace", partition_key, keys.SUMMARY, summary, rows.summary.etag)]
        for uid in step.touched:
            row_key, properties = keys.series_row(uid), step.new.series[uid].properties()
            operations.append(RowWrite("replace", partition_key, row_key, properties, rows.series[uid].etag))
        if removed:
            cleanup = Cleanup(keys.cleanup_row(version, sort_key), sort_key, removed)
            operations.append(RowWrite("insert", partition_key, cleanup.row_key, cleanup.properties()))
        # Nobody drops the hint while the commit that relies on it is under way.
        with self._hints.committing(place, single=True):
            # rule: a re-index gives a hint, too
            await self._hints.announce(place)
            return await best_effort_commit(self._tables, "dicom", operations)


@dataclass(frozen=True, slots=True)
class _Step:
    """The changes of one transaction to summary and series."""

    old: Tally
    new: Tally
    touched: Sequence[str]
    """The series that it writes."""


def _is_older(rows: StudyRows, number: int) -> bool:
    return any(schema_in(row) < number for row in (rows.summary, *rows.series.values()) if row)


def _differ(old: Tally, new: Tally) -> bool:
    pairs = [(old.study, new.study), *((old.series[uid], new.series[uid]) for uid in old.series)]
    return any(one.attributes != other.attributes for one, other in pairs)


def _take_over(summary: Summary, schema: IndexSchema, values: Sequence[tuple[LiveInstance, IndexedValues]]) -> None:
    """Take the attributes that are later than the schema of the row from its live instances."""

    def is_later(key: str) -> bool:
        return key not in PSEUDO and not schema.carries(key, summary.schema)

    for key in [key for key in summary.attributes if is_later(key)]:
        del summary.attributes[key]
    for live, attributes in values:
        summary.absorb(live.change_id, {key: text for key, text in attributes.items() if is_later(key)})
