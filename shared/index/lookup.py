"""Reading the index by identity (storage §3)."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

from shared.concurrency import in_turns
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.index.instance_rows import (
    DESCRIPTION_COLUMNS,
    STATE_COLUMNS,
    VERSION_COLUMNS,
    IndexedInstance,
    indexed_instance_in,
    state_in,
    stored_instance_in,
    version_in,
)
from shared.index.label_rows import labels_in
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.index.study_rows import StudyRows, read_study, restore_lost
from shared.index.summary import EXPIRES, NEWEST, Summary, Tally
from shared.index_schema import keys
from shared.index_schema.keys import StudyPlace
from shared.storage.ports import Entity, Page, TableStore

_PARALLEL_RANGES = 8
_PARALLEL_READS = 32
_NEIGHBOURS = 4
"""From so many instances of a series on they are looked for together."""
_SPARE = 4
"""The most rows that may be read for each that is wanted."""
_STREAMED_ROWS = 250
"""Rows of a page while metadata are streamed: some ten kilobytes each."""


class InstanceLookup:
    """Look-up of what is stored, as of now: everything that has been acknowledged is seen.

    `shards` is the number of shards of the store.
    """

    def __init__(self, tables: TableStore, *, shards: int) -> None:
        self._tables = tables
        self._shards = shards

    async def study(self, partition: Partition, study: str) -> StudyView | None:
        """A study with its series; None if it has no instance."""
        return await self.study_in(partition.namespace, study)

    async def study_in(self, namespace: str, study: str) -> StudyView | None:
        """The same, by the namespace of the data partition."""
        return await self.study_at(keys.study_place(namespace, study, self._shards))

    async def study_at(self, place: StudyPlace) -> StudyView | None:
        """The same, by place."""
        rows = await read_study(self._tables, place)
        tally = rows.overlaid()
        # rule: readers take back what a pending deletion takes back
        await restore_lost(self._tables, place, tally)
        return view_of(place, rows, tally)

    async def instance(
        self, partition: Partition, identifier: InstanceIdentifier, *, metadata: bool
    ) -> StoredInstance | None:
        """An instance; None if it is not there. `metadata`: with its metadata, if they are not in a blob."""
        return await self.instance_in(partition.namespace, identifier, metadata=metadata)

    async def instance_in(
        self, namespace: str, identifier: InstanceIdentifier, *, metadata: bool
    ) -> StoredInstance | None:
        """The same, by the namespace of the data partition."""
        row_key = keys.instance_row(identifier.series_instance_uid, identifier.sop_instance_uid)
        study = identifier.study_instance_uid
        partition_key = keys.study_partition(namespace, study)
        if metadata:
            entity = await self._tables.get("dicom", partition_key, row_key)
        else:
            bounds = keys.instance_range(identifier.series_instance_uid, identifier.sop_instance_uid)
            entities = await self._tables.range("dicom", partition_key, *bounds, select=DESCRIPTION_COLUMNS)
            entity = next(iter(entities), None)
        return stored_instance_in(study, entity) if entity else None

    async def instances_in(
        self, namespace: str, identifiers: Collection[InstanceIdentifier], *, metadata: bool
    ) -> dict[InstanceIdentifier, StoredInstance]:
        """Those of many instances that are there: neighbours of a series with one request, the others one by one."""
        series: dict[tuple[str, str], list[InstanceIdentifier]] = {}
        for identifier in sorted(identifiers):
            series.setdefault((identifier.study_instance_uid, identifier.series_instance_uid), []).append(identifier)
        slots = asyncio.Semaphore(_PARALLEL_READS)
        found: list[StoredInstance | None] = []

        async def one(identifier: InstanceIdentifier) -> None:
            async with slots:
                found.append(await self.instance_in(namespace, identifier, metadata=metadata))

        async def together(members: Sequence[InstanceIdentifier]) -> None:
            left = members
            if len(members) >= _NEIGHBOURS:
                async with slots:
                    present, left = await self._neighbours(namespace, members, metadata=metadata)
                found.extend(present)
            await asyncio.gather(*map(one, left))

        await asyncio.gather(*map(together, series.values()))
        return {instance.identifier: instance for instance in found if instance}

    async def _neighbours(
        self, namespace: str, members: Sequence[InstanceIdentifier], *, metadata: bool
    ) -> tuple[list[StoredInstance], Sequence[InstanceIdentifier]]:
        """The instances of a series that one request finds, in order, and those that it did not come to."""
        study = members[0].study_instance_uid
        row_keys = [keys.instance_row(each.series_instance_uid, each.sop_instance_uid) for each in members]
        page = await self._tables.page(
            "dicom",
            keys.study_partition(namespace, study),
            row_keys[0],
            keys.after_instance(row_keys[-1]),
            top=min(_SPARE * len(members), 1000),
            select=None if metadata else DESCRIPTION_COLUMNS,
        )
        of_members = set(row_keys)
        found = [stored_instance_in(study, entity) for entity in page.entities if entity.row_key in of_members]
        reached = len(members) if page.next_row_key is None else bisect_left(row_keys, page.next_row_key)
        return [instance for instance in found if instance], members[reached:]

    async def instances(
        self, partition: Partition, scope: ResourceIdentifier, *, metadata: bool
    ) -> list[StoredInstance]:
        """The instances of a study, a series or an instance, newest first; [] if there are none."""
        entities = await self._rows(partition, scope, None if metadata else DESCRIPTION_COLUMNS)
        study = scope.study_instance_uid
        found = await in_turns(partial(stored_instance_in, study), entities)
        return sorted(filter(None, found), key=lambda instance: instance.sort_key)

    async def versions(
        self, partition: Partition, scope: ResourceIdentifier, *, original: bool
    ) -> dict[tuple[str, str], int]:
        """The watermarks of the same instances by the UIDs of series and instance, `original`: before any update."""
        entities = await self._rows(partition, scope, VERSION_COLUMNS)

        def version(entity: Entity) -> tuple[tuple[str, str], int | None]:
            return keys.instance_of(entity.row_key), version_in(entity, original=original)

        return {uids: found for uids, found in await in_turns(version, entities) if found is not None}

    async def page(
        self, namespace: str, scope: ResourceIdentifier, start: str = "", *, top: int
    ) -> tuple[list[StoredInstance], str]:
        """At most `top` instances of a scope with one request, by their keys, and where the next page starts ('': at
        its end). A page may be empty and not the last.
        """
        study = scope.study_instance_uid
        low, high = keys.instance_range(scope.series_instance_uid, scope.sop_instance_uid)
        page = await self._tables.page(
            "dicom", keys.study_partition(namespace, study), start or low, high, top=top, select=DESCRIPTION_COLUMNS
        )
        found = [instance for entity in page.entities if (instance := stored_instance_in(study, entity))]
        return found, page.next_row_key or ""

    async def remembers(self, place: StudyPlace, identifier: InstanceIdentifier, blob: str) -> bool:
        """Whether a file is the instance, its original version, or has been and is known to the erasure."""
        bounds = keys.instance_range(identifier.series_instance_uid, identifier.sop_instance_uid)
        rows = await self._tables.range("dicom", place.partition_key, *bounds, select=STATE_COLUMNS)
        return any(state.names(blob) or state.remembers(blob) for state in map(state_in, rows))

    async def walk(self, place: StudyPlace, start: str = "", *, top: int) -> tuple[list[IndexedInstance], str | None]:
        """About `top` instances of a study with all that their rows say, and where the next ones start; None: there are
        no more. The walk begins at ''.
        """
        low, high = keys.INSTANCES
        page = await self._tables.page("dicom", place.partition_key, start or low, high, top=top)
        study = place.study_instance_uid
        found = [each for entity in page.entities if (each := indexed_instance_in(study, entity))]
        return found, page.next_row_key

    async def stream(self, partition: Partition, scope: ResourceIdentifier) -> AsyncGenerator[StoredInstance]:
        """The instances of a scope with their metadata, in no particular order, in bounded memory.

        One range read, a page at a time; the next page is under way while one is used. Must be closed.
        """
        partition_key = keys.study_partition(partition.namespace, scope.study_instance_uid)
        low, high = keys.instance_range(scope.series_instance_uid, scope.sop_instance_uid)

        def read(start: str) -> asyncio.Task[Page]:
            return asyncio.create_task(self._tables.page("dicom", partition_key, start, high, top=_STREAMED_ROWS))

        reading: asyncio.Task[Page] | None = read(low)
        try:
            while reading is not None:
                page = await reading
                reading = None if page.next_row_key is None else read(page.next_row_key)
                for entity in page.entities:
                    if instance := stored_instance_in(scope.study_instance_uid, entity):
                        yield instance
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait([reading])

    async def _rows(
        self, partition: Partition, scope: ResourceIdentifier, select: tuple[str, ...] | None
    ) -> list[Entity]:
        """The rows of a scope's instances, deleted ones included."""
        partition_key = keys.study_partition(partition.namespace, scope.study_instance_uid)
        low, high = keys.instance_range(scope.series_instance_uid, scope.sop_instance_uid)
        page = await self._tables.page("dicom", partition_key, low, high, select=select)
        entities = list(page.entities)
        if page.next_row_key is not None:
            entities += await self._rest(
                partition_key, (page.next_row_key, high), select, whole=scope.series_instance_uid is None
            )
        return entities

    async def _rest(
        self, partition_key: str, bounds: tuple[str, str], select: tuple[str, ...] | None, *, whole: bool
    ) -> list[Entity]:
        """The rows of a long range: of a whole study, its series side by side."""
        low, high = bounds
        cuts: list[str] = []
        if whole:
            series = await self._tables.range("dicom", partition_key, *keys.SERIES, select=("n",))
            starts = (keys.instance_range(keys.tail_of(entity.row_key), None)[0] for entity in series)
            cuts = [cut for cut in starts if low < cut < high]
        ends = [low, *cuts, high]
        slots = asyncio.Semaphore(_PARALLEL_RANGES)

        async def read(start: str, end: str) -> list[Entity]:
            async with slots:
                return await self._tables.range("dicom", partition_key, start, end, select=select)

        parts = await asyncio.gather(*(read(start, end) for start, end in pairwise(ends)))
        return [entity for part in parts for entity in part]


def view_of(place: StudyPlace, rows: StudyRows, tally: Tally) -> StudyView | None:
    """The study that these summaries are of; None if it has no instance."""
    if tally.study.count <= 0:
        return None
    study = place.study_instance_uid
    series = [
        SeriesView(
            uid,
            summary.count,
            summary.plain(),
            _newest(study, summary),
            keys.newest_first(summary.created),
            summary.schema,
        )
        for uid, summary in tally.series.items()
        if summary.count > 0
    ]
    series.sort(key=lambda view: view.sort_key)
    expires, _ = tally.study.attributes.get(EXPIRES, ("0", ""))
    return StudyView(
        study,
        tally.study.count,
        tally.study.plain(),
        {view.series_instance_uid: view for view in series},
        _newest(study, tally.study),
        rows.sort_key,
        datetime.fromtimestamp(int(expires) / 1000, UTC) if expires != "0" else None,
        tally.study.schema,
        labels_in(rows, tally),
    )


def _newest(study: str, summary: Summary) -> InstanceIdentifier:
    value, _ = summary.attributes.get(NEWEST, ("", ""))
    return InstanceIdentifier(study, *keys.split_uids(value))
