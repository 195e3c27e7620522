"""The rebuild of the index from the files (DAT-5): every file goes through the ingest again, in the order of uploads.

The walk goes by the names of the blobs, page by page; all files of a study stand together there. A study that is whole
in the index already costs one read, so a walk that begins anew is cheap, and what is done stays done. Nothing is ever
removed: an older file of an instance goes to the trash, with its retention.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import batched

from shared.dicomweb.partitions import PartitionDirectory
from shared.errors import Unavailable
from shared.health_status import CheckResult, HealthCheck, Status
from shared.index import obsolete_marks
from shared.index.instance_rows import STATE_COLUMNS, InstanceState, state_in
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import ObsoleteBlob
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.index_schema.service_documents import is_service_document, parse_study_document
from shared.ingest.ingest import Ensured, Ingest
from shared.ingest.store_options import UpdatedFile
from shared.pacing import Foreground, Pace
from shared.storage.optimistic import Cursor, RetryBudget
from shared.storage.ports import BlobStore, TableStore
from shared.study_documents.labels import StudyLabels
from shared.upkeep.erasure import Erasure

type CatchUp = Callable[[], Awaitable[object]]
"""Numbers and folds what has been committed: `Sequencer.catch_up`."""
type Note = Callable[[str, str], None]
"""Told of a file that is not indexed: what became of it, and the name of the blob, which holds UIDs."""

_BLOBS_AT_ONCE = 1000
"""A page of the walk: what a run that was killed looks at again."""
_INSTANCES_AT_ONCE = 40
"""Of a study, that are committed together: they fit a transaction."""
_LONGEST_PAUSE = 2.0
"""Seconds of rest between two steps, at most, where a rebuild makes way for clients."""
_SUPERSEDED = "superseded"
REBUILD_ROW = ("rebuild", "cursor")
"""Partition key and row key, in `conf`, of where a rebuild is."""

_COUNTED = {
    Ensured.INDEXED: "indexed",
    Ensured.KNOWN: "known",
    Ensured.GONE: "gone",
    Ensured.OBSOLETE: "obsolete",
    Ensured.ALREADY_STORED: "refused",
    Ensured.NOT_READABLE: "not_readable",
    Ensured.INVALID: "invalid",
    Ensured.UNKNOWN_PARTITION: "unknown_partition",
}
_SILENT = ("indexed", "known", "obsolete", "unfinished", "gone")


@dataclass(slots=True)
class Rebuilt:
    """The outcome of the files, in numbers, in this run."""

    files: int = 0
    """Looked at; the sum of what follows."""
    known: int = 0
    """In the index already."""
    indexed: int = 0
    obsolete: int = 0
    """Deleted or replaced before; they are erased when their retention ends."""
    superseded: int = 0
    """Older files of an instance, without a mark: in the trash now."""
    refused: int = 0
    """Another file is the instance."""
    not_readable: int = 0
    invalid: int = 0
    unknown_partition: int = 0
    """Nothing says what their data partition is called."""
    unfinished: int = 0
    """Made by an update that did not get as far as to commit them; they stay where they are."""
    gone: int = 0
    """Erased while the walk went on."""
    studies: int = 0
    place: str = ""
    """Where another run goes on, which `Rebuild.run` takes as `after`; empty: all is done."""

    def count(self, what: str, number: int = 1) -> None:
        """So many more files of that kind."""
        self.files += number
        setattr(self, what, getattr(self, what) + number)

    def numbers(self) -> dict[str, int]:
        """By name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.type is int}

    def add(self, numbers: Mapping[str, int]) -> None:
        """Add the outcome of other files."""
        for name, number in numbers.items():
            setattr(self, name, getattr(self, name) + number)


@dataclass(slots=True)
class _Files:
    """The files of a study, or one that was dropped under a name of its own."""

    key: tuple[str, ...]
    names: list[str] = field(default_factory=list)
    marked: set[str] = field(default_factory=set)
    """Those that are marked as obsolete."""
    committed: set[str] = field(default_factory=set)
    """Those that are marked as committed by an update."""
    made: dict[str, UpdatedFile] = field(default_factory=dict)
    """Those that an update has made."""
    documented: bool = False
    """Whether a document lies beside them (DAT-53)."""


class Rebuild:
    """Makes the rows of the index from the files. `at_once`: studies side by side; `note` is told of files that are not
    indexed; `foreground`: the clients that it makes way for, None: none.
    """

    def __init__(
        self,
        tables: TableStore,
        blobs: BlobStore,
        clock: HybridClock,
        ingest: Ingest,
        *,
        partitions: PartitionDirectory,
        trash: Erasure,
        shards: int,
        catch_up: CatchUp,
        at_once: int = 8,
        note: Note = lambda _what, _blob: None,
        foreground: Foreground | None = None,
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._clock = clock
        self._ingest = ingest
        self._partitions = partitions
        self._trash = trash
        self._shards = shards
        self._catch_up = catch_up
        self._labels = StudyLabels(tables, blobs)
        self._at_once = at_once
        self._note = note
        self._foreground = foreground
        self._cursor = Cursor(tables, *REBUILD_ROW)

    async def run(
        self, *, restart: bool = False, dry: bool = False, after: str | None = None
    ) -> AsyncGenerator[Rebuilt]:
        """Go on where an earlier run was ended; what is done so far, after each page. Raises Unavailable.

        `restart`: from the first blob; `after`: from that place, whatever was ended. `dry`: count only, nothing is
        written.
        """
        if after is None:
            after = "" if dry or restart else await self.position()
        done = Rebuilt()
        if not dry:
            await self._cursor.save({"marker": after, "running": True})
        async for place, studies in self._pages(after):
            done.add(await self._page(studies, dry=dry))
            done.place = place
            if not dry:
                # What is committed is numbered as it goes: hints of all studies at once are more than a cycle looks at.
                await RetryBudget().retry(self._number)
                await self._cursor.save({"marker": place, "running": True})
            yield done
        if not dry:
            await self._cursor.save({"marker": "", "running": False})

    async def position(self) -> str:
        """Where an earlier run was ended; empty: it came to its end, or there was none. Raises Unavailable."""
        stored = await self._cursor.read()
        return str(stored[0]["marker"]) if stored else ""

    # ------------------------------------------------------------------------------------------------------- pages

    async def _pages(self, marker: str) -> AsyncIterator[tuple[str, list[_Files]]]:
        """Studies whose files are known to the last, and where a walk begins that has to do the others."""
        begins, left = marker, _Files(())
        while True:
            page = await self._blobs.page(marker, top=_BLOBS_AT_ONCE)
            done: list[_Files] = []
            for blob in page.blobs:
                name = blob.name
                key = _key(name)
                if key is None:
                    continue
                if key != left.key:
                    if left.names:
                        done.append(left)
                    left, begins = _Files(key), marker
                if is_service_document(name):
                    left.documented = True
                elif file := blob_names.file_beside(name):
                    if name == blob_names.obsolete_mark(file):
                        left.marked.add(file)
                    elif name == blob_names.committed_mark(file):
                        left.committed.add(file)
                else:
                    left.names.append(name)
                    if made := UpdatedFile.of_blob(blob.metadata):
                        left.made[name] = made
            if not page.next_marker:
                yield "", [*done, left] if left.names else done
                return
            marker = page.next_marker
            yield begins, done

    async def _page(self, studies: Sequence[_Files], *, dry: bool) -> Mapping[str, int]:
        """The outcome of the files of some studies."""
        done = Rebuilt()
        slots = asyncio.Semaphore(self._foreground.at_once(self._at_once) if self._foreground else self._at_once)

        async def rebuild(files: _Files) -> None:
            async with slots:
                await self._rebuild(files, done, dry=dry)

        tasks = [asyncio.create_task(rebuild(files)) for files in studies]
        try:
            await asyncio.gather(*tasks)
        finally:  # after a failure none of them goes on beside whoever takes the work over
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return done.numbers()

    async def _number(self) -> None:
        await self._catch_up()

    # --------------------------------------------------------------------------------------------------- one study

    async def _rebuild(self, files: _Files, done: Rebuilt, *, dry: bool) -> None:
        done.studies += len(files.key) > 1
        namespace = files.key[0] if len(files.key) > 1 else keys.DEFAULT_NAMESPACE
        partition = await self._partitions.by_namespace(namespace)
        if partition is None:
            self._count(done, "unknown_partition", files.names)
            return
        wanted = [name for name in files.names if name not in files.marked]
        place: StudyPlace | None = None
        if len(files.key) > 1:
            place = keys.study_place(namespace, files.key[1], self._shards)
            unfinished = [name for name in wanted if name in files.made and name not in files.committed]
            self._count(done, "unfinished", unfinished)
            wanted = [name for name in wanted if name not in unfinished]
            wanted = await self._left(place, wanted, files.made, done, dry=dry)
        marked = [name for name in files.names if name in files.marked]
        self._count(done, "obsolete", marked)
        if dry:
            done.count("indexed", len(wanted))
            return
        if place is not None:
            await self._to_trash(place, marked)
        pace = Pace(_LONGEST_PAUSE, self._foreground, alone=1.0, beside=1.0) if self._foreground else None
        # What an update has made follows the version that it was made of.
        for made in (False, True):
            of_kind = [name for name in wanted if (name in files.made) is made]
            for batch in batched(of_kind, _INSTANCES_AT_ONCE, strict=False):
                for name, ensured in zip(batch, await self._ensure(batch), strict=True):
                    self._count(done, _COUNTED[ensured], [name])
                if pace:
                    await pace.rest()
        if place is not None and files.documented:
            await RetryBudget().retry(partial(self._labels.restore, place))

    async def _left(
        self, place: StudyPlace, names: Sequence[str], made: Mapping[str, UpdatedFile], done: Rebuilt, *, dry: bool
    ) -> list[str]:
        """Those of the files without mark that are to be indexed, in the order of their uploads."""
        rows = await self._tables.range("dicom", place.partition_key, *keys.INSTANCES, select=STATE_COLUMNS)
        states = {keys.instance_of(row.row_key): state_in(row) for row in rows}
        newest: dict[tuple[str, str], str] = {}
        superseded: list[str] = []
        originals: list[str] = []
        for name in sorted(names, key=blob_names.upload_id_of):
            instance = _instance(name)
            state = states.get(instance)
            if state and state.names(name):
                self._count(done, "known", [name])
            elif state and (state.remembers(name) or state.has_refused(name)):
                self._count(done, "obsolete", [name])  # the erasure and the store know of it
            elif state and state.live and blob_names.upload_id_of(name) < state.upload_id:
                superseded.append(name)
            else:
                before = newest.get(instance)
                if before and name in made and made[name].original == before:
                    originals.append(before)
                elif before:
                    superseded.append(before)
                newest[instance] = name
        if not dry:
            await self._supersede(place, superseded, states)
        self._count(done, _SUPERSEDED, superseded)
        return sorted([*originals, *newest.values()], key=blob_names.upload_id_of)

    async def _supersede(
        self, place: StudyPlace, names: Iterable[str], states: dict[tuple[str, str], InstanceState]
    ) -> None:
        for name in names:
            series, instance = _instance(name)
            state = states.get((series, instance))
            version = self._clock.next(state.version if state else 0)
            await self._trash.put(place, ObsoleteBlob(name, series, instance, version, deleted=False))

    async def _to_trash(self, place: StudyPlace, names: Iterable[str]) -> None:
        """Let files that were obsolete before the rows were lost be erased when they would have been."""
        for name in names:
            obsolete = await obsolete_marks.marked(self._blobs, name)
            if obsolete is not None:
                await self._trash.put(place, obsolete)

    async def _ensure(self, names: Sequence[str]) -> list[Ensured]:
        ensured: list[Ensured] = []

        async def ensure() -> None:
            ensured[:] = await self._ingest.ensure_study(names)

        await RetryBudget().retry(ensure)
        if len(ensured) != len(names):
            raise Unavailable("The files were not indexed")
        return ensured

    def _count(self, done: Rebuilt, what: str, names: Sequence[str]) -> None:
        done.count(what, len(names))
        if what not in _SILENT:
            for name in names:
                self._note(what, name)


async def is_rebuilding(tables: TableStore) -> bool:
    """Whether a rebuild of the index has still to come to its end. Raises Unavailable."""
    stored = await Cursor(tables, *REBUILD_ROW).read()
    return bool(stored and stored[0].get("running"))


def index_is_whole(tables: TableStore, ping: Callable[[], Awaitable[object]]) -> HealthCheck:
    """Whether the tables answer to `ping`, and no rebuild of the index has still to come to its end (DAT-51)."""

    async def check() -> CheckResult | None:
        await ping()
        if await is_rebuilding(tables):
            return CheckResult(Status.DEGRADED, "The index is being made anew: what it lacks is not found yet.")
        return None

    return check


def _key(name: str) -> tuple[str, ...] | None:
    """The key that files of one study have in common; None for a blob that is no file and lies beside none."""
    if study := parse_study_document(name):
        return study.namespace, study.study_instance_uid
    if is_service_document(name):
        return None
    file = blob_names.file_beside(name) or name
    parts = blob_names.parse_blob_name(file)
    return (parts.namespace, parts.identifier.study_instance_uid) if parts else (file,)


def _instance(name: str) -> tuple[str, str]:
    parts = blob_names.parse_blob_name(name)
    if parts is None:
        raise ValueError("Not a file of a study")
    return parts.identifier.series_instance_uid, parts.identifier.sop_instance_uid
