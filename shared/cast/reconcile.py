"""dicomcast §3.3 One study as it is now, and FHIR as it is to be: read, map, search, merge, one transaction.

Whatever order events come in, however often, the outcome is the same: it depends on what DICOM has now and on nothing
else. Raises what keeps it from that: RequestFailed, Refused, NoPatient, Unreadable, Unavailable.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.cast.dirty_studies import Dirty, StudyKey, Synced
from shared.cast.dose_entries import observation_entries
from shared.cast.dose_merging import DoseReferences, dose_changes
from shared.cast.mapping.codes import DICOM_UID, URI
from shared.cast.mapping.endpoint import address_of, adopted_endpoint, new_endpoint
from shared.cast.mapping.imaging_study import References, accession, wanted_study
from shared.cast.mapping.patient import new_patient, updated_patient, wanted_patient
from shared.cast.matching import Matching, NoPatient, Refused, condition
from shared.cast.merging import Ownership, cancelled, is_ours, merged_study, same, without_ours
from shared.cast.model import Note, RefusedInstance, Study
from shared.cast.ports import StudySource
from shared.cast.settings import CastSettings
from shared.fhir.resources import Resource, elements, local_reference, referenced, resource_id, version_id
from shared.fhir.transaction import Entry, create
from shared.outgoing.failures import Failure, RequestFailed, request_failed

_CREATED_MEANWHILE = 200
_QUICK_REBUILDS = 5
_CONFLICT_REBUILDS = 3
_MANY = 300
"""Instances from which on a study is mapped and merged in a thread: some milliseconds."""


@dataclass(slots=True)
class _Plan:
    """The plan for one study: the requests of a transaction, in the order that people expect."""

    entries: list[Entry] = field(default_factory=list)
    notes: set[Note] = field(default_factory=set)
    study: str = ""
    """Reference of the ImagingStudy."""
    created_by_us: bool = False
    deletes_study: bool = False
    later: list[Entry] = field(default_factory=list)
    """Observations for which the first transaction has no room."""

    def create(self, resource: Resource, if_none_exist: str) -> str:
        """Add a creation; how references name it."""
        self.entries.append(create(resource, if_none_exist))
        return self.entries[-1].full_url

    def update(self, resource: Resource, before: Resource) -> None:
        """Add an update unless nothing has changed."""
        if not same(resource, before):
            self.entries.append(Entry("PUT", local_reference(before), resource, if_match=version_id(before)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a reconciliation."""

    synced: Synced
    notes: frozenset[Note] = frozenset()
    refused: Sequence[RefusedInstance] = ()
    written: Mapping[str, int] = field(default_factory=dict)
    """Numbers of resources, by method and type."""
    unchanged: bool = False
    """DICOM has not changed since: nothing was looked at."""


class Reconciler:
    """Brings FHIR to what DICOM has of a study."""

    def __init__(
        self,
        source: StudySource,
        matching: Matching,
        settings: CastSettings,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._matching = matching
        self._fhir = matching.fhir
        self._settings = settings
        self._now = now

    @property
    def matching(self) -> Matching:
        """Its searches."""
        return self._matching

    async def run(self, dirty: Dirty, before: Synced | None) -> Outcome:
        """Reconcile one study; what it was when it was last written is `before`."""
        digest = self._settings.mapping_digest
        held = before.metadata_etag.removeprefix(f"{digest} ") if before and not dirty.replay else ""
        known = held if before and before.metadata_etag.startswith(f"{digest} ") else ""
        read = await self._source.read(dirty.key.partition, dirty.key.study, known)
        if read is None:
            known_until = max(dirty.sequence, before.sequence if before else 0)
            return Outcome(replace(before or Synced(), sequence=known_until, at=self._now()), unchanged=True)
        study, etag = read
        plan, written = await self._write(dirty.key, study, before)
        return Outcome(
            Synced(
                max(dirty.sequence, before.sequence if before else 0),
                self._now(),
                f"{digest} {etag}" if etag else "",
                plan.study.removeprefix("ImagingStudy/"),
                plan.created_by_us,
                frozenset(each.uid for each in study.series) | self._still(study, before),
                frozenset(each.sop_instance_uid for each in study.reports),
                bool(study.notes or plan.notes or study.refused),
            ),
            study.notes | plan.notes,
            study.refused,
            written,
        )

    async def preview(self, key: StudyKey, before: Synced | None) -> list[Entry]:
        """The requests that would be sent for a study."""
        read = await self._source.read(key.partition, key.study, "")
        plan = await self._plan(key, read[0] if read else Study(key.study, {}, ()), before, whole=True)
        return [*plan.entries, *plan.later]

    @staticmethod
    def _still(study: Study, before: Synced | None) -> frozenset[str]:
        """Series that were written and now hold nothing but refused instances: they stay ours."""
        refused = {each.series_instance_uid for each in study.refused}
        return frozenset(before.series & refused) if before else frozenset()

    async def _write(self, key: StudyKey, study: Study, before: Synced | None) -> tuple[_Plan, dict[str, int]]:
        """Plan and send, anew where somebody was faster."""
        whole, races, conflicts = True, 0, 0
        while True:
            plan = await self._plan(key, study, before, whole=whole)
            try:
                if await self._send(plan):
                    return plan, _counted(plan)
                races += 1
                if races >= _QUICK_REBUILDS:
                    raise _overtaken()
            except RequestFailed as error:
                if error.failure is Failure.RACE:
                    races += 1
                    if races >= _QUICK_REBUILDS:
                        raise _overtaken() from error
                elif error.failure is Failure.CONFLICT:
                    if plan.deletes_study:
                        plan = await self._plan(key, study, before, whole=whole, keeps=True)
                        if await self._send(plan):
                            return plan, _counted(plan)
                    conflicts += 1
                    if conflicts >= _CONFLICT_REBUILDS:
                        raise
                elif error.failure is Failure.TOO_LARGE and whole:
                    whole = False
                else:
                    raise

    async def _send(self, plan: _Plan) -> bool:
        """Send the transactions of a plan; False: somebody else created one of the resources meanwhile."""
        created: dict[str, str] = {}
        entries, later = plan.entries, plan.later
        while entries:
            answers = await self._fhir.transaction(entries)
            for entry, answer in zip(entries, answers, strict=True):
                if entry.method == "POST":
                    if answer.status == _CREATED_MEANWHILE:
                        return False
                    created[entry.full_url] = _local(answer.location)
            size = self._settings.most_entries
            entries = [_renamed(each, created) for each in later[:size]]
            later = later[size:]
        plan.study = created.get(plan.study, plan.study)
        return True

    # ------------------------------------------------------------------------------------------------ what is sent

    async def _plan(
        self, key: StudyKey, study: Study, before: Synced | None, *, whole: bool, keeps: bool = False
    ) -> _Plan:
        plan = _Plan()
        settings = self._settings if whole else replace(self._settings, instances="counts")
        address = address_of(settings.base, key.partition if settings.all_partitions else "")
        if not study.series:
            if study.is_empty:
                await self._plan_removal(plan, key, address, before, keeps=keeps)
            else:  # rule: a study is never deleted because its values are malformed
                plan.study = f"ImagingStudy/{before.imaging_study}" if before and before.imaging_study else ""
                plan.created_by_us = bool(before and before.created_by_us)
            return plan
        endpoint = await self._matching.endpoint(address)
        patient = await self._plan_patient(plan, study)
        existing = await self._matching.study(study.uid, local_reference(endpoint) if endpoint else "")
        if endpoint is None:
            reference = plan.create(new_endpoint(address), condition(URI, address))
            plan.entries.insert(0, plan.entries.pop())
        else:
            reference = local_reference(endpoint)
            plan.update(adopted_endpoint(endpoint, address), endpoint)
        order = await self._order(study)
        wanted = await _aside(study, lambda: wanted_study(study, settings, References(patient, reference, order)))
        if existing is None:
            terms = (("endpoint", reference),) if settings.all_partitions and endpoint is not None else ()
            plan.study = plan.create(wanted, condition(DICOM_UID, f"urn:oid:{study.uid}", *terms))
            plan.created_by_us = True
        else:
            self._check_patient(existing, patient)
            ownership = self._ownership(existing, study, before, local_reference(endpoint) if endpoint else reference)
            plan.study, plan.created_by_us = local_reference(existing), ownership.created
            merged = await _aside(study, lambda: merged_study(existing, wanted, ownership, settings))
            plan.update(merged, existing)
        await self._plan_observations(plan, study, before, patient or "", is_new=existing is None)
        return plan

    async def _order(self, study: Study) -> str:
        number = accession(study.attributes, self._settings)
        if not self._settings.resolves_orders or not number.get("system"):
            return ""
        return await self._matching.order(number["system"], number["value"])

    async def _plan_patient(self, plan: _Plan, study: Study) -> str:
        """The reference of the Patient; empty if the study tells none."""
        wanted = wanted_patient(study.attributes, self._settings)
        if wanted is None:
            return ""
        existing = await self._matching.patient(wanted)
        if existing is None:
            if self._settings.patient_mode == "matchOnly":
                raise NoPatient(wanted)
            return plan.create(new_patient(wanted, self._settings), condition(wanted.system, wanted.value))
        changed, notes = updated_patient(existing, wanted, self._settings)
        plan.notes |= notes
        plan.update(changed, existing)
        return local_reference(existing)

    def _check_patient(self, existing: Resource, patient: str) -> None:
        held = referenced(existing.get("subject"), self._fhir.base)
        if self._settings.on_patient_change == "park" and patient and held and held != patient:
            raise Refused("The study belongs to another Patient now (OnPatientChange)")

    def _ownership(self, existing: Resource, study: Study, before: Synced | None, endpoint: str) -> Ownership:
        refused: dict[str, set[str]] = {}
        for each in study.refused:
            refused.setdefault(each.series_instance_uid, set()).add(each.sop_instance_uid)
        recorded = before is not None and before.imaging_study == resource_id(existing)
        return Ownership(
            is_ours(existing, self._settings),
            before.series if before is not None and recorded else None,
            endpoint,
            self._fhir.base,
            refused,
        )

    async def _plan_removal(
        self, plan: _Plan, key: StudyKey, address: str, before: Synced | None, *, keeps: bool
    ) -> None:
        """DICOM has nothing of the study: take out of FHIR what this service wrote (dicomcast §4.8)."""
        endpoint = await self._matching.endpoint(address)
        reference = local_reference(endpoint) if endpoint else ""
        existing = await self._matching.study(key.study, reference)
        if existing is None:
            return
        empty = Study(key.study, {}, ())
        ownership = self._ownership(existing, empty, before, reference)
        left = without_ours(existing, ownership, self._settings)
        if existing.get("status") != "entered-in-error" and ownership.created and not elements(left, "series"):
            if keeps or self._settings.deleted_study == "cancelled":
                plan.update(cancelled(existing, ownership, self._settings), existing)
                plan.study = local_reference(existing)
            else:
                plan.entries.append(Entry("DELETE", local_reference(existing)))
                plan.deletes_study = True
        else:
            plan.update(left, existing)
        plan.created_by_us = ownership.created and not plan.deletes_study
        await self._plan_observations(plan, empty, before, "", is_new=False)

    async def _plan_observations(
        self, plan: _Plan, study: Study, before: Synced | None, patient: str, *, is_new: bool
    ) -> None:
        settings = self._settings
        if not settings.observations:
            return
        may_exist = not is_new and (before is None or bool(before.reports))
        if not study.reports and not may_exist:
            return
        existing = [] if is_new and not study.reports else await self._matching.observations(study.uid)
        written = before.reports if before is not None else None
        references = DoseReferences(patient, plan.study, await self._plan_devices(plan, study))
        changes = dose_changes(study.reports, existing, references, written, settings)
        entries = observation_entries(changes, study, existing)
        room = settings.most_entries - len(plan.entries)
        plan.later = entries[room:]
        plan.entries += entries[:room]

    async def _plan_devices(self, plan: _Plan, study: Study) -> dict[str, str]:
        """The Devices that measurements name, by the SOP Instance UIDs of their reports (AIX-4)."""
        known: dict[str, str] = {}
        found: dict[str, str] = {}
        for report in study.reports:
            if not report.device:
                continue
            uid = str(report.device["identifier"][0]["value"])
            if uid not in known:
                existing = await self._matching.device(uid)
                known[uid] = (
                    local_reference(existing) if existing else plan.create(report.device, condition(DICOM_UID, uid))
                )
            found[report.sop_instance_uid] = known[uid]
        return found


async def _aside[T](study: Study, work: Callable[[], T]) -> T:
    """Work that takes long for a large study, beside the event loop."""
    return await asyncio.to_thread(work) if study.instances > _MANY else work()


def _overtaken() -> RequestFailed:
    return request_failed(Failure.TRANSIENT, "Others keep changing the same resources of the FHIR server.")


def _renamed(entry: Entry, created: Mapping[str, str]) -> Entry:
    """An entry of a later transaction: what was created before is named by its id."""

    def rename(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                name: created.get(each, each) if name == "reference" and isinstance(each, str) else rename(each)
                for name, each in value.items()
            }
        return [rename(each) for each in value] if isinstance(value, list) else value

    return replace(entry, resource=rename(entry.resource) if entry.resource is not None else None)


def _local(location: str) -> str:
    """`Type/id` of a location."""
    parts = location.partition("/_history/")[0].rstrip("/").split("/")
    return "/".join(parts[-2:])


def _counted(plan: _Plan) -> dict[str, int]:
    counted: dict[str, int] = {}
    for entry in (*plan.entries, *plan.later):
        name = f"{entry.method} {entry.url.partition('/')[0]}"
        counted[name] = counted.get(name, 0) + 1
    return counted
