"""Studies that are to be reconciled, and what is known of those that were (CAST-EV-4, CAST-EV-10, dicomcast §5.3).

Two rows of one partition for each study: `d` while it is dirty, with everything about the attempts; `s` with what was
written, for good. So the dirty ones are found by reading them alone, however many studies there are, and both change
in one transaction. Partitions are spread by a hash of the study.
"""

import time
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from shared.cast.ports import CastTables
from shared.storage.large_values import join, split
from shared.storage.optimistic import Rounds, best_effort_commit, commit_once
from shared.storage.ports import CastTable, Entity, RowWrite, Value

TABLE: CastTable = "DicomCast"
LEASE_SECONDS = 60.0
_SHARDS = 8
_DIRTY, _SYNCED = "d", "s"
_FREED: dict[str, Any] = {"parked": "", "parked_at": 0.0, "detail": "", "not_before": 0.0}


@dataclass(frozen=True, slots=True, order=True)
class StudyKey:
    """A study of a data partition."""

    partition: str
    study: str

    @property
    def partition_key(self) -> str:
        """Of its rows."""
        return f"study{zlib.crc32(self.study.encode()) % _SHARDS}"

    @property
    def name(self) -> str:
        """Of it in row keys: names of partitions hold no blank."""
        return f"{self.partition} {self.study}"


@dataclass(frozen=True, slots=True)
class Dirty:
    """A study that is to be reconciled."""

    key: StudyKey
    sequence: int
    """The newest change that is known of it."""
    since: float
    """When the oldest change that is not written was marked, in seconds since 1970."""
    committed: float = 0.0
    """When the oldest change was committed that is not written."""
    meanwhile: float = 0.0
    """The same of the changes that were marked during an attempt; 0 if there are none."""
    not_before: float = 0.0
    """No attempt before that."""
    replay: bool = False
    """Reconciled even if DICOM tells of no change."""
    parked: str = ""
    """Class of the error that keeps it from being tried; empty: it is tried."""
    parked_at: float = 0.0
    detail: str = ""
    """JSON: what whoever lists parked studies is told (CAST-PM-1)."""
    owner: str = ""
    """The process that reconciles it now; empty: none."""
    until: float = 0.0
    """End of that lease."""
    attempts: int = 0
    """Those that failed since the last success."""
    first_failure: float = 0.0
    open_seconds: float = 0.0
    """The count of the circuit when the first attempt failed."""
    etag: str = ""

    def properties(self) -> dict[str, Value]:
        """Of its row."""
        return {
            "partition": self.key.partition,
            "study": self.key.study,
            "maxSeenSequence": self.sequence,
            "since": self.since,
            "committed": self.committed,
            "meanwhile": self.meanwhile,
            "notBefore": self.not_before,
            "replay": self.replay,
            "parked": self.parked,
            "parkedAt": self.parked_at,
            "detail": self.detail,
            "leaseOwner": self.owner,
            "leaseUntil": self.until,
            "attempts": self.attempts,
            "firstFailureAt": self.first_failure,
            "openSeconds": self.open_seconds,
        }


@dataclass(frozen=True, slots=True)
class Synced:
    """The record of the resources that were written of a study."""

    sequence: int = 0
    at: float = 0.0
    metadata_etag: str = ""
    """Of the DICOM side, with the digest of the settings before it."""
    imaging_study: str = ""
    """Logical id; empty: none was written, or it was deleted."""
    created_by_us: bool = False
    series: frozenset[str] = frozenset()
    """Series that this service wrote."""
    reports: frozenset[str] = frozenset()
    """Dose SRs whose Observations it wrote."""
    noted: bool = False
    """Rows tell of values that were not written as they are."""
    etag: str = field(default="", compare=False)

    def properties(self, key: StudyKey) -> dict[str, Value]:
        """Of its row."""
        written = {"series": sorted(self.series), "reports": sorted(self.reports)}
        return {
            "partition": key.partition,
            "study": key.study,
            "syncedSequence": self.sequence,
            "syncedAt": self.at,
            "metadataEtag": self.metadata_etag,
            "imagingStudyId": self.imaging_study,
            "createdByUs": self.created_by_us,
            "noted": self.noted,
            **split("w", zlib.compress(orjson.dumps(written))),
        }


class LeaseTaken(Exception):
    """Somebody else reconciles the study."""


class DirtyStudies:
    """The rows. Every method raises Unavailable while the tables do not answer."""

    def __init__(self, tables: CastTables, now: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self.now = now

    async def mark(self, key: StudyKey, sequence: int, *, replay: bool = False, committed: float = 0.0) -> bool:
        """Note a change: one write, however many changes there were. Takes the mark of a parked study off.

        `committed`: when the oldest of them was, 0 for now. Whether the study is dirty then.
        """
        told = committed or self.now()
        rounds = Rounds("A study is busy")
        while True:
            await rounds.next()
            held = await self.get(key)
            if held is None and not replay:
                written = await self.synced(key)
                if written is not None and written.sequence >= sequence:
                    return False  # a change that is told again
            changed = held or Dirty(key, sequence, self.now(), told)
            if held is not None:
                newer = sequence > held.sequence or replay
                if not newer or (replay and held.replay and not held.parked and sequence <= held.sequence):
                    return True
                freed: dict[str, Any] = _FREED if held.parked else {}
                changed = replace(held, sequence=max(sequence, held.sequence), **freed)
                if held.owner and sequence > held.sequence:
                    changed = replace(changed, meanwhile=held.meanwhile or told)
            changed = replace(changed, replay=changed.replay or replay)
            if await self._write(changed) is not None:
                return True

    async def get(self, key: StudyKey) -> Dirty | None:
        """The study if it is dirty."""
        row = await self._tables.get(TABLE, key.partition_key, f"{_DIRTY}{key.name}")
        return _dirty(row) if row else None

    async def synced(self, key: StudyKey) -> Synced | None:
        """The record of the study; None if there is none."""
        row = await self._tables.get(TABLE, key.partition_key, f"{_SYNCED}{key.name}")
        return _synced(row) if row else None

    async def take(self, dirty: Dirty, owner: str) -> Dirty:
        """Take the lease. Raises LeaseTaken."""
        if dirty.owner and dirty.owner != owner and dirty.until > self.now():
            raise LeaseTaken
        taken = await self._write(replace(dirty, owner=owner, until=self.now() + LEASE_SECONDS, meanwhile=0.0))
        if taken is None:
            raise LeaseTaken
        return taken

    async def change(self, dirty: Dirty, **changed: Any) -> Dirty | None:
        """Write what the attempt of `dirty.owner` led to; what was marked meanwhile stays. None: the lease was lost."""
        current: Dirty | None = dirty
        rounds = Rounds("A study is busy")
        while current is not None and current.owner == dirty.owner:
            await rounds.next()
            written = await self._write(replace(current, **changed))
            if written is not None:
                return written
            current = await self.get(dirty.key)
        return None

    async def park(self, dirty: Dirty, kind: str, detail: str) -> bool:
        """Let nobody try a study until it changes. False: it has changed meanwhile, or the lease was lost."""
        current = await self.get(dirty.key)
        rounds = Rounds("A study is busy")
        while current is not None and current.owner == dirty.owner and current.sequence == dirty.sequence:
            await rounds.next()
            parked = replace(current, parked=kind, parked_at=self.now(), detail=detail, replay=False)
            if await self._write(replace(parked, owner="", until=0.0, attempts=current.attempts + 1)) is not None:
                return True
            current = await self.get(dirty.key)
        return False

    async def done(self, dirty: Dirty, synced: Synced) -> bool:
        """The study is as it was when `dirty.sequence` was the newest change. False: the lease was lost."""
        current: Dirty | None = dirty
        rounds = Rounds("A study is busy")
        while current is not None and current.owner == dirty.owner:
            await rounds.next()
            key = dirty.key
            record = RowWrite("upsert", key.partition_key, f"{_SYNCED}{key.name}", synced.properties(key))
            if current.sequence > dirty.sequence or (current.replay and not dirty.replay):
                now = self.now()
                rest = Dirty(key, current.sequence, now, current.meanwhile or now, replay=current.replay)
                mark = RowWrite("replace", key.partition_key, f"{_DIRTY}{key.name}", rest.properties(), current.etag)
            else:
                mark = RowWrite("delete", key.partition_key, f"{_DIRTY}{key.name}", etag=current.etag)
            if await best_effort_commit(self._tables, TABLE, [record, mark]):
                return True
            current = await self.get(key)
        return current is None

    async def all(self, *, parked: bool | None = None) -> AsyncIterator[Dirty]:
        """Every dirty study; only those that are parked, or are not."""
        for shard in range(_SHARDS):
            low = _DIRTY
            while True:
                page = await self._tables.page(TABLE, f"study{shard}", low, "e")
                for row in page.entities:
                    dirty = _dirty(row)
                    if parked is None or bool(dirty.parked) == parked:
                        yield dirty
                if page.next_row_key is None:
                    break
                low = page.next_row_key

    async def recorded(self) -> AsyncIterator[tuple[StudyKey, Synced]]:
        """Every study of which something was written."""
        for shard in range(_SHARDS):
            low = _SYNCED
            while True:
                page = await self._tables.page(TABLE, f"study{shard}", low, "t")
                for row in page.entities:
                    yield _key(row), _synced(row)
                if page.next_row_key is None:
                    break
                low = page.next_row_key

    async def _write(self, dirty: Dirty) -> Dirty | None:
        """Write a row as it was read; None if that is not known to have been done."""
        verb: Literal["replace", "insert"] = "replace" if dirty.etag else "insert"
        key = dirty.key
        write = RowWrite(verb, key.partition_key, f"{_DIRTY}{key.name}", dirty.properties(), dirty.etag or "*")
        etag = await commit_once(self._tables, TABLE, [write])
        return None if etag is None else replace(dirty, etag=etag)


def _key(row: Entity) -> StudyKey:
    return StudyKey(str(row.properties["partition"]), str(row.properties["study"]))


def _dirty(row: Entity) -> Dirty:
    held: Any = row.properties
    return Dirty(
        _key(row),
        held["maxSeenSequence"],
        held["since"],
        held.get("committed", held["since"]),
        held.get("meanwhile", 0.0),
        held["notBefore"],
        held["replay"],
        held["parked"],
        held["parkedAt"],
        held["detail"],
        held["leaseOwner"],
        held["leaseUntil"],
        held["attempts"],
        held["firstFailureAt"],
        held["openSeconds"],
        row.etag,
    )


def _synced(row: Entity) -> Synced:
    held: Any = row.properties
    written = orjson.loads(zlib.decompress(join("w", held)))
    return Synced(
        held["syncedSequence"],
        held["syncedAt"],
        held["metadataEtag"],
        held["imagingStudyId"],
        held["createdByUs"],
        frozenset(written["series"]),
        frozenset(written["reports"]),
        held["noted"],
        row.etag,
    )
