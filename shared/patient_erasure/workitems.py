"""Workitems of a patient (PHI-1): removed in whatever state they are, as nobody is to perform them any more."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from shared.index_schema import keys
from shared.index_schema.postings import value_range
from shared.patient_erasure.traces import Subject
from shared.storage.optimistic import Rounds
from shared.storage.ports import TableStore
from shared.workitems import rows, searchable
from shared.workitems.outbox import Outbox
from shared.workitems.store import StoredWorkitem, WorkitemChanged, WorkitemGone, Workitems

_PATIENT_ID: Final = "00100020"


class PatientWorkitems:
    """The workitems of a patient."""

    def __init__(self, tables: TableStore, workitems: Workitems) -> None:
        self._tables = tables
        self._workitems = workitems
        self._outbox = Outbox(tables)

    async def find(self, subject: Subject) -> AsyncIterator[StoredWorkitem]:
        """Those whose PatientID, and issuer where one is given, are the subject's. Raises Unavailable."""
        [code] = searchable.KEYS[_PATIENT_ID].codes
        bounds = value_range(code, keys.encode(subject.patient.identifier))
        namespace = subject.partition.namespace
        found = await asyncio.gather(
            *(self._tables.range(rows.TABLE, key, *bounds) for key in rows.partition_keys(namespace))
        )
        for uid in dict.fromkeys(rows.uid_of(posting) for postings in found for posting in postings):
            stored = await self._present(namespace, uid)
            if stored is not None and subject.patient.fits(stored.workitem.attributes):
                yield stored

    async def erase(self, subject: Subject) -> Mapping[str, Any]:
        """Remove them. Raises Unavailable."""
        erased = 0
        async for stored in self.find(subject):
            namespace, uid = subject.partition.namespace, stored.workitem.uid
            await self._outbox.withdraw(namespace, uid)  # before: once it is gone, nothing leads to its events
            erased += await self._remove(subject, stored)
            await self._outbox.withdraw(namespace, uid)
        return {"workitemsErased": erased}

    async def _present(self, namespace: str, uid: str) -> StoredWorkitem | None:
        """A workitem; None if its retention has ended it meanwhile, which has left nothing of the patient."""
        try:
            return await self._workitems.get(namespace, uid)
        except WorkitemGone:
            return None

    async def _remove(self, subject: Subject, stored: StoredWorkitem) -> bool:
        """Remove one, however it changes meanwhile; False if somebody else has."""
        rounds = Rounds("The workitem is busy")
        present: StoredWorkitem | None = stored
        while present is not None and subject.patient.fits(present.workitem.attributes):
            await rounds.next()
            try:
                await self._workitems.remove(present)
            except WorkitemChanged:
                present = await self._present(subject.partition.namespace, stored.workitem.uid)
                continue
            return True
        return False
