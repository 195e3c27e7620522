"""The parts of results beside the rows that they were found by: the newest instance of each, and metadata documents."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

from shared.dicom.identifiers import InstanceIdentifier, ResourceIdentifier
from shared.memory_budget import Lease
from shared.search.documents import Documents
from shared.search.reads import Reads
from shared.search.request import SearchQuery
from shared.search.result import SearchResult, needs_instance, needs_metadata
from shared.storage.ports import BlobNotFound

_ATTEMPTS = 3


async def _all[T](coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of coroutines that run side by side. When one fails, the others have ended before that is raised:
    they take the memory of the search, which is given back then.
    """
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _present(wanted: dict[InstanceIdentifier, SearchResult]) -> int:
    """The number of instances that the series of some results has."""
    series = next(iter(wanted.values())).series
    return series.instances if series else 0


class Completion:
    """Completes the results of one search."""

    def __init__(self, reads: Reads, query: SearchQuery, lease: Lease, *, character_set_as_stored: bool) -> None:
        """`lease`: memory for the results, until there is a response of them."""
        self._reads = reads
        self._documents = Documents(reads, query, lease)
        self._query = query
        self._as_stored = character_set_as_stored

    async def complete(self, results: Sequence[SearchResult]) -> list[SearchResult]:
        """The results with what the response needs; without those that have been deleted meanwhile."""
        instances = await self._instances_in_bulk(results) if self._query.level == "instance" else {}
        completed = await _all(self._one(result, instances) for result in results)
        return [result for result in completed if result]

    async def _instances_in_bulk(self, results: Sequence[SearchResult]) -> dict[InstanceIdentifier, SearchResult]:
        """Results with their metadata, of the series of which most instances are asked for."""
        asked: dict[tuple[str, str], dict[InstanceIdentifier, SearchResult]] = {}
        for result in results:
            if result.series and result.instance and self._needs_metadata(result):
                series = (result.study.study_instance_uid, result.series.series_instance_uid)
                asked.setdefault(series, {})[result.identifier] = result
        found: dict[InstanceIdentifier, SearchResult] = {}

        async def of_series(scope: ResourceIdentifier, wanted: dict[InstanceIdentifier, SearchResult]) -> None:
            async with aclosing(self._reads.stream(scope)) as instances:
                async for instance in instances:
                    result = wanted.get(instance.identifier)
                    if result is None:
                        continue
                    with suppress(BlobNotFound):  # replaced or erased while we looked: looked for again
                        document = await self._documents.of(instance)
                        found[instance.identifier] = replace(
                            result, instance=replace(instance, metadata=None), metadata=document
                        )

        await _all(
            of_series(ResourceIdentifier(*series), wanted)
            for series, wanted in asked.items()
            if 1 < len(wanted) >= _present(wanted) / 2
        )
        return found

    async def _one(self, result: SearchResult, read: dict[InstanceIdentifier, SearchResult]) -> SearchResult | None:
        if present := read.get(result.identifier):
            return present
        for attempt in range(1, _ATTEMPTS + 1):
            metadata = self._needs_metadata(result)
            if not metadata and not (needs_instance(self._query) and result.instance is None):
                return result
            identifier = result.identifier
            instance = await self._reads.instance(identifier, metadata=metadata)
            if instance:
                try:
                    document = await self._documents.of(instance) if metadata else None
                except BlobNotFound:  # replaced or erased while we looked
                    if attempt == _ATTEMPTS:
                        raise
                else:
                    return replace(result, instance=replace(instance, metadata=None), metadata=document)
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
