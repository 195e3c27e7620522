"""The schemas of a store: rows of `conf` that every process reads again every few seconds (storage §8).

A schema goes from announced over active to complete, and back to active if rows of a lower number are found. Between
two of these steps every process has to get to know the first: what it knows when it writes is never older than
`MOST_AGE_SECONDS`, and a write that has begun then is over `WRITE_SECONDS` later. So, `SETTLED_SECONDS` after a step,
nothing is written any more by somebody who has not heard of it.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

import orjson

from shared.errors import Unavailable
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import ADDED, SCHEMA_1, IndexedAttribute, custom_codes
from shared.index_schema.schema import BUILT_IN, IndexSchema
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import Entity, RowWrite, TableStore, Value

FRESH_SECONDS = 10.0
"""The age of the schemas at which a writer reads them again before it begins."""
MOST_AGE_SECONDS = 20.0
"""No write begins on what was read longer ago."""
WRITE_SECONDS = 60.0
"""A write is over after that time, answered or not."""
SETTLED_SECONDS = MOST_AGE_SECONDS + WRITE_SECONDS + 10.0
"""With some time for good measure: from then on everybody has heard of a step."""

_PARTITION = "schema"


class State(IntEnum):
    """The state of a schema."""

    ANNOUNCED = 1
    ACTIVE = 2
    COMPLETE = 3


class SchemaRegistry:
    """The schemas of the store. One per process. `added`: the attributes of this release beside those of schema 1."""

    def __init__(
        self,
        tables: TableStore,
        now: Callable[[], float] = time.monotonic,
        *,
        added: Sequence[IndexedAttribute] = ADDED,
    ) -> None:
        """`now`: seconds; only differences count."""
        self._tables = tables
        self._now = now
        self._added = added
        self._read = float("-inf")
        self._reading = asyncio.Lock()
        self.known = BUILT_IN if added is ADDED else IndexSchema.of(1, (*SCHEMA_1, *added))
        """The schema as it was last read."""

    async def current(self) -> IndexSchema:
        """As in Schemas."""
        if self.age() > FRESH_SECONDS:
            async with self._reading:
                if self.age() > FRESH_SECONDS:  # else somebody has read it while this call waited
                    await self.refresh()
        return self.known

    async def at_least(self, number: int) -> IndexSchema:
        """As in Schemas."""
        if self.known.latest < number:
            await self.refresh()
        if self.known.latest < number:
            raise Unavailable("Rows carry a schema that the store does not know")
        return self.known

    def age(self) -> float:
        """As in Schemas."""
        return self._now() - self._read

    async def refresh(self) -> IndexSchema:
        """Read the schemas, and announce the attributes of this release that are not in them. Raises Unavailable."""
        rounds = Rounds("The schema of the index cannot be announced")
        while True:
            await rounds.next()
            read = self._now()
            rows = await self._rows()
            schema = self._schema(rows)
            missing = [attribute for attribute in self._added if attribute.key not in schema.attributes]
            if not missing:
                if schema.number >= self.known.number:
                    self.known = schema
                self._read = max(self._read, read)
                return self.known
            # Somebody else may announce, too: look again.
            await best_effort_commit(self._tables, "conf", [_announcement(schema.latest + 1, missing)])

    async def add_attributes(
        self, choose: Callable[[IndexSchema], Sequence[IndexedAttribute]]
    ) -> tuple[IndexedAttribute, ...]:
        """Announce custom attributes as one schema. `choose` names them, without keys and codes, by the schema as it
        is; what it raises is raised. They come back with keys and codes of their own. Raises Unavailable.
        """
        rounds = Rounds("The attributes cannot be added to the schema of the index")
        written = uuid.uuid4().hex
        while True:
            await rounds.next()
            schema = await self.refresh()
            number = schema.latest + 1
            added = tuple(_numbered(each, number, at) for at, each in enumerate(choose(schema)))
            row = _announcement(number, added, written=written)
            done = await best_effort_commit(self._tables, "conf", [row])
            if not done:  # an answer may be lost, not the request
                present = await self._tables.get("conf", _PARTITION, row.row_key)
                done = present is not None and present.properties.get("written") == written
            if done:
                await self.refresh()
                return added

    async def disable(self, keys: Iterable[str]) -> None:
        """As in Schemas."""
        for key in keys:
            await self.change_attribute(key, enabled=False, erroneous=True)

    async def change_attribute(self, key: str, **changed: bool | float) -> IndexSchema:
        """Change the state of a custom attribute: `enabled`, `deleted`, `purged`, `erroneous`; what is not named stays.

        Idempotent. Raises Unavailable.
        """
        rounds = Rounds("The attribute cannot be changed in the schema of the index")
        while True:
            await rounds.next()
            schema = await self.refresh()
            row = await self._tables.get("conf", _PARTITION, f"{schema.attributes[key].since:08}")
            if row is None:
                raise Unavailable("The schema of the index has lost a row")
            states = _states(row)
            state = {**states.get(key, {}), **changed}
            if state == states.get(key, {}):
                return await self.refresh()
            written = orjson.dumps({**states, key: state}).decode()
            move = RowWrite("merge", _PARTITION, row.row_key, {"tags": written}, row.etag)
            await best_effort_commit(self._tables, "conf", [move])

    async def advance(self, number: int, state: State) -> None:
        """Let every schema up to that number be at least in that state. Idempotent. Raises Unavailable."""
        await self._move(lambda row, now: state if _number(row) <= number and now < state else now)

    async def reopen(self, number: int) -> None:
        """As in Schemas."""
        await self._move(lambda row, now: State.ACTIVE if _number(row) >= number and now is State.COMPLETE else now)

    # ----------------------------------------------------------------------------------------------------- inside

    async def _rows(self) -> list[Entity]:
        return await self._tables.range("conf", _PARTITION, "", keys.LAST)

    def _schema(self, rows: Iterable[Entity]) -> IndexSchema:
        attributes = [*SCHEMA_1]
        number, complete = 1, {1}
        for row in rows:
            attributes += _attributes(row)
            if _state(row) >= State.ACTIVE:
                number = _number(row)
            if _state(row) is State.COMPLETE:
                complete.add(_number(row))
        return IndexSchema.of(number, attributes, complete)

    async def _move(self, following: Callable[[Entity, State], State]) -> None:
        rounds = Rounds("The schema of the index cannot be changed")
        while True:
            await rounds.next()
            steps = [(row, following(row, _state(row))) for row in await self._rows()]
            moves = [
                RowWrite("merge", _PARTITION, row.row_key, {"state": int(state)}, row.etag)
                for row, state in steps
                if state is not _state(row)
            ]
            if not moves:
                await self.refresh()
                return
            await best_effort_commit(self._tables, "conf", moves)


def _numbered(attribute: IndexedAttribute, number: int, at: int) -> IndexedAttribute:
    """A custom attribute of the schema of that number, which is never given again."""
    key = f"t{number}x{at}"
    return replace(attribute, key=key, codes=custom_codes(key, attribute.vr), since=number)


def _announcement(number: int, attributes: Iterable[IndexedAttribute], *, written: str = "") -> RowWrite:
    fields = [
        {"key": each.key, "vr": each.vr, "level": each.level, "codes": each.codes, "searchable": each.searchable}
        | ({"path": each.path, "creator": each.creator} if each.custom else {})
        for each in attributes
    ]
    properties: dict[str, Value] = {"attributes": orjson.dumps(fields).decode(), "state": int(State.ANNOUNCED)}
    if written:
        properties["written"] = written
    return RowWrite("insert", _PARTITION, f"{number:08}", properties)


def _number(row: Entity) -> int:
    return int(row.row_key)


def _state(row: Entity) -> State:
    return State(int(row.properties["state"]))


def _states(row: Entity) -> dict[str, dict[str, Any]]:
    """The states of custom attributes, by key."""
    states: dict[str, dict[str, Any]] = orjson.loads(str(row.properties.get("tags", "{}")))
    return states


def _attributes(row: Entity) -> list[IndexedAttribute]:
    states = _states(row)
    return [
        _attribute(each, _number(row), states.get(each["key"], {}))
        for each in orjson.loads(str(row.properties["attributes"]))
    ]


def _attribute(each: Mapping[str, Any], number: int, state: Mapping[str, Any]) -> IndexedAttribute:
    # What is deleted is in no list any more, so that its postings are stale. Rows in the list of all studies are not:
    # what they carry of it stays part of them.
    codes = () if state.get("deleted") else tuple(each["codes"])
    return IndexedAttribute(
        *(each["key"], each["vr"], each["level"], codes, each["searchable"]),
        since=number,
        path=each.get("path", ""),
        creator=each.get("creator", ""),
        **state,
    )
