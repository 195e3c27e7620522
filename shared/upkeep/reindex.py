"""The re-index: an operation that brings a whole store to the latest schema (storage §8).

1. Wait until every process knows what is announced, then let writers write it.
2. Wait until nobody writes less any more.
3. Bring on the studies that have a hint: changes that are not folded yet are there, and nowhere else.
4. Bring on every study of the list of all studies, which the others are on, data partition by data partition.

Then no row of a lower schema is left, and none can come: the lists are complete.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import batched

from shared import telemetry
from shared.dicomweb.partitions import PartitionDirectory
from shared.dicomweb.urls import tag_resource
from shared.hints import Hints
from shared.index.indexing_errors import IndexingError, IndexingErrors
from shared.index.instance_rows import failures_in
from shared.index_schema import keys
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import ALL, after, seek, sort_key_of, value_range
from shared.index_schema.schema import IndexSchema
from shared.operations.model import Document, Operation, OperationActive, OperationType
from shared.operations.store import Lease, Operations
from shared.pacing import Foreground, Pace
from shared.registry.schema_registry import SETTLED_SECONDS, SchemaRegistry, State
from shared.storage.ports import TableStore
from shared.upkeep.study_reindex import Reindexed, StudyReindex

_LOOK_SECONDS = 5.0
"""The interval at which a waiting re-index asks whether it is to pause."""
_STUDIES_IN_A_PAGE = 100
_COUNTED_AT_A_TIME = 1000
_NEARLY = 99
"""Percent that are shown at most before the end: studies are stored meanwhile, and those with a hint come twice."""
_STUDIES_AT_ONCE = 4
_STUDIES_OF_A_STEP = 20
"""Of those with a hint: after them it is noted how far the work is."""
_CYCLES = 2
"""After studies were brought on: one cleans up, the next finds them idle and drops their hints."""
_LONGEST_PAUSE = 5.0
"""Seconds between two steps, at most."""
_BESIDE_CLIENTS = 9.0
"""Rests, in steps: the data stores work for it a tenth of the time."""


class Reindex:
    """The work of the operation; its input names the schema. `settled_seconds`: how long the waits of 1 and 2 last."""

    def __init__(
        self,
        tables: TableStore,
        schemas: SchemaRegistry,
        partitions: PartitionDirectory,
        studies: StudyReindex,
        hints: Hints,
        *,
        shards: int,
        catch_up: Callable[[], Awaitable[object]] | None = None,
        settled_seconds: float = SETTLED_SECONDS,
        foreground: Foreground | None = None,
    ) -> None:
        """`catch_up`: `Sequencer.catch_up`, which finishes what was brought on; None: that is left to others.
        `foreground`: the clients that it makes way for; None: none.
        """
        self._catch_up = catch_up
        self._foreground = foreground or Foreground()
        self._tables = tables
        self._schemas = schemas
        self._partitions = partitions
        self._studies = studies
        self._hints = hints
        self._errors = IndexingErrors(tables)
        self._shards = shards
        self._settled_seconds = settled_seconds

    async def __call__(self, lease: Lease) -> Document | None:
        """Do the work to its end; any step of it may be done twice."""
        number = int(lease.operation.input["schema"])
        state = dict(lease.operation.checkpoint) or {"stage": "announced", "list": 0, "row": "", "done": [0, 0, 0]}
        done = Reindexed(*state["done"])
        if state["stage"] == "announced":
            # rule: what is announced is known everywhere before it is written
            await self._settle(lease, state)
            await self._schemas.advance(number, State.ACTIVE)
            state["stage"] = "active"
        if state["stage"] == "active":
            # rule: nobody writes an older schema when the walk begins
            await self._settle(lease, state)
            telemetry.event("reindexing", schema=number)
            state |= {"stage": "hinted", "rows": await self._count(lease, state)}
        if state["stage"] == "hinted":
            await self._bring_hinted(lease, state, number, done)
            state["stage"] = "walking"
        await self._walk(lease, state, number, done)
        await self._check_errors()
        await self._schemas.advance(number, State.COMPLETE)
        results = {"schema": number, **dict(zip(Reindexed.__slots__, _counts(done), strict=True))}
        telemetry.event("reindexed", **results)
        return results

    # ----------------------------------------------------------------------------------------------------- inside

    async def _settle(self, lease: Lease, state: Document) -> None:
        """Wait until every process has heard of the last step. Raises Paused: the wait begins anew then."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settled_seconds
        await lease.checkpoint(state)
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, _LOOK_SECONDS))
            if lease.stopping.is_set():
                await lease.checkpoint(state)

    async def _count(self, lease: Lease, state: Document) -> int:
        """The rows of the lists of all studies: what there is to walk."""
        count = 0
        for partition in await self._partitions.partitions():
            for shard in range(self._shards):
                await lease.checkpoint(state)
                partition_key = keys.posting_partition(shard, partition.namespace)
                start: str | None
                start, end = value_range(ALL, "")
                while start is not None:
                    page = await self._tables.page(
                        "idx", partition_key, start, end, top=_COUNTED_AT_A_TIME, select=("study",)
                    )
                    count += len(page.entities)
                    start = page.next_row_key
        return count

    async def _bring_hinted(self, lease: Lease, state: dict[str, object], number: int, done: Reindexed) -> None:
        """Bring on the studies that have a hint, in an order in which whoever resumes can go on."""
        # rule: changes that are not folded are looked for where they are
        places = {hint.place.partition_key: hint.place for hint in await self._hints.all()}
        # What has got a hint since, before that position, has changes of this schema alone.
        left = [places[key] for key in sorted(places) if key > str(state.get("hinted", ""))]
        behind = len(places) - len(left)
        for batch in batched(left, _STUDIES_OF_A_STEP, strict=False):
            await self._bring(batch, number, done)
            behind += len(batch)
            state |= {"hinted": batch[-1].partition_key, "done": _counts(done)}
            await lease.checkpoint(state, percent=_percent(lease, state, behind))

    async def _walk(self, lease: Lease, state: dict[str, object], number: int, done: Reindexed) -> None:
        while True:
            partitions = await self._partitions.partitions()
            position = int(str(state["list"]))
            walked = int(str(state.get("walked", 0)))
            await lease.checkpoint(state, percent=_percent(lease, state, walked))
            if position >= len(partitions) * self._shards:
                return
            namespace = partitions[position // self._shards].namespace
            partition_key = keys.posting_partition(position % self._shards, namespace)
            start, end = value_range(ALL, "")
            page = await self._tables.page(
                "idx", partition_key, str(state["row"]) or start, end, top=_STUDIES_IN_A_PAGE, select=("study",)
            )
            names = dict.fromkeys(str(row.properties["study"]) for row in page.entities)
            await self._bring([keys.study_place(namespace, name, self._shards) for name in names], number, done)
            state |= {"done": _counts(done), "walked": walked + len(page.entities)}
            if page.next_row_key is None:
                state |= {"list": position + 1, "row": ""}
            elif page.entities:
                # Both rows of a study, if it has two, stand side by side: what is new of it comes with any of them.
                state["row"] = seek(ALL, "", after(sort_key_of(page.entities[-1].row_key)))
            else:
                state["row"] = page.next_row_key

    async def _check_errors(self) -> None:
        """Remove the errors of instances that were deleted or replaced while their errors were written: whoever did it
        found none to remove. Until the schema is complete nobody else writes errors, and afterwards nobody (EQT-42).
        """
        schema = await self._schemas.refresh()
        for attribute in schema.custom.values():
            if attribute.erroneous and schema.status(attribute) == "adding":
                # rule: errors that were written too late are removed
                await self._errors.check(attribute.key, partial(self._is_so, attribute.key))

    async def _is_so(self, key: str, error: IndexingError) -> bool:
        uid = error.identifier
        place = keys.study_place(error.namespace, uid.study_instance_uid, self._shards)
        bounds = keys.instance_range(uid.series_instance_uid, uid.sop_instance_uid)
        rows = await self._tables.range("dicom", place.partition_key, *bounds, select=("live", "v", "failed"))
        return any(
            row.properties["live"] and row.properties["v"] == error.version and key in failures_in(row) for row in rows
        )

    async def _bring(self, places: Iterable[StudyPlace], number: int, done: Reindexed) -> None:
        """Bring studies on, some at a time, in steps that leave others time."""

        async def bring(place: StudyPlace) -> Pace:
            pace = Pace(_LONGEST_PAUSE, self._foreground, alone=1.0, beside=_BESIDE_CLIENTS)
            await self._studies.bring(place, number, done, pace)
            return pace

        waiting = deque(places)
        while waiting:
            finished = done.studies
            at_once = min(len(waiting), self._foreground.at_once(_STUDIES_AT_ONCE))
            group = [waiting.popleft() for _ in range(at_once)]
            paces = await asyncio.gather(*map(bring, group))
            # While they have a hint, each search reads them: not during the rest as well.
            if self._catch_up and done.studies > finished:
                for _ in range(_CYCLES):
                    await self._catch_up()
            await asyncio.gather(*(pace.rest() for pace in paces))


def _percent(lease: Lease, state: Document, behind: int) -> int:
    """How much of the work is behind: studies with a hint, or rows that were walked. It never goes back."""
    rows = int(str(state.get("rows", 0)))  # none where an earlier release has begun the work
    share = min(100 * behind // rows, _NEARLY) if rows else 0
    return max(share, lease.operation.percent or 0)


def _counts(done: Reindexed) -> list[int]:
    return [getattr(done, name) for name in Reindexed.__slots__]


async def start_reindex(operations: Operations, schemas: SchemaRegistry) -> None:
    """Start a re-index if the store has schemas that are not complete, and none is under way. Raises Unavailable."""
    missing = (await schemas.current()).missing
    if missing:
        with suppress(OperationActive):
            await create_reindex(operations, await schemas.at_least(max(missing)))


async def create_reindex(operations: Operations, schema: IndexSchema) -> Operation:
    """A re-index to what the schema has and is not complete. Raises OperationActive, Unavailable."""
    added = [each.path for each in schema.custom.values() if each.since in schema.missing]
    return await operations.create(
        OperationType.REINDEX,
        {"schema": max(schema.missing)},
        resources=list(map(tag_resource, added)),
    )
