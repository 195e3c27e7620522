"""The rows of operations in the table `ops` (azure-apis §5). Pure.

All are in one partition, because what must change together does so in one transaction: `o!{id}` the operation, `a!{id}`
while it is active, and `x!{exclusion}` while one of those is that exclude each other (OP-8).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.operations.model import Operation, OperationStatus, OperationType
from shared.storage.large_values import join, split
from shared.storage.ports import Entity, RowWrite, Value

PARTITION = "operations"


@dataclass(frozen=True, slots=True)
class OperationRow:
    """A stored operation."""

    operation: Operation
    holder: str = ""
    """The worker that has it; '': none."""
    until: float = 0.0
    """The end of the lease, in seconds since 1970."""
    attempts: int = 0
    """The number of times that it was taken since its last checkpoint."""
    written: str = ""
    """Names the write that made this row, so that a lost answer can be told from a lost request."""
    etag: str = ""

    def properties(self) -> dict[str, Value]:
        """The columns of the row."""
        operation = self.operation
        document = {
            "input": operation.input,
            "checkpoint": operation.checkpoint,
            "percent": operation.percent,
            "resources": operation.resources,
            "results": operation.results,
            "partition": operation.partition,
        }
        return {
            "type": operation.type.value,
            "status": operation.status.value,
            "created": operation.created.timestamp(),
            "updated": operation.updated.timestamp(),
            "holder": self.holder,
            "until": self.until,
            "attempts": self.attempts,
            "written": self.written,
            "waits": operation.waits,
            **split("d", orjson.dumps(document)),
        }


def active_rows(operation: Operation) -> list[RowWrite]:
    """The rows that there are while an operation is active."""
    kind = operation.type
    rows = [RowWrite("insert", PARTITION, f"a!{operation.id}", {"type": kind.value})]
    if kind.exclusion:
        rows.append(RowWrite("insert", PARTITION, f"x!{kind.exclusion}", {"operation": operation.id}))
    return rows


def is_active(row: Entity) -> bool:
    """Whether it is active; one that nobody has started in time is over."""
    return OperationStatus(str(row.properties["status"])).active and not row.properties.get("waits")


def row_in(entity: Entity) -> OperationRow:
    """The operation of a row."""
    properties: Mapping[str, Any] = entity.properties
    document = orjson.loads(join("d", properties))
    operation = Operation(
        entity.row_key[2:],
        OperationType(properties["type"]),
        OperationStatus(properties["status"]),
        datetime.fromtimestamp(properties["created"], UTC),
        datetime.fromtimestamp(properties["updated"], UTC),
        document["input"],
        document["checkpoint"],
        document["percent"],
        tuple(document["resources"]),
        document["results"],
        document.get("partition"),
        bool(properties.get("waits")),
    )
    return OperationRow(
        operation,
        properties["holder"],
        properties["until"],
        properties["attempts"],
        properties["written"],
        entity.etag,
    )
