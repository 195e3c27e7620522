"""CAST-OK-2 FHIR compared with DICOM: every study with its ImagingStudy, and every ImagingStudy of ours with DICOM.

It reads and tells; with `repair` it marks what differs, and the attempts that follow mend it.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from shared.cast.dirty_studies import DirtyStudies, StudyKey
from shared.cast.mapping.codes import DICOM_UID
from shared.cast.mapping.endpoint import address_of
from shared.cast.mapping.imaging_study import accession
from shared.cast.mapping.patient import wanted_patient
from shared.cast.matching import Matching, Refused
from shared.cast.merging import is_ours
from shared.cast.model import Study
from shared.cast.ports import StudySource
from shared.cast.settings import CastSettings
from shared.dicomweb.partitions import DEFAULT_NAME
from shared.fhir.resources import Resource, elements, identifiers, local_reference, referenced

MOST_DIFFERENCES = 10_000
"""Differences that one verification lists."""
_OID = "urn:oid:"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `kind`: missing, surplus, seriesCount, instanceCount, patient, accession."""

    study: str
    partition: str
    kind: str
    expected: int | str | None = None
    found: int | str | None = None

    def document(self) -> dict[str, Any]:
        """As the API shows it. What identifies patients is not in it."""
        shown = {"study": self.study, "kind": self.kind, "expected": self.expected, "found": self.found}
        return {name: value for name, value in shown.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Verification:
    """Compares. `studies`: every study that DICOM has, by data partition."""

    studies: Callable[[], AsyncIterator[StudyKey]]
    source: StudySource
    matching: Matching
    dirty: DirtyStudies
    settings: CastSettings

    async def differences(self) -> AsyncIterator[tuple[int, Difference | None]]:
        """The number of studies looked at so far, and what was found last, if it was a difference.

        Raises RequestFailed, Unavailable, Unreadable.
        """
        looked, partitions = 0, {DEFAULT_NAME}
        async for key in self.studies():
            looked += 1
            partitions.add(key.partition)
            yield looked, None
            for difference in await self._of(key):
                yield looked, difference
        if self.settings.all_partitions:  # one of which DICOM has no study any more is known by what was written of it
            partitions.update([key.partition async for key, _ in self.dirty.recorded()])
        for partition in sorted(partitions):
            async for difference in self._surplus(partition):
                yield looked, difference

    async def repair(self, difference: Difference) -> None:
        """Let the study be reconciled again."""
        await self.dirty.mark(StudyKey(difference.partition, difference.study), 0, replay=True)

    async def _of(self, key: StudyKey) -> list[Difference]:
        read = await self.source.read(key.partition, key.study, "")
        if read is None or not read[0].series:
            return []
        study = read[0]
        try:
            endpoint = await self._endpoint(key.partition)
            existing = await self.matching.study(key.study, endpoint)
        except Refused:
            return [Difference(key.study, key.partition, "missing")]
        if existing is None:
            return [Difference(key.study, key.partition, "missing")]
        found = await self._compared(study, existing, endpoint)
        more = await self._left_behind(key, study, existing)
        if more and not any(kind == "seriesCount" for kind, *_ in found):
            found.append(("seriesCount", len(study.series), len(study.series) + more))
        return [Difference(key.study, key.partition, *each) for each in found]

    async def _left_behind(self, key: StudyKey, study: Study, existing: Resource) -> int:
        """The number of series in FHIR that this service wrote and DICOM does not have."""
        known = {each.uid for each in study.series} | {each.series_instance_uid for each in study.refused}
        others = {str(each.get("uid")) for each in elements(existing, "series")} - known
        written = await self.dirty.synced(key) if others else None
        return len(others & written.series) if written else 0

    async def _compared(
        self, study: Study, existing: Resource, endpoint: str
    ) -> list[tuple[str, int | str | None, int | str | None]]:
        base = self.matching.fhir.base
        mine = {each.uid: each for each in study.series}
        held = {str(each.get("uid")): each for each in elements(existing, "series")}
        there = [uid for uid in mine if uid in held]
        found: list[tuple[str, int | str | None, int | str | None]] = []
        if len(there) != len(mine):
            found.append(("seriesCount", len(mine), len(there)))
        counted = sum(int(held[uid].get("numberOfInstances") or len(elements(held[uid], "instance"))) for uid in there)
        refused = len(study.refused)
        shared = any(referenced(each, base) != endpoint for uid in there for each in elements(held[uid], "endpoint"))
        if not study.instances <= counted <= (counted if shared else study.instances + refused):
            found.append(("instanceCount", study.instances, counted))
        number = accession(study.attributes, self.settings)
        if number and (number.get("system", ""), number["value"]) not in set(identifiers(existing)):
            found.append(("accession", None, None))
        wanted = wanted_patient(study.attributes, self.settings)
        if wanted is not None:
            patient = await self.matching.patient(wanted)
            subject = referenced(existing.get("subject"), base)
            if patient is None or local_reference(patient) != subject:
                found.append(("patient", local_reference(patient) if patient else None, subject or None))
        return found

    async def _endpoint(self, partition: str) -> str:
        """The reference of the Endpoint of a data partition; empty if there is none. Raises Refused."""
        endpoint = await self.matching.endpoint(
            address_of(self.settings.base, partition if self.settings.all_partitions else "")
        )
        return local_reference(endpoint) if endpoint else ""

    async def _surplus(self, partition: str) -> AsyncIterator[Difference]:
        """ImagingStudies that name our Endpoint, or that we created, of studies that DICOM does not have."""
        try:
            reference = await self._endpoint(partition)
        except Refused:
            return  # of no resource can be said that it is this service's
        if not reference:
            return
        parameters = [("endpoint", reference), ("_count", "100")]
        async for page in self.matching.fhir.pages("ImagingStudy", parameters):
            for resource in page.matches:
                named = {referenced(each, self.matching.fhir.base) for each in elements(resource, "endpoint")}
                uid = next((v.removeprefix(_OID) for s, v in identifiers(resource) if s == DICOM_UID), "")
                if not uid or not (reference in named or is_ours(resource, self.settings)):
                    continue
                read = await self.source.read(partition, uid, "")
                if read is not None and read[0].is_empty:
                    yield Difference(uid, partition, "surplus")
