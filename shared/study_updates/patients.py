"""The studies of a patient, and what they say of the patient (MRG-1)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.dicom.elements import first_text
from shared.dicomweb.partitions import Partition
from shared.index.documents import data_set_in, read_metadata
from shared.index.lookup import InstanceLookup
from shared.index.model import StudyView
from shared.index_schema import keys
from shared.index_schema.indexed_attributes import PATIENT_ID
from shared.index_schema.postings import value_range
from shared.index_schema.schema import BUILT_IN
from shared.storage.ports import BlobNotFound, BlobStore, TableStore

ISSUER = "00100021"
"""IssuerOfPatientID."""
_STUDIES_AT_ONCE = 16
_INSTANCES_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient, as studies name it. Both are compared as they are, but for padding."""

    identifier: str
    issuer: str = ""
    """Empty: whatever the studies say."""

    def conditions(self) -> dict[str, str]:
        """The attributes of the patient in a data set."""
        return {PATIENT_ID: self.identifier, **({ISSUER: self.issuer} if self.issuer else {})}

    def fits(self, data_set: Mapping[str, Any]) -> bool:
        """Whether a data set is of the patient."""
        return has_values(data_set, self.conditions())


def has_values(data_set: Mapping[str, Any], conditions: Mapping[str, str]) -> bool:
    """Whether a data set has these values, padding aside."""
    return all((first_text(data_set, tag) or "").strip(" \0") == text for tag, text in conditions.items())


@dataclass(frozen=True, slots=True)
class StudyOfPatient:
    """A study of which instances are a patient's."""

    study: str
    own: int
    others: int
    """Instances of somebody else."""


def patient_of(data_set: Mapping[str, Any]) -> Patient:
    """The patient that a data set names; its identifier is empty if it names none."""
    return Patient(*((first_text(data_set, tag) or "").strip(" \0") for tag in (PATIENT_ID, ISSUER)))


class PatientStudies:
    """Looks for the studies of a patient. `shards` is the number of shards of the store."""

    def __init__(self, tables: TableStore, blobs: BlobStore, lookup: InstanceLookup, *, shards: int) -> None:
        self._tables = tables
        self._blobs = blobs
        self._lookup = lookup
        self._shards = shards

    async def find(self, partition: Partition, patient: Patient) -> list[str]:
        """The studies of which an instance is of the patient, newest first. Raises Unavailable."""
        names = await self._posted(partition, patient.identifier)
        slots = asyncio.Semaphore(_STUDIES_AT_ONCE)

        async def study(name: str) -> StudyView | None:
            async with slots:
                view = await self._lookup.study(partition, name)
                return view if view and await self._has_instance(partition, name, patient) else None

        views = [view for view in await asyncio.gather(*map(study, names)) if view]
        return [view.study_instance_uid for view in sorted(views, key=lambda view: view.sort_key)]

    async def counted(self, partition: Partition, patient: Patient) -> list["StudyOfPatient"]:
        """The same by UID, with whose their instances are. Raises Unavailable."""
        slots = asyncio.Semaphore(_STUDIES_AT_ONCE)

        async def count(study: str) -> StudyOfPatient:
            async with slots:
                fits = [patient.fits(each) async for each in self._data_sets(partition, study)]
                return StudyOfPatient(study, sum(fits), len(fits) - sum(fits))

        return list(await asyncio.gather(*map(count, sorted(await self.find(partition, patient)))))

    async def description(self, partition: Partition, patient: Patient) -> Mapping[str, Any] | None:
        """The data set of an instance of the newest study of the patient; None if there is none. Raises Unavailable."""
        for study in await self.find(partition, patient):
            async for data_set in self._data_sets(partition, study):
                if patient.fits(data_set):
                    return data_set
        return None

    async def newest(self, partition: Partition, study: str) -> Mapping[str, Any] | None:
        """The data set of the newest instance of a study; None if there is none. Raises Unavailable."""
        view = await self._lookup.study(partition, study)
        stored = view and await self._lookup.instance(partition, view.newest, metadata=True)
        if not stored:
            return None
        try:
            return await data_set_in(await read_metadata(stored, self._blobs))
        except BlobNotFound:  # deleted or replaced meanwhile
            return None

    # ----------------------------------------------------------------------------------------------------- inside

    async def _posted(self, partition: Partition, identifier: str) -> list[str]:
        """The studies that are listed under a PatientID, or were."""
        [code] = BUILT_IN.attributes[PATIENT_ID].codes
        bounds = value_range(code, keys.encode(identifier))
        lists = await asyncio.gather(
            *(
                self._tables.range(
                    "idx", keys.posting_partition(shard, partition.namespace), *bounds, select=("study",)
                )
                for shard in range(self._shards)
            )
        )
        return list(dict.fromkeys(str(row.properties["study"]) for rows in lists for row in rows))

    async def _has_instance(self, partition: Partition, study: str, patient: Patient) -> bool:
        async for data_set in self._data_sets(partition, study):
            if patient.fits(data_set):
                return True
        return False

    async def _data_sets(self, partition: Partition, study: str) -> AsyncIterator[Mapping[str, Any]]:
        place = keys.study_place(partition.namespace, study, self._shards)
        start: str | None = ""
        while start is not None:
            page, start = await self._lookup.walk(place, start, top=_INSTANCES_AT_ONCE)
            for each in page:
                try:
                    document = await read_metadata(each.stored, self._blobs)
                except BlobNotFound:  # deleted or replaced meanwhile
                    continue
                yield await data_set_in(document)
