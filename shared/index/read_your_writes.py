"""Read your writes: what a query needs is in place before a store answers (storage §5, invariant 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import orjson

from shared.index.fold import FOLDED_AT_ONCE, Folder, post
from shared.index.study_rows import StudyRows, read_pages, read_study
from shared.index.summary import LASTING, PSEUDO, TAKING_BACK
from shared.index_schema import keys
from shared.index_schema.changes import Change
from shared.index_schema.indexed_attributes import IndexedValues
from shared.index_schema.keys import RowKind, StudyPlace
from shared.index_schema.postings import Postings
from shared.index_schema.schema import IndexSchema, Schemas
from shared.storage.optimistic import ROUNDS, Rounds
from shared.storage.ports import Entity, TableStore

_COLUMNS = ("sk", "attrs", "n", "op", "dn")
_MANY_PENDING = 60
"""Readers take every pending change of a study: above this number, stores fold some that need no fold themselves."""


@dataclass(slots=True)
class _Seen:
    """A study as a store looks at it after its commit."""

    sort_key: str
    rows: dict[str, Mapping[str, tuple[str, str]]]
    """Row key of the summary and of each series to attributes with their sources."""
    pending: set[str]
    """The ids of the pending changes."""
    deletions: dict[str, str]
    """Instance digest to the id of its pending deletion."""
    updates: dict[str, str] = field(default_factory=dict)
    """The same of pending updates."""
    instances: int = 0
    whole: bool = True
    """Whether no fold came between the rows and the pending changes: else a deletion may be missing in both."""

    def add_pending(self, change_id: str, operation: object, delta: int) -> None:
        """Note a pending change."""
        self.pending.add(change_id)
        self.instances += delta
        if operation in TAKING_BACK:
            endings = self.deletions if operation == "delete" else self.updates
            digest = keys.ChangeId.parse(change_id).digest
            endings[digest] = max(change_id, endings.get(digest, ""))

    def add_row(self, entity: Entity) -> None:
        """Note the summary, or that of a series; other rows have no attributes."""
        attributes = entity.properties.get("attrs")
        if isinstance(attributes, bytes):
            self.rows[entity.row_key] = orjson.loads(attributes)
            self.instances += int(entity.properties["n"]) if entity.row_key == keys.SUMMARY else 0

    def not_shown(self, changes: Mapping[str, Change]) -> dict[str, Change]:
        """The changes that have to be folded before every query finds what they brought."""
        return {
            change_id: change
            for change_id, change in changes.items()
            if change_id in self.pending and not (self.whole and self._shows(change))
        }

    def takes_back(self) -> bool:
        """Whether something that the rows show is about to be taken back: its source is deleted (S-1)."""
        return any(
            key not in LASTING and self._is_deleted(source)
            for row in self.rows.values()
            for key, (_, source) in row.items()
        )

    def _is_deleted(self, source: str) -> bool:
        return self.deletions.get(keys.ChangeId.parse(source).digest, "") > source

    def _is_ended(self, source: str) -> bool:
        return self._is_deleted(source) or self.updates.get(keys.ChangeId.parse(source).digest, "") > source

    def _shows(self, change: Change) -> bool:
        """Whether the folded rows show the attributes of a change, or later ones that will not be taken back."""
        return self._row_shows(keys.SUMMARY, change.id, change.study_attributes) and self._row_shows(
            keys.series_row(change.series), change.id, change.series_attributes
        )

    def _row_shows(self, row_key: str, change_id: str, attributes: IndexedValues) -> bool:
        row = self.rows.get(row_key)
        return row is not None and all(
            self._value_shows(row.get(key), change_id, text) for key, text in attributes.items() if key not in PSEUDO
        )

    def _value_shows(self, present: tuple[str, str] | None, change_id: str, text: str) -> bool:
        if present is None:
            return False
        value, source = present
        # rule: a value about to be taken back does not count as shown
        if self._is_ended(source):
            return False
        # rule: a store looks for its values in the summary
        return value == text or not text or (bool(value) and source > change_id)


async def make_visible(
    tables: TableStore,
    folder: Folder,
    schemas: Schemas,
    place: StudyPlace,
    changes: Sequence[Change],
    *,
    is_new: bool,
) -> str:
    """Return when every query finds what the committed `changes` of a study brought; the study's sort key.

    Of a study that `is_new` nothing is folded yet: what a fold needs is read at once, instead of after a look.
    Raises Unavailable when it takes too many rounds; the changes are committed nevertheless.
    """
    waiting = {change.id: change for change in changes}
    spare_folds = 1 + len(changes) // FOLDED_AT_ONCE
    posted_under = None
    rounds = Rounds("The study is busy")
    while True:
        attempt = await rounds.next()
        rows = await read_study(tables, place) if is_new and not attempt else None
        seen = _seen_in(rows) if rows else await _look(tables, place)
        if not seen.sort_key:
            return ""  # deleted and cleaned up meanwhile
        if seen.sort_key != posted_under:
            # rule: instances that were there before are posted after their commit
            await _post_instances(tables, schemas.known, place, seen.sort_key, changes)
            posted_under = seen.sort_key
        waiting = seen.not_shown(waiting)
        # rule: many pending changes are folded
        crowded = len(seen.pending) > _MANY_PENDING and spare_folds > 0
        if not waiting and not crowded:
            return seen.sort_key
        lock = folder.lock(place)
        raced = lock.locked()
        async with lock:
            if raced:
                rows = None  # somebody has folded since they were read
            if raced and waiting:
                waiting = (await _look(tables, place)).not_shown(waiting)
            if waiting or crowded:
                spare_folds -= 1
                folded = await folder.fold(place, rows)
                waiting = {change.id: change for change in waiting.values() if change.id not in folded}
                if not waiting and (not crowded or not folded):
                    return seen.sort_key


async def wait_until_folded(tables: TableStore, folder: Folder, place: StudyPlace) -> None:
    """Return when the study shows no value that came from deleted instances (S-1). Raises Unavailable."""
    rounds = Rounds("The study is busy", rounds=10 * ROUNDS, longest_pause=5)
    while True:
        await rounds.next()
        seen = await _look(tables, place)
        if seen.instances <= 0 or not seen.takes_back():
            return
        async with folder.lock(place):
            await folder.fold(place)


async def _look(tables: TableStore, place: StudyPlace) -> _Seen:
    """One look, in several pages if the study is large. It is not repeated: what it cannot tell is folded."""
    pages = await read_pages(tables, place, keys.VISIBLE, select=_COLUMNS)
    seen = _Seen("", {}, set(), {})
    summary = None
    for entity in chain.from_iterable(pages):
        row_key, properties = entity.row_key, entity.properties
        if row_key == keys.ANCHOR:
            seen.sort_key = str(properties["sk"])
        elif keys.kind_of(row_key) is RowKind.PENDING:
            seen.add_pending(keys.tail_of(row_key), properties["op"], int(properties["dn"]))
        else:
            seen.add_row(entity)
            summary = entity if row_key == keys.SUMMARY else summary
    # rule: a look during which somebody folds shows nothing
    seen.whole = len(pages) == 1 or await _is_still(tables, place, summary)
    return seen


async def _is_still(tables: TableStore, place: StudyPlace, summary: Entity | None) -> bool:
    """Whether nobody has folded since the summary was read: every fold writes it."""
    now = await tables.get("dicom", place.partition_key, keys.SUMMARY)
    return (now and now.etag) == (summary and summary.etag)


def _seen_in(rows: StudyRows) -> _Seen:
    """The same, of rows that have been read for a fold."""
    seen = _Seen(rows.sort_key, {}, set(), {}, whole=rows.whole)
    for change in rows.pending:
        seen.add_pending(change.id, change.operation, change.delta)
    for entity in (rows.summary, *rows.series.values()):
        if entity is not None:
            seen.add_row(entity)
    return seen


async def _post_instances(
    tables: TableStore, schema: IndexSchema, place: StudyPlace, sort_key: str, changes: Sequence[Change]
) -> None:
    """Post the instances that were not posted before their commit, or for another incarnation of the study."""
    rows: Postings = {}
    for change in changes:
        if change.posted != sort_key:
            uids = (change.series, change.instance)
            rows |= schema.instance_postings(sort_key, place.study_instance_uid, uids, change.instance_attributes)
    await post(tables, place, "idxi", rows)
