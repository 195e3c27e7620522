"""Reading the rows of a study: anchor, summary, series and pending changes (storage §3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.index.instance_rows import LIVE_INSTANCE_COLUMNS, live_instance_in
from shared.index.summary import LiveInstance, Tally, summary_in
from shared.index_schema import keys
from shared.index_schema.changes import Change, change_in
from shared.index_schema.keys import RowKind, StudyPlace
from shared.storage.ports import Entity, TableStore

_READS = 5


@dataclass(slots=True)
class StudyRows:
    """The properties of the rows of a study that a reader takes."""

    anchor: Entity | None = None
    summary: Entity | None = None
    series: dict[str, Entity] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    """In the order of their ids."""
    foldable: list[Change] = field(default_factory=list)
    """The first of them, as they stood at one moment: if a change is there, so are the earlier ones of its instance."""

    folded: list[str] = field(default_factory=list)
    """The ids of changes that are folded and not known to be logged, if they were asked for."""
    cleanup: bool = False
    """Whether clean-up is left to do, if that was asked for."""
    whole: bool = True
    """Whether all of it stood so at one moment: a study in many pages may change while each of them is read."""

    @property
    def sort_key(self) -> str:
        """The sort key of this incarnation, '' if there is none."""
        return str(self.anchor.properties["sk"]) if self.anchor else ""

    def tally(self) -> Tally:
        """The folded summaries, no pending change applied."""
        return Tally(summary_in(self.summary), {uid: summary_in(entity) for uid, entity in self.series.items()})

    def overlaid(self) -> Tally:
        """The summaries with all pending changes applied."""
        tally = self.tally()
        # rule: readers count pending changes
        for change in self.pending:
            tally.apply(change)
        return tally


async def read_study(tables: TableStore, place: StudyPlace, *, unfinished: bool = False) -> StudyRows:
    """The rows of a study as they stood at one moment, as far as they can be had so: one request, unless many."""
    bounds = keys.UNFINISHED_TOO if unfinished else keys.VISIBLE
    rows = StudyRows()
    for _ in range(_READS):
        pages = await read_pages(tables, place, bounds)
        rows = rows_in(pages)
        # rule: a study in several pages is read as of one moment
        if len(pages) == 1 or await _is_unchanged(tables, place, rows):
            return rows
    rows.whole = False
    return rows


async def read_pages(
    tables: TableStore, place: StudyPlace, bounds: tuple[str, str], *, select: Sequence[str] | None = None
) -> list[Sequence[Entity]]:
    """The rows of a study within `bounds`, page by page: each page as its rows stood at one moment."""
    low, high = bounds
    pages = [await tables.page("dicom", place.partition_key, low, high, select=select)]
    while (start := pages[-1].next_row_key) is not None:
        pages.append(await tables.page("dicom", place.partition_key, start, high, select=select))
    return [page.entities for page in pages]


async def _is_unchanged(tables: TableStore, place: StudyPlace, rows: StudyRows) -> bool:
    """Every commit touches the anchor and every fold the summary: both unchanged, the pages fit together."""
    now = await tables.range("dicom", place.partition_key, *keys.TOTALS, select=("n",))
    before = [entity.etag for entity in (rows.anchor, rows.summary) if entity]
    return [entity.etag for entity in now] == before


def rows_in(pages: Sequence[Sequence[Entity]]) -> StudyRows:
    """The rows of a study, in its pages."""
    rows = StudyRows()
    for page in pages:
        changes = []
        for entity in page:
            kind = keys.kind_of(entity.row_key)
            if kind is RowKind.PENDING:
                changes.append(change_in(entity))
            elif kind is RowKind.FOLDED:
                rows.folded.append(keys.tail_of(entity.row_key))
            elif kind is RowKind.CLEANUP:
                rows.cleanup = True
            elif kind is RowKind.SERIES:
                rows.series[keys.tail_of(entity.row_key)] = entity
            elif kind is RowKind.ANCHOR:
                rows.anchor = entity
            elif kind is RowKind.SUMMARY:
                rows.summary = entity
        rows.pending += changes
        if not rows.foldable:
            rows.foldable = changes
    return rows


async def restore_lost(tables: TableStore, place: StudyPlace, tally: Tally) -> None:
    """Recompute the attributes whose source has been deleted from the live instances, if there are any (S-1)."""
    series = tally.losing()
    if series == []:
        return
    instances: list[LiveInstance] = []
    for scope in [None] if series is None else series:
        bounds = keys.instance_range(scope, None)
        entities = await tables.range("dicom", place.partition_key, *bounds, select=LIVE_INSTANCE_COLUMNS)
        instances += [live for entity in entities if (live := live_instance_in(entity))]
    tally.restore(instances)
