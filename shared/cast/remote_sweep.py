"""CAST-EV-6, CAST-EV-7 The change feed of another server, read from the checkpoint on.

Two kinds of feeds: windows of sequences, which may have gaps (v1), and rows in the order of their times, of which an
offset skips so many (v2). What is read twice is marked twice, which changes nothing.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from shared.cast.checkpoints import Checkpoint, Checkpoints
from shared.cast.dirty_studies import StudyKey
from shared.cast.json_stream import read_answer
from shared.cast.sweeping import Marking, StudyChanges
from shared.dicom.media_types import JSON
from shared.dicomweb.partitions import DEFAULT_NAME
from shared.outgoing.failures import Failure, answer_failed, request_failed
from shared.outgoing.server import Server
from shared.storage.optimistic import Rounds

_WINDOW = 100
"""Sequences of one window: the most that such feeds take."""
_ROWS = 200
"""Rows of one page: the most that such feeds take."""
_PAGES = 10_000
"""Windows or pages that one sweep reads; the next goes on behind them."""
_LARGEST = 2**63 - 1
"""The largest sequence that can be kept."""
_OVERLAP = timedelta(seconds=60)
"""Rows that were committed beside others may appear between them later: that much is read again."""


def counts_rows(address: str) -> bool:
    """Whether the offset of the change feed counts rows: from the second version of the API on."""
    version = urlsplit(address).path.rstrip("/").rpartition("/")[2].lower()
    return version not in ("v1", "v1.0-prerelease")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of the feed."""

    key: StudyKey
    sequence: int
    timestamp: str

    @property
    def committed(self) -> float:
        """Seconds since 1970; 0 if it is not understood."""
        moment = _moment(self.timestamp)
        return moment.timestamp() if moment else 0.0


class RemoteSweep:
    """Marks what the change feed of a server tells of."""

    def __init__(self, server: Server, checkpoints: Checkpoints, marking: Marking, *, rows: bool) -> None:
        """`rows`: whether its offset counts rows."""
        self._server = server
        self._checkpoints = checkpoints
        self._marking = marking
        self._rows = rows

    async def run(self) -> int:
        """Mark what has changed; how many studies of pages. Raises RequestFailed, Unavailable."""
        latest = await self.latest()
        at = await self._checkpoints.read()
        if at.at_end and at.sequence == latest if self._rows else at.sequence >= latest:
            return 0
        marked = pages = 0
        async for entries, to in self._pages(at, latest):
            marked += await self._mark(entries)
            moved = await self._checkpoints.move(replace(to, etag=at.etag))
            if moved is None:
                break  # somebody else sweeps
            at, pages = moved, pages + 1
            if pages == _PAGES:
                break
        return marked

    async def latest(self) -> int:
        """The newest sequence of the feed; 0 if it is empty."""
        entry = await self._get("changefeed/latest?includeMetadata=false")
        return _sequence(entry["sequence"]) if isinstance(entry, dict) and "sequence" in entry else 0

    async def position(self) -> tuple[int, int]:
        """The checkpoint and the newest sequence. Raises RequestFailed, Unavailable."""
        return (await self._checkpoints.read()).sequence, await self.latest()

    async def lag(self) -> float:
        """Nothing: the feed of another server is not asked for times."""
        return 0.0

    async def reset(self, sequence: int) -> None:
        """Begin anew behind `sequence`. Raises Unavailable."""
        rounds = Rounds("The change feed is being read")
        while True:
            await rounds.next()
            if await self._checkpoints.move(Checkpoint(sequence, etag=(await self._checkpoints.read()).etag)):
                return

    # ----------------------------------------------------------------------------------------------------- inside

    def _pages(self, at: Checkpoint, latest: int) -> AsyncIterator[tuple[list[_Entry], Checkpoint]]:
        """Pages of the feed, each with the checkpoint behind it."""
        return self._pages_of_rows(at) if self._rows else self._windows(at, latest)

    async def _windows(self, at: Checkpoint, latest: int) -> AsyncIterator[tuple[list[_Entry], Checkpoint]]:
        sequence = at.sequence
        while sequence < latest:
            entries = await self._entries(f"offset={sequence}&limit={_WINDOW}")
            sequence = min(sequence + _WINDOW, latest)
            yield entries, Checkpoint(sequence)

    async def _pages_of_rows(self, at: Checkpoint) -> AsyncIterator[tuple[list[_Entry], Checkpoint]]:
        passed = at.sequence if not at.start else 0  # of a checkpoint without time the sequence alone counts
        start, rows = (_before(at.start), 0) if at.at_end else (at.start, at.rows)
        newest = at.sequence
        while True:
            since = f"startTime={quote(start, safe='')}&" if start else ""
            entries = await self._entries(f"{since}offset={rows}&limit={_ROWS}")
            last = entries[-1].timestamp if entries else ""
            if last and last != start:
                start, rows = last, sum(1 for each in entries if each.timestamp == last)
            else:
                rows += len(entries)
            newest = max(newest, *(each.sequence for each in entries), 0)
            at_end = len(entries) < _ROWS
            yield [each for each in entries if each.sequence > passed], Checkpoint(newest, start, rows, at_end)
            if at_end:
                return

    async def _mark(self, entries: Iterable[_Entry]) -> int:
        found: dict[StudyKey, StudyChanges] = {}
        for each in entries:
            if self._marking.settings.all_partitions or each.key.partition == DEFAULT_NAME:
                found[each.key] = found.get(each.key, StudyChanges()).and_one(each.sequence, each.committed)
        await self._marking.mark(found)
        return len(found)

    async def _entries(self, query: str) -> list[_Entry]:
        found = await self._get(f"changefeed?{query}&includeMetadata=false")
        try:
            return [
                _Entry(
                    StudyKey(str(each.get("partitionName") or DEFAULT_NAME), str(each["studyInstanceUid"])),
                    _sequence(each["sequence"]),
                    str(each.get("timestamp") or ""),
                )
                for each in found or ()
            ]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _unusable() from None

    async def _get(self, target: str) -> Any:
        answer = await self._server.request("GET", target, headers={"Accept": JSON})
        if answer.status == 204:
            return None
        if answer.status != 200:
            raise answer_failed("DICOMweb", answer.status, answer.headers, answer.body)
        found = await read_answer(answer.body)
        if found is None and answer.body:
            raise _unusable()
        return found


def _sequence(value: Any) -> int:
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        raise _unusable() from None
    if not 0 <= found <= _LARGEST:
        raise _unusable()
    return found


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _before(text: str) -> str:
    """A while before a time; the beginning if it is none."""
    moment = _moment(text)
    try:
        return (moment - _OVERLAP).isoformat() if moment else ""
    except OverflowError:  # in the year 1
        return ""


def _unusable() -> Exception:
    return request_failed(Failure.UNUSABLE, "The DICOMweb server answered its change feed with something else.")
