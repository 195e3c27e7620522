"""The store of workitems: each write is one entity group transaction, against the version that was read (WK-1).

The transaction holds the workitem, its postings that come and go, and its event: a reader sees all of them or none, and
nothing is left to be done after it. Who loses a race changes nothing.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from shared.dicom.attributes import Attributes
from shared.errors import Conflict, Gone, TooLarge
from shared.index_schema import keys
from shared.index_schema.postings import value_range
from shared.storage.optimistic import Rounds
from shared.storage.ports import Ambiguous, Entity, PreconditionFailed, RowWrite, TableStore
from shared.workitems import rows, searchable
from shared.workitems.events import WorkitemEvent, event_of, event_of_removal
from shared.workitems.workitem import Workitem

_INLINE_BYTES: Final = 32 * 1024
"""Bytes of a row that is read or made on the event loop; a longer one in a thread."""


class WorkitemExists(Conflict):
    """There is a workitem with that UID (409)."""


class WorkitemChanged(Conflict):
    """Another request has written the workitem since it was read (409)."""


class WorkitemGone(Gone):
    """The workitem was removed when its retention was over (410)."""


@dataclass(frozen=True, slots=True)
class StoredWorkitem:
    """A workitem as it was read: what a write of it names."""

    workitem: Workitem
    row: Entity


class Workitems:
    """The workitems of all data partitions. `now`: seconds since 1970. Everything raises Unavailable."""

    def __init__(
        self, tables: TableStore, now: Callable[[], float], on_write: Callable[[str], None] = lambda _partition: None
    ) -> None:
        """`on_write` is told of the partition of each workitem that was written or removed: it has an event now."""
        self._tables = tables
        self.now = now
        self._on_write = on_write

    async def get(self, namespace: str, uid: str) -> StoredWorkitem | None:
        """The workitem as the last successful write left it (WR-6). Raises WorkitemGone."""
        row = await self._tables.get(rows.TABLE, rows.partition_key(namespace, uid), rows.workitem_key(uid))
        if row is not None and rows.is_removed(row):
            raise WorkitemGone("The workitem instance has been removed.")
        return None if row is None else await self.read(row)

    async def of_patient(self, namespace: str, identifier: str, *, most: int) -> list[Workitem]:
        """Workitems with a PatientID, case and padding aside: about `most` of them if there are more."""
        [code] = searchable.KEYS[searchable.PATIENT_ID].codes
        uids: list[str] = []
        for partition in rows.partition_keys(namespace):
            start, end = value_range(code, keys.encode(identifier))
            following: str | None = start
            while following is not None and len(uids) < most:
                page = await self._tables.page(rows.TABLE, partition, following, end, top=most)
                uids += [str(row.properties["uid"]) for row in page.entities]
                following = page.next_row_key
        found = await asyncio.gather(*(self.get(namespace, uid) for uid in uids[:most]))
        return [each.workitem for each in found if each is not None]

    @staticmethod
    async def read(row: Entity) -> StoredWorkitem:
        """The workitem in a row that has been read."""
        if sum(len(value) for value in row.properties.values() if isinstance(value, bytes)) > _INLINE_BYTES:
            return StoredWorkitem(await asyncio.to_thread(rows.workitem_of, row), row)
        return StoredWorkitem(rows.workitem_of(row), row)

    async def create(self, namespace: str, uid: str, attributes: Attributes) -> Workitem:
        """Insert a workitem. Raises WorkitemExists, TooLarge."""
        now_ms = self._now_ms()
        workitem = Workitem(uid, attributes, changed_ms=now_ms, sort_key=keys.new_sort_key(now_ms))
        try:
            await self._write(rows.partition_key(namespace, uid), None, workitem, event_of(None, workitem))
        except WorkitemChanged as error:
            raise WorkitemExists from error
        return workitem

    async def write(self, before: StoredWorkitem, after: Workitem, *, request: Attributes | None = None) -> Workitem:
        """Replace the workitem that was read. `request`: somebody asks its performer to cancel it.

        Raises WorkitemChanged if it is no longer the one that was read, TooLarge.
        """
        read = before.workitem
        time_ms = max(self._now_ms(), read.changed_ms + 1)
        after = replace(after, number=read.number + 1, changed_ms=time_ms)
        await self._write(before.row.partition_key, before.row, after, event_of(read, after, request))
        return after

    async def remove(self, before: StoredWorkitem) -> None:
        """Remove the workitem that was read, with an event of it. Raises WorkitemChanged."""
        await self._remove(before)
        self._on_write(before.row.partition_key)

    async def _remove(self, before: StoredWorkitem) -> None:
        row = before.row
        await self._take_away(before, RowWrite("delete", row.partition_key, row.row_key, etag=row.etag))

    async def retire(self, before: StoredWorkitem) -> None:
        """Remove the workitem that was read, with an event of it, and remember for good that it was there: there will
        be none of its UID any more. Raises WorkitemChanged.
        """
        row, removed = before.row, rows.removed_properties(self._now_ms())
        await self._take_away(before, RowWrite("replace", row.partition_key, row.row_key, removed, row.etag))
        self._on_write(row.partition_key)

    async def _take_away(self, before: StoredWorkitem, write: RowWrite) -> None:
        row = before.row
        event = event_of_removal(before.workitem, self._now_ms())
        operations = [
            write,
            *(RowWrite("delete", row.partition_key, key) for key in sorted(rows.posting_keys_of(row))),
            _event_write(row.partition_key, event),
        ]
        rounds = Rounds("The workitem cannot be removed")
        while True:
            await rounds.next()
            try:
                await self._tables.commit(rows.TABLE, operations)
            except (PreconditionFailed, Ambiguous) as error:
                present = await self._tables.get(rows.TABLE, row.partition_key, row.row_key)
                if present is None or rows.is_removed(present):
                    return
                if present.etag != row.etag:
                    raise WorkitemChanged from error
                continue
            return

    async def _write(self, partition: str, before: Entity | None, after: Workitem, event: WorkitemEvent) -> None:
        await self._commit(partition, before, after, event)
        self._on_write(partition)

    async def _commit(self, partition: str, before: Entity | None, after: Workitem, event: WorkitemEvent) -> None:
        write_id = uuid.uuid4().hex[:16]
        operations = await asyncio.to_thread(_operations, partition, before, after, event, write_id)
        row_key = rows.workitem_key(after.uid)
        rounds = Rounds("The workitem cannot be written")
        while True:
            await rounds.next()
            try:
                await self._tables.commit(rows.TABLE, operations)
            except (PreconditionFailed, Ambiguous) as error:
                present = await self._tables.get(rows.TABLE, partition, row_key)
                if present is not None and write_id in rows.writes_of(present):
                    return  # an attempt before this one was applied, though no answer said so
                if (present and present.etag) != (before and before.etag):
                    raise WorkitemChanged(
                        "The workitem was changed by another request.", remedy="Retrieve it and send the request again."
                    ) from error
                continue
            return

    def _now_ms(self) -> int:
        return int(self.now() * 1000)


def _operations(
    partition: str, before: Entity | None, after: Workitem, event: WorkitemEvent, write_id: str
) -> list[RowWrite]:
    postings = rows.postings(after)
    present = rows.posting_keys_of(before) if before else frozenset[str]()
    writes = [write_id, *(rows.writes_of(before) if before else ())]
    properties = rows.workitem_properties(after, sorted(postings), writes)
    row_key = rows.workitem_key(after.uid)
    changed = [
        *(RowWrite("delete", partition, key) for key in sorted(present - postings.keys())),
        *(RowWrite("insert", partition, key, postings[key]) for key in sorted(postings.keys() - present)),
    ]
    if len(changed) > rows.MOST_POSTINGS:
        raise TooLarge(
            f"The request changes more than {rows.MOST_POSTINGS} values that searches match.",
            remedy="Change them in several requests.",
        )
    written = (
        RowWrite("insert", partition, row_key, properties)
        if before is None
        else RowWrite("replace", partition, row_key, properties, before.etag)
    )
    return [written, _event_write(partition, event), *changed]


def _event_write(partition: str, event: WorkitemEvent) -> RowWrite:
    return RowWrite("insert", partition, rows.event_key(event), rows.event_properties(event))
