"""azure-apis §5 Operations, their types and states. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from shared.errors import Conflict

type Document = Mapping[str, Any]
"""A JSON object."""


class OperationType(StrEnum):
    """The kinds of operations that clients see."""

    REINDEX = "reindex"
    EXPORT = "export"
    COHORT = "cohort"
    UPDATE = "update"
    CAST_VERIFY = "cast-verify"
    CAST_BACKFILL = "cast-backfill"
    MERGE = "merge"
    MOVE = "move"
    ERASE = "erase"
    REBUILD = "rebuild"
    SHARE = "share"

    @property
    def exclusion(self) -> str:
        """The work that at most one operation does at a time in the whole service (OP-8); '' if any number may."""
        if self in _ANY_NUMBER:
            return ""
        if self is OperationType.CAST_BACKFILL:
            return self.value
        return OperationType.REINDEX.value if self is OperationType.REINDEX else OperationType.UPDATE.value


_ANY_NUMBER: Final = frozenset(
    {OperationType.EXPORT, OperationType.CAST_VERIFY, OperationType.COHORT, OperationType.SHARE}
)
"""Those that change no study."""


class OperationStatus(StrEnum):
    """The state of an operation, in the words of the API but for success."""

    NOT_STARTED = "notStarted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def active(self) -> bool:
        """Work is left to be done."""
        return self in (OperationStatus.NOT_STARTED, OperationStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as it stands."""

    id: str
    """32 lower-case hex digits (GEN-21)."""
    type: OperationType
    status: OperationStatus
    created: datetime
    updated: datetime
    input: Document
    """The task."""
    checkpoint: Document
    """The state from which its work goes on; empty at first."""
    percent: int | None = None
    """0 to 100; None where it cannot be computed."""
    resources: tuple[str, ...] = ()
    """Paths of the resources that are worked on, below the version segment."""
    results: Document | None = None
    partition: str | None = None
    """Name of the data partition that it acts in; None: the whole service."""
    waits: bool = False
    """Nobody works on it before it is started (PHI-12)."""


class OperationActive(Conflict):
    """An operation of a kind of which one at a time may be active is under way (OP-8)."""

    def __init__(self, kind: OperationType, operation_id: str) -> None:
        name = "re-index" if kind is OperationType.REINDEX else kind.exclusion
        super().__init__(f"There is already an active {name} operation with ID '{operation_id}'.")
        self.operation_id = operation_id


class OperationFailed(Exception):
    """The work of an operation has failed for good. `results` are shown to clients: no patient data."""

    def __init__(self, results: Document | None = None) -> None:
        super().__init__("The operation has failed")
        self.results = results


class LeaseLost(Exception):
    """Another process has taken the operation over; whoever had it must not touch it any more."""


class Paused(Exception):
    """The work is to end at this checkpoint, and to go on from it later."""
