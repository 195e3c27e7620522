"""The tables in memory, with the semantics of the Table service."""

from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from shared.storage import table_entities
from shared.storage.ports import Entity, Kind, Page, PreconditionFailed, RowWrite, Value

type Hook = Callable[[Kind, str], Awaitable[None]]
"""Called with the kind and the operation: 'get', 'page' (also once for each page of a range) or 'commit'."""


def _order(row_key: str) -> bytes:
    """The service compares keys by UTF-16 units, Python by code points."""
    return row_key.encode("utf-16-be", "surrogatepass")


@dataclass(slots=True)
class _Partition:
    order: list[tuple[bytes, str]] = field(default_factory=list)
    rows: dict[str, Entity] = field(default_factory=dict)


class MemoryTableStore:
    """A TableStore in memory.

    `before` runs ahead of each request and `after` behind it. What they raise reaches the caller: raised by `before`
    the request was not applied, raised by `after` it was. Both may yield control; the request itself is atomic.
    `page_limit` cuts pages short, and each `empty_page_every`-th page (from 2 up) is empty though rows follow: the
    service may do both.
    """

    def __init__(
        self,
        *,
        before: Hook | None = None,
        after: Hook | None = None,
        page_limit: int = table_entities.MAX_PAGE,
        empty_page_every: int = 0,
    ) -> None:
        self.before = before
        self.after = after
        self.page_limit = page_limit
        self.empty_page_every = empty_page_every
        self.requests = 0
        self._pages = 0
        self._etags = count(1)
        self._partitions: dict[tuple[Kind, str], _Partition] = {}

    # ---- what tests look at, without a request

    def rows(self, kind: Kind, partition_key: str | None = None) -> list[Entity]:
        """All rows of a kind, or of one of its partitions, by partition key and row key."""
        return [
            partition.rows[row_key]
            for (name, key), partition in sorted(self._partitions.items(), key=lambda item: item[0])
            if name == kind and partition_key in (None, key)
            for _, row_key in partition.order
        ]

    def peek(self, kind: Kind, partition_key: str, row_key: str) -> Entity | None:
        """One row."""
        partition = self._partitions.get((kind, partition_key))
        return partition.rows.get(row_key) if partition else None

    def fill(self, kind: Kind, entities: Iterable[Entity]) -> None:
        """Put in very many rows, in one go and without a request; none of them may be there."""
        for entity in entities:
            partition = self._partitions.setdefault((kind, entity.partition_key), _Partition())
            partition.rows[entity.row_key] = replace(entity, etag=f'W/"{next(self._etags)}"')
        for partition in self._partitions.values():
            partition.order = sorted((_order(row_key), row_key) for row_key in partition.rows)

    # ---- TableStore

    async def get(self, kind: Kind, partition_key: str, row_key: str) -> Entity | None:
        await self._begin(kind, "get")
        entity = self.peek(kind, partition_key, row_key)
        await self._end(kind, "get")
        return entity

    async def page(
        self,
        kind: Kind,
        partition_key: str,
        low: str,
        high: str,
        *,
        top: int = table_entities.MAX_PAGE,
        select: Sequence[str] | None = None,
    ) -> Page:
        if not 1 <= top <= table_entities.MAX_PAGE:
            raise ValueError("A page has 1 to 1000 rows")
        await self._begin(kind, "page")
        page = self._page(self._partitions.get((kind, partition_key), _Partition()), (low, high), top, select)
        await self._end(kind, "page")
        return page

    async def range(
        self, kind: Kind, partition_key: str, low: str, high: str, *, select: Sequence[str] | None = None
    ) -> list[Entity]:
        entities: list[Entity] = []
        start: str | None = low
        while start is not None:
            page = await self.page(kind, partition_key, start, high, select=select)
            entities += page.entities
            start = page.next_row_key
        return entities

    async def commit(self, kind: Kind, operations: Sequence[RowWrite]) -> str:
        table_entities.check(operations)
        await self._begin(kind, "commit")
        partition = self._partitions.setdefault((kind, operations[0].partition_key), _Partition())
        for operation in operations:
            _require(partition.rows.get(operation.row_key), operation)
        for operation in operations:
            self._apply(partition, operation)
        written = partition.rows.get(operations[0].row_key) if len(operations) == 1 else None
        await self._end(kind, "commit")
        return written.etag if written else ""

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to release."""

    # ---- inside

    async def _begin(self, kind: Kind, operation: str) -> None:
        self.requests += 1
        if self.before:
            await self.before(kind, operation)

    async def _end(self, kind: Kind, operation: str) -> None:
        if self.after:
            await self.after(kind, operation)

    def _page(self, partition: _Partition, bounds: tuple[str, str], top: int, select: Sequence[str] | None) -> Page:
        self._pages += 1
        first, end = (bisect_left(partition.order, (_order(bound), "")) for bound in bounds)
        if self.empty_page_every and self._pages % self.empty_page_every == 0 and first < end:
            return Page((), bounds[0])
        last = min(end, first + min(top, self.page_limit))
        entities = [_selected(partition.rows[row_key], select) for _, row_key in partition.order[first:last]]
        return Page(entities, partition.order[last][1] if last < end else None)

    def _apply(self, partition: _Partition, operation: RowWrite) -> None:
        row_key = operation.row_key
        present = partition.rows.get(row_key)
        if operation.verb == "delete":
            del partition.rows[row_key]
            del partition.order[bisect_left(partition.order, (_order(row_key), ""))]
            return
        properties: dict[str, Value] = dict(operation.properties)
        if operation.verb == "merge" and present:
            properties = {**present.properties, **properties}
        if not present:
            insort(partition.order, (_order(row_key), row_key))
        partition.rows[row_key] = Entity(operation.partition_key, row_key, properties, f'W/"{next(self._etags)}"')


def _require(present: Entity | None, operation: RowWrite) -> None:
    if operation.verb == "upsert":
        return
    if operation.verb == "insert":
        if present:
            raise PreconditionFailed("The row exists")
    elif not present:
        raise PreconditionFailed("The row is missing")
    elif operation.etag not in ("*", present.etag):
        raise PreconditionFailed("The row has changed")


def _selected(entity: Entity, select: Sequence[str] | None) -> Entity:
    if select is None:
        return entity
    properties = {name: entity.properties[name] for name in select if name in entity.properties}
    return Entity(entity.partition_key, entity.row_key, properties, entity.etag)
