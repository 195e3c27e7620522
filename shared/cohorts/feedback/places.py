"""Which studies a caller of feedback sees: those whose data partition is in its scopes (AUTH-20)."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.cohorts.entries import base_of, partition_of
from shared.cohorts.gathering.reader import Reader
from shared.fhir.resources import Resource, elements, local_reference, referenced
from shared.http.roles import Scope


@dataclass(frozen=True, slots=True)
class Places:
    """The places of the studies of a FHIR server."""

    reader: Reader
    allowed: frozenset[str]
    """Bases of DICOMweb, normalised (`Cohort:AllowedEndpoints`)."""

    async def visible(self, studies: Sequence[Resource], scope: Scope) -> set[str]:
        """The references of the studies that lie in some scope. Raises RequestFailed."""
        if scope.whole_service:
            return {local_reference(each) for each in studies}
        bases = await self._bases(studies)
        return {study for study, base in bases.items() if base and partition_of(f"{base}/studies") in scope}

    async def ours(self, studies: Sequence[Resource]) -> set[str]:
        """The references of the studies that an allowed base has. Raises RequestFailed."""
        return {study for study, base in (await self._bases(studies)).items() if base}

    async def _bases(self, studies: Sequence[Resource]) -> dict[str, str]:
        fhir = self.reader.base
        references = {referenced(each, fhir) for study in studies for each in elements(study, "endpoint")} - {""}
        endpoints = await self.reader.by_reference(sorted(references))
        return {local_reference(study): base_of(study, endpoints, self.allowed, fhir) for study in studies}
