"""CAST-EV-3, CAST-EV-6 Changes become dirty studies: once for each study and page, whatever their number."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.cast.dirty_studies import TABLE, DirtyStudies, StudyKey
from shared.cast.json_stream import read_object
from shared.cast.ports import CastTable, CastTables
from shared.cast.queueing import Hints
from shared.cast.settings import CastSettings
from shared.change_log.follower import FollowedChange, Following, Start
from shared.dicom.media_types import JSON
from shared.dicomweb.partitions import DEFAULT_NAME, PartitionDirectory
from shared.outgoing.failures import Failure, answer_failed, request_failed
from shared.outgoing.server import Server
from shared.storage.ports import Ambiguous, PreconditionFailed, RowWrite

FOLLOWING = Following("cast", "cast-sweep-failed", start=Start.BEGINNING, changes_at_once=1000)
"""All that was ever stored is cast: the log begins with the first store."""
_PARALLEL = 16
_SYNC_STATE: CastTable = "SyncStateTable"
_CHECKPOINT = ("SyncStatePartitionKey", "SyncStateRowKey")
"""Keys of the archived DICOMcast, so that an installation of it goes on where it was."""
_WINDOW = 200
_SWEEP = ("sweep", "request")


@dataclass(frozen=True, slots=True)
class Marking:
    """Marks the studies of changes, and hints at them."""

    studies: DirtyStudies
    hints: Hints
    partitions: PartitionDirectory
    settings: CastSettings

    async def handle(self, changes: Sequence[FollowedChange]) -> None:
        """A page of the change log (a handler of `Follower`). Raises Unavailable."""
        newest: dict[tuple[str, str], int] = {}
        for each in changes:
            newest[each.change.namespace, each.change.identifier.study_instance_uid] = each.sequence
        names = {namespace: await self._name(namespace) for namespace in {namespace for namespace, _ in newest}}
        await self.mark(
            {StudyKey(names[namespace], study): at for (namespace, study), at in newest.items() if names[namespace]}
        )

    async def mark(self, newest: dict[StudyKey, int]) -> None:
        """Mark studies, each with its newest change."""
        slots = asyncio.Semaphore(_PARALLEL)

        async def one(key: StudyKey, sequence: int) -> None:
            async with slots:
                await self.studies.mark(key, sequence)
                await self.hints.study(key, sequence)

        await asyncio.gather(*(one(key, sequence) for key, sequence in newest.items()))

    async def _name(self, namespace: str) -> str:
        """The name of a data partition; empty for one that is not cast."""
        partition = await self.partitions.by_namespace(namespace)
        name = partition.name if partition else ""
        return name if self.settings.all_partitions or name == DEFAULT_NAME else ""


class SweepRequests:
    """Asks for a sweep after a change, once for all changes until then (CAST-EV-3)."""

    def __init__(self, tables: CastTables, hints: Hints, settle_seconds: float, now: Callable[[], float]) -> None:
        self._tables = tables
        self._hints = hints
        self._settle = settle_seconds
        self._now = now
        self._asked_until = 0.0

    async def ask(self) -> None:
        """Let a sweep come once changes have settled. Raises Unavailable."""
        now = self._now()
        if now < self._asked_until:
            return
        row = await self._tables.get(TABLE, *_SWEEP)
        if row is not None and now < float(row.properties["until"]) <= now + self._settle:
            self._asked_until = float(row.properties["until"])
            return
        until = now + self._settle
        write = RowWrite("replace" if row else "insert", *_SWEEP, {"until": until}, row.etag if row else "*")
        try:
            await self._tables.commit(TABLE, [write])
        except (PreconditionFailed, Ambiguous):
            return  # somebody else has asked; if not, the timer sweeps
        self._asked_until = until
        await self._hints.sweep(self._settle)


class RemoteSweep:
    """Reads the change feed of another server from the checkpoint on: windows of sequences, which may have gaps."""

    def __init__(self, server: Server, tables: CastTables, marking: Marking) -> None:
        self._server = server
        self._tables = tables
        self._marking = marking

    async def run(self) -> int:
        """Mark what has changed; how many studies of pages. Raises RequestFailed, Unavailable."""
        latest = await self.latest()
        marked = 0
        while True:
            at, etag = await self.checkpoint()
            if at >= latest:
                return marked
            entries = await self._get(f"changefeed?offset={at}&limit={_WINDOW}&includeMetadata=false")
            newest: dict[StudyKey, int] = {}
            for entry in entries if isinstance(entries, list) else []:
                partition = str(entry.get("partitionName") or DEFAULT_NAME)
                if self._marking.settings.all_partitions or partition == DEFAULT_NAME:
                    key = StudyKey(partition, str(entry["studyInstanceUid"]))
                    newest[key] = max(int(entry["sequence"]), newest.get(key, 0))
            await self._marking.mark(newest)
            marked += len(newest)
            if not await self.move(min(at + _WINDOW, latest), etag):
                return marked  # somebody else sweeps

    async def latest(self) -> int:
        """The newest sequence of the feed; 0 if it is empty."""
        entry = await self._get("changefeed/latest?includeMetadata=false")
        return int(entry["sequence"]) if isinstance(entry, dict) and "sequence" in entry else 0

    async def position(self) -> tuple[int, int]:
        """The checkpoint and the newest sequence. Raises RequestFailed, Unavailable."""
        return (await self.checkpoint())[0], await self.latest()

    async def lag(self) -> float:
        """Nothing: the feed of another server is not asked for times."""
        return 0.0

    async def checkpoint(self) -> tuple[int, str]:
        """Where the sweep is, and the etag of that row; 0 where there is none."""
        row = await self._tables.get(_SYNC_STATE, *_CHECKPOINT)
        return (int(row.properties["SyncedSequence"]), row.etag) if row else (0, "")

    async def move(self, sequence: int, etag: str) -> bool:
        """Move the checkpoint as it was read; whether that was done."""
        write = RowWrite("replace" if etag else "insert", *_CHECKPOINT, {"SyncedSequence": sequence}, etag or "*")
        try:
            await self._tables.commit(_SYNC_STATE, [write])
        except (PreconditionFailed, Ambiguous):
            return False
        return True

    async def _get(self, target: str) -> Any:
        answer = await self._server.request("GET", target, headers={"Accept": JSON})
        if answer.status == 204:
            return None
        if answer.status != 200:
            raise answer_failed("DICOMweb", answer.status, answer.headers, answer.body)
        found = read_object(answer.body)
        if found is None and answer.body:
            raise request_failed(Failure.UNUSABLE, "The DICOMweb server answered its change feed with something else.")
        return found
