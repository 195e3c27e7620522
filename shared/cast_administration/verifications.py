"""CAST-OK-2 to CAST-OK-4 Verifications as operations: started by a request or by time, their results kept in rows."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared import metrics, telemetry
from shared.cast.dirty_studies import TABLE
from shared.cast.ports import CastTables, Unreadable
from shared.cast.verification import MOST_DIFFERENCES, Difference, Verification
from shared.errors import NotFound
from shared.operations.model import Document, Operation, OperationFailed, OperationType
from shared.operations.store import Lease, Operations
from shared.outgoing.failures import RequestFailed
from shared.storage.optimistic import commit_all
from shared.storage.ports import RowWrite

_PAGE = 100
"""Differences of one row."""
_LAST = ("verification", "last")
"""Key of the row with what the last one found."""
_STEP = 200
"""Studies between two renewals of the lease."""


class Verifications:
    """Starts them, does them, shows them."""

    def __init__(self, operations: Operations, tables: CastTables, verification: Verification) -> None:
        self._operations = operations
        self._tables = tables
        self._verification = verification

    async def start(self, href: str, *, repair: bool) -> Operation:
        """Begin one. `href`: below which its result will stand."""
        return await self._operations.create(OperationType.CAST_VERIFY, {"href": href, "repair": repair})

    async def backfill(self) -> Operation:
        """Begin to mark every study (CAST-EV-8). Raises OperationActive while that is under way."""
        return await self._operations.create(OperationType.CAST_BACKFILL, {})

    async def __call__(self, lease: Lease) -> Document | None:
        """The work of the operation: a comparison from the beginning, because it keeps nothing but its findings."""
        operation = lease.operation
        found: list[Difference] = []
        studies = 0
        try:
            async for studies, difference in self._verification.differences():
                if difference is not None:
                    found.append(difference)
                    if operation.input.get("repair"):
                        await self._verification.repair(difference)
                if len(found) >= MOST_DIFFERENCES:
                    break
                if difference is None and studies % _STEP == 0:
                    await lease.renew()
        except RequestFailed as error:
            telemetry.failure("cast-verification-failed", error)
            raise OperationFailed({"error": str(error)}) from error
        except Unreadable as error:
            raise OperationFailed({"error": str(error)}) from error
        await self._keep(operation.id, found)
        last = RowWrite("upsert", *_LAST, {"operation": operation.id, "differences": len(found)})
        await commit_all(self._tables, TABLE, [last])
        metrics.set_to(metrics.CAST_DIFFERENCES, len(found))
        return {
            "studies": studies,
            "differences": len(found),
            "resultHref": f"{operation.input['href']}/{operation.id}",
        }

    async def result(self, identifier: str) -> list[Mapping[str, Any]]:
        """The differences of one that has ended. Raises NotFound."""
        rows = await self._tables.range(TABLE, f"verify {identifier}", "", "~")
        if not rows:
            raise NotFound("There is no verification of that id, or it has not ended.")
        return [each for row in rows for each in orjson.loads(str(row.properties["differences"]))]

    async def differences(self) -> int:
        """How many the last one found; 0 if there was none yet. Raises Unavailable."""
        row = await self._tables.get(TABLE, *_LAST)
        return int(row.properties["differences"]) if row else 0

    async def _keep(self, identifier: str, found: list[Difference]) -> None:
        for number in range(max(1, -(-len(found) // _PAGE))):
            part = [each.document() for each in found[number * _PAGE : (number + 1) * _PAGE]]
            write = RowWrite(
                "upsert", f"verify {identifier}", f"{number:06}", {"differences": orjson.dumps(part).decode()}
            )
            await commit_all(self._tables, TABLE, [write])
