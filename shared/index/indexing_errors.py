"""Indexing errors: values of stored instances that a re-index could not take (EQT-40 to EQT-46).

The errors of an attribute are one partition of `idxi`, with a row for each, in the order of time and version, and a row
that counts them, changed in the same transactions. The row of an instance says which errors it has (`failed`): it does
so before they are there, so that whoever deletes or replaces the instance knows what is to go.
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
class IndexingError:
    """A value of an instance that could not be indexed."""

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


def errors_of(place: StudyPlace, uids: tuple[str, str], version: int, failures: Failures) -> dict[str, IndexingError]:
    """The errors of an instance, by the key of the attribute. `uids`: of the series and its own."""
    identifier = InstanceIdentifier(place.study_instance_uid, *uids)
    return {
        key: IndexingError(place.namespace, identifier, version, fault, created)
        for key, (fault, created) in failures.items()
    }


def error_rows_of(place: StudyPlace, uids: tuple[str, str], version: int, failures: Failures) -> tuple[ErrorRow, ...]:
    """The rows of the errors of an instance."""
    return tuple((key, error.row_key) for key, error in errors_of(place, uids, version, failures).items())


class IndexingErrors:
    """The indexing errors of all attributes. One per user of it. Everything raises Unavailable."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables
        self._writing = asyncio.Lock()
        """The count of an attribute is one row: tasks of one process need not race for it."""

    async def record(self, errors: Iterable[tuple[str, IndexingError]]) -> None:
        """Add errors of attributes, by their keys. Idempotent."""
        by_key: dict[str, dict[str, RowWrite]] = {}
        for key, error in errors:
            write = RowWrite("insert", keys.error_partition(key), error.row_key, error.properties())
            by_key.setdefault(key, {})[error.row_key] = write
        await self._write_all(by_key, added=True)

    async def remove(self, rows: Iterable[ErrorRow]) -> None:
        """Remove errors. Idempotent."""
        by_key: dict[str, dict[str, RowWrite]] = {}
        for key, row_key in rows:
            by_key.setdefault(key, {})[row_key] = RowWrite("delete", keys.error_partition(key), row_key)
        await self._write_all(by_key, added=False)

    async def counts(self, wanted: Sequence[str]) -> dict[str, int]:
        """The number of the errors of each of these attributes, by key."""
        rows = await together(*(self._tables.get("idxi", keys.error_partition(key), _COUNT) for key in wanted))
        return {key: _count_in(row) for key, row in zip(wanted, rows, strict=True)}

    async def window(self, key: str, limit: int, offset: int) -> list[IndexingError]:
        """At most `limit` errors of an attribute behind the first `offset`, in order. Raises TooLarge."""
        if not offset < (await self.counts([key]))[key]:
            return []
        if offset > _MOST_SKIPPED:
            raise TooLarge(
                f"More than {_MOST_SKIPPED} errors cannot be passed over.",
                where="query parameter Offset",
                remedy="Mend and store again the instances of the first errors, or delete them, and ask again.",
            )
        found: list[IndexingError] = []
        low: str | None = _ROWS[0]
        while low is not None and len(found) < limit:
            skipping = offset > 0
            top = min(_PAGE, offset if skipping else limit - len(found))
            select = ("v",) if skipping else None
            page = await self._tables.page("idxi", keys.error_partition(key), low, _ROWS[1], top=top, select=select)
            if skipping:
                offset -= len(page.entities)
            else:
                found += map(error_in, page.entities)
            low = page.next_row_key
        return found

    async def check(self, key: str, is_true: Callable[[IndexingError], Coroutine[Any, Any, bool]]) -> None:
        """Remove the errors of an attribute that are not so."""
        low: str | None = _ROWS[0]
        while low is not None:
            page = await self._tables.page("idxi", keys.error_partition(key), low, _ROWS[1], top=_AT_ONCE)
            errors = [error_in(row) for row in page.entities]
            true = await together(*map(is_true, errors))
            await self.remove((key, each.row_key) for each, stays in zip(errors, true, strict=True) if not stays)
            low = page.next_row_key

    # ----------------------------------------------------------------------------------------------------- inside

    async def _write_all(self, by_key: Mapping[str, Mapping[str, RowWrite]], *, added: bool) -> None:
        for key, writes in by_key.items():
            for batch in batched(writes.values(), _AT_ONCE, strict=False):
                async with self._writing:
                    await self._write(key, batch, added=added)

    async def _write(self, key: str, batch: Sequence[RowWrite], *, added: bool) -> None:
        """Do the writes of a batch that are not done yet, and count them, in one transaction."""
        partition_key = keys.error_partition(key)
        rounds = Rounds("The indexing errors of an attribute change too fast")
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


def error_in(row: Entity) -> IndexingError:
    """The error in a row."""
    properties = row.properties
    uids = (str(properties[name]) for name in ("study", "series", "instance"))
    return IndexingError(
        str(properties["ns"]),
        InstanceIdentifier(*uids),
        int(properties["v"]),
        str(properties["fault"]),
        int(properties["created"]),
    )


def _count_in(row: Entity | None) -> int:
    return int(row.properties["count"]) if row else 0
