"""data-safety §8 Patient merge and study move: updates of studies to the attributes of another patient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.dicomweb.partitions import Partition
from shared.dicomweb.urls import Urls
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.http.json_body import WHERE
from shared.index_schema.indexed_attributes import PATIENT_ID
from shared.operations.model import Operation, OperationActive, OperationType
from shared.operations.start import busy, check_enabled
from shared.operations.store import Operations
from shared.patient_merge.request import MergeRequest, MoveRequest, SeriesMoveRequest, Target
from shared.study_updates.allowed_attributes import TAGS
from shared.study_updates.patients import ISSUER, Patient, PatientStudies, patient_of
from shared.study_updates.task import UpdateTask
from shared.workitems.store import Workitems

_ALWAYS: Final = ("00100010", "00100030", "00100040")
"""PatientName, PatientBirthDate, PatientSex: of another patient they are never kept."""
_OF_THE_STUDY: Final = frozenset({"00101010", "00101020", "00101030", "00102180"})
"""The Patient Study Module (PS3.3 §C.7.2.2): age, size, weight and occupation at the time of the study."""
_SYSTEM: Final = "Serverless DICOM"
_REASON_CODE: Final = "CORRECT"
"""Of (0400,0565): a value was not right."""
_FORMER_IDENTIFIERS: Final = (PATIENT_ID, ISSUER, "00100022")
"""PatientID, IssuerOfPatientID, TypeOfPatientID: they become an item of OtherPatientIDsSequence."""


_GENERAL_STUDY: Final = ("00080020", "00080030", "00080050", "00080090", "00081030", "00200010")
"""The General Study Module (PS3.3 §C.7.2.1) as far as it is text of one level: date, time, accession number, referring
physician, description and identifier. A study has one of each: series that come into it get those that it has.
"""
_MOST_WORKITEMS: Final = 200
ENDS_SHARES: Final = "endsShares"
"""The member of a task that says whether shares of its studies end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision on a request."""

    studies: Sequence[str]
    values: Mapping[str, Sequence[object]]
    only: Mapping[str, str]
    series: Sequence[str] = ()
    into: str = ""
    """The study that these series move into."""
    workitems: Sequence[str] = ()
    """Those of the source, which stay as they are."""
    ends_shares: bool = False
    """Whether the studies become those of somebody else, whom nobody has shared (MRG-6)."""


class PatientMerge:
    """One per process. `now`: seconds since 1970; `enabled`: whether operations may be started."""

    def __init__(
        self,
        operations: Operations,
        patients: PatientStudies,
        worklist: Workitems,
        now: Callable[[], float],
        *,
        enabled: bool = True,
    ) -> None:
        self._worklist = worklist
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
        studies = await self._patients.find(partition, request.source)
        workitems = await self._workitems(partition, request.source)
        return Plan(studies, values, request.source.conditions(), workitems=workitems)

    async def move_plan(self, request: MoveRequest, partition: Partition) -> Plan:
        """The study, and what it gets (MRG-2). Raises InvalidRequest, Unavailable."""
        values = await self._values(request.target, partition, former_issuer=True)
        source = await self._patients.newest(partition, request.study)
        is_other = source is not None and not _is_of(request.target.patient, patient_of(source))
        return Plan([request.study], values, {}, ends_shares=is_other)

    async def series_plan(self, request: SeriesMoveRequest, partition: Partition) -> Plan:
        """The series, and what they get of their new study (MRG-3). Raises Conflict, Unavailable."""
        target = await self._patients.newest(partition, request.target)
        if target is None:
            raise Conflict("The target study does not exist.")
        patient = patient_of(target)
        source = await self._patients.newest(partition, request.study)
        if not patient.identifier or (source is not None and not _is_of(patient, patient_of(source))):
            raise Conflict("The studies are not those of one patient.", remedy="Give one of them to its patient first.")
        values = {tag: target.get(tag, {}).get("Value", []) for tag in _GENERAL_STUDY}
        only = {PATIENT_ID: patient.identifier}
        return Plan([request.study], values, only, series=request.series, into=request.target)

    async def revert(self, kind: OperationType, operation_id: str, partition: Partition, urls: Urls) -> Operation:
        """Start to undo a merge or move (MRG-9). Raises NotFound, Conflict, Unavailable."""
        operation = await self._operations.get(operation_id)
        if operation is None or operation.type is not kind or operation.partition != partition.name:
            raise NotFound("The operation does not exist.")
        if not operation.input:
            raise NotFound("The operation is too long ago: its task is no longer kept.")
        done = UpdateTask.of(operation.input)
        studies, into = ([done.into], done.studies[0]) if done.into else (done.studies, "")
        task = UpdateTask(partition.namespace, studies, {}, into=into, reverts=operation.id)
        return await self._create(kind, task, partition, urls, ends_shares=bool(operation.input.get(ENDS_SHARES)))

    async def start(self, kind: OperationType, plan: Plan, reason: str, partition: Partition, urls: Urls) -> Operation:
        """Start what is planned. Raises Conflict while another update is under way (MRG-8), Unavailable."""
        time = datetime.fromtimestamp(self._now(), UTC)
        record = {
            "system": _SYSTEM,
            "time": f"{time:%Y%m%d%H%M%S}+0000",
            "reason": _REASON_CODE,
            "former_identifiers": () if plan.into else _FORMER_IDENTIFIERS,
        }
        told = {"workitems": list(plan.workitems)} if plan.workitems else {}
        task = UpdateTask(
            partition.namespace,
            plan.studies,
            plan.values,
            record,
            plan.only,
            series=plan.series,
            into=plan.into,
            told=told,
        )
        return await self._create(kind, task, partition, urls, reason, ends_shares=plan.ends_shares)

    async def _create(
        self,
        kind: OperationType,
        task: UpdateTask,
        partition: Partition,
        urls: Urls,
        reason: str = "",
        *,
        ends_shares: bool,
    ) -> Operation:
        told = {**task.document(), "reason": reason, ENDS_SHARES: ends_shares}
        try:
            return await self._operations.create(kind, told, partition=partition.name)
        except OperationActive as error:
            raise busy(error, urls, "Send the request again when it has ended.") from error

    async def _workitems(self, partition: Partition, patient: Patient) -> list[str]:
        """The workitems of a patient, some hundreds of them at most."""
        found = await self._worklist.of_patient(partition.namespace, patient.identifier, most=_MOST_WORKITEMS)
        return [each.uid for each in found if _is_of(patient, patient_of(each.attributes))]

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


def _is_of(patient: Patient, other: Patient) -> bool:
    """Whether both are the same patient: issuers count where both are known."""
    issuers = {patient.issuer, other.issuer} - {""}
    return patient.identifier == other.identifier and len(issuers) < 2
