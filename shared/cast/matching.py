"""dicomcast §3.4, §4.2, §4.3 The resources that are there already: searched for, and checked on what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from shared.cast.mapping.codes import DICOM_UID, URI
from shared.cast.mapping.endpoint import CONNECTION_TYPE, endpoint_name
from shared.cast.mapping.patient import WantedPatient
from shared.cast.patient_links import PatientLinks
from shared.cast.settings import CastSettings, normalised_base
from shared.fhir.client import FhirClient
from shared.fhir.resources import (
    Resource,
    elements,
    escaped,
    identifiers,
    local_reference,
    referenced,
    relative_reference,
    resource_id,
    token,
    version_id,
)
from shared.outgoing.failures import Failure, request_failed

MOST_CANDIDATES = 10
"""Patients that people are shown where none matches (CAST-PM-1)."""


class Refused(Exception):
    """A study that cannot be written as things are: it is parked. The text is for people and names no patient."""


class NoPatient(Exception):
    """No Patient matches, and none may be created (CAST-PM-1)."""

    def __init__(self, wanted: WantedPatient) -> None:
        super().__init__("No Patient has the PatientID of the study")
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Matching:
    """Searches for the resources of a study."""

    fhir: FhirClient
    links: PatientLinks
    settings: CastSettings

    async def endpoint(self, address: str) -> Resource | None:
        """The Endpoint of an address: by its identifier, else by its name. Raises Refused."""
        found = await self._identified("Endpoint", URI, address)
        if not found:
            kind = ("connection-type", token(CONNECTION_TYPE, "dicom-wado-rs"))
            named = await self.fhir.search("Endpoint", [("name", escaped(endpoint_name(address))), kind])
            found = [
                each for each in named if each.get("name") in (endpoint_name(address), endpoint_name(f"{address}/"))
            ]
        endpoint = _only(found, "Endpoint")
        if endpoint is not None and normalised_base(str(endpoint.get("address", ""))) != normalised_base(address):
            raise Refused("The Endpoint of this service has another address")
        return endpoint

    async def patient(self, wanted: WantedPatient) -> Resource | None:
        """The Patient of an identifier: the one that people have chosen, else the one that has it. Raises Refused."""
        link = await self.links.find(wanted.system, wanted.value)
        if link is not None:
            chosen = await self.fhir.read("Patient", link.reference.removeprefix("Patient/"))
            if chosen is None:
                raise Refused("The Patient that was chosen for the study is not there any more")
            return _usable(chosen)
        for system, value in ((wanted.system, wanted.value), *wanted.others):
            found = _only(await self._identified("Patient", system, value), "Patient")
            if found is not None:
                return found
        return None

    async def candidates(self, wanted: WantedPatient) -> list[Resource]:
        """Patients of the same name and birth date with another identifier: shown to people, never chosen."""
        family, birth = wanted.name.get("family", ""), wanted.birth_date
        if not family or not birth:
            return []
        found = await self.fhir.search("Patient", [("family", escaped(family)), ("birthdate", birth), ("_count", "50")])
        fits = [each for each in found if each.get("birthDate") == birth and _is_called(each, wanted)]
        return fits[:MOST_CANDIDATES]

    async def study(self, uid: str, endpoint: str) -> Resource | None:
        """The ImagingStudy of a study; where data partitions count, the one with that Endpoint. Raises Refused."""
        found = await self._identified("ImagingStudy", DICOM_UID, f"urn:oid:{uid}")
        if self.settings.all_partitions:
            found = [each for each in found if self._names(each, endpoint)]
        if len(found) > 1 and self.settings.on_duplicate_study == "oldest":
            return min(found, key=lambda each: (str(each["meta"].get("lastUpdated", "")), resource_id(each)))
        return _only(found, "ImagingStudy")

    async def observations(self, uid: str) -> Sequence[Resource]:
        """The Observations that carry the identifier of a study."""
        return await self._identified("Observation", DICOM_UID, f"urn:oid:{uid}")

    async def device(self, uid: str) -> Resource | None:
        """The Device of a UID: the first, if there are several."""
        found = await self._identified("Device", DICOM_UID, uid)
        return found[0] if found else None

    async def order(self, system: str, value: str) -> str:
        """The one ServiceRequest of an accession number; empty if there is none, or no single one."""
        found = await self._identified("ServiceRequest", system, value)
        return local_reference(found[0]) if len(found) == 1 else ""

    def _names(self, study: Resource, endpoint: str) -> bool:
        return endpoint in {referenced(each, self.fhir.base) for each in elements(study, "endpoint")}

    async def _identified(self, kind: str, system: str, value: str) -> list[Resource]:
        """Resources that have an identifier, byte for byte (CAST-SR-4)."""
        found = await self.fhir.search(kind, [("identifier", token(system, value))])
        return [_usable(each) for each in found if (system, value) in set(identifiers(each))]


def condition(system: str, value: str, *more: tuple[str, str]) -> str:
    """The condition of a create: nothing has that identifier."""
    return urlencode([("identifier", token(system, value)), *more])


def linked_reference(base: str, reference: str) -> str:
    """A reference that people have given, as `Patient/id`; empty for anything else."""
    local = relative_reference(base, reference)
    kind, _, logical = local.partition("/")
    return local if kind == "Patient" and logical and "/" not in logical and len(logical) <= 64 else ""


def _only(found: Sequence[Resource], kind: str) -> Resource | None:
    """The one match (CAST-SR-5)."""
    if len(found) > 1:
        ids = ", ".join(sorted(local_reference(each) for each in found)[:20])
        raise Refused(f"Several resources of type {kind} match: {ids}")
    return found[0] if found else None


def _usable(resource: Resource) -> Resource:
    if not resource_id(resource) or not version_id(resource):
        raise request_failed(Failure.UNUSABLE, "The FHIR server returned a resource without id or version.")
    return resource


def _is_called(patient: Resource, wanted: WantedPatient) -> bool:
    return any(_folded(each) == _folded(wanted.name) for each in elements(patient, "name"))


def _folded(name: Resource) -> tuple[str, ...]:
    return tuple(str(part).casefold() for part in (name.get("family", ""), *name.get("given", [])))
