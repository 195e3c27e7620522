"""Studies that are erased leave the manifests of cohorts (PHI-1)."""

from collections.abc import Collection, Mapping
from typing import Any

from shared.cohorts.entries import partition_of
from shared.cohorts.store import INDETERMINATE, MEMBER, CohortStore


async def forget_studies(store: CohortStore, partition: str, studies: Collection[str]) -> int:
    """Take studies of a data partition, by name, out of all manifests; how many entries had some. Raises Unavailable.

    The members stay: who is one, the FHIR server says.
    """
    changed = 0
    for head in await store.all():
        for kind in (MEMBER, INDETERMINATE):
            async for entry in store.entries(str(head["id"]), kind):
                kept = [each for each in entry.get("studies", ()) if not _is_one_of(each, partition, studies)]
                if len(kept) < len(entry.get("studies", ())):
                    patient = str(entry["id"]).rpartition("/")[2]
                    await store.replace_entry(str(head["id"]), kind, patient, {**entry, "studies": kept})
                    changed += 1
    return changed


def _is_one_of(study: Mapping[str, Any], partition: str, studies: Collection[str]) -> bool:
    """A study without an address here is told by its UID alone."""
    if study.get("uid") not in studies:
        return False
    return "retrieve" not in study or partition_of(study["retrieve"]).casefold() == partition.casefold()
