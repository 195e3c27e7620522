"""The parts of results beside the rows that they were found by: the newest instance of each, and metadata documents."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.index.model import StoredInstance
from shared.search.reads import Reads
from shared.search.request import SearchQuery
from shared.search.result import SearchResult, needs_instance, needs_metadata
from shared.storage.ports import BlobNotFound

_ATTEMPTS = 3


class Completion:
    """Completes the results of one search."""

    def __init__(self, reads: Reads, query: SearchQuery, *, character_set_as_stored: bool) -> None:
        self._reads = reads
        self._query = query
        self._as_stored = character_set_as_stored

    async def complete(self, results: Sequence[SearchResult]) -> list[SearchResult]:
        """The results with what the response needs; without those that have been deleted meanwhile."""
        instances = await self._instances_in_bulk(results) if self._query.level == "instance" else {}
        completed = await asyncio.gather(*(self._one(result, instances) for result in results))
        return [result for result in completed if result]

    async def _instances_in_bulk(self, results: Sequence[SearchResult]) -> dict[InstanceIdentifier, StoredInstance]:
        """Rows with metadata, of the series of which most instances are asked for."""
        asked: dict[tuple[str, str], int] = {}
        present: dict[tuple[str, str], int] = {}
        for result in results:
            if result.series and result.instance and self._needs_metadata(result):
                series = (result.study.study_instance_uid, result.series.series_instance_uid)
                asked[series] = asked.get(series, 0) + 1
                present[series] = result.series.instances
        scopes = [ResourceIdentifier(*series) for series, count in asked.items() if 1 < count >= present[series] / 2]
        found = await asyncio.gather(*(self._reads.instances(scope, metadata=True) for scope in scopes))
        return {instance.identifier: instance for instances in found for instance in instances}

    async def _one(self, result: SearchResult, read: dict[InstanceIdentifier, StoredInstance]) -> SearchResult | None:
        for attempt in range(1, _ATTEMPTS + 1):
            metadata = self._needs_metadata(result)
            if not metadata and not (needs_instance(self._query) and result.instance is None):
                return result
            identifier = result.identifier
            instance = read.get(identifier) if attempt == 1 else None
            instance = instance or await self._reads.instance(identifier, metadata=metadata)
            if instance:
                try:
                    document = await self._reads.document(instance) if metadata else None
                except BlobNotFound:  # replaced or erased while we looked
                    if attempt == _ATTEMPTS:
                        raise
                else:
                    return replace(result, instance=instance, metadata=document)
            elif self._query.level == "instance":
                return None
            again = await self._again(result)
            if again is None:
                return None
            result = again
        return None

    async def _again(self, result: SearchResult) -> SearchResult | None:
        """The result as of now; its newest instance has been deleted."""
        study = await self._reads.study(result.study.study_instance_uid)
        if study is None:
            return None
        if result.series is None:
            return SearchResult(study)
        series = study.series.get(result.series.series_instance_uid)
        return SearchResult(study, series, result.instance) if series else None

    def _needs_metadata(self, result: SearchResult) -> bool:
        return needs_metadata(self._query, result, character_set_as_stored=self._as_stored)
