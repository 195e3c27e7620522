"""data-safety §6 Erasing a patient: what there is, the request, and its confirmation by a second person (PHI-12)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.dicomweb.partitions import Partition
from shared.dicomweb.urls import Urls
from shared.errors import Conflict, Forbidden, NotFound
from shared.http.caller import Caller
from shared.http.caller_shares import name_of
from shared.operations.model import Document, Operation, OperationActive, OperationType
from shared.operations.start import busy, check_enabled
from shared.operations.store import Operations
from shared.patient_erasure.request import ErasureRequest
from shared.patient_erasure.task import MOST_NAMED, ErasureTask
from shared.patient_erasure.traces import Subject
from shared.patient_erasure.workitems import PatientWorkitems
from shared.registry.patient_hashes import PatientHashes
from shared.study_updates.patients import PatientStudies, StudyOfPatient
from shared.telemetry import AuditLog, pseudonym

OPERATION: Final = "erase-patient"
"""Of the audit records that say more than a URI does."""
ACTIONS: Final = ("delete", "manageRetention")
"""The data actions that an erasure takes, both."""
_WAITS: Final = "waitsForConfirmation"
"""In the results of an erasure that nobody has confirmed."""
_REBUILDING: Final = "The index is being made anew: it does not name yet all that is stored of the patient."
_NOT_NAMED: Final = "The token names nobody: an erasure needs two callers that can be told apart."


@dataclass(frozen=True, slots=True)
class Plan:
    """The data that an erasure would erase."""

    studies: Sequence[StudyOfPatient]
    """Those with instances of somebody else are not touched."""
    workitems: int

    @property
    def erased(self) -> list[str]:
        """The studies that would be erased."""
        return [each.study for each in self.studies if not each.others]

    def document(self) -> Document:
        """As a client sees it: no attribute of the patient."""
        untouched = [each.study for each in self.studies if each.others]
        return {
            "studies": len(self.erased),
            "instances": sum(each.own for each in self.studies if not each.others),
            "workitems": self.workitems,
            "studyInstanceUids": self.erased[:MOST_NAMED],
            "untouched": untouched[:MOST_NAMED],
        }


@dataclass(frozen=True, slots=True)
class Patients:
    """Inventories of patients."""

    studies: PatientStudies
    workitems: PatientWorkitems
    hashes: PatientHashes


class ErasureRequests:
    """One per process. `two_persons`: somebody else confirms each request; `rebuilding`: whether the index still lacks
    what is stored; `enabled`: operations may be started.
    """

    def __init__(
        self,
        operations: Operations,
        patients: Patients,
        audit: AuditLog,
        *,
        two_persons: bool,
        rebuilding: Callable[[], Awaitable[bool]],
        enabled: bool = True,
    ) -> None:
        self._operations = operations
        self._patients = patients
        self._audit = audit
        self._two_persons = two_persons
        self._rebuilding = rebuilding
        self._enabled = enabled

    @staticmethod
    def check_permitted(caller: Caller, partition: Partition) -> None:
        """Raises Forbidden unless the caller may do all that an erasure takes."""
        if any(partition.name not in caller.permissions.scope(action) for action in ACTIONS):
            raise Forbidden("Authorization failed.")

    def check_enabled(self) -> None:
        """Raises InvalidRequest while operations are switched off."""
        check_enabled(enabled=self._enabled)

    async def plan(self, request: ErasureRequest, partition: Partition) -> Plan:
        """The inventory of the patient (PHI-11). Raises Conflict, Unavailable."""
        if await self._rebuilding():
            raise Conflict(_REBUILDING, remedy="Send the request again when the health of the index is good.")
        studies = await self._patients.studies.counted(partition, request.patient)
        subject = Subject(partition, request.patient, [])
        workitems = [each async for each in self._patients.workitems.find(subject)]
        return Plan(studies, len(workitems))

    async def request(self, request: ErasureRequest, partition: Partition, caller: Caller, urls: Urls) -> Operation:
        """Ask for the erasure: it waits for its confirmation, or begins. Raises Forbidden, Conflict, Unavailable."""
        plan = await self.plan(request, partition)
        patient = request.patient
        hashed = await self._patients.hashes.of(partition.namespace, patient.identifier, patient.issuer)
        asking = self._person(caller) if self._two_persons else ""
        task = ErasureTask(partition.namespace, patient, [each.study for each in plan.studies], hashed, asking)
        try:
            operation = await self._operations.create(
                OperationType.ERASE,
                {**task.document(), "claims": dict(caller.claims)},
                results={**plan.document(), **({_WAITS: True} if self._two_persons else {})},
                partition=partition.name,
                waits=self._two_persons,
            )
        except OperationActive as error:
            raise _busy(error, urls) from error
        details = {"patient": hashed, "reason": request.reason, "studies": task.studies}
        self._audit.detail(OPERATION, operation.id, caller.claims, event="requested", **details)
        return operation

    async def confirm(self, operation_id: str, partition: Partition, caller: Caller, urls: Urls) -> Operation:
        """Let somebody else's erasure begin; once more: nothing. Raises NotFound, Forbidden, Conflict, Unavailable."""
        found = await self._operations.get(operation_id)
        known = found is not None and found.type is OperationType.ERASE and bool(found.input)
        if found is None or not known or found.partition != partition.name:
            raise NotFound("There is no erasure with that id that waits, or no longer.")
        task, person = ErasureTask.of(found.input), self._person(caller)
        if task.requested_by == person:
            raise Forbidden("An erasure is confirmed by another caller than the one who has asked for it.")
        if not found.waits:
            return found
        try:
            shown = {name: value for name, value in (found.results or {}).items() if name != _WAITS}
            started = await self._operations.start(operation_id, {"confirmedBy": person}, shown)
        except OperationActive as error:
            raise _busy(error, urls) from error
        if started is None:
            raise NotFound("There is no erasure with that id that waits, or no longer.")
        self._audit.detail(OPERATION, operation_id, caller.claims, event="confirmed", patient=task.hash)
        return started

    @staticmethod
    def _person(caller: Caller) -> str:
        name = name_of(caller.claims, "")
        if name.startswith("address="):
            raise Forbidden(_NOT_NAMED)
        return pseudonym(name)


def _busy(error: OperationActive, urls: Urls) -> Conflict:
    return busy(error, urls, "Send the request again when it has ended.")
