"""data-safety §8 Patient merge and study move: updates of studies to the attributes of another patient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.dicomweb.partitions import Partition
from shared.dicomweb.urls import Urls
from shared.errors import InvalidRequest
from shared.http.json_body import WHERE
from shared.index_schema.indexed_attributes import PATIENT_ID
from shared.operations.model import Operation, OperationActive, OperationType
from shared.operations.start import busy, check_enabled
from shared.operations.store import Operations
from shared.patient_merge.request import MergeRequest, MoveRequest, Target
from shared.study_updates.allowed_attributes import TAGS
from shared.study_updates.patients import ISSUER, PatientStudies
from shared.study_updates.task import UpdateTask

_ALWAYS: Final = ("00100010", "00100030", "00100040")
"""PatientName, PatientBirthDate, PatientSex: of another patient they are never kept."""
_OF_THE_STUDY: Final = frozenset({"00101010", "00101020", "00101030", "00102180"})
"""The Patient Study Module (PS3.3 §C.7.2.2): age, size, weight and occupation at the time of the study."""
_SYSTEM: Final = "Serverless DICOM"
_REASON_CODE: Final = "CORRECT"
"""Of (0400,0565): a value was not right."""
_FORMER_IDENTIFIERS: Final = (PATIENT_ID, ISSUER, "00100022")
"""PatientID, IssuerOfPatientID, TypeOfPatientID: they become an item of OtherPatientIDsSequence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request comes to."""

    studies: Sequence[str]
    values: Mapping[str, Sequence[object]]
    only: Mapping[str, str]


class PatientMerge:
    """One per process. `now`: seconds since 1970; `enabled`: whether operations may be started."""

    def __init__(
        self, operations: Operations, patients: PatientStudies, now: Callable[[], float], *, enabled: bool = True
    ) -> None:
        self._operations = operations
        self._patients = patients
        self._now = now
        self._enabled = enabled

    def check_enabled(self) -> None:
        """Raises InvalidRequest while operations are switched off."""
        check_enabled(enabled=self._enabled)

    async def merge_plan(self, request: MergeRequest, partition: Partition) -> Plan:
        """The studies of the source, and what they get (MRG-1). Raises InvalidRequest, Unavailable."""
        values = await self._values(request.target, partition, former_issuer=bool(request.source.issuer))
        return Plan(await self._patients.find(partition, request.source), values, request.source.conditions())

    async def move_plan(self, request: MoveRequest, partition: Partition) -> Plan:
        """The study, and what it gets (MRG-2). Raises InvalidRequest, Unavailable."""
        return Plan([request.study], await self._values(request.target, partition, former_issuer=True), {})

    async def start(self, kind: OperationType, plan: Plan, reason: str, partition: Partition, urls: Urls) -> Operation:
        """Start what is planned. Raises Conflict while another update is under way (MRG-8), Unavailable."""
        time = datetime.fromtimestamp(self._now(), UTC)
        record = {
            "system": _SYSTEM,
            "time": f"{time:%Y%m%d%H%M%S}+0000",
            "reason": _REASON_CODE,
            "former_identifiers": _FORMER_IDENTIFIERS,
        }
        task = UpdateTask(partition.namespace, plan.studies, plan.values, record, plan.only)
        document = {**task.document(), "reason": reason}
        try:
            return await self._operations.create(kind, document, partition=partition.name)
        except OperationActive as error:
            raise busy(error, urls, "Send the request again when it has ended.") from error

    async def _values(self, target: Target, partition: Partition, *, former_issuer: bool) -> dict[str, Sequence[Any]]:
        """The attributes of the target: those of the request, then those of its newest study (MRG-1)."""
        known = await self._patients.description(partition, target.patient)
        if known is None and not target.values:
            raise InvalidRequest(
                "The target patient has no study, and the request does not say its attributes.",
                where=WHERE,
                remedy="Send target.attributes, PatientName above all.",
            )
        of_patient = {tag: known[tag].get("Value", []) for tag in TAGS if known and tag in known}
        taken = {
            tag: values for tag, values in of_patient.items() if tag.startswith("0010") and tag not in _OF_THE_STUDY
        }
        values = {**dict.fromkeys(_ALWAYS, ()), **taken, **target.values, PATIENT_ID: [target.patient.identifier]}
        if target.patient.issuer:
            values[ISSUER] = [target.patient.issuer]
        elif ISSUER not in taken and former_issuer:
            values[ISSUER] = ()
        return dict(sorted(values.items()))
