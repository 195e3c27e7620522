"""The instances of the studies of a cohort, as an export reads them (cohorts §8.4)."""

from typing import Final

from shared.cohorts.entries import partition_of
from shared.cohorts.manifest import scope_in, visible_entry
from shared.cohorts.store import CohortStore
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.partitions import PartitionDirectory
from shared.errors import InvalidRequest
from shared.export.model import Position, SourcePage
from shared.index.lookup import InstanceLookup
from shared.operations.model import Operation

COHORT: Final = "cohort"
"""The type of the source, as tasks name it."""
_INSTANCES: Final = 128
"""Instances of a page."""


class CohortSource:
    """The studies of the members, in the order of the manifest; of those that whoever asked may see."""

    def __init__(
        self, store: CohortStore, lookup: InstanceLookup, directory: PartitionDirectory, operation: Operation
    ) -> None:
        self._store = store
        self._lookup = lookup
        self._directory = directory
        self._cohort_id = str(operation.input["cohort"])
        self._scope = scope_in(operation.input["scope"])

    async def page(self, position: Position) -> SourcePage:
        """Entries behind a position: `member`, an id of a patient; `study`, a number among theirs; `row` inside it."""
        member, number, row = (
            str(position.get("member", "")),
            int(position.get("study", 0)),
            str(position.get("row", "")),
        )
        entry = await self._store.member(self._cohort_id, member, following=not (number or row))
        if entry is None:
            return SourcePage((), (), None)
        patient = str(entry["id"]).partition("/")[2]
        studies = [each for each in visible_entry(entry, self._scope)[0].get("studies", ()) if each.get("uid")]
        if number >= len(studies):
            return SourcePage((), (), {"member": patient})
        study = studies[number]
        namespace = await self._namespace(study)
        after = {"member": patient, "study": number + 1} if number + 1 < len(studies) else {"member": patient}
        if namespace is None:
            return SourcePage((), (study["uid"],), after)
        found, following = await self._lookup.page(namespace, ResourceIdentifier(study["uid"]), row, top=_INSTANCES)
        unknown = () if found or row or following else (study["uid"],)
        return SourcePage(
            found, unknown, {"member": patient, "study": number, "row": following} if following else after
        )

    async def _namespace(self, study: dict[str, str]) -> str | None:
        """Of the data partition that a study is in; None where it has no address of ours."""
        if "retrieve" not in study:
            return None
        try:
            return (await self._directory.resolve(partition_of(study["retrieve"]), create=False)).namespace
        except InvalidRequest:
            return None
