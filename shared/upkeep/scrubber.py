"""The scrubber: finds and mends what no event and no hint leads to (storage §5, last line of the crash table).

It walks the whole store in small steps, any number of runs, and begins again at the end:
1. blobs, folder by folder: a file that no instance row knows is handed to the ingest; a study with unfinished work
   but without a hint gets one;
2. the postings of studies and series, then those of instances: what nothing implies is removed, if that was so some
   time ago already; along list `a`, empty series rows are removed and live instances whose file is missing reported.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from itertools import groupby

from shared import telemetry
from shared.dicomweb.partitions import PartitionDirectory
from shared.hints import Hints
from shared.index.instance_rows import STATE_COLUMNS, InstanceState, state_in
from shared.index.study_rows import read_study
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import Cleanup, schema_in
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import is_listed
from shared.index_schema.schema import Schemas
from shared.index_schema.service_documents import is_service_document
from shared.storage.optimistic import Cursor, best_effort_commit, commit_all
from shared.storage.ports import (
    BlobNotFound,
    BlobStore,
    Entity,
    Kind,
    RowWrite,
    TableStore,
    Value,
)
from shared.upkeep.stale_postings import StalePostings

type Ensure = Callable[[str], Awaitable[object]]
"""Sees to it that the instance in a blob is in the index, unless it must not be: `Ingest.ensure`."""

_YOUNG_SECONDS = 3600
"""Files younger than this may belong to a request that is still running."""
_SUSPECT_SECONDS = 600
"""A posting is removed only if nothing implied it that long ago: one that is written before its commit needs no longer
than a minute (storage §5)."""
_ABANDONED_SECONDS = 48 * 3600
"""A document beside a file that does not exist, or an upload that was not committed, belongs to nobody any more when it
is that old."""
_BLOBS_AT_ONCE = 1000
_POSTINGS_AT_ONCE = 500
_SAVED_EVERY = 1000
_AT_ONCE = 90
_PARTITION = "scrub"


@dataclass(slots=True)
class Scrubbed:
    """The work of one run."""

    blobs: int = 0
    """Files looked at."""
    postings: int = 0
    """Postings looked at."""
    ingested: int = 0
    """Files without an instance row that were handed to the ingest."""
    dropped: int = 0
    """Files of somebody else, which the ingest was asked to look at."""
    unfinished: int = 0
    """Uploads that were never committed whose blocks were removed."""
    abandoned: int = 0
    """Documents without their file that were removed."""
    missing: int = 0
    """Live instances whose file is gone."""
    unposted: int = 0
    hinted: int = 0
    series: int = 0
    """Empty series rows removed."""
    finished: bool = False
    """The walk through the store has come to its end."""

    @property
    def looked_at(self) -> int:
        """The measure of a run's length."""
        return self.blobs + self.postings


@dataclass(slots=True)
class _Walk:
    """The position of the walk."""

    stage: str = "blobs"
    """`blobs`, `idx` or `idxi`."""
    number: int = 0
    """The partition of postings."""
    row_key: str = ""
    """The posting to begin with, or where the listing of blobs goes on."""


class Scrubber:
    """`ensure` takes in a file that the index does not know."""

    def __init__(
        self,
        tables: TableStore,
        blobs: BlobStore,
        clock: HybridClock,
        partitions: PartitionDirectory,
        ensure: Ensure,
        *,
        schemas: Schemas,
        shards: int,
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._clock = clock
        self._partitions = partitions
        self._schemas = schemas
        self._ensure = ensure
        self._shards = shards
        self._hints = Hints(tables, clock, shards=shards)
        self._unposter = StalePostings(tables, schemas)
        self._cursor = Cursor(tables, _PARTITION, "cursor")

    async def run(self, *, limit: int = 20_000) -> Scrubbed:
        """Go on with the walk, for about `limit` files and postings. Raises Unavailable."""
        scrubbed = Scrubbed()
        await self._remove_suspects(scrubbed)
        walk = await self._walk()
        saved = 0
        while not scrubbed.finished and scrubbed.looked_at < limit:
            if walk.stage == "blobs":
                await self._scrub_blobs(walk, scrubbed)
            else:
                await self._scrub_postings(walk, scrubbed)
            if scrubbed.finished or scrubbed.looked_at >= min(limit, saved + _SAVED_EVERY):
                saved = scrubbed.looked_at
                await self._cursor.save({"stage": walk.stage, "number": walk.number, "row": walk.row_key})
        telemetry.event("scrubbed", **{name: getattr(scrubbed, name) for name in Scrubbed.__slots__})
        return scrubbed

    # ------------------------------------------------------------------------------------------------------- blobs

    async def _scrub_blobs(self, walk: _Walk, scrubbed: Scrubbed) -> None:
        page = await self._blobs.page(walk.row_key, top=_BLOBS_AT_ONCE)
        scrubbed.blobs += 1 + len(page.blobs) + len(page.empty)
        here = {blob.name for blob in page.blobs}
        names = []
        for blob in page.blobs:
            age = self._clock.now() - blob.created.timestamp()
            parts = blob_names.parse_blob_name(blob.name)
            # rule: a young file may belong to a request
            if parts and age > _YOUNG_SECONDS:
                names.append((parts.namespace, parts.identifier.study_instance_uid, blob.name))
            elif file := blob_names.file_beside(blob.name):
                if age > _ABANDONED_SECONDS and file not in here and not await self._exists(file):
                    scrubbed.abandoned += await self._blobs.delete(blob.name)
            elif not parts and not is_service_document(blob.name) and age > _YOUNG_SECONDS:
                scrubbed.dropped += 1
                await self._take_in(blob.name)
        for name in page.empty:
            if parts := blob_names.parse_blob_name(name):
                if self._clock.now() - blob_names.upload_time(parts.upload_id) > _ABANDONED_SECONDS:
                    scrubbed.unfinished += await self._blobs.remove_staged(name)
            elif not blob_names.file_beside(name):
                await self._take_in(name)
        for (namespace, study), group in groupby(names, key=lambda item: item[:2]):
            place = keys.study_place(namespace, study, self._shards)
            await self._scrub_files(place, [name for *_, name in group], scrubbed)
        walk.row_key = page.next_marker
        if not page.next_marker:
            walk.stage = "idx"

    async def _take_in(self, blob: str) -> None:
        try:
            await self._ensure(blob)
        except Exception as error:  # noqa: BLE001 - one file that trips the reader must not end every walk at its place
            telemetry.failure("scrubbed-file-not-indexed", error, blob=telemetry.pseudonym(blob))

    async def _scrub_files(self, place: StudyPlace, names: Sequence[str], scrubbed: Scrubbed) -> None:
        """Files without instance row, and unfinished work without hint, of one study."""
        states = [state_in(row) for row in await self._instance_rows(place)]
        known = {file for state in states if state.live for file in (state.blob, state.original)}
        for name in names:
            if name not in known and not _is_remembered(name, states):
                scrubbed.ingested += 1
                await self._take_in(name)
        unfinished = await self._tables.page("dicom", place.partition_key, *keys.UNFINISHED, top=1, select=("sk",))
        if unfinished.entities and not await self._hints.exist(place):
            scrubbed.hinted += 1
            await self._hints.announce(place)

    async def _instance_rows(self, place: StudyPlace) -> list[Entity]:
        return await self._tables.range("dicom", place.partition_key, *keys.INSTANCES, select=STATE_COLUMNS)

    # ---------------------------------------------------------------------------------------------------- postings

    async def _scrub_postings(self, walk: _Walk, scrubbed: Scrubbed) -> None:
        kind: Kind = "idx" if walk.stage == "idx" else "idxi"
        partitions = await self._partitions.partitions()
        if walk.number >= len(partitions) * self._shards:
            scrubbed.finished = kind == "idxi"
            walk.stage, walk.number, walk.row_key = ("blobs" if kind == "idxi" else "idxi"), 0, ""
            return
        namespace = partitions[walk.number // self._shards].namespace
        partition_key = keys.posting_partition(walk.number % self._shards, namespace)
        page = await self._tables.page(kind, partition_key, walk.row_key, keys.LAST, top=_POSTINGS_AT_ONCE)
        scrubbed.postings += 1 + len(page.entities)
        for study, postings in _by_study(page.entities):
            place = keys.study_place(namespace, study, self._shards)
            stale = await self._unposter.stale(place, kind, postings)
            await self._suspect(kind, stale or [])
            if any(is_listed(posting.row_key) for posting in postings):
                await self._scrub_study(place, scrubbed)
        if page.next_row_key is None:
            walk.number, walk.row_key = walk.number + 1, ""
        else:
            walk.row_key = page.next_row_key

    async def _suspect(self, kind: Kind, postings: Sequence[Entity]) -> None:
        """Remember postings that nothing implies, as they are when that is first seen."""
        for posting in postings:
            key = sha1(f"{kind}!{posting.partition_key}!{posting.row_key}".encode(), usedforsecurity=False).hexdigest()
            known = await self._tables.get("conf", _PARTITION, f"s{key}")
            if known and known.properties["etag"] == posting.etag:
                continue
            properties: dict[str, Value] = {
                "kind": kind,
                "partition": posting.partition_key,
                "posting": posting.row_key,
                "study": str(posting.properties["study"]),
                "etag": posting.etag,
                "t": self._clock.now(),
            }
            await commit_all(self._tables, "conf", [RowWrite("upsert", _PARTITION, f"s{key}", properties)])

    async def _remove_suspects(self, scrubbed: Scrubbed) -> None:
        """Remove the postings that were stale some time ago, have not been written since, and are stale now."""
        for row in await self._tables.range("conf", _PARTITION, "s", "t"):
            properties = row.properties
            # rule: a suspect posting is removed only some time later
            if self._clock.now() - float(properties["t"]) < _SUSPECT_SECONDS:
                continue
            kind: Kind = "idx" if properties["kind"] == "idx" else "idxi"
            namespace = keys.namespace_of(str(properties["partition"]))
            place = keys.study_place(namespace, str(properties["study"]), self._shards)
            found = await self._unposter.read(place, kind, [str(properties["posting"])])
            # rule: a suspect posting is removed only as it was seen
            stale = await self._unposter.stale(place, kind, [each for each in found if each.etag == properties["etag"]])
            if stale and await self._unposter.remove(kind, stale):
                scrubbed.unposted += 1
            gone = RowWrite("delete", _PARTITION, row.row_key)
            await best_effort_commit(self._tables, "conf", [gone])

    # ----------------------------------------------------------------------------------------------------- studies

    async def _scrub_study(self, place: StudyPlace, scrubbed: Scrubbed) -> None:
        """Empty series rows, and live instances whose file is gone."""
        scrubbed.series += await self._remove_empty_series(place)
        prefix = blob_names.blob_prefix(place.namespace, place.study_instance_uid)
        names = {blob.name async for blob in self._blobs.list(prefix)}
        rows = await self._instance_rows(place)
        await self._check_schema([row for row in rows if row.properties["live"]])
        for row in rows:
            state = state_in(row)
            for file in filter(None, (state.blob, state.original) if state.live else ()):
                if file in names or await self._exists(file):
                    continue
                now = await self._tables.get("dicom", place.partition_key, row.row_key)
                if now and now.etag == row.etag:
                    scrubbed.missing += 1
                    telemetry.event("file-missing", level=40, blob=telemetry.pseudonym(file))

    async def _check_schema(self, live: Sequence[Entity]) -> None:
        """Whether somebody who did not know the schema has written rows after the re-index had been done."""
        lowest = min(map(schema_in, live), default=None)
        if lowest is not None and lowest < max((await self._schemas.current()).complete):
            await self._schemas.reopen(lowest + 1)

    async def _exists(self, blob: str) -> bool:
        try:
            await self._blobs.properties(blob)
        except BlobNotFound:
            return False
        return True

    async def _remove_empty_series(self, place: StudyPlace) -> int:
        """A fold removes the row of a series with its last instance: only a damaged store has such rows."""
        rows = await read_study(self._tables, place)
        if rows.pending or rows.summary is None:
            return 0
        series = rows.tally().series
        empty = [uid for uid, summary in series.items() if summary.count == 0][:_AT_ONCE]
        if not empty:
            return 0
        version = int(rows.summary.properties["ver"]) + 1
        study, sort_key, partition_key = place.study_instance_uid, rows.sort_key, place.partition_key
        schema = await self._schemas.current()
        postings = [key for uid in empty for key in schema.series_postings(sort_key, study, uid, series[uid].plain())]
        cleanup = Cleanup(keys.cleanup_row(version, sort_key), sort_key, postings)
        summary = {**rows.summary.properties, "ver": version}
        await self._hints.announce(place)
        operations = [
            RowWrite("replace", partition_key, keys.SUMMARY, summary, rows.summary.etag),
            RowWrite("insert", partition_key, cleanup.row_key, cleanup.properties()),
        ]
        for uid in empty:
            row = rows.series[uid]
            operations.append(RowWrite("delete", partition_key, row.row_key, etag=row.etag))
        await best_effort_commit(self._tables, "dicom", operations)
        return len(empty)

    # ------------------------------------------------------------------------------------------------------ cursor

    async def _walk(self) -> _Walk:
        stored = await self._cursor.read()
        if stored is None:
            return _Walk()
        properties, _ = stored
        return _Walk(str(properties["stage"]), int(properties["number"]), str(properties["row"]))


def _is_remembered(blob: str, states: Iterable[InstanceState]) -> bool:
    return any(state.remembers(blob) for state in states)


def _by_study(postings: Iterable[Entity]) -> list[tuple[str, list[Entity]]]:
    found: dict[str, list[Entity]] = {}
    for posting in postings:
        found.setdefault(str(posting.properties["study"]), []).append(posting)
    return list(found.items())
