"""Folding pending changes into the summaries and postings of a study (storage §5).

Only a fold writes B and C rows. Several changes are folded by one transaction, whoever committed them.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from shared.concurrency import together
from shared.errors import Unavailable
from shared.index.implied_postings import ImpliedPostings
from shared.index.label_rows import emptied_in, label_row_in
from shared.index.study_rows import StudyRows, read_study, restore_lost
from shared.index.summary import Summary, Tally
from shared.index_schema import keys
from shared.index_schema.changes import Change, Cleanup, ObsoleteBlob
from shared.index_schema.clock import HybridClock
from shared.index_schema.indexed_attributes import IndexedValues
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import Postings
from shared.index_schema.schema import IndexSchema, Schemas
from shared.storage.optimistic import ROUNDS, best_effort_commit, commit_all, pause
from shared.storage.ports import Entity, Kind, RowWrite, TableStore, Value

FOLDED_AT_ONCE = 30
"""Changes in one fold: B, at most as many C, D and E rows each, and G fit a transaction."""
_LOGGED_AT_ONCE = 45
"""The same where no E rows are written."""
_MOST = 100


@dataclass(frozen=True, slots=True)
class _Folded:
    """The side effects of a fold."""

    cleanup: bool
    """Whether it has left clean-up to do."""
    removed: int
    """E rows that it has removed."""


class Folder:
    """Folds the pending changes of studies. One per process: folds of one study wait for each other here."""

    def __init__(self, tables: TableStore, clock: HybridClock, schemas: Schemas) -> None:
        self._tables = tables
        self._clock = clock
        self._schemas = schemas
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, place: StudyPlace) -> asyncio.Lock:
        """Held while this process folds that study, so that its own tasks do not race each other."""
        lock = self._locks.get(place.partition_key)
        if lock is None:
            lock = self._locks[place.partition_key] = asyncio.Lock()
        return lock

    async def fold(self, place: StudyPlace, rows: StudyRows | None = None) -> frozenset[str]:
        """Fold the oldest pending changes, once, while holding the lock.

        `rows` are those of the study if the caller has just read them. Returns the ids of the changes that this fold
        has folded: none if another one was faster.
        """
        rows = rows or await read_study(self._tables, place)
        changes = rows.foldable[:FOLDED_AT_ONCE]
        if changes and await self._fold(place, rows, changes, logged=None):
            return frozenset(change.id for change in changes)
        return frozenset()

    async def acknowledge(self, place: StudyPlace, change_ids: Collection[str], rows: StudyRows | None = None) -> bool:
        """Remove the D and E rows of changes that are in the change feed, folding the former (storage §7).

        `rows` are those of the study, unfinished work too, if the caller has read them. Idempotent. Returns whether
        clean-up is left. Raises Unavailable when others keep changing the study in between.
        """
        for attempt in range(ROUNDS + len(change_ids)):
            await pause(min(attempt, 5))
            async with self.lock(place):
                if rows is None or attempt:
                    rows = await read_study(self._tables, place, unfinished=True)
                logged = [keys.folded_row(change) for change in rows.folded if change in change_ids]
                changes = [change for change in rows.foldable if change.id in change_ids][:_LOGGED_AT_ONCE]
                waiting = sum(change.id in change_ids for change in rows.pending)
                if changes:
                    folded = await self._fold(place, rows, changes, logged=logged)
                    if folded and len(changes) == waiting and len(logged) == folded.removed:
                        return rows.cleanup or folded.cleanup
                elif logged:
                    if await self._remove(place.partition_key, logged) and not waiting:
                        return rows.cleanup
                elif not waiting:
                    return rows.cleanup
        raise Unavailable("A study changes too fast to be folded")

    # ----------------------------------------------------------------------------------------------------- inside

    async def _fold(
        self, place: StudyPlace, rows: StudyRows, changes: Sequence[Change], *, logged: Sequence[str] | None
    ) -> _Folded | None:
        """One fold; None if another one was faster. `logged`: the changes are in the feed, and so are these E rows."""
        sort_key = rows.sort_key
        if not sort_key:
            # rule: changes without an anchor get one
            await self._recreate_anchor(place)
            return None
        new = rows.tally()
        for change in changes:
            new.apply(change)
        # rule: what a deleted instance brought is taken back
        await restore_lost(self._tables, place, new)
        schema = await self._schema(changes)
        fold = _Fold(place, rows, changes, new, schema)

        added, removed = fold.postings()
        await together(
            # rule: postings are written before the summary that implies them
            post(self._tables, place, "idx", added),
            post(self._tables, place, "idxi", fold.instance_postings()),
        )

        operations = fold.operations()
        removed_rows = 0
        if cleanup := fold.cleanup(removed):
            operations.append(RowWrite("insert", place.partition_key, cleanup.row_key, cleanup.properties()))
        if logged is None:
            # rule: a folded change waits for the feed
            operations += [_folded(place.partition_key, change) for change in changes]
        else:
            rest = logged[: _MOST - len(operations)]
            operations += [RowWrite("delete", place.partition_key, row_key) for row_key in rest]
            removed_rows = len(rest)
        if not await best_effort_commit(self._tables, "dicom", operations):
            return None
        return _Folded(bool(cleanup), removed_rows)

    async def _schema(self, changes: Sequence[Change]) -> IndexSchema:
        """A schema that knows the attributes of the changes. One older than what is complete ends the completeness."""
        numbers = [change.schema for change in changes if change.operation != "delete"]
        await self._schemas.current()
        schema = await self._schemas.at_least(max(numbers, default=1))
        lowest = min(numbers, default=schema.number)
        if any(lowest < number <= schema.number for number in schema.complete):
            # rule: what an outdated writer brought is looked for again
            await self._schemas.reopen(lowest + 1)
        return schema

    async def _recreate_anchor(self, place: StudyPlace) -> None:
        """Changes imply an anchor (storage invariant 1): only a damaged store lacks it."""
        operation = RowWrite("insert", place.partition_key, keys.ANCHOR, anchor_properties(self._clock))
        await best_effort_commit(self._tables, "dicom", [operation])

    async def _remove(self, partition_key: str, row_keys: Sequence[str]) -> bool:
        """Remove rows; False if that is not known to be done: what is left is found when the caller looks again."""
        done = True
        for at in range(0, len(row_keys), _MOST):
            operations = [RowWrite("delete", partition_key, row_key) for row_key in row_keys[at : at + _MOST]]
            done = await best_effort_commit(self._tables, "dicom", operations) and done
        return done


def anchor_properties(clock: HybridClock, uploaded_ms: int = 0) -> dict[str, Value]:
    """The properties of the anchor of a new incarnation of a study. `uploaded_ms`: when, if that is not now."""
    now_ms = min(uploaded_ms or clock.now_ms(), clock.now_ms())
    # rule: a study that is stored again gets another sort key
    return {"sk": keys.new_sort_key(now_ms), "created": now_ms, "lv": 0}


async def post(tables: TableStore, place: StudyPlace, kind: Kind, rows: Postings) -> None:
    """Write postings; idempotent."""
    operations = [RowWrite("upsert", place.postings, row_key, properties) for row_key, properties in rows.items()]
    await commit_all(tables, kind, operations)


class _Fold:
    """The changes of one fold. Pure."""

    def __init__(
        self,
        place: StudyPlace,
        rows: StudyRows,
        changes: Sequence[Change],
        new: Tally,
        schema: IndexSchema,
    ) -> None:
        self._place = place
        self._rows = rows
        self._changes = changes
        self._old = rows.tally()
        self._new = new
        self._schema = schema
        self._version = int(rows.summary.properties["ver"]) + 1 if rows.summary else 1
        self._touched = dict.fromkeys(change.series for change in changes)
        # rule: an emptied series goes
        self._emptied = {uid for uid in self._touched if new.series[uid].count == 0}

    def postings(self) -> tuple[Postings, list[str]]:
        """The study- and series-level postings that are newly implied, and the keys of those that no longer are."""
        implied = ImpliedPostings(self._schema, self._place.study_instance_uid, self._rows.sort_key)
        present: Postings = {}
        before: Postings = {}
        required: Postings = {}
        after: Postings = {}
        old, new = self._old.study, self._new.study
        if self._rows.summary is None or _differ(old, new):
            if self._rows.summary:
                present, before = map(dict, implied.of_study(old))
            required, after = map(dict, implied.of_study(new))
        for uid in self._touched:
            had, has = uid in self._rows.series, uid not in self._emptied
            old, new = self._old.series[uid] if had else Summary(), self._new.series[uid]
            if had == has and not _differ(old, new) and has:
                continue
            # What came and went in one fold may have been posted by one that did not come to its end.
            # rule: what came and went in one fold may have been posted by another
            if had or not has:
                must, may = implied.of_series(uid, old)
                present |= must if had else {}
                before |= may
            if has:
                must, may = implied.of_series(uid, new)
                required |= must
                after |= may
        added = {row_key: row for row_key, row in required.items() if present.get(row_key) != row}
        # rule: values that lost are cleaned up, too
        obsolete = before | self._passed_over()
        return added, [row_key for row_key in obsolete if row_key not in after]

    def _passed_over(self) -> Postings:
        """Values of the changes that did not win: a fold that did not come to its end may have posted them."""
        study, sort_key = self._place.study_instance_uid, self._rows.sort_key
        postings: Postings = {}
        for change in self._changes:
            values = _differing(change.study_attributes, self._new.study)
            postings |= self._schema.study_value_postings(sort_key, study, values)
            values = _differing(change.series_attributes, self._new.series[change.series])
            postings |= self._schema.series_value_postings(sort_key, study, change.series, values)
        return postings

    def instance_postings(self) -> Postings:
        """The postings of the instances that were not posted before their commit, or for another incarnation."""
        study, sort_key = self._place.study_instance_uid, self._rows.sort_key
        postings: Postings = {}
        for change in self._changes:
            # rule: the fold posts instances that were not posted for this incarnation
            if change.operation != "delete" and change.posted != sort_key:
                uids = (change.series, change.instance)
                postings |= self._schema.instance_postings(sort_key, study, uids, change.instance_attributes)
        return postings

    def cleanup(self, removed: Sequence[str]) -> Cleanup:
        """The rows and files to be removed once the fold is committed."""
        study, sort_key = self._place.study_instance_uid, self._rows.sort_key
        deleted = [(change.series, change.instance) for change in self._changes if change.operation == "delete"]
        listed: Postings = {}
        for change in self._changes:
            uids, attributes = (change.series, change.instance), change.old_attributes
            listed |= self._schema.instance_postings(sort_key, study, uids, attributes) if attributes else {}
        return Cleanup(
            keys.cleanup_row(self._version, self._rows.sort_key),
            self._rows.sort_key,
            removed,
            list(dict.fromkeys(deleted)),
            list(listed),
            [blob for change in self._changes for blob in _obsolete_blobs(change)],
            [row for change in self._changes for row in change.errors],
            self._ended(),
        )

    def _ended(self) -> int:
        """The version up to which documents of the study ended with its last instance; 0 if none did."""
        emptied = emptied_in(self._new)
        return emptied if label_row_in(self._rows.anchor) and emptied > emptied_in(self._old) else 0

    def operations(self) -> list[RowWrite]:
        """The writes of B and C rows, each only if nobody else has folded since, and the removal of the D rows."""
        partition_key, rows = self._place.partition_key, self._rows
        summary = {**self._new.study.properties(), "ver": self._version}
        operations = [_write(partition_key, keys.SUMMARY, summary, rows.summary)]
        for uid in self._touched:
            row_key, present = keys.series_row(uid), rows.series.get(uid)
            if uid not in self._emptied:
                operations.append(_write(partition_key, row_key, self._new.series[uid].properties(), present))
            elif present:
                operations.append(RowWrite("delete", partition_key, row_key, etag=present.etag))
        operations += [RowWrite("delete", partition_key, keys.pending_row(change.id)) for change in self._changes]
        return operations


def _differ(one: Summary, other: Summary) -> bool:
    return one.plain() != other.plain() or one.schema != other.schema


def _differing(values: IndexedValues, summary: Summary) -> IndexedValues:
    return {key: text for key, text in values.items() if summary.attributes.get(key, ("", ""))[0] != text}


def _write(partition_key: str, row_key: str, properties: Mapping[str, Value], present: Entity | None) -> RowWrite:
    if present is None:
        return RowWrite("insert", partition_key, row_key, properties)
    # rule: a summary is replaced only as it was read
    return RowWrite("replace", partition_key, row_key, properties, present.etag)


def _folded(partition_key: str, change: Change) -> RowWrite:
    return RowWrite("insert", partition_key, keys.folded_row(change.id), change.logged_properties())


def _obsolete_blobs(change: Change) -> list[ObsoleteBlob]:
    deleted = change.operation == "delete"
    files = {change.blob if deleted else change.old_blob: deleted, change.original: False}
    return [
        ObsoleteBlob(blob, change.series, change.instance, change.version, is_instance)
        for blob, is_instance in files.items()
        if blob
    ]
