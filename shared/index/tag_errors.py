"""Errors of extended query tags: values of stored instances that a re-index could not take (EQT-40 to EQT-46).

The errors of a tag are one partition of `idxi`, with a row for each, in the order of time and version, and a row that
counts them, changed in the same transactions. The row of an instance says which errors it has (`failed`): it does so
before they are there, so that whoever deletes or replaces the instance knows what is to go.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from itertools import batched
from typing import Any

from shared.concurrency import together
from shared.dicom.identifiers import InstanceIdentifier
from shared.errors import TooLarge
from shared.index.instance_rows import Failures
from shared.index_schema import keys
from shared.index_schema.changes import ErrorRow
from shared.index_schema.keys import StudyPlace
from shared.storage.optimistic import Rounds, best_effort_commit
from shared.storage.ports import Entity, RowWrite, TableStore, Value

_COUNT = "n"
_ROWS = ("r!", 'r"')
_AT_ONCE = 50
"""Rows of a transaction. After one that did not come about each is looked up by itself."""
_PAGE = 1000
_MOST_SKIPPED = 50_000
"""Rows that a list passes over: each thousand is a request (S-5)."""


@dataclass(frozen=True, slots=True)
class TagError:
    """A value of an instance that an extended query tag could not take."""

    namespace: str
    identifier: InstanceIdentifier
    version: int
    """That of the instance."""
    fault: str
    """The fault of the value; without it."""
    created_ms: int

    @property
    def row_key(self) -> str:
        """Orders errors by time, then version; one instance has one."""
        uid = self.identifier
        name = f"{self.namespace}!{uid.study_instance_uid}!{uid.series_instance_uid}!{uid.sop_instance_uid}"
        digest = sha1(name.encode(), usedforsecurity=False).hexdigest()[:16]
        return f"r!{self.created_ms:012x}!{self.version:016x}!{digest}"

    def properties(self) -> dict[str, Value]:
        """The properties of its row."""
        uid = self.identifier
        return {
            "ns": self.namespace,
            "study": uid.study_instance_uid,
            "series": uid.series_instance_uid,
            "instance": uid.sop_instance_uid,
            "v": self.version,
            "fault": self.fault,
            "created": self.created_ms,
        }


def errors_of(place: StudyPlace, uids: tuple[str, str], version: int, failures: Failures) -> dict[str, TagError]:
    """The errors of an instance, by the key of the tag. `uids`: of the series and its own."""
    identifier = InstanceIdentifier(place.study_instance_uid, *uids)
    return {
        tag: TagError(place.namespace, identifier, version, fault, created)
        for tag, (fault, created) in failures.items()
    }


def error_rows_of(place: StudyPlace, uids: tuple[str, str], version: int, failures: Failures) -> tuple[ErrorRow, ...]:
    """The rows of the errors of an instance."""
    return tuple((tag, error.row_key) for tag, error in errors_of(place, uids, version, failures).items())


class TagErrors:
    """The errors of all extended query tags. One per user of it. Everything raises Unavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._writing = asyncio.Lock()
        """The count of a tag is one row: tasks of one process need not race for it."""

    async def record(self, errors: Iterable[tuple[str, TagError]]) -> None:
        """Add errors of tags, by their keys. Idempotent."""
        by_tag: dict[str, dict[str, RowWrite]] = {}
        for tag, error in errors:
            write = RowWrite("insert", keys.error_partition(tag), error.row_key, error.properties())
            by_tag.setdefault(tag, {})[error.row_key] = write
        await self._write_all(by_tag, added=True)

    async def remove(self, rows: Iterable[ErrorRow]) -> None:
        """Remove errors. Idempotent."""
        by_tag: dict[str, dict[str, RowWrite]] = {}
        for tag, row_key in rows:
            by_tag.setdefault(tag, {})[row_key] = RowWrite("delete", keys.error_partition(tag), row_key)
        await self._write_all(by_tag, added=False)

    async def counts(self, tags: Sequence[str]) -> dict[str, int]:
        """The number of the errors of each of these tags, by key."""
        rows = await together(*(self._tables.get("idxi", keys.error_partition(tag), _COUNT) for tag in tags))
        return {tag: _count_in(row) for tag, row in zip(tags, rows, strict=True)}

    async def window(self, tag: str, limit: int, offset: int) -> list[TagError]:
        """At most `limit` errors of a tag behind the first `offset`, in order. Raises TooLarge."""
        if not offset < (await self.counts([tag]))[tag]:
            return []
        if offset > _MOST_SKIPPED:
            raise TooLarge(
                f"More than {_MOST_SKIPPED} errors cannot be passed over.",
                where="query parameter Offset",
                remedy="Mend and store again the instances of the first errors, or delete them, and ask again.",
            )
        found: list[TagError] = []
        low: str | None = _ROWS[0]
        while low is not None and len(found) < limit:
            skipping = offset > 0
            top = min(_PAGE, offset if skipping else limit - len(found))
            select = ("v",) if skipping else None
            page = await self._tables.page("idxi", keys.error_partition(tag), low, _ROWS[1], top=top, select=select)
            if skipping:
                offset -= len(page.entities)
            else:
                found += map(error_in, page.entities)
            low = page.next_row_key
        return found

    async def check(self, tag: str, is_true: Callable[[TagError], Coroutine[Any, Any, bool]]) -> None:
        """Remove the errors of a tag that are not so."""
        low: str | None = _ROWS[0]
        while low is not None:
            page = await self._tables.page("idxi", keys.error_partition(tag), low, _ROWS[1], top=_AT_ONCE)
            errors = [error_in(row) for row in page.entities]
            true = await together(*map(is_true, errors))
            await self.remove((tag, each.row_key) for each, stays in zip(errors, true, strict=True) if not stays)
            low = page.next_row_key

    # ----------------------------------------------------------------------------------------------------- inside

    async def _write_all(self, by_tag: Mapping[str, Mapping[str, RowWrite]], *, added: bool) -> None:
        for tag, writes in by_tag.items():
            for batch in batched(writes.values(), _AT_ONCE, strict=False):
                async with self._writing:
                    await self._write(tag, batch, added=added)

    async def _write(self, tag: str, batch: Sequence[RowWrite], *, added: bool) -> None:
        """Do the writes of a batch that are not done yet, and count them, in one transaction."""
        partition_key = keys.error_partition(tag)
        rounds = Rounds("The errors of an extended query tag change too fast")
        while True:
            if await rounds.next():
                present = await together(*(self._tables.get("idxi", partition_key, write.row_key) for write in batch))
                batch = [write for write, row in zip(batch, present, strict=True) if (row is None) is added]
                if not batch:
                    return
            counter = await self._tables.get("idxi", partition_key, _COUNT)
            count = _count_in(counter) + (len(batch) if added else -len(batch))
            counted = RowWrite(
                "replace" if counter else "insert",
                partition_key,
                _COUNT,
                {"count": max(0, count)},
                counter.etag if counter else "*",
            )
            if await best_effort_commit(self._tables, "idxi", [*batch, counted]):
                return


def error_in(row: Entity) -> TagError:
    """The error in a row."""
    properties = row.properties
    uids = (str(properties[name]) for name in ("study", "series", "instance"))
    return TagError(
        str(properties["ns"]),
        InstanceIdentifier(*uids),
        int(properties["v"]),
        str(properties["fault"]),
        int(properties["created"]),
    )


def _count_in(row: Entity | None) -> int:
    return int(row.properties["count"]) if row else 0
