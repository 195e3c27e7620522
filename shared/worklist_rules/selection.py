"""AIX-2 Which series of a study a rule is about: judged by what the index has of them, then by their metadata."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.concurrency import together
from shared.dicomweb.json_model import large, loads
from shared.index.documents import read_metadata
from shared.index.lookup import InstanceLookup
from shared.index.model import SeriesView, StudyView
from shared.index_schema.attribute_extraction import indexed_text
from shared.index_schema.clock import milliseconds
from shared.index_schema.indexed_attributes import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from shared.storage.ports import BlobNotFound, BlobStore
from shared.worklist_rules.rule import Condition, WorklistRule

MOST_SERIES: Final = 200
"""Of a study that are looked at, the newest: each may cost a reading of its metadata."""
_PARALLEL: Final = 8


@dataclass(frozen=True, slots=True)
class SelectedSeries:
    """A series that a rule is about."""

    view: SeriesView
    metadata: Mapping[str, Any] = field(repr=False)
    """The data set of its newest instance."""


class SeriesMetadata:
    """The metadata of the series of one study: each is read once, and only when something asks for it."""

    def __init__(self, namespace: str, lookup: InstanceLookup, blobs: BlobStore) -> None:
        self._namespace = namespace
        self._lookup = lookup
        self._blobs = blobs
        self._read: dict[str, Mapping[str, Any]] = {}
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def of(self, series: SeriesView) -> Mapping[str, Any]:
        """The data set of the newest instance of a series; empty if it has gone meanwhile. Raises Unavailable."""
        uid = series.series_instance_uid
        if uid not in self._read:
            async with self._slots:
                self._read[uid] = await self._newest(series)
        return self._read[uid]

    async def _newest(self, series: SeriesView) -> Mapping[str, Any]:
        instance = await self._lookup.instance_in(self._namespace, series.newest, metadata=True)
        if instance is None:
            return {}
        try:
            document = await read_metadata(instance, self._blobs)
        except BlobNotFound:  # deleted or replaced since it was looked up
            return {}
        found: Mapping[str, Any] = await asyncio.to_thread(loads, document) if large(document) else loads(document)
        return found


async def selected(
    rule: WorklistRule, study: StudyView, metadata: SeriesMetadata, *, only_new: bool = True
) -> list[SelectedSeries]:
    """The series of a study that a rule is about, by their UIDs. `only_new`: not those that are older than the rule.

    Raises Unavailable.
    """
    views = [
        view
        for view in list(study.series.values())[:MOST_SERIES]
        if view.instances >= rule.minimum_instances
        and (not only_new or _created_ms(view) >= rule.created_ms)
        and all(_may_meet(each, study, view) for each in rule.conditions)
    ]
    data_sets = await together(*(metadata.of(view) for view in views))
    return sorted(
        (
            SelectedSeries(view, data_set)
            for view, data_set in zip(views, data_sets, strict=True)
            if data_set and all(_meets(each, study, view, data_set) for each in rule.conditions)
        ),
        key=lambda found: found.view.series_instance_uid,
    )


def _created_ms(view: SeriesView) -> int:
    return milliseconds(2**64 - 1 - int(view.sort_key, 16))


def _known(path: str, study: StudyView, view: SeriesView) -> str | None:
    """The value that the index has; None: it has none, or does not carry the attribute."""
    if path == STUDY_INSTANCE_UID:
        return study.study_instance_uid
    if path == SERIES_INSTANCE_UID:
        return view.series_instance_uid
    return view.attributes.get(path) or study.attributes.get(path)


def _may_meet(condition: Condition, study: StudyView, view: SeriesView) -> bool:
    text = _known(condition.path, study, view)
    return text is None or any(match.matches(text) for match in condition.matches)


def _meets(condition: Condition, study: StudyView, view: SeriesView, data_set: Mapping[str, Any]) -> bool:
    text = _known(condition.path, study, view)
    if text is None:
        text = indexed_text(data_set, condition.path)
    return any(match.matches(text) for match in condition.matches)
