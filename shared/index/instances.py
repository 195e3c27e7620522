"""Commit and delete of instances (storage §5)."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from shared import telemetry
from shared.concurrency import together
from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicomweb.partitions import Partition
from shared.errors import Unavailable
from shared.hints import Hints
from shared.index.commit import MOST_INSTANCES, Committed, Committer, SortKeys
from shared.index.deletion import Accepts, Deleter
from shared.index.documents import INLINE_FRAMES
from shared.index.expiry import expire_studies
from shared.index.fold import Folder
from shared.index.model import CommitOutcome, NewInstance
from shared.index.read_your_writes import make_visible
from shared.index_schema import keys
from shared.index_schema.changes import Change
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.index_schema.schema import IndexSchema, Schemas
from shared.storage.optimistic import RetryBudget
from shared.storage.ports import TableStore

type OnChange = Callable[[Sequence[str]], None]
"""Told after a commit or delete which studies have changed (S-6), by `StudyPlace.name`. Its failure is logged and
changes nothing: a wake-up carries no truth."""

_UNDECIDED = (CommitOutcome.UNAVAILABLE, CommitOutcome.OUTDATED)
"""The outcome of an instance is the outcome of those that repeat it."""

_BATCH_BYTES = 3_500_000
_ROW_BYTES = 8_000
"""Of an instance and its change, without metadata and frame table."""
_BATCHES_IN_FLIGHT = 4
_STUDIES_IN_FLIGHT = 8
"""Of one request: each takes some ten requests to the tables, and what queues up there for too long is given up."""


class InstanceIndex:
    """Commits and deletes instances. One per process.

    `shards` is the number of shards of the store.
    """

    def __init__(
        self,
        tables: TableStore,
        clock: HybridClock,
        schemas: Schemas,
        *,
        shards: int,
        on_change: OnChange | None = None,
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._schemas = schemas
        self._shards = shards
        self._on_change = on_change
        self._hints = Hints(tables, clock, shards=shards)
        self._folder = Folder(tables, clock, schemas)
        self._sort_keys = SortKeys()
        self._committer = Committer(tables, clock, self._hints, self._sort_keys, schemas)
        self._deleter = Deleter(tables, clock, self._hints, self._folder, schemas)

    @property
    def hints(self) -> Hints:
        """The hints of this process."""
        return self._hints

    @property
    def schema(self) -> IndexSchema:
        """The schema by which the attributes of new instances are to be taken."""
        return self._schemas.known

    async def commit(
        self, partition: Partition, entries: Sequence[NewInstance], *, late: bool = False
    ) -> list[CommitOutcome]:
        """Commit stored files to the index; the outcomes in the same order.

        `late`: they may well be known already, refused or deleted, as those of a blob's event are; nothing is written
        before that is looked up, so that such an event leaves no posting behind.
        Of an instance that occurs twice the first one counts, the others are ALREADY_STORED (STOW-40), or UNAVAILABLE
        or OUTDATED with it. When this returns, every query finds what is STORED, whatever became of the others.
        """
        first: dict[InstanceIdentifier, NewInstance] = {}
        for entry in entries:
            first.setdefault(entry.identifier, entry)
        outcomes = await self._commit(partition, list(first.values()), late=late)
        decided = [entry for entry in entries if outcomes[entry.identifier] not in _UNDECIDED]
        repeated = [entry for entry in decided if first[entry.identifier] is not entry]
        # rule: of a repeated instance the first one counts
        others = await self.commit(partition, [replace(entry, replace=False) for entry in repeated]) if repeated else []
        following = {id(entry): outcome for entry, outcome in zip(repeated, others, strict=True)}
        return [following.get(id(entry), outcomes[entry.identifier]) for entry in entries]

    async def delete(self, partition: Partition, scope: ResourceIdentifier) -> int:
        """Delete what is there now of a study, a series or an instance; how many instances this call deleted.

        When this returns, no reader sees them. Raises Unavailable; what was deleted until then stays so.
        """
        place = self._place(partition, scope.study_instance_uid)
        deleted = await self._deleter.delete(place, scope.series_instance_uid, scope.sop_instance_uid)
        if deleted:
            self._announce([place])
        return deleted

    async def delete_accepted(self, place: StudyPlace, accepts: Accepts) -> None:
        """Delete those instances of a study that `accepts`, as it has seen them. Raises Unavailable."""
        await self._deleter.delete_accepted(place, accepts)
        self._announce([place])

    async def delete_files(self, place: StudyPlace, files: Mapping[tuple[str, str], str]) -> int:
        """Delete the instances of a study, by Series and SOP Instance UID, that are still these files; how many this
        call deleted. Raises as `delete`.
        """
        deleted = await self._deleter.delete_files(place, files)
        if deleted:
            self._announce([place])
        return deleted

    async def expire(self, *, limit: int = 100) -> int:
        """Delete studies that have expired (EXP-1), about `limit` of them; how many were looked at."""
        return await expire_studies(self._tables, self._clock, self._deleter, shards=self._shards, limit=limit)

    # ----------------------------------------------------------------------------------------------------- inside

    def place(self, partition: Partition, identifier: InstanceIdentifier) -> StudyPlace:
        """Where the rows of an instance are."""
        return self._place(partition, identifier.study_instance_uid)

    def _place(self, partition: Partition, study: str) -> StudyPlace:
        return keys.study_place(partition.namespace, study, self._shards)

    async def _commit(
        self, partition: Partition, entries: Sequence[NewInstance], *, late: bool
    ) -> dict[InstanceIdentifier, CommitOutcome]:
        by_study: dict[str, list[NewInstance]] = {}
        for entry in entries:
            by_study.setdefault(entry.identifier.study_instance_uid, []).append(entry)
        places = [self._place(partition, study) for study in by_study]
        slots, budget = asyncio.Semaphore(_STUDIES_IN_FLIGHT), RetryBudget()

        async def commit(place: StudyPlace, batch: Sequence[NewInstance]) -> dict[InstanceIdentifier, CommitOutcome]:
            async with slots:
                if budget.is_lost:
                    return {entry.identifier: CommitOutcome.UNAVAILABLE for entry in batch}
                return await self._commit_study(place, batch, budget, late=late)

        results = await together(*map(commit, places, by_study.values()), return_exceptions=True)
        self._announce(places)
        outcomes: dict[InstanceIdentifier, CommitOutcome] = {}
        for result in results:
            if isinstance(result, BaseException):
                raise result
            outcomes |= result
        return outcomes

    async def _commit_study(
        self, place: StudyPlace, entries: Sequence[NewInstance], budget: RetryBudget, *, late: bool
    ) -> dict[InstanceIdentifier, CommitOutcome]:
        slots = asyncio.Semaphore(_BATCHES_IN_FLIGHT)

        async def commit(batch: Sequence[NewInstance]) -> Committed:
            async with slots:
                return await self._committer.commit(place, batch, budget, late=late)

        # The first batch alone makes a new study: others at the same time would post it under sort keys of their own.
        first, *others = _batches(entries)
        results = [
            *await together(commit(first), return_exceptions=True),
            *await together(*map(commit, others), return_exceptions=True),
        ]
        committed = [result for result in results if isinstance(result, Committed)]
        outcomes = {identifier: outcome for result in committed for identifier, outcome in result.outcomes.items()}
        changes = [change for result in committed for change in result.changes]
        is_new = any(result.is_new for result in committed)
        if changes and not await self._show(place, changes, budget, is_new=is_new):
            hidden = {
                InstanceIdentifier(place.study_instance_uid, change.series, change.instance) for change in changes
            }
            # rule: what is committed but not visible is not answered as stored
            outcomes |= dict.fromkeys(hidden, CommitOutcome.UNAVAILABLE)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return outcomes

    async def _show(self, place: StudyPlace, changes: Sequence[Change], budget: RetryBudget, *, is_new: bool) -> bool:
        """Make committed changes visible; False if the data stores did not let that come to its end."""

        async def show() -> None:
            # rule: a store answers only when it is visible
            sort_key = await make_visible(self._tables, self._folder, self._schemas, place, changes, is_new=is_new)
            self._sort_keys.put(place, sort_key) if sort_key else self._sort_keys.forget(place)

        try:
            await budget.retry(show)
        except Unavailable as error:
            telemetry.failure("instances-not-visible", error, instances=len(changes))
            self._sort_keys.forget(place)
            return False
        return True

    def _announce(self, places: Sequence[StudyPlace]) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change([place.name for place in places])
        except Exception as error:  # noqa: BLE001 - the timer finds the changes
            telemetry.failure("changes-not-announced", error)


def _batches(entries: Sequence[NewInstance]) -> Iterator[list[NewInstance]]:
    """Cut up what fits no single transaction."""
    batch: list[NewInstance] = []
    size = 0
    for entry in entries:
        weight = _ROW_BYTES + 4 * len(entry.metadata or b"") // 3
        if entry.frames is not None and entry.frames.encapsulated:
            weight += 4 * INLINE_FRAMES // 3 * (2 if entry.original else 1)
        if batch and (len(batch) == MOST_INSTANCES or size + weight > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += weight
    yield batch
