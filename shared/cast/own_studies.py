"""CAST-RD-1 Studies of this very service, read from its index."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from shared.cast.collecting import SERIES_TAGS, STUDY_TAGS, StudyCollector
from shared.cast.model import Study, Summary
from shared.cast.settings import CastSettings
from shared.dicom.identifiers import ResourceIdentifier
from shared.dicomweb.json_model import large, loads
from shared.dicomweb.partitions import Partition, PartitionDirectory
from shared.index.documents import read_metadata
from shared.index.lookup import InstanceLookup
from shared.index.model import StudyView
from shared.storage.ports import BlobNotFound, BlobStore

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_PERSON_NAMES = frozenset({"00080090", "00081050", "00081060", "00081070", "00100010"})


@dataclass(frozen=True, slots=True)
class OwnStudies:
    """The StudySource that reads the index."""

    lookup: InstanceLookup
    blobs: BlobStore
    partitions: PartitionDirectory
    settings: CastSettings

    async def read(self, partition: str, study: str, etag: str) -> tuple[Study, str] | None:
        """As `StudySource.read` says. Raises Unavailable."""
        place = await self.partitions.resolve(partition, create=False)
        found = await self.lookup.instances(place, ResourceIdentifier(study), metadata=False)
        versions = sorted(each.version for each in found)
        now = hashlib.sha256(repr(versions).encode()).hexdigest()[:32] if versions else ""
        if now and now == etag:
            return None
        collector = StudyCollector(study, self.settings)
        if versions:
            async with aclosing(self._data_sets(place, study)) as data_sets:
                async for data_set in data_sets:
                    collector.add(data_set)
        view = await self.lookup.study(place, study)
        return collector.study(_summary(view) if view else Summary()), now

    async def _data_sets(self, place: Partition, study: str) -> AsyncGenerator[Any]:
        async with aclosing(self.lookup.stream(place, ResourceIdentifier(study))) as instances:
            async for instance in instances:
                try:
                    document = await read_metadata(instance, self.blobs)
                except BlobNotFound:  # deleted or replaced meanwhile: that change has a mark of its own
                    continue
                yield await asyncio.to_thread(loads, document) if large(document) else loads(document)


def _summary(view: StudyView) -> Summary:
    series = {uid: _elements(each.attributes, SERIES_TAGS) for uid, each in view.series.items()}
    return Summary(_elements(view.attributes, STUDY_TAGS), series)


def _elements(attributes: Mapping[str, str], tags: tuple[str, ...]) -> dict[str, Any]:
    return {tag: {"Value": [_value(tag, attributes[tag])]} for tag in tags if attributes.get(tag)}


def _value(tag: str, text: str) -> Any:
    if tag not in _PERSON_NAMES:
        return text
    return {group: part for group, part in zip(_GROUPS, text.split("="), strict=False) if part}
