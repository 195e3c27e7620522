"""Rows that are older than an attribute: matching keys take it from the metadata instead.

So a search is right, if slow, while a re-index is under way (storage §8).
"""

from collections.abc import Collection, Mapping
from contextlib import aclosing
from dataclasses import replace

from shared.dicom.identifiers import ResourceIdentifier
from shared.index.documents import data_set_in
from shared.index.model import SeriesView, StoredInstance, StudyView
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import Level
from shared.index_search.scan import Effort
from shared.search.reads import Reads
from shared.search.request import SearchQuery


class OlderRows:
    """Completes what one search has read. What it reads itself counts as effort of the search."""

    def __init__(self, reads: Reads, query: SearchQuery, effort: Effort) -> None:
        self._reads = reads
        self._query = query
        self._effort = effort

    async def study(self, view: StudyView) -> StudyView:
        """A study and its series with the values of all matching keys. Raises TooLarge, BlobNotFound."""
        of_study = self._unsaid("study", view.schema)
        of_series = {
            uid: wanted for uid, each in view.series.items() if (wanted := self._unsaid("series", each.schema))
        }
        if not of_study and not of_series:
            return view
        latest: dict[tuple[str, str], tuple[str, str]] = {}
        scope = ResourceIdentifier(view.study_instance_uid)
        async with aclosing(self._reads.stream(scope)) as instances:
            async for instance in instances:
                series = instance.identifier.series_instance_uid
                change = keys.change_id(instance.version, series, instance.identifier.sop_instance_uid)
                found = await self._values(instance, (*of_study, *of_series.get(series, ())))
                for key, text in found.items():
                    place = ("" if key in of_study else series, key)
                    latest[place] = max(latest.get(place, ("", "")), (change, text))
        return replace(
            view,
            attributes=_completed(view, of_study, "", latest),
            series={
                uid: replace(each, attributes=_completed(each, of_series.get(uid, ()), uid, latest))
                for uid, each in view.series.items()
            },
        )

    async def instance(self, instance: StoredInstance) -> StoredInstance | None:
        """An instance with the values of all matching keys; None if it is no longer there. Raises TooLarge."""
        wanted = self._unsaid("instance", instance.schema)
        if not wanted:
            return instance
        read = await self._reads.instance(instance.identifier, metadata=True)
        if read is None:
            return None
        found = await self._values(read, wanted)
        return replace(read, attributes={**read.attributes, **found}, metadata=None)

    def _unsaid(self, level: Level, number: int) -> tuple[str, ...]:
        schema = self._query.schema
        return tuple(item.key for item in self._query.at(level) if not schema.carries(item.key, number))

    async def _values(self, instance: StoredInstance, wanted: Collection[str]) -> Mapping[str, str]:
        self._effort.allow()
        self._effort.rows += 1
        document = await self._reads.document(instance)
        data_set = await data_set_in(document)
        return self._query.schema.values(data_set, wanted)


def _completed(
    view: StudyView | SeriesView,
    unsaid: Collection[str],
    series: str,
    latest: Mapping[tuple[str, str], tuple[str, str]],
) -> dict[str, str]:
    known = {key: text for key, text in view.attributes.items() if key not in unsaid}
    return known | {key: latest[series, key][1] for key in unsaid if (series, key) in latest}
