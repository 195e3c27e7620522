"""The traces that DICOMcast keeps of studies that are erased (PHI-1).

The resources themselves go the way of every deletion: the change feed tells of it, and the worker removes the
ImagingStudy and the Observations that this service has made. Here that is waited for, and the rows about errors are
removed, whose texts may name the patient, and the choices of people which Patient an identifier means.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.cast.dirty_studies import DirtyStudies, StudyKey
from shared.cast.error_records import ErrorRecords
from shared.cast.mapping.patient import patient_system
from shared.cast.patient_links import PatientLinks
from shared.cast.settings import CastSettings
from shared.study_updates.patients import Patient

_LOOKS: Final = 24
_LOOK_SECONDS: Final = 5.0
"""Between two looks: two minutes in all, in which a change settles and is written where the FHIR server answers."""
_MOST_NAMED: Final = 200


@dataclass(frozen=True, slots=True)
class CastErasure:
    """The rows of DICOMcast."""

    studies: DirtyStudies
    records: ErrorRecords
    links: PatientLinks
    settings: CastSettings
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def erase(self, partition: str, studies: Sequence[str], patient: Patient) -> dict[str, Any]:
        """Wait for the removal of the resources of studies that are gone, and remove the rows about their errors; which
        studies still have some, for an operator to look at. `partition`: name. Raises Unavailable.
        """
        left = [StudyKey(partition, study) for study in studies]
        for look in range(_LOOKS):
            if look:
                await self.pause(_LOOK_SECONDS)
            left = [key for key in left if not await self._is_removed(key)]
            if not left:
                break
        for study in studies:
            await self.records.remove(StudyKey(partition, study))
        result: dict[str, Any] = {
            "fhirStudiesRemoved": len(studies) - len(left),
            "fhirStudiesLeft": len(left),
            "fhirPatientLinksRemoved": await self.links.forget(patient.identifier, self._system(patient)),
        }
        return {**result, "fhirLeft": [key.study for key in left[:_MOST_NAMED]]} if left else result

    def _system(self, patient: Patient) -> str:
        """The system of an identifier whose issuer is named; empty: whoever has issued it."""
        issuer = {"00100021": {"vr": "LO", "Value": [patient.issuer]}}
        return patient_system(issuer, self.settings) if patient.issuer else ""

    async def _is_removed(self, key: StudyKey) -> bool:
        if await self.studies.get(key) is not None:
            return False
        written = await self.studies.synced(key)
        return written is None or not (written.imaging_study or written.reports)
