"""CAST-PM-3 Which Patient people have chosen for an identifier: used before any search, until it is taken back."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from shared.cast.dirty_studies import TABLE
from shared.cast.ports import CastTables
from shared.storage.optimistic import commit_all
from shared.storage.ports import Ambiguous, PreconditionFailed, RowWrite, Value

_PARTITION = "patientlink"


@dataclass(frozen=True, slots=True)
class PatientLink:
    """A choice."""

    id: str
    reference: str
    """`Patient/id`."""
    who: str
    when: float


class PatientLinks:
    """The choices. Every method raises Unavailable while the tables do not answer."""

    def __init__(self, tables: CastTables, now: Callable[[], float]) -> None:
        self._tables = tables
        self._now = now

    async def find(self, system: str, value: str) -> PatientLink | None:
        """The choice for an identifier."""
        row = await self._tables.get(TABLE, _PARTITION, link_id(system, value))
        if row is None:
            return None
        held = row.properties
        return PatientLink(row.row_key, str(held["patient"]), str(held["who"]), float(held["when"]))

    async def keep(self, system: str, value: str, reference: str, who: str) -> None:
        """Keep a choice; a later one takes its place."""
        row: dict[str, Value] = {
            "system": system,
            "value": value,
            "patient": reference,
            "who": who,
            "when": self._now(),
        }
        await commit_all(self._tables, TABLE, [RowWrite("upsert", _PARTITION, link_id(system, value), row)])

    async def forget(self, value: str, system: str = "") -> int:
        """Remove the choices for an identifier, of one system or of all; how many there were (PHI-1)."""
        rows = await self._tables.range(TABLE, _PARTITION, "", "~")
        named = [
            row.row_key
            for row in rows
            if row.properties["value"] == value and system in ("", str(row.properties["system"]))
        ]
        for identifier in named:
            await self.remove(identifier)
        return len(named)

    async def remove(self, identifier: str) -> bool:
        """Take a choice back; whether there was one."""
        try:
            await self._tables.commit(TABLE, [RowWrite("delete", _PARTITION, identifier)])
        except PreconditionFailed:
            return False
        except Ambiguous:
            return True
        return True


def link_id(system: str, value: str) -> str:
    """The id of the choice for an identifier: it goes into addresses, so it does not tell whose it is."""
    return hashlib.sha256(f"{system}|{value}".encode()).hexdigest()[:32]
