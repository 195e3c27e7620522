"""The values in operations of the last days that are of a patient: of updates, and identifiers of merges (PHI-1)."""

from collections.abc import Mapping
from typing import Any

from shared.operations.model import Operation
from shared.operations.store import Operations
from shared.patient_erasure.traces import Subject


class PatientOperations:
    """The operations that have ended, and erasures of the same patient that wait."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def erase(self, subject: Subject) -> Mapping[str, Any]:
        """Let them forget what they were told. Raises Unavailable."""
        studies = set(subject.studies)

        def concerns(operation: Operation) -> bool:
            task = operation.input
            if task.get("namespace") != subject.partition.namespace:
                return False
            told = {task.get("patientId"), *(task.get("only") or {}).values()}
            named = subject.patient.identifier in told
            return named or not studies.isdisjoint(task.get("studies") or ())

        return {"operationsForgotten": await self._operations.forget(concerns)}
