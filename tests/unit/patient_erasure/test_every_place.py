"""A patient who is planted in every place that the service has, and the places afterwards (PHI-1, PHI-14)."""

import asyncio
from itertools import count
from typing import get_args

import orjson
import pytest

from shared.cast.circuit import Circuit
from shared.cast.dirty_studies import DirtyStudies, StudyKey
from shared.cast.erasure import CastErasure
from shared.cast.error_records import DICOM_ERROR, NOTE, ErrorRecords, Fault
from shared.cast.matching import Matching
from shared.cast.own_studies import OwnStudies
from shared.cast.patient_links import PatientLinks
from shared.cast.queueing import Hints
from shared.cast.reconcile import Reconciler
from shared.cast.settings import CastSettings
from shared.cast.sweeping import FOLLOWING, Marking
from shared.cast.worker import Worker, Workplace
from shared.change_log.follower import Follower
from shared.cohorts.erasure import forget_studies
from shared.cohorts.store import INDETERMINATE, MEMBER, CohortStore
from shared.fhir.client import FhirClient
from shared.operations.model import OperationStatus
from shared.outgoing.failures import Failure, RequestFailed
from shared.shares.model import Share
from shared.shares.store import ShareStore
from shared.storage.ports import CastTable
from shared.study_documents.labels import StudyLabels
from shared.study_labels.request import LabelChange
from tests.builders.cast import PARTITION, SETTINGS, MemoryQueue
from tests.builders.images import image
from tests.builders.labelling import place_of
from tests.builders.worklist import element, new_workitem
from tests.fakes.fhir import FakeFhirServer
from tests.unit.patient_erasure.service import ErasingService, texts_of
from tests.unit.patient_erasure.test_erasure import BODY, GONE, KEPT
from tests.unit.study_updates.test_killed_at_each_step import Crash
from tests.unit.study_updates.test_update import name, stored

BASE = "https://dicom.example/v2"
ERASED, STAYING = ("1.1", "1.2"), "2.1"
TRACES = (GONE["PatientID"], "Erasee")
SYSTEM = SETTINGS.patient_system


class WholeService(ErasingService):
    """A process with all that may keep something of a patient: DICOMcast and its FHIR server, cohorts, shares."""

    def __init__(self, *stores, fhir=None, **options):
        self.fhir = fhir or FakeFhirServer()
        super().__init__(*stores, **options)

    def _assemble(self):
        self.cohorts, self.shares = CohortStore(self.tables), ShareStore(self.tables)
        self.studies = DirtyStudies(self.tables, self.time)
        self.errors, self.links = ErrorRecords(self.tables, self.time), PatientLinks(self.tables, self.time)
        rules: CastSettings = SETTINGS
        source = OwnStudies(self.lookup, self.blobs, self.partitions, rules)
        matching = Matching(FhirClient(self.fhir), self.links, rules)
        hints = Hints(MemoryQueue(), "cast", 604_800)
        circuit = Circuit(self.tables, self.time)
        reconciler = Reconciler(source, matching, rules, now=self.time)
        self.caster = Worker(Workplace(self.studies, self.errors, circuit, hints, reconciler, rules))
        marking = Marking(self.studies, hints, self.partitions, rules)
        self.follower = Follower(
            FOLLOWING, marking.handle, tables=self.tables, log=self.log, sequencer=self.sequencer, now=self.time
        )
        self.cast_erasure = CastErasure(self.studies, self.errors, self.links, rules, pause=self.cast)
        super()._assemble()

    def _more_traces(self):
        """As `shared.wiring` puts them together."""

        async def cohorts(subject):
            return {"entries": await forget_studies(self.cohorts, subject.partition.name, set(subject.studies))}

        async def shares(subject):
            return {"shares": await self.shares.forget_studies(subject.partition.namespace, subject.studies)}

        async def cast(subject):
            return await self.cast_erasure.erase(subject.partition.name, subject.studies, subject.patient)

        return [cohorts, shares, cast]

    def on(self, tables):
        other = WholeService(tables, self.blobs, self.time, fhir=self.fhir, two_persons=self.two_persons)
        other.imports, other.refused = self.imports, self.refused
        other._assemble()
        return other

    async def cast(self, seconds=5.0):
        """What the triggers of DICOMcast do meanwhile."""
        self.time.seconds += seconds
        await self.follower.run()
        async for dirty in self.studies.all():
            await self.caster.study(dirty.key)

    def places_with(self, *texts):
        """Those of the service, the tables of DICOMcast, and the FHIR server but for its Patients."""
        wanted = [text.casefold() for text in texts]
        found = super().places_with(*texts)
        for kind in get_args(CastTable.__value__):
            found += [
                f"{kind} {row.partition_key} {row.row_key}"
                for row in self.tables.rows(kind)
                if any(text in piece.casefold() for piece in texts_of(row) for text in wanted)
            ]
        for key, resource in self.fhir.resources.items():
            if key[0] != "Patient" and any(text in orjson.dumps(resource).decode().casefold() for text in wanted):
                found.append("/".join(key))
        return found


async def planted():
    """Two studies of the patient and one of somebody else, everywhere."""
    service = WholeService(two_persons=False)
    for patient, held in (("gone", GONE), ("kept", KEPT)):
        service.fhir.put(
            {"resourceType": "Patient", "id": patient, "identifier": [{"system": SYSTEM, "value": held["PatientID"]}]}
        )
    gone = [image(study, f"{study}.1", f"{study}.1.{at}", **GONE) for study in ERASED for at in (1, 2)]
    kept = image(STAYING, f"{STAYING}.1", f"{STAYING}.1.1", **KEPT)
    await stored(service, *gone, kept)
    await service.updated(["1.1"], name("Erasee^Corrected"))  # a former version, and an operation that was told of it
    await service.delete(gone[2].identifier)
    labels = StudyLabels(service.tables, service.blobs)
    for study, label in (("1.1", "Erasee board"), ("1.2", "of zz-4711"), (STAYING, "Keeper board")):
        await labels.change(place_of(study), LabelChange((label,), ()))
    await service.settle()
    await service.cast()
    for held in (GONE, KEPT):
        await service.workitems.create(
            "0", f"3.{held['PatientID'][-1]}", new_workitem(t00100020=element("LO", held["PatientID"]))
        )
        await service.links.keep(SYSTEM, held["PatientID"], "Patient/x", "operator")
        service.imports.drop(f"{held['PatientID'][:2]}.dcm", image("9.1", "9.1.1", "9.1.1.1", **held).data, None)
        service.refused.drop(f"{held['PatientID'][:2]}.dcm", image("9.2", "9.2.1", "9.2.1.1", **held).data, None)
    for study, held in (("1.1", GONE), (STAYING, KEPT)):
        for kind in (NOTE, DICOM_ERROR):
            await service.errors.write(StudyKey(PARTITION, study), Fault(kind, f"PatientID {held['PatientID']} is odd"))
    await service.cohorts.keep("c" * 32, {"id": "c" * 32, "createdAt": "2026-01-01T00:00:00Z"})
    for kind in (MEMBER, INDETERMINATE):
        for patient, studies in (("gone", ERASED), ("kept", (STAYING,))):
            entry = {
                "id": f"Patient/{patient}",
                "studies": [{"uid": each, "retrieve": f"{BASE}/studies/{each}"} for each in studies],
            }
            await service.cohorts.add_entries("c" * 32, kind, {patient: entry})
    for number, studies in enumerate((("1.1",), ("1.2", STAYING), (STAYING,), None)):
        await service.shares.add(Share(f"0_{number}", bytes(32), PARTITION, float(number), 1e12, studies))
    return service, kept


async def check(service, kept, before):
    """Nothing of the patient anywhere, and everything of the other one where it was."""
    await service.settle()
    assert service.places_with(*TRACES) == []
    assert service.places_with(KEPT["PatientID"], "Keeper") == before
    assert [each for each in service.blobs.names() if any(f"/{study}/" in each for study in ERASED)] == []
    assert {each.id: each.studies for each in await service.shares.all("0")} == {
        "0_1": (STAYING,),
        "0_2": (STAYING,),
        "0_3": None,
    }
    for kind in (MEMBER, INDETERMINATE):
        found = {each["id"]: each["studies"] async for each in service.cohorts.entries("c" * 32, kind)}
        assert found["Patient/gone"] == []
        assert [each["uid"] for each in found["Patient/kept"]] == [STAYING]
    (study,) = service.fhir.all("ImagingStudy")
    assert STAYING in str(study["identifier"])
    assert {each["id"] for each in service.fhir.all("Patient")} == {"gone", "kept"}
    assert await service.links.find(SYSTEM, KEPT["PatientID"])
    assert service.blobs.content((await service.instance(kept.identifier)).blob) == kept.data


@pytest.mark.spec("PHI-1", "PHI-14", "SEL-4")
async def test_nothing_of_a_patient_is_left_in_any_place():
    service, kept = await planted()
    before = service.places_with(KEPT["PatientID"], "Keeper")
    planted_in = service.places_with(*TRACES)
    kinds = {place.partition(" ")[0] for place in planted_in}
    assert any("/1.2/study." in place for place in planted_in)  # the document of its labels
    assert kinds >= {"dicom", "idx", "ops", "worklist", "DicomCast", "InvalidDicomTagExceptionTable", "zz.dcm"}
    assert len(service.fhir.all("ImagingStudy")) == 3

    ended = await service.erased(BODY)

    assert ended.status is OperationStatus.SUCCEEDED
    assert (ended.results["fhirStudiesRemoved"], ended.results["fhirStudiesLeft"]) == (2, 0)
    assert (ended.results["fhirPatientLinksRemoved"], ended.results["entries"], ended.results["shares"]) == (1, 2, 2)
    await check(service, kept, before)


@pytest.mark.spec("PHI-1")
async def test_a_fhir_server_that_does_not_answer_is_told_and_cleared_later():
    service, kept = await planted()
    before = service.places_with(KEPT["PatientID"], "Keeper")
    service.fhir.fault = lambda _method, _target: RequestFailed(Failure.TRANSIENT, "no answer")
    ended = await service.erased(BODY)
    assert ended.results["fhirLeft"] == list(ERASED)
    service.fhir.fault = None
    for _ in range(5):
        await service.cast(3600.0)
        await service.caster.probe()
    await check(service, kept, before)


@pytest.mark.spec("PHI-1", "PHI-14", "OP-9")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_nothing_is_left_wherever_its_process_died(after):
    step = 30
    for killed in count(1):
        if not await _killed(step, after=after):
            assert killed > 2
            return
        step += 170


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_nothing_is_left_wherever_its_process_died_at_every_step(after):
    step = 1
    while await _killed(step, after=after):
        step += 1
    assert step > 300


async def _killed(step, *, after):
    """Whether a process died at its `step`-th request to tables, blobs or FHIR; another one comes to the same end."""
    service, kept = await planted()
    before = service.places_with(KEPT["PatientID"], "Keeper")
    operation_id = await service.begun(BODY)
    requests, died = count(1), False

    async def die(*_):
        await asyncio.sleep(0)
        if next(requests) >= step:
            raise Crash

    def lost(*_):
        if next(requests) >= step:
            raise Crash

    stores = (service.tables, service.blobs, service.imports, service.refused)
    for store in stores:
        setattr(store, "after" if after else "before", die)
    service.fhir.fault = lost
    try:
        await service.beside().runner.run()
    except (Crash, BaseExceptionGroup):
        died = True
    finally:
        service.fhir.fault = None
        for store in stores:
            store.before = store.after = None
    service.time.seconds += 120
    other = service.beside()
    ended = await other.ended(operation_id)
    assert ended.status is OperationStatus.SUCCEEDED
    await check(other, kept, before)
    return died
