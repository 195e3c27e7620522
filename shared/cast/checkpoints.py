"""The position in the change feed of another server (dicomcast §5.3): a row, where the archived DICOMcast kept it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.cast.ports import CastTables
from shared.storage.optimistic import commit_once
from shared.storage.ports import CastTable, RowWrite

_SYNC_STATE: CastTable = "SyncStateTable"
_ROW = ("SyncStatePartitionKey", "SyncStateRowKey")
"""Keys of the archived DICOMcast, so that an installation of it goes on where it was."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The position of the sweep."""

    sequence: int = 0
    """Every change up to it has been seen."""
    start: str = ""
    """Of feeds whose offset counts rows: the time from which rows are read, as the server wrote it; empty: all."""
    rows: int = 0
    """Rows from that time on that have been seen."""
    at_end: bool = False
    """Nothing was behind them."""
    etag: str = ""


class Checkpoints:
    """Reads and moves it. Raises Unavailable."""

    def __init__(self, tables: CastTables, now: Callable[[], float]) -> None:
        self._tables = tables
        self._now = now

    async def read(self) -> Checkpoint:
        """Where the sweep is; the beginning where nothing is recorded."""
        row = await self._tables.get(_SYNC_STATE, *_ROW)
        if row is None:
            return Checkpoint()
        held = row.properties
        return Checkpoint(
            int(held["SyncedSequence"]),
            str(held.get("StartTime", "")),
            int(held.get("Rows", 0)),
            bool(held.get("AtEnd", False)),
            row.etag,
        )

    async def move(self, to: Checkpoint) -> Checkpoint | None:
        """Move it from where it was read; None: somebody else has moved it, or may have."""
        write = RowWrite(
            "replace" if to.etag else "insert",
            *_ROW,
            {
                "SyncedSequence": to.sequence,
                "StartTime": to.start,
                "Rows": to.rows,
                "AtEnd": to.at_end,
                "UpdatedAt": datetime.fromtimestamp(self._now(), UTC).isoformat(),
            },
            to.etag or "*",
        )
        etag = await commit_once(self._tables, _SYNC_STATE, [write])
        return None if etag is None else replace(to, etag=etag)
