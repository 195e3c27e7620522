"""Committing a batch of instances of one study (storage §5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from shared import telemetry
from shared.bounded import RecentValues
from shared.concurrency import together
from shared.dicom.identifiers import InstanceIdentifier
from shared.errors import Unavailable
from shared.hints import COMMIT_SECONDS, Hints
from shared.index.expiry import schedule_expiry
from shared.index.fold import anchor_properties, post
from shared.index.indexing_errors import error_rows_of
from shared.index.instance_rows import STATE_COLUMNS, InstanceState, live_properties, state_in, write
from shared.index.model import CommitOutcome, NewInstance
from shared.index.summary import EXPIRES
from shared.index_schema import blob_names, keys
from shared.index_schema.changes import Change
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import Postings
from shared.index_schema.schema import Schemas
from shared.registry.schema_registry import MOST_AGE_SECONDS
from shared.storage.optimistic import ROUNDS, RetryBudget, best_effort_commit, pause
from shared.storage.ports import Ambiguous, PreconditionFailed, RowWrite, TableStore

MOST_INSTANCES = 45
"""Instances in one transaction: an I and a D row each, and the anchor."""

_SINGLE_READS = 4
"""Up to so many instances of a series are read one by one, more as a range."""
_SPARE_SECONDS = 10
_REMEMBERED = 10_000

type _States = Mapping[InstanceIdentifier, InstanceState]


class SortKeys:
    """The sort keys of studies as this process last saw them. A stale one is noticed after the commit."""

    def __init__(self) -> None:
        self._known: RecentValues[str] = RecentValues(_REMEMBERED)

    def get(self, place: StudyPlace) -> str | None:
        """The sort key, None if it is not known."""
        return self._known.get(place.partition_key)

    def put(self, place: StudyPlace, sort_key: str) -> None:
        """Remember it."""
        self._known.put(place.partition_key, sort_key)

    def forget(self, place: StudyPlace) -> None:
        """It may be stale."""
        self._known.forget(place.partition_key)


@dataclass(slots=True)
class Committed:
    """The outcomes of a batch."""

    outcomes: dict[InstanceIdentifier, CommitOutcome] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    """The instances that have to become visible before the caller answers."""
    is_new: bool = False
    """Whether this has made the study."""


class Committer:
    """Commits batches. One per process."""

    def __init__(
        self, tables: TableStore, clock: HybridClock, hints: Hints, sort_keys: SortKeys, schemas: Schemas
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._schemas = schemas
        self._hints = hints
        self._sort_keys = sort_keys

    async def commit(
        self, place: StudyPlace, batch: Sequence[NewInstance], budget: RetryBudget, *, late: bool
    ) -> Committed:
        """Commit at most MOST_INSTANCES different instances of a study in one transaction.

        The first attempt assumes that new instances are new. A conflict or doubt is resolved by reading what is there.
        `late`: read at once.
        """
        result = Committed()
        waiting = batch
        optimistic = not late and not any(entry.replace or entry.updates for entry in batch)
        given_up = CommitOutcome.BUSY
        for attempt in range(ROUNDS):
            await pause(attempt)
            try:
                look = attempt > 0 or not optimistic
                with self._hints.committing(place):
                    waiting = await budget.retry(partial(self._round, place, waiting, result, look=look))
            except Unavailable as error:
                telemetry.failure("instances-not-committed", error, instances=len(waiting))
                given_up = CommitOutcome.UNAVAILABLE
                break
            if not waiting:
                return result
            self._sort_keys.forget(place)
        for entry in waiting:
            result.outcomes.setdefault(entry.identifier, given_up)
        return result

    async def _round(
        self, place: StudyPlace, batch: Sequence[NewInstance], result: Committed, *, look: bool
    ) -> Sequence[NewInstance]:
        """One attempt, after a look at what is there or without; those that it left undecided. Raises Unavailable."""
        schema = await self._schemas.current()
        sort_key, states, _, _ = await together(
            self._sort_key(place),
            self._states(place, batch) if look else self._no_states(),
            # rule: the hint comes before the commit
            self._hints.give(place),
            # rule: the expiry is noted before the commit
            schedule_expiry(self._tables, self._clock, place, batch),
        )
        if (newest := max((state.schema for state in states.values()), default=0)) > schema.number:
            schema = await self._schemas.at_least(newest)
        undecided = [entry for entry in batch if not _is_decided(entry, states.get(entry.identifier), result)]
        refused = [entry for entry in undecided if not entry.updates and _is_taken(entry, states.get(entry.identifier))]
        outdated = [entry for entry in undecided if entry not in refused and entry.schema < schema.number]
        # rule: what was read under an older schema is read again
        result.outcomes |= dict.fromkeys((entry.identifier for entry in outdated), CommitOutcome.OUTDATED)
        fresh = [entry for entry in undecided if entry.identifier not in result.outcomes and entry not in refused]
        waiting = []
        if refused and not await self._refuse(place, refused, states, result):
            waiting += refused
        if fresh and not await self._attempt(place, fresh, sort_key, states, result):
            waiting += fresh
        return waiting

    async def _refuse(
        self, place: StudyPlace, entries: Sequence[NewInstance], states: _States, result: Committed
    ) -> bool:
        """Note in the rows that these uploads are refused: whoever else is about to commit one of them, the blob
        trigger for one, must never succeed after the blob has been removed. False if a row has changed.
        """
        operations = []
        for entry in entries:
            state, uid = states[entry.identifier], entry.identifier
            row_key = keys.instance_row(uid.series_instance_uid, uid.sop_instance_uid)
            noted = state.refusal(entry.blob)
            operations.append(RowWrite("merge", place.partition_key, row_key, noted, state.etag))
        # rule: a refused upload is noted before its file goes
        if not await best_effort_commit(self._tables, "dicom", operations):
            return False
        result.outcomes |= dict.fromkeys((entry.identifier for entry in entries), CommitOutcome.ALREADY_STORED)
        return True

    async def _attempt(
        self,
        place: StudyPlace,
        entries: Sequence[NewInstance],
        sort_key: str | None,
        states: _States,
        result: Committed,
    ) -> bool:
        """One transaction. False if it conflicted or its outcome is unknown."""
        partition_key = place.partition_key
        if sort_key is None:
            properties = anchor_properties(self._clock, min(entry.uploaded_ms for entry in entries))
            sort_key = str(properties["sk"])
            anchor = RowWrite("insert", partition_key, keys.ANCHOR, properties)
        else:
            anchor = RowWrite("merge", partition_key, keys.ANCHOR, {})
        new = [entry for entry in entries if entry.identifier not in states]
        posted = self._new_postings(place, sort_key, new)
        # rule: new instances are posted before their commit
        await post(self._tables, place, "idxi", posted)

        operations = [anchor]
        changes = []
        for entry in entries:
            state = states.get(entry.identifier)
            change = self._change(place, entry, state, sort_key)
            changes.append(change)
            row_key = keys.instance_row(change.series, change.instance)
            properties = live_properties(entry, change.version, state)
            operations += (
                write(partition_key, row_key, properties, state.etag if state else None),
                RowWrite("insert", partition_key, keys.pending_row(change.id), change.properties()),
            )
        operations[0] = anchor._replace(properties={**anchor.properties, "lv": changes[-1].version})
        # rule: a commit starts within a minute of its hint
        if self._hints.age(place) > COMMIT_SECONDS - _SPARE_SECONDS:
            return False
        # rule: nothing is committed on old knowledge of the schema
        if self._schemas.age() > MOST_AGE_SECONDS or self._are_outdated(entries):
            return False
        try:
            # rule: a writer touches the anchor
            await self._tables.commit("dicom", operations)
        except Ambiguous:
            self._hints.doubt(place)
            return False
        except PreconditionFailed:
            if anchor.verb == "insert" and posted:
                # rule: what was posted for an anchor that another store has made is taken back
                await self._take_back(place, posted)
            return False
        self._hints.committed(place, changes)
        self._sort_keys.put(place, sort_key)
        result.is_new = anchor.verb == "insert"
        result.changes += changes
        result.outcomes |= dict.fromkeys((entry.identifier for entry in entries), CommitOutcome.STORED)
        return True

    def _are_outdated(self, entries: Sequence[NewInstance]) -> bool:
        return any(entry.schema < self._schemas.known.number for entry in entries)

    def _change(self, place: StudyPlace, entry: NewInstance, state: InstanceState | None, sort_key: str) -> Change:
        # rule: versions of an instance increase
        version = self._clock.next(state.version if state else 0)
        series, instance = entry.identifier.series_instance_uid, entry.identifier.sop_instance_uid
        replaced = state if state is not None and state.live else None
        expires = int(entry.expires.timestamp() * 1000) if entry.expires else 0
        kept = entry.original.blob if entry.original else ""
        ended = {replaced.blob, replaced.original} - {kept} if replaced else set()
        return Change(
            keys.change_id(version, series, instance),
            "update" if entry.updates else "create",
            series,
            instance,
            version,
            0 if replaced else 1,
            # rule: an update leaves the expiry as it is
            entry.study if entry.updates or entry.moved else {**entry.study, EXPIRES: str(expires)},
            entry.series,
            entry.blob,
            # rule: an update keeps the version that was stored, and no other
            replaced.blob if replaced and replaced.blob in ended else "",
            entry.schema,
            self._schemas.known.listed(entry.instance),
            self._schemas.known.listed(state.attributes) if state else {},
            "" if state else sort_key,
            # rule: the errors of a replaced instance go
            errors=error_rows_of(place, (series, instance), state.version, state.failures) if state else (),
            original=replaced.original if replaced and replaced.original in ended else "",
        )

    # ----------------------------------------------------------------------------------------- what it needs first

    def _new_postings(self, place: StudyPlace, sort_key: str, entries: Sequence[NewInstance]) -> Postings:
        rows: Postings = {}
        for entry in entries:
            uids = (entry.identifier.series_instance_uid, entry.identifier.sop_instance_uid)
            rows |= self._schemas.known.instance_postings(sort_key, place.study_instance_uid, uids, entry.instance)
        return rows

    async def _take_back(self, place: StudyPlace, postings: Postings) -> None:
        """Remove postings under a sort key that was ours and will never be the study's: another store has made it."""
        operations = [RowWrite("delete", place.postings, row_key) for row_key in postings]
        await best_effort_commit(self._tables, "idxi", operations)

    async def _sort_key(self, place: StudyPlace) -> str | None:
        known = self._sort_keys.get(place)
        if known is None:
            anchor = await self._tables.get("dicom", place.partition_key, keys.ANCHOR)
            known = str(anchor.properties["sk"]) if anchor else None
        return known

    async def _no_states(self) -> _States:
        return {}

    async def _states(self, place: StudyPlace, entries: Sequence[NewInstance]) -> _States:
        """The rows that these instances have already."""
        identifiers = {entry.identifier for entry in entries}
        by_series: dict[str, list[str]] = {}
        for entry in entries:
            by_series.setdefault(entry.identifier.series_instance_uid, []).append(entry.identifier.sop_instance_uid)
        bounds = []
        for series, instances in by_series.items():
            if len(instances) <= _SINGLE_READS:
                bounds += [keys.instance_range(series, instance) for instance in instances]
            else:
                low, high = min(instances), max(instances)
                bounds.append((keys.instance_range(series, low)[0], keys.instance_range(series, high)[1]))
        ranges = await together(
            *(self._tables.range("dicom", place.partition_key, *bound, select=STATE_COLUMNS) for bound in bounds)
        )
        found = {
            InstanceIdentifier(place.study_instance_uid, *keys.instance_of(entity.row_key)): entity
            for entities in ranges
            for entity in entities
        }
        return {identifier: state_in(entity) for identifier, entity in found.items() if identifier in identifiers}


def _is_decided(entry: NewInstance, state: InstanceState | None, result: Committed) -> bool:
    """Whether the row says what became of this very upload; noted in `result`."""
    uid = entry.identifier
    if state is None:
        if entry.updates:
            result.outcomes[uid] = CommitOutcome.SUPERSEDED
        return bool(entry.updates)
    if state.live and state.blob == entry.blob and entry.schema < state.schema:
        # Somebody else has committed it under a later schema: what that has beside must be found, too.
        result.outcomes[uid] = CommitOutcome.OUTDATED
    elif state.live and state.blob == entry.blob:
        result.outcomes[uid] = CommitOutcome.STORED
        series, instance = uid.series_instance_uid, uid.sop_instance_uid
        change_id = keys.change_id(state.version, series, instance)
        result.changes.append(
            Change(
                change_id,
                "update" if entry.updates else "create",
                series,
                instance,
                state.version,
                0,
                entry.study,
                entry.series,
                schema=entry.schema,
                instance_attributes=entry.instance,
            )
        )
    elif state.has_refused(entry.blob):
        result.outcomes[uid] = CommitOutcome.ALREADY_STORED
    # rule: an upload that was deleted does not come back
    elif state.remembers(entry.blob):
        result.outcomes[uid] = CommitOutcome.DELETED
    # rule: an update is of the version that it was made from
    elif entry.updates and not (state.live and state.blob == entry.updates):
        result.outcomes[uid] = CommitOutcome.SUPERSEDED
    return uid in result.outcomes


def _is_taken(entry: NewInstance, state: InstanceState | None) -> bool:
    """Whether another upload is the instance and has to stay (45070, PUT-1)."""
    if state is None or not state.live:
        return False
    # rule: an older upload does not replace a newer one
    return not entry.replace or (entry.upload_id or blob_names.upload_id_of(entry.blob)) <= state.upload_id
