"""Hints: which studies may have pending work (storage §2, §5, §7).

Each process has hint rows of its own. Of these it knows whether a commit that relies on one is under way, and so
whether a study that was found without pending work is still without, and which changes it has committed since; of those
of other processes it knows nothing.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.bounded import RecentValues
from shared.dicom.identifiers import InstanceIdentifier
from shared.errors import Unavailable
from shared.index_schema import keys
from shared.index_schema.changes import Change, LoggedChange
from shared.index_schema.clock import HybridClock
from shared.index_schema.keys import StudyPlace
from shared.storage.optimistic import commit_all, commit_each
from shared.storage.ports import Entity, RowWrite, TableStore

FRESH_SECONDS = 30
"""A hint that this process wrote more recently is not written again."""
COMMIT_SECONDS = 60
"""A commit must start within this time of its hint."""
STALE_SECONDS = 120
"""A hint may be dropped at this age: a commit that relies on it is over, whatever the clocks of two processes say."""
QUIET_SECONDS = 2
"""A process keeps its hint that long after the last commit: the next one of a running acquisition needs it again."""

_REMEMBERED = 10_000
_UNLOGGED = 1000
"""More changes of a study are not remembered: it is looked at."""
_HINTS_OF_A_STUDY = 4
"""Processes that write to a study at a time are fewer, as a rule: so many rows of each are read at one go."""
_LARGEST_PAGE = 1000
_DOUBTS = 1000
"""More are looked through for those that are over."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A hint row."""

    place: StudyPlace
    writer: str
    """Stands for the process; '' in a row of a release whose processes shared theirs."""
    written: float
    """Seconds since 1970, by the clock of the writer."""
    etag: str

    @property
    def row(self) -> tuple[str, str]:
        """Partition key and row key."""
        return _row(self.place, self.writer)


type Mark = int | None
"""The use that this process has made of a hint up to some moment; None: unknown."""


@dataclass(slots=True)
class _Own:
    """The knowledge of a process of a hint of its own."""

    written: float = 0.0
    used: float = 0.0
    """The time at which a commit that relies on it last began or ended."""
    is_single: bool = False
    """Whether no other commit is expected soon."""
    commits: int = 0
    """Number of the last commit that relies on it."""
    idle: int = -1
    """That number when the study was found without pending work."""
    unlogged: dict[str, LoggedChange] = field(default_factory=dict)
    """Changes that the process has committed and that are not known to be in the feed, by change id."""
    is_whole: bool = True
    """Whether those are all that may not be in the feed, as far as its own commits go."""
    losses: int = 0
    """How often that was no longer known."""

    def lose(self) -> None:
        """There may be changes that are not known here."""
        self.unlogged, self.is_whole, self.losses = {}, False, self.losses + 1


@dataclass(frozen=True, slots=True)
class BeforeLook:
    """The knowledge of the changes of a study before a look at it."""

    own: _Own
    losses: int
    known: frozenset[str]
    """Ids of the changes that were committed before."""


def new_writer() -> str:
    """A name of a process in the keys of its hints."""
    return uuid.uuid4().hex[:16]


async def hinted_studies(tables: TableStore, namespace: str, *, most: int) -> frozenset[str] | None:
    """The StudyInstanceUIDs of a data partition that may be changing; None if they are more than `most`."""
    found: set[str] = set()
    start: str | None = f"{namespace}!"
    while start is not None and len(found) <= most:
        top = min(_HINTS_OF_A_STUDY * (most + 1), _LARGEST_PAGE)
        page = await tables.page("hint", keys.HINT_PARTITION, start, f'{namespace}"', top=top, select=("t",))
        found.update(entity.row_key.split("!")[1] for entity in page.entities)
        start = page.next_row_key
    return frozenset(found) if len(found) <= most else None


class Hints:
    """The hints of the store. One per process: it remembers what it wrote."""

    def __init__(self, tables: TableStore, clock: HybridClock, *, shards: int) -> None:
        self._tables = tables
        self._clock = clock
        self._shards = shards
        self._writer = new_writer()
        self._own: RecentValues[_Own] = RecentValues(_REMEMBERED)
        self._commits = 0
        self._under_way: dict[str, int] = {}
        self._doubts: dict[str, float] = {}
        """Partition keys of studies with a commit that may be applied later, and since when."""

    # ---------------------------------------------------------------------------------------------------- commits

    async def give(self, place: StudyPlace) -> None:
        """Announce work on a study, unless it has just been announced. Raises Unavailable."""
        now = self._clock.now()
        if 0 <= self.age(place) < FRESH_SECONDS:
            return
        partition_key, row_key = _row(place, self._writer)
        await commit_all(self._tables, "hint", [RowWrite("upsert", partition_key, row_key, {"t": now})])
        own = self._known(place.partition_key)
        own.written = now
        self._own.put(place.partition_key, own)

    async def announce(self, place: StudyPlace) -> None:
        """Give a hint of work that others have left, or that is no commit. Raises Unavailable."""
        own = self._known(place.partition_key)
        # rule: what others have left is looked at
        own.lose()
        self._own.put(place.partition_key, own)
        await self.give(place)

    @contextmanager
    def committing(self, place: StudyPlace, *, single: bool = False) -> Iterator[None]:
        """Around giving a hint and the commit that relies on it. `single`: no other is expected soon."""
        key = place.partition_key
        self._use(key, single=single)
        self._under_way[key] = self._under_way.get(key, 0) + 1
        try:
            yield
        except Unavailable:
            raise
        except BaseException:
            self.doubt(place)
            raise
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]
            self._use(key, single=single)

    def committed(self, place: StudyPlace, changes: Sequence[Change]) -> None:
        """Note changes that are committed, before anybody is told of them."""
        own = self._own.get(place.partition_key)
        if own is None:
            return
        # rule: a process remembers what it has committed
        own.unlogged |= {change.id: _logged(place, change) for change in changes}
        if len(own.unlogged) > _UNLOGGED:
            own.lose()

    def doubt(self, place: StudyPlace) -> None:
        """A commit got no answer: it may be applied later."""
        now = self._clock.now()
        if own := self._own.get(place.partition_key):
            # rule: after a commit without an answer a study is looked at
            own.lose()
        if len(self._doubts) >= _DOUBTS:
            self._doubts = {key: since for key, since in self._doubts.items() if 0 <= now - since < STALE_SECONDS}
        self._doubts[place.partition_key] = now

    def age(self, place: StudyPlace) -> float:
        """Seconds since this process gave its last hint of the study."""
        own = self._own.get(place.partition_key)
        return self._clock.now() - (own.written if own else 0.0)

    # ---------------------------------------------------------------------------------------------------- looking

    async def all(self) -> list[Hint]:
        """Every hint of the store; several of a study that several processes write to."""
        return [self._hint(entity) for entity in await self._tables.range("hint", keys.HINT_PARTITION, "", keys.LAST)]

    async def exist(self, place: StudyPlace) -> bool:
        """Whether the study has a hint. Raises Unavailable."""
        partition_key, row_key = place.hint
        return bool(await self._tables.range("hint", partition_key, row_key, f'{row_key}"', select=("t",)))

    def is_own(self, hint: Hint) -> bool:
        """Whether this process has written it."""
        return hint.writer == self._writer

    def mark(self, hint: Hint) -> Mark:
        """The use of the hint until now: ask before a look at the study."""
        key = hint.place.partition_key
        # rule: a hint with a commit under way says nothing
        if not self.is_own(hint) or key in self._under_way:
            return None
        # rule: a hint with a commit without an answer says nothing
        if self._is_doubtful(key):
            return None
        own = self._own.get(key)
        return own.commits if own else 0

    def found_idle(self, hint: Hint, mark: Mark) -> None:
        """A look at the study that began after `mark` has found nothing that is pending or to be cleaned up."""
        own = self._own.get(hint.place.partition_key)
        if mark is not None and own and own.commits == mark:
            own.idle = mark

    def is_settled(self, hint: Hint) -> bool:
        """Whether nothing has been committed since the study was found idle, as far as the hint goes."""
        own = self._own.get(hint.place.partition_key)
        # rule: a study is looked at again after a commit
        return own is not None and own.idle == self.mark(hint)

    # ---------------------------------------------------------------------------------- what is not in the feed

    def unlogged(self, hints: Collection[Hint]) -> Collection[LoggedChange] | None:
        """The changes of a study with these hints that may not be in the feed; None if only a look can tell."""
        owns = [self._own.get(hint.place.partition_key) for hint in hints if self.is_own(hint)]
        # rule: a study to which another process writes is looked at
        if not owns or len(owns) < len(hints):
            return None
        return owns[0].unlogged.values() if owns[0] and owns[0].is_whole else None

    def before_look(self, place: StudyPlace) -> BeforeLook | None:
        """The state that `learn` needs; None if a look cannot tell everything."""
        own = self._own.get(place.partition_key)
        if own is None or self._is_doubtful(place.partition_key):
            return None
        return BeforeLook(own, own.losses, frozenset(own.unlogged))

    def learn(self, place: StudyPlace, before: BeforeLook | None, changes: Sequence[LoggedChange]) -> None:
        """A look at the whole study has found these changes that are not in the feed."""
        own = self._own.get(place.partition_key)
        if before is None or own is not before.own or own.losses != before.losses:
            return
        # What was committed meanwhile may have come behind the look; what was known before and is gone is in the feed.
        found = {change.id: change for change in changes}
        own.unlogged = found | {id_: each for id_, each in own.unlogged.items() if id_ not in before.known}
        own.is_whole = True

    def logged(self, changes: Sequence[LoggedChange]) -> None:
        """Note that changes are in the feed."""
        for change in changes:
            place = keys.study_place(change.namespace, change.identifier.study_instance_uid, self._shards)
            if own := self._own.get(place.partition_key):
                own.unlogged.pop(change.id, None)

    def forget_unlogged(self) -> None:
        """Others may have logged anything."""
        for own in self._own.values():
            own.lose()

    # --------------------------------------------------------------------------------------------------- dropping

    def may_drop(self, hint: Hint, mark: Mark) -> bool:
        """Whether the hint may be dropped, as a look at the study that began after `mark` has found nothing."""
        # rule: a hint is kept for two minutes
        if self._clock.now() - hint.written > STALE_SECONDS:
            return True
        # rule: a process drops its hint only when no commit relies on it
        return mark is not None and self.mark(hint) == mark and self._is_quiet(hint)

    async def drop(self, hints: Mapping[Hint, Mark]) -> None:
        """Remove those hints that may be dropped, unless they have been given again since they were read."""
        operations: list[RowWrite] = []
        for hint, mark in [each for each in hints.items() if self.may_drop(*each)]:
            # rule: what a process has committed since is not forgotten with its hint
            if mark is not None and self.mark(hint) == mark:
                self._own.forget(hint.place.partition_key)
            partition_key, row_key = hint.row
            # rule: a hint that was given again is not dropped
            gone = RowWrite("delete", partition_key, row_key, etag=hint.etag)
            operations.append(gone)
        await commit_each(self._tables, "hint", operations)

    # ----------------------------------------------------------------------------------------------------- inside

    def _use(self, key: str, *, single: bool) -> None:
        self._commits += 1
        own = self._known(key)
        own.is_single = single and (own.is_single or not own.commits)
        own.used, own.commits = self._clock.now(), self._commits
        self._own.put(key, own)

    def _known(self, key: str) -> _Own:
        # rule: what was forgotten for want of room is looked at
        return self._own.get(key) or _Own(is_whole=self._own.is_whole)

    def _is_doubtful(self, key: str) -> bool:
        return 0 <= self._clock.now() - self._doubts.get(key, 0.0) < STALE_SECONDS

    def _is_quiet(self, hint: Hint) -> bool:
        own = self._own.get(hint.place.partition_key)
        used = max(hint.written, own.used if own else 0.0)
        return bool(own and own.is_single) or self._clock.now() - used > QUIET_SECONDS

    def _hint(self, entity: Entity) -> Hint:
        written = entity.properties["t"]
        namespace, study, *writer = entity.row_key.split("!")
        place = keys.named_place(f"{namespace}!{study}", self._shards)
        return Hint(place, "".join(writer), float(written) if isinstance(written, int | float) else 0.0, entity.etag)


def _logged(place: StudyPlace, change: Change) -> LoggedChange:
    identifier = InstanceIdentifier(place.study_instance_uid, change.series, change.instance)
    return LoggedChange(change.id, change.operation, place.namespace, identifier)


def _row(place: StudyPlace, writer: str) -> tuple[str, str]:
    """Partition key and row key of the hint of a process."""
    partition_key, name = place.hint
    return partition_key, f"{name}!{writer}" if writer else name
