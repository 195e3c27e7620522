"""Readers are told of outcomes without being asked: every night, and soon after an outcome is there (COH-39, COH-40).

Both only repeat what `deliver` does, which tells of each pair of read and outcome once. Rows of `ops`, partition
`feedback-due`: one for each resource that an event has named, until the readers of its patient have been told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from shared.cohorts.feedback.transaction import Audit, Feedback
from shared.cohorts.gathering.reader import GROUP
from shared.errors import DicomServiceError
from shared.http.roles import WHOLE_SERVICE
from shared.index_schema.keys import LAST
from shared.storage.optimistic import best_effort_commit, commit_all
from shared.storage.ports import Entity, RowWrite, TableStore

OUTCOMES: Final = frozenset({"DiagnosticReport", "Procedure", "Condition", "Observation"})
"""Types of the resources by which an outcome comes to be, or is linked to a read."""
ASKED: Final = "feedback/reader/deliver"
"""The request in audit records of deliveries."""
_DUE: Final = "feedback-due"
_LATE_DAYS: Final = 90
"""How long after its day an outcome may be typed in for the night to find it: a quarter, in which the pathology and the
letters of an examination are through.
"""
_MOST: Final = 1000
"""Resources of one run; the next, a minute later, does more."""


@dataclass(frozen=True, slots=True)
class Told:
    """The readers who are told, and how far back."""

    readers: Sequence[str]
    """`Type/id` of each."""
    window_days: int
    """Days after a read in which an outcome counts."""


class Deliveries:
    """Deliveries of one service that nobody asks for."""

    def __init__(
        self, feedback: Feedback, tables: TableStore, told: Told, audit: Audit, now: Callable[[], float]
    ) -> None:
        self._feedback = feedback
        self._tables = tables
        self._told = told
        self._audit = audit
        self._now = now

    async def note(self, kind: str, identifier: str) -> None:
        """Note that a resource has been created or changed; types that are no outcome are none of ours."""
        if kind in OUTCOMES:
            row = RowWrite("upsert", _DUE, f"{kind}!{identifier}", {"at": self._now()})
            await commit_all(self._tables, "ops", [row])

    async def due(self) -> Mapping[str, int]:
        """Tell of what is due; how many were told now, and before. Raises RequestFailed, Unavailable."""
        counts = {"delivered": 0, "existing": 0}
        rows = await self._rows()
        for group in (rows[at : at + GROUP] for at in range(0, len(rows), GROUP)):
            references = [each.row_key.replace("!", "/", 1) for each in group]
            told = await self._feedback.deliver_about(references, self._told.readers, self._audit)
            counts = {name: counts[name] + told[name] for name in counts}
            await self._forget(group)
        return counts

    async def nightly(self) -> Mapping[str, int]:
        """Tell every reader; how many were told now, and before. One who cannot be told keeps no other from it.

        Raises the first failure, when all are through.
        """
        counts, failures = {"delivered": 0, "existing": 0}, list[DicomServiceError]()
        for reader in self._told.readers:
            try:
                told = await self._feedback.deliver(reader, self._since(), WHOLE_SERVICE, self._audit)
            except DicomServiceError as failure:
                failures.append(failure)
                continue
            counts = {name: counts[name] + told[name] for name in counts}
        if failures:
            raise failures[0]
        return counts

    async def _rows(self) -> Sequence[Entity]:
        low = ""
        while True:
            page = await self._tables.page("ops", _DUE, low, LAST, top=_MOST)
            if page.entities or page.next_row_key is None:
                return page.entities
            low = page.next_row_key

    def _since(self) -> date:
        """Reads before that day have no outcome any more."""
        today = datetime.fromtimestamp(self._now(), UTC).date()
        return today - timedelta(days=min(self._told.window_days + _LATE_DAYS, today.toordinal() - 1))

    async def _forget(self, rows: Iterable[Entity]) -> None:
        """Remove rows, but those that an event has written anew: what it told of may not have been read."""
        for each in rows:
            await best_effort_commit(self._tables, "ops", [RowWrite("delete", _DUE, each.row_key, {}, each.etag)])
