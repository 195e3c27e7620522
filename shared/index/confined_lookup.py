"""The index as the caller of a share sees it: what lies outside is not there, and is not named (SHR-2, SHR-3)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.dicom.uid_references import Substitution, named_objects
from shared.dicomweb.confinement import Confinement
from shared.dicomweb.partitions import Partition
from shared.index.lookup import InstanceLookup
from shared.index.model import StoredInstance, StudyView

_STUDIES: Final = 8
"""Shared studies whose instances are read to tell whether a reference leads to one of them."""


class ConfinedLookup:
    """The reads of one request, in the forms of InstanceLookup. What is outside is as if it were not stored."""

    def __init__(self, lookup: InstanceLookup, within: Confinement) -> None:
        self._lookup = lookup
        self._within = within
        self._inside: dict[str, frozenset[str]] = {}

    async def study(self, partition: Partition, study: str) -> StudyView | None:
        """A study with its shared series; None if there is none."""
        view = await self._lookup.study(partition, study) if self._within.has_study(study) else None
        return None if view is None else _confined(view, self._within)

    async def instance(
        self, partition: Partition, identifier: InstanceIdentifier, *, metadata: bool
    ) -> StoredInstance | None:
        """An instance; None if it is not there."""
        if not self._within.has_series(identifier.study_instance_uid, identifier.series_instance_uid):
            return None
        return await self._lookup.instance(partition, identifier, metadata=metadata)

    async def instances(
        self, partition: Partition, scope: ResourceIdentifier, *, metadata: bool
    ) -> list[StoredInstance]:
        """The instances of a study, a series or an instance, newest first."""
        if not self._within.has(scope):
            return []
        found = await self._lookup.instances(partition, scope, metadata=metadata)
        return [each for each in found if self._has(each.identifier)]

    async def versions(
        self, partition: Partition, scope: ResourceIdentifier, *, original: bool
    ) -> dict[tuple[str, str], int]:
        """Their watermarks by the UIDs of series and instance, `original`: before any update."""
        if not self._within.has(scope):
            return {}
        found = await self._lookup.versions(partition, scope, original=original)
        study, has = scope.study_instance_uid, self._within.has_series
        return {uids: version for uids, version in found.items() if has(study, uids[0])}

    async def stream(self, partition: Partition, scope: ResourceIdentifier) -> AsyncGenerator[StoredInstance]:
        """The same with their metadata, in no particular order, in bounded memory. Must be closed."""
        if not self._within.has(scope):
            return
        async with aclosing(self._lookup.stream(partition, scope)) as instances:
            async for each in instances:
                if self._has(each.identifier):
                    yield each

    async def substitution(
        self, partition: Partition, document: bytes, identifier: InstanceIdentifier
    ) -> Substitution | None:
        """A filter that hides the references of an instance that lead out of the share; None if none does.

        `document`: its metadata. A reference to an instance of a shared study stays, if the data set names that study.
        """
        within = self._within
        if within.is_whole or within.studies is None:
            return None
        own = {identifier.study_instance_uid, identifier.series_instance_uid, identifier.sop_instance_uid}
        left = named_objects(document) - own - within.studies
        others = sorted(named_objects(document) & (within.studies - own)) if left else []
        for study in (identifier.study_instance_uid, *others[:_STUDIES]):
            if not left:
                return None
            left -= await self._instances_of(partition, study)
        return Substitution(left, within.key) if left else None

    def _has(self, identifier: InstanceIdentifier) -> bool:
        return self._within.has_series(identifier.study_instance_uid, identifier.series_instance_uid)

    async def _instances_of(self, partition: Partition, study: str) -> frozenset[str]:
        """The UIDs of the shared series and instances of a study."""
        if study not in self._inside:
            found = await self.instances(partition, ResourceIdentifier(study), metadata=False)
            names = [each.identifier for each in found]
            self._inside[study] = frozenset(
                uid for each in names for uid in (each.series_instance_uid, each.sop_instance_uid)
            )
        return self._inside[study]


type Lookup = InstanceLookup | ConfinedLookup


def _confined(view: StudyView, within: Confinement) -> StudyView | None:
    """A study as if it had no other series than the shared ones."""
    study = view.study_instance_uid
    series = {uid: each for uid, each in view.series.items() if within.has_series(study, uid)}
    if len(series) == len(view.series):
        return view
    if not series:
        return None
    newest = min(series.values(), key=lambda each: each.sort_key)
    return replace(view, instances=sum(each.instances for each in series.values()), series=series, newest=newest.newest)
