"""The task of an erasure, and its progress, as its operation keeps them (PHI-1). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.operations.model import Document
from shared.study_updates.patients import Patient

MOST_NAMED: Final = 200
"""Studies that are named in results: they are one document."""
STAGES: Final = ("examine", "delete", "files")
"""Of one study, in their order."""


@dataclass(frozen=True, slots=True)
class ErasureTask:
    """The input of an operation."""

    namespace: str
    """The data partition."""
    patient: Patient
    studies: Sequence[str]
    """Those that were seen when the erasure was asked for: what is stored later is not erased (PHI-14)."""
    hash: str
    """The name of the patient in audit records (PHI-13)."""
    requested_by: str = ""
    """A pseudonym of the caller who has asked for it."""

    def document(self) -> Document:
        """As the operation keeps it."""
        return {
            "namespace": self.namespace,
            "patientId": self.patient.identifier,
            "issuer": self.patient.issuer,
            "studies": list(self.studies),
            "hash": self.hash,
            "requestedBy": self.requested_by,
        }

    def nameless(self) -> Document:
        """The same without the patient: what is kept of a task that has ended."""
        return {**self.document(), "patientId": "", "issuer": ""}

    @staticmethod
    def of(document: Document) -> "ErasureTask":
        """The task in the input of an operation; of one that has ended, without the patient."""
        return ErasureTask(
            document["namespace"],
            Patient(document["patientId"], document["issuer"]),
            document["studies"],
            document["hash"],
            document["requestedBy"],
        )


@dataclass(slots=True)
class Progress:
    """The progress of an erasure, and its results."""

    study: int = 0
    """The number of the study that it works on, from 0; then that of the traces, behind the last study."""
    stage: str = STAGES[0]
    expected: int = 0
    """Instances of that study."""
    studies: int = 0
    instances: int = 0
    files: int = 0
    untouched: list[str] = field(default_factory=list)
    """Studies with instances of somebody else, or that have none of the patient any more."""
    traces: dict[str, Any] = field(default_factory=dict)
    """The findings elsewhere, by the name of the place."""

    def checkpoint(self) -> Document:
        """As the operation keeps it."""
        return {name: getattr(self, name) for name in Progress.__slots__}

    @staticmethod
    def of(document: Document) -> "Progress":
        """The progress in a checkpoint; none if that is empty."""
        progress = Progress(**document)
        progress.untouched, progress.traces = list(progress.untouched), dict(progress.traces)
        return progress

    def next(self) -> None:
        """Go on with the next study."""
        self.study, self.stage, self.expected = self.study + 1, STAGES[0], 0

    def leave(self, study: str) -> None:
        """A study is not touched."""
        self.untouched.append(study)

    def results(self, remaining: Sequence[Mapping[str, str]]) -> Document:
        """The results of the operation. `remaining`: what is still there, and until when."""
        return {
            "studiesErased": self.studies,
            "instancesErased": self.instances,
            "filesErased": self.files,
            "studiesUntouched": len(self.untouched),
            **({"untouched": self.untouched[:MOST_NAMED]} if self.untouched else {}),
            **self.traces,
            "remaining": list(remaining),
        }
