"""A look at a study for what is not in the change feed yet (storage §7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.dicom.identifiers import InstanceIdentifier
from shared.index.study_rows import StudyRows, rows_in
from shared.index_schema import keys
from shared.index_schema.changes import LOGGED_COLUMNS, LoggedChange
from shared.index_schema.keys import RowKind, StudyPlace
from shared.storage.ports import Entity, Page, TableStore

_KEPT_ROWS = 100
"""The rows of larger studies are not kept for the fold: it reads them again."""
_COLUMNS = (*LOGGED_COLUMNS, "sk")


@dataclass(slots=True)
class Look:
    """The findings of a look at a study. No change is there without the earlier ones of its instance."""

    place: StudyPlace
    changes: list[LoggedChange] = field(default_factory=list)
    cleanup: bool = False
    """Whether clean-up is left."""
    complete: bool = True
    """Whether every change that was pending is in `changes`."""
    upto: str = ""
    """Changes with greater ids may be missing; '': none is."""
    emptied: bool = False
    """Whether the study may have no instances left, and rows all the same."""
    rows: StudyRows | None = None
    """The rows of the study, as they stood at one moment, if they are few."""


async def look_at(tables: TableStore, place: StudyPlace) -> Look:
    """Look at a study, in one request unless it has many rows. Raises Unavailable."""
    page = await _page(tables, place, keys.UNFINISHED_TOO)
    if page.next_row_key is not None:
        return await _look_at_many(tables, place)
    look = _look(place, page.entities)
    rows = rows_in([page.entities])
    instances = int(rows.summary.properties["n"]) if rows.summary else 0
    look.emptied = rows.anchor is not None and instances + sum(change.delta for change in rows.pending) <= 0
    look.rows = rows if len(page.entities) <= _KEPT_ROWS else None
    return look


async def _look_at_many(tables: TableStore, place: StudyPlace) -> Look:
    """One page is what was there at one moment. A change moves from D to E when it is folded, so E rows are read after
    D rows; rows of a second page may be older than what is missing in the first and are left for the next cycle.
    """
    first = await _page(tables, place, keys.UNFINISHED, _COLUMNS)
    if first.next_row_key is None or keys.kind_of(first.entities[-1].row_key) is RowKind.CLEANUP:
        look = _look(place, first.entities)
        look.emptied = True  # perhaps
        return look
    folded = await _page(tables, place, keys.FOLDED, _COLUMNS)
    # rule: rows of a second page wait for the next cycle
    if folded.next_row_key is not None:
        look = _look(place, folded.entities)
        look.complete, look.upto = False, look.changes[-1].id
        return look
    pending = [row for row in first.entities if keys.kind_of(row.row_key) is RowKind.PENDING]
    # rule: folded changes are read after pending ones
    look = _look(place, [*pending, *folded.entities])
    look.complete = False
    if len(pending) == len(first.entities):
        look.upto = keys.tail_of(pending[-1].row_key)
    return look


async def _page(
    tables: TableStore, place: StudyPlace, bounds: tuple[str, str], columns: Sequence[str] | None = None
) -> Page:
    low, high = bounds
    while True:
        page = await tables.page("dicom", place.partition_key, low, high, select=columns)
        if page.entities or page.next_row_key is None:
            return page


def _look(place: StudyPlace, rows: Sequence[Entity]) -> Look:
    look = Look(place)
    for row in rows:
        kind = keys.kind_of(row.row_key)
        if kind is RowKind.CLEANUP:
            look.cleanup = True
        elif kind in (RowKind.PENDING, RowKind.FOLDED):
            look.changes.append(_logged_change(place, row))
    return look


def _logged_change(place: StudyPlace, row: Entity) -> LoggedChange:
    properties: Mapping[str, Any] = row.properties
    identifier = InstanceIdentifier(place.study_instance_uid, properties["series"], properties["instance"])
    return LoggedChange(keys.tail_of(row.row_key), properties["op"], place.namespace, identifier)
