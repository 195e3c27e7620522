"""Deleting instances (storage §5, dicomweb §9): a live row becomes a tombstone, and a pending change records it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from shared.errors import Unavailable
from shared.hints import Hints
from shared.index.fold import Folder
from shared.index.indexing_errors import IndexingErrors, error_rows_of
from shared.index.instance_rows import STATE_COLUMNS, failures_in, state_in, stored_instance_in, tombstone_properties
from shared.index.model import StoredInstance
from shared.index.read_your_writes import wait_until_folded
from shared.index.study_rows import read_study
from shared.index.summary import EXPIRES
from shared.index_schema import keys
from shared.index_schema.changes import Change, ErrorRow
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.index_schema.schema import Schemas
from shared.storage.optimistic import ROUNDS, Rounds, best_effort_commit, pause
from shared.storage.ports import Entity, RowWrite, TableStore

_AT_ONCE = 45
"""Instances in one transaction: an I and a D row each, and the anchor."""


type Accepts = Callable[[StoredInstance], Awaitable[bool]]
"""Whether an instance is to be deleted."""


class Deleter:
    """Deletes instances. One per process."""

    def __init__(self, tables: TableStore, clock: HybridClock, hints: Hints, folder: Folder, schemas: Schemas) -> None:
        self._tables = tables
        self._schemas = schemas
        self._clock = clock
        self._hints = hints
        self._folder = folder
        self._errors = IndexingErrors(tables)

    async def delete(self, place: StudyPlace, series: str | None = None, instance: str | None = None) -> int:
        """Delete the instances that are there now of a study, a series or an instance; how many this call deleted.

        Raises Unavailable; what was deleted until then stays so.
        """
        deleted = 0
        await self._schemas.current()
        rows = await self._live(place, keys.instance_range(series, instance))
        errors = [error for row in rows for error in _errors(place, row)]
        for at in range(0, len(rows), _AT_ONCE):
            deleted += await self._delete(place, rows[at : at + _AT_ONCE])
        if deleted:
            # rule: a delete answers when what it took back is found as before
            await wait_until_folded(self._tables, self._folder, place)
        await self._errors.remove(errors)
        return deleted

    async def delete_accepted(self, place: StudyPlace, accepts: Accepts) -> None:
        """Delete those instances of a study that `accepts`, asked for each as its row is read with its metadata.

        An instance that is replaced after it was asked for is asked for again. Raises Unavailable.
        """
        await self._schemas.current()
        errors: list[ErrorRow] = []
        rounds = Rounds("The instances are busy")
        (start, end), study, deleted = keys.INSTANCES, place.study_instance_uid, False
        while True:
            page = await self._tables.page("dicom", place.partition_key, start, end, top=_AT_ONCE)
            live = [(row, found) for row in page.entities if (found := stored_instance_in(study, row))]
            accepted = [row for row, found in live if await accepts(found)]
            if accepted:
                with self._hints.committing(place):
                    await self._hints.give(place)
                    # Only as it was accepted: what replaces it meanwhile is asked for again.
                    if not await self._commit(place, accepted, self._changes(place, accepted), "*"):
                        await rounds.next()
                        continue
                deleted = True
                errors += [error for row in accepted for error in _errors(place, row)]
                rounds = Rounds("The instances are busy")
            if page.next_row_key is None:
                break
            start = page.next_row_key
        if deleted:
            await wait_until_folded(self._tables, self._folder, place)
        await self._errors.remove(errors)

    async def delete_files(self, place: StudyPlace, files: Mapping[tuple[str, str], str]) -> int:
        """Delete those instances, by their Series and SOP Instance UIDs, that still are these files; how many this call
        deleted. Raises Unavailable; what was deleted until then stays so.
        """
        names = {keys.instance_row(*uids): blob for uids, blob in files.items()}
        if not names:
            return 0
        await self._schemas.current()
        bounds = (min(names), keys.after_instance(max(names)))
        rows = [row for row in await self._live(place, bounds) if _is_one_of(row, names)]
        errors = [error for row in rows for error in _errors(place, row)]
        deleted = 0
        for at in range(0, len(rows), _AT_ONCE):
            deleted += await self._delete(place, rows[at : at + _AT_ONCE], names)
        if deleted:
            await wait_until_folded(self._tables, self._folder, place)
        await self._errors.remove(errors)
        return deleted

    async def delete_expired(self, place: StudyPlace) -> int:
        """Delete a study if it has expired; how many instances. Raises Unavailable.

        A store in between decides anew (EXP-1): a transaction is tied to the anchor that was read before the decision.
        """
        deleted = conflicts = 0
        await self._schemas.current()
        while conflicts < ROUNDS:
            await pause(conflicts)
            rows = await read_study(self._tables, place)
            expires, _ = rows.overlaid().study.attributes.get(EXPIRES, ("0", ""))
            if rows.anchor is None or expires == "0" or int(expires) > self._clock.now_ms():
                return deleted
            live = (await self._live(place, keys.INSTANCES))[:_AT_ONCE]
            if not live:
                return deleted
            with self._hints.committing(place):
                await self._hints.give(place)
                changes = self._changes(place, live)
                # rule: an expired study is deleted only as it was read
                if await self._commit(place, live, changes, rows.anchor.etag):
                    deleted += len(changes)
                else:
                    conflicts += 1
        raise Unavailable("The study is busy")

    # ----------------------------------------------------------------------------------------------------- inside

    async def _delete(self, place: StudyPlace, rows: Sequence[Entity], names: Mapping[str, str] | None = None) -> int:
        """Delete the instances in these rows; how many. Others may have been faster with some. `names`: the files that
        they must be, by row key.
        """
        tried: set[str] = set()
        rounds = Rounds("The instances are busy")
        while True:
            if await rounds.next():
                rows = await self._again(place, rows)
            live = [row for row in rows if row.properties["live"] and (names is None or _is_one_of(row, names))]
            # An attempt without answer may have been applied: the tombstone carries our version then.
            # rule: an unanswered delete is counted once it is seen to have happened
            ours = sum(_change_id(row, int(row.properties["v"])) in tried for row in rows)
            if not live:
                return ours
            with self._hints.committing(place):
                await self._hints.give(place)
                changes = self._changes(place, live)
                tried |= {change.id for change in changes}
                if await self._commit(place, live, changes, "*"):
                    return ours + len(changes)

    def _changes(self, place: StudyPlace, live: Sequence[Entity]) -> list[Change]:
        changes = []
        for row in live:
            state = state_in(row)
            series, instance = keys.instance_of(row.row_key)
            # rule: a tombstone has a later version than what it ends
            version = self._clock.next(state.version)
            change_id = keys.change_id(version, series, instance)
            old = self._schemas.known.listed(state.attributes)
            changes.append(
                Change(
                    change_id,
                    "delete",
                    series,
                    instance,
                    version,
                    -1,
                    blob=state.blob,
                    old_attributes=old,
                    # rule: the errors of a deleted instance go, whoever dies meanwhile
                    errors=_errors(place, row),
                    # rule: the original version goes with its instance
                    original=state.original,
                )
            )
        return changes

    async def _commit(
        self, place: StudyPlace, live: Sequence[Entity], changes: Sequence[Change], anchor_etag: str
    ) -> bool:
        partition_key = place.partition_key
        touch = {"lv": changes[-1].version}
        operations = [RowWrite("merge", partition_key, keys.ANCHOR, touch, anchor_etag)]
        for row, change in zip(live, changes, strict=True):
            tombstone = tombstone_properties(state_in(row), change.version)
            operations += (
                # rule: an instance is deleted only as it was read
                RowWrite("replace", partition_key, row.row_key, tombstone, row.etag),
                RowWrite("insert", partition_key, keys.pending_row(change.id), change.properties()),
            )
        # rule: a delete touches the anchor
        if await best_effort_commit(self._tables, "dicom", operations):
            self._hints.committed(place, changes)
            return True
        self._hints.doubt(place)
        return False

    async def _live(self, place: StudyPlace, bounds: tuple[str, str]) -> list[Entity]:
        rows = await self._tables.range("dicom", place.partition_key, *bounds, select=STATE_COLUMNS)
        return [row for row in rows if row.properties["live"]]

    async def _again(self, place: StudyPlace, rows: Sequence[Entity]) -> list[Entity]:
        row_keys = {row.row_key for row in rows}
        low, high = min(row_keys), keys.after_instance(max(row_keys))
        found = await self._tables.range("dicom", place.partition_key, low, high, select=STATE_COLUMNS)
        return [row for row in found if row.row_key in row_keys]


def _is_one_of(row: Entity, names: Mapping[str, str]) -> bool:
    return names.get(row.row_key) == row.properties["blob"]


def _errors(place: StudyPlace, row: Entity) -> tuple[ErrorRow, ...]:
    """The rows of the errors of a live instance (DEL-10)."""
    version = int(row.properties["v"])
    return error_rows_of(place, keys.instance_of(row.row_key), version, failures_in(row))


def _change_id(row: Entity, version: int) -> str:
    return keys.change_id(version, *keys.instance_of(row.row_key))
