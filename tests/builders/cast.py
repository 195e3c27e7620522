"""Studies, and DICOMcast with everything around it in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.cast.circuit import Circuit
from shared.cast.collecting import StudyCollector
from shared.cast.dirty_studies import DirtyStudies, StudyKey
from shared.cast.error_records import ErrorRecords
from shared.cast.matching import Matching
from shared.cast.model import Study, Summary
from shared.cast.patient_links import PatientLinks
from shared.cast.ports import Unreadable
from shared.cast.queueing import Hints
from shared.cast.reconcile import Reconciler
from shared.cast.settings import CastSettings
from shared.cast.worker import Worker, Workplace
from shared.fhir.client import FhirClient
from tests.fakes.fhir import FakeFhirServer
from tests.fakes.tables import MemoryTableStore

BASE = "https://imaging.example.org/v2"
PARTITION = "Microsoft.Default"
CT = "1.2.840.10008.5.1.4.1.1.2"
SETTINGS = CastSettings(BASE, patient_system="urn:oid:2.25.100.1", accession_system="urn:oid:2.25.100.2")

_VRS = {
    "00080005": "CS", "00080016": "UI", "00080018": "UI", "00080020": "DA", "00080030": "TM", "00080050": "SH",
    "00080060": "CS", "00080201": "SH", "00081030": "LO", "0008103E": "LO", "00100010": "PN", "00100020": "LO",
    "00100040": "CS", "0020000D": "UI", "0020000E": "UI", "00200011": "IS", "00200013": "IS",
}  # fmt: skip  # a table


def element(tag: str, *values: Any) -> dict[str, Any]:
    vr = _VRS.get(tag, "LO")
    if vr == "PN":
        values = tuple({"Alphabetic": value} if isinstance(value, str) else value for value in values)
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def instance(study: str, series: int = 1, number: int = 1, **tags: Any) -> dict[str, Any]:
    """An instance as Appendix A of the specification has it; `t00080060="MR"` sets an attribute, None removes one."""
    plain: dict[str, Any] = {
        "00080005": "ISO_IR 192",
        "00080016": CT,
        "00080018": f"{study}.{series}.{number}",
        "00080020": "20250820",
        "00080030": "100000",
        "00080050": "A-2",
        "00080060": "CT",
        "00080201": "+0200",
        "00081030": "CT chest follow-up",
        "0008103E": "Axial 5 mm",
        "00100010": "Family1^G",
        "00100020": "COH-001",
        "00100040": "F",
        "0020000D": study,
        "0020000E": f"{study}.{series}",
        "00200011": series,
        "00200013": number,
    }
    plain |= {tag.removeprefix("t"): value for tag, value in tags.items()}
    data_set = {tag: element(tag, value) for tag, value in plain.items() if value not in (None, "", [])}
    data_set |= {tag: element(tag) for tag, value in plain.items() if value == ""}
    data_set |= {tag: {"vr": "SQ", "Value": value} for tag, value in plain.items() if isinstance(value, list)}
    return data_set


def collected(study: str, *instances: Any, settings: CastSettings = SETTINGS, summary: Summary | None = None) -> Study:
    collector = StudyCollector(study, settings)
    for each in instances:
        collector.add(each)
    return collector.study(summary or Summary())


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class MemoryStudies:
    """A StudySource: what tests put into it. `reads` counts, `failure` is raised."""

    settings: CastSettings
    held: dict[str, list[Any]] = field(default_factory=dict)
    reads: int = 0
    failure: Exception | None = None
    during: Any = None

    async def read(self, _partition: str, study: str, etag: str) -> tuple[Study, str] | None:
        self.reads += 1
        if self.failure is not None:
            raise self.failure
        instances = self.held.get(study, [])
        tag = str(hash(repr(instances))) if instances else ""
        if self.during is not None:
            hook, self.during = self.during, None
            await hook()
        if tag and tag == etag:
            return None
        if instances == ["not JSON"]:
            raise Unreadable("The metadata of the study are no JSON array")
        return collected(study, *instances, settings=self.settings), tag


@dataclass
class MemoryQueue:
    sent: list[tuple[str, int]] = field(default_factory=list)

    async def send(
        self, _queue: str, message: str, *, delay_seconds: int = 0, seconds_to_live: int | None = None
    ) -> None:
        self.sent.append((message, delay_seconds))

    async def length(self, _queue: str) -> int:
        return len(self.sent)


class Cast:
    """DICOMcast on fakes."""

    def __init__(
        self, settings: CastSettings = SETTINGS, *, server: FakeFhirServer | None = None, **changed: Any
    ) -> None:
        self.settings = replace(settings, **changed)
        self.clock = Clock()
        self.fhir = server or FakeFhirServer()
        self.tables = MemoryTableStore()
        self.source = MemoryStudies(self.settings)
        self.queue = MemoryQueue()
        self.studies = DirtyStudies(self.tables, self.clock)
        self.errors = ErrorRecords(self.tables, self.clock)
        self.links = PatientLinks(self.tables, self.clock)
        self.hints = Hints(self.queue, "cast", 604_800)
        self.matching = Matching(FhirClient(self.fhir), self.links, self.settings)
        self.worker = self.another_worker()
        self._sequence = 0

    def another_worker(self) -> Worker:
        reconciler = Reconciler(self.source, self.matching, self.settings, now=self.clock)
        circuit = Circuit(self.tables, self.clock)
        self.place = Workplace(self.studies, self.errors, circuit, self.hints, reconciler, self.settings)
        return Worker(self.place)

    def key(self, study: str) -> StudyKey:
        return StudyKey(PARTITION, study)

    def have(self, study: str, *instances: Any) -> None:
        """DICOM has these instances of a study now, and no others."""
        self.source.held[study] = list(instances)

    async def change(self, study: str, *instances: Any) -> None:
        """The same, and the change is marked."""
        self.have(study, *instances)
        await self.mark(study)

    async def mark(self, study: str) -> None:
        self._sequence += 1
        await self.studies.mark(self.key(study), self._sequence)

    async def cast(self, study: str, *instances: Any) -> None:
        """The same, and one attempt."""
        await self.change(study, *instances)
        await self.worker.study(self.key(study))

    async def dirty(self) -> dict[str, str]:
        return {each.key.study: each.parked async for each in self.studies.all()}

    async def open_errors(self, kind: str) -> list[Mapping[str, Any]]:
        return [each.properties async for each in self.errors.all(kind) if each.is_open]
