"""Searches of the engine: strict, paged to the end, in groups of patients (COH-3, COH-5)."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final

from shared.fhir.client import FhirClient, Parameters
from shared.fhir.resources import Resource, escaped, local_reference, referenced, resource_id
from shared.outgoing.failures import Failure, request_failed

GROUP: Final = 50
"""Patients, or ids, of one search (COH-5)."""
PAGE: Final = "200"
"""Resources of a page that are asked for."""
_MOST_KEPT: Final = 250_000
"""Resources of a group of patients that are held together: five thousand of each."""


class Reader:
    """Reads one FHIR server, and notes what a result must say of it."""

    def __init__(self, client: FhirClient) -> None:
        self._client = client
        self.warnings: set[str] = set()

    @property
    def base(self) -> str:
        """The address of the server."""
        return self._client.base

    async def each(self, kind: str, parameters: Parameters = ()) -> AsyncIterator[Resource]:
        """Every match of a search. Raises RequestFailed."""
        async for page in self._client.pages(kind, (*parameters, ("_count", PAGE))):
            if not page.strict:
                self.warnings.add(
                    f"The FHIR server does not know a parameter of a search for {kind}: everything was decided here."
                )
            for resource in page.matches:
                yield resource

    async def of_patients(
        self, kind: str, ids: Sequence[str], base: str, *, keep: Callable[[Resource], bool] | None = None
    ) -> dict[str, list[Resource]]:
        """All resources of a kind of a group of patients, by patient, in the order of their ids; those that `keep`
        says to keep. Raises RequestFailed.
        """
        found: dict[str, dict[str, Resource]] = defaultdict(dict)
        for group in _groups(ids):
            kept = 0
            value = ",".join(f"Patient/{escaped(each)}" for each in group)
            async for resource in self.each(kind, (("patient", value),)):
                patient = patient_of(resource, base)
                if patient in group and (keep is None or keep(resource)):
                    found[patient][resource_id(resource)] = resource
                    kept += 1
                    if kept > _MOST_KEPT:
                        raise request_failed(Failure.UNUSABLE, f"The FHIR server finds more {kind} than can be held.")
        return {patient: [by_id[key] for key in sorted(by_id)] for patient, by_id in found.items()}

    async def by_reference(self, references: Iterable[str]) -> dict[str, Resource]:
        """The resources that references of the form `Type/id` name, as far as there are any."""
        kinds: dict[str, set[str]] = defaultdict(set)
        for reference in references:
            kind, _, found = reference.partition("/")
            if kind and found and "/" not in found and "://" not in reference and not reference.startswith("#"):
                kinds[kind].add(found)
        resources: dict[str, Resource] = {}
        for kind, ids in kinds.items():
            for group in _groups(sorted(ids)):
                async for resource in self.each(kind, (("_id", ",".join(map(escaped, group))),)):
                    if resource_id(resource) in group:
                        resources[local_reference(resource)] = resource
        return resources

    async def history(self, reference: str) -> list[Resource]:
        """The versions of the resource of a reference `Type/id`, oldest first; none where the server offers none."""
        kind, _, found = reference.partition("/")
        return await self._client.history(kind, found)

    async def patients(self, ids: Sequence[str]) -> Mapping[str, Resource]:
        """Patients by id."""
        found = await self.by_reference(f"Patient/{each}" for each in ids)
        return {resource_id(each): each for each in found.values()}


def patient_of(resource: Resource, base: str) -> str:
    """The id of the patient that a resource is about; empty if it is about none."""
    if resource.get("resourceType") == "Patient":
        return resource_id(resource)
    element = resource.get("subject") or resource.get("patient")
    kind, _, found = referenced(element, base).partition("/")
    return found if kind == "Patient" else ""


def _groups(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[at : at + GROUP] for at in range(0, len(ids), GROUP))
