"""Changing the labels of a study (exchange §5; storage §5.1).

1. The document of the next number (DAT-53): only one writer makes it, and what it says is never lost.
2. The postings of the labels that are new.
3. The anchor, as it was read: from now on the study has the labels.
4. The postings of labels that are gone, and the former document, are removed.

Whoever finds a document that is ahead of the anchor does 2 to 4 for it first, so that a writer that was ended leaves
nothing but what it had not acknowledged.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from shared.errors import NotFound
from shared.index.fold import post
from shared.index.label_rows import LABELS, LabelRow, emptied_in, label_row_in
from shared.index.study_rows import StudyRows, read_study
from shared.index_schema import keys
from shared.index_schema.keys import StudyPlace
from shared.index_schema.labels import label_postings
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import BlobStore, RowWrite, TableStore
from shared.study_documents.documents import StudyDocument, StudyDocuments

type ChangeLabels = Callable[[tuple[str, ...]], tuple[str, ...]]
"""The labels that a study is to have, by those that it has; the same, if that is so already."""

_LOOKS: Final = 3
"""Times that somebody else's change is waited for before a posting that is out of date is left to the scrubber."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A study as it was read."""

    rows: StudyRows
    anchor: LabelRow
    labelled: bool
    """Whether the anchor says anything of labels."""
    emptied: int
    """As in `emptied_in`."""
    document: StudyDocument | None
    """The one that counts."""
    highest: int
    """The greatest number of a document, whether it counts or not."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that were decided on last."""
        if self.document:
            return tuple(self.document.members.get(LABELS, ()))
        return self.anchor.labels if self.anchor.version > self.emptied else ()

    def next(self, labels: tuple[str, ...]) -> StudyDocument:
        """The document that gives the study these labels."""
        last = int(self.rows.anchor.properties["lv"]) if self.rows.anchor else 0
        former = self.document.version if self.document else 0
        members = dict(self.document.members) if self.document else {}
        return StudyDocument(
            max(self.highest, self.anchor.number) + 1,
            max(last, former, self.emptied, self.anchor.version) + 1,
            {**members, LABELS: labels},
        )


@dataclass(slots=True)
class _Posted:
    """Postings that the anchors have had which this change has read."""

    row_keys: dict[str, None] = field(default_factory=dict)


class StudyLabels:
    """The labels of studies."""

    def __init__(self, tables: TableStore, blobs: BlobStore) -> None:
        self._tables = tables
        self._documents = StudyDocuments(blobs)

    async def change(self, place: StudyPlace, change: ChangeLabels) -> tuple[str, ...]:
        """Give a study the labels that `change` says; those that it has then. Raises NotFound, what `change` raises,
        and Unavailable: then it may have happened.
        """
        rounds, posted = Rounds("The study changes too fast to be labelled"), _Posted()
        while True:
            await rounds.next()
            seen = await self._see(place)
            if seen is None:
                raise NotFound("The study does not exist.")
            wanted = change(seen.labels)
            if wanted == seen.labels:
                if await self._adopt(place, seen, seen.document, posted):
                    return wanted
            elif not seen.labelled:
                # What ends the study looks for documents where the anchor says that there may be some.
                await self._merge(place, seen, LabelRow())
            else:
                document = seen.next(wanted)
                if await self._documents.add(place, document) and await self._adopt(place, seen, document, posted):
                    return wanted

    async def restore(self, place: StudyPlace) -> None:
        """Let the rows of a study, made anew, say what its document does. Idempotent. Raises Unavailable."""
        rounds, posted = Rounds("The study changes too fast to be labelled"), _Posted()
        while True:
            await rounds.next()
            seen = await self._see(place, made_anew=True)
            if seen is None or await self._adopt(place, seen, seen.document, posted):
                return

    # ----------------------------------------------------------------------------------------------------- inside

    async def _see(self, place: StudyPlace, *, made_anew: bool = False) -> _Seen | None:
        """A study as it is now; None if it is not there."""
        document = await self._documents.latest(place)
        rows = await read_study(self._tables, place)
        tally = rows.overlaid()
        if rows.anchor is None or tally.study.count <= 0:
            return None
        anchor, emptied = label_row_in(rows.anchor), emptied_in(tally)
        created = 0 if made_anew else int(rows.anchor.properties["created"]) << 16
        row = anchor or LabelRow()
        # One that an earlier study of this UID has left does not count.
        counts = (
            document and document.version > emptied and (document.number == row.number or document.version > created)
        )
        highest = document.number if document else 0
        return _Seen(rows, row, anchor is not None, emptied, document if counts else None, highest)

    async def _adopt(self, place: StudyPlace, seen: _Seen, document: StudyDocument | None, posted: _Posted) -> bool:
        """Let postings and anchor say what a document does; False if others were faster with the anchor."""
        study, sort_key = place.study_instance_uid, seen.rows.sort_key
        posted.row_keys |= dict.fromkeys(label_postings(sort_key, study, seen.anchor.labels))
        if document is None:
            return True
        labels = tuple(document.members.get(LABELS, ()))
        wanted = label_postings(sort_key, study, labels)
        if seen.anchor.number < document.number:
            await post(self._tables, place, "idx", wanted)
            if not await self._merge(place, seen, LabelRow(labels, document.number, document.version)):
                return False
        if gone := [row_key for row_key in posted.row_keys if row_key not in wanted]:
            await self._unpost(place, gone)
        await self._documents.remove_before(place, document.number)
        return True

    async def _merge(self, place: StudyPlace, seen: _Seen, row: LabelRow) -> bool:
        anchor = seen.rows.anchor
        etag = anchor.etag if anchor else ""
        return await best_effort_commit(
            self._tables, "dicom", [RowWrite("merge", place.partition_key, keys.ANCHOR, row.properties(), etag)]
        )

    async def _unpost(self, place: StudyPlace, row_keys: list[str]) -> None:
        """Remove postings that nothing says any more.

        They are read first, then the document, then the anchor: whoever decides on a label again after that writes its
        posting again, and the removal finds it changed. A decision that the anchor does not show yet is waited for.
        """
        rounds = Rounds("", rounds=_LOOKS + 1)
        for _ in range(_LOOKS):
            await rounds.next()
            found = [await self._tables.get("idx", place.postings, row_key) for row_key in row_keys]
            document = await self._documents.latest(place)
            anchor = await self._tables.get("dicom", place.partition_key, keys.ANCHOR)
            row = label_row_in(anchor) or LabelRow()
            if document is None or document.number == row.number:
                sort_key = str(anchor.properties["sk"]) if anchor else ""
                stay = label_postings(sort_key, place.study_instance_uid, row.labels)
                stale = [
                    RowWrite("delete", each.partition_key, each.row_key, etag=each.etag)
                    for each in found
                    if each and each.row_key not in stay
                ]
                if not stale or await best_effort_commit(self._tables, "idx", stale):
                    return
