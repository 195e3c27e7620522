"""The candidates of a query: what is on all lists of its sources, newest first, over all shards (storage §6.3)."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from shared.index_schema.postings import after
from shared.index_search import extents as sizes
from shared.index_search.extents import Extent
from shared.index_search.scan import Cursor, Shard, TooManyValues, WholeListCursor, entry_key, open_source
from shared.index_search.sources import ListUnion
from shared.storage.ports import Entity, Kind

_DROPPED_AT_ONCE = 5000
_FIRST_RANKS = 1
"""Sources of these ranks mostly have few rows: they are asked alone first."""


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A study or workitem that may be what is searched for."""

    sort_key: str
    postings: tuple[Entity, ...] = field(compare=False)
    """Of one source: at least one."""
    whole: bool = field(default=False, compare=False)
    """Whether these are all that the source has."""


class ShardStream:
    """The candidates of one shard: what its cursors agree on, and the list of everything does not refuse."""

    def __init__(
        self, cursors: Sequence[Cursor], judge: WholeListCursor | None, reserve: Sequence[Cursor] = ()
    ) -> None:
        self.cursors = list(cursors)
        self.judge = judge
        self.reserve = list(reserve)
        """Cursors that are not asked so far."""
        self.buffer: deque[Candidate] = deque()
        self.done = False
        self._from = ""

    async def fill(self, count: int) -> None:
        """Find candidates until `count` are at hand or there are no more. Raises TooLarge."""
        while len(self.buffer) < count and not self.done:
            agreed = await self._agree()
            if agreed is None:
                self.done = True
            elif self.judge is None or await self.judge.judge(entry_key(agreed)):
                self.buffer.append(Candidate(entry_key(agreed), (agreed,)))

    async def _agree(self) -> Entity | None:
        """A posting of the next one that is on all lists: each list in turn skips to where the last one stands."""
        target, agreeing, turn = self._from, 0, 0
        while True:
            entity = await self.cursors[turn].seek(target)
            if entity is None:
                return None
            sort_key = entry_key(entity)
            agreeing = agreeing + 1 if sort_key == target else 1
            target = sort_key
            if agreeing >= len(self.cursors):
                self._from = after(target)
                return entity
            turn = (turn + 1) % len(self.cursors)


class Candidates:
    """All candidates, newest first."""

    def __init__(self, streams: Sequence[ShardStream]) -> None:
        self._streams = streams
        self._returned: deque[Candidate] = deque()

    @staticmethod
    def of(candidates: Iterable[Candidate]) -> "Candidates":
        """These, of which there are no more."""
        stream = ShardStream((), None)
        stream.buffer.extend(sorted(candidates))
        stream.done = True
        return Candidates([stream])

    async def take(self, count: int) -> list[Candidate]:
        """The next `count` candidates; fewer at the end. Raises TooLarge."""
        taken = [self._returned.popleft() for _ in range(min(count, len(self._returned)))]
        while len(taken) < count:
            if any(not stream.buffer and not stream.done for stream in self._streams):
                ahead = (count - len(taken)) * 3 // (2 * len(self._streams)) + 1
                await asyncio.gather(
                    *(stream.fill(ahead) for stream in self._streams if len(stream.buffer) < ahead and not stream.done)
                )
            waiting = [stream for stream in self._streams if stream.buffer]
            if not waiting:
                break
            taken.append(min(waiting, key=lambda stream: stream.buffer[0]).buffer.popleft())
        return taken

    def put_back(self, candidates: Sequence[Candidate]) -> None:
        """Take these, which were the last ones taken, next."""
        self._returned.extendleft(reversed(candidates))

    async def drop(self, count: int) -> None:
        """Pass over the next `count` candidates. Raises TooLarge."""
        while count > 0 and (taken := await self.take(min(count, _DROPPED_AT_ONCE))):
            count -= len(taken)

    def narrow(self) -> None:
        """Merge from now on the lists too that were left out: too many candidates turned out not to match."""
        for stream in self._streams:
            stream.cursors += stream.reserve
            stream.reserve = []


# ------------------------------------------------------------------------------------------------------- from a plan


async def find_candidates(
    shards: Sequence[Shard],
    sources: Sequence[ListUnion],
    kind: Kind,
    *,
    fits: Callable[[Entity], bool] | None,
    unserved: bool,
    want: int,
) -> Candidates:
    """The candidates of a query, of which about `want` will be taken.

    `kind`: the tables that hold the list of everything. `fits` judges a row of it by the matching keys; None if there
    are none that it can. `unserved`: there are keys for which no source stands. Raises TooLarge.
    """
    effort, limits = shards[0].effort, shards[0].limits
    top = max(limits.smallest_page, limits.few // len(shards) + 1, 3 * want // (2 * len(shards)) + 1)
    opened: list[_Opened[Cursor]] = []
    for group in _by_haste(sources):
        found = await asyncio.gather(*(_open(shards, source, top) for source in group))
        opened += [source for source in found if source]
        few = sizes.smallest([source.extent for source in opened], limits)
        if few is not None:
            effort.bounded = False
            return Candidates.of(_candidates_in(opened[few]))
    unserved = unserved or len(opened) < len(sources)
    effort.bounded = unserved
    if not opened:
        walk = await _open_whole_list(shards, kind, fits, top)
        return Candidates([ShardStream([cursor], None) for cursor in walk.cursors])
    extents = [source.extent for source in opened]
    merged = sizes.to_merge(extents, want, len(shards), limits)
    judge = await _open_whole_list(shards, kind, fits, limits.smallest_page) if unserved and fits else None
    if judge and not sizes.judges_by_list(extents[merged[0]], judge.extent, limits):
        judge = None
    left_out = [position for position in range(len(opened)) if position not in merged]
    streams = [
        ShardStream(
            [opened[position].cursors[number] for position in merged],
            judge.cursors[number] if judge else None,
            [opened[position].cursors[number] for position in left_out],
        )
        for number in range(len(shards))
    ]
    return Candidates(streams)


@dataclass(frozen=True, slots=True)
class _Opened[C: Cursor]:
    """A source with its first pages read, by shard."""

    cursors: Sequence[C]
    extent: Extent


def _by_haste(sources: Sequence[ListUnion]) -> Iterator[list[ListUnion]]:
    for _, group in groupby(sources, key=lambda source: source.rank <= _FIRST_RANKS):
        yield list(group)


async def _open(shards: Sequence[Shard], source: ListUnion, top: int) -> _Opened[Cursor] | None:
    """None if its lists are too many: then the candidates are judged by its matching key, as by any."""
    try:
        cursors = await asyncio.gather(*(open_source(shard, source, top) for shard in shards))
    except TooManyValues:
        return None
    return _Opened(cursors, Extent.of_all([cursor.extent for cursor in cursors]))


async def _open_whole_list(
    shards: Sequence[Shard], kind: Kind, fits: Callable[[Entity], bool] | None, top: int
) -> _Opened[WholeListCursor]:
    cursors = [WholeListCursor(shard, kind, fits) for shard in shards]
    await asyncio.gather(*(cursor.open(top) for cursor in cursors))
    return _Opened(cursors, Extent.of_all([cursor.extent for cursor in cursors]))


def _candidates_in(source: _Opened[Cursor]) -> Iterator[Candidate]:
    """The candidates of a source that is wholly at hand."""
    by_key: dict[str, list[Entity]] = {}
    for cursor in source.cursors:
        for entity in cursor.postings:
            by_key.setdefault(entry_key(entity), []).append(entity)
    for sort_key, postings in by_key.items():
        yield Candidate(sort_key, tuple(postings), whole=True)
