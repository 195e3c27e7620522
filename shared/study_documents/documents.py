"""Data of a study that are in none of its files, kept beside them (DAT-53).

A document holds all of it, so that one read gives it back after a loss of the tables. Blobs never change: a change is
the document of the next number, which only one writer can make, and the one before is removed afterwards. It is written
before the rows that say the same, so that nothing is acknowledged that a loss of the tables could take.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from shared.index_schema.keys import StudyPlace
from shared.index_schema.service_documents import parse_study_document, study_document, study_documents
from shared.storage.optimistic import Rounds
from shared.storage.ports import BlobExists, BlobNotFound, BlobStore

_VERSION: Final = "version"


@dataclass(frozen=True, slots=True)
class StudyDocument:
    """The document of one number."""

    number: int
    version: int
    """Greater than those of all changes of the study that it follows."""
    members: Mapping[str, Any] = field(repr=False)
    """By what each is about; writers leave those of others as they are."""


class StudyDocuments:
    """The documents of studies, in the container of their files."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def latest(self, place: StudyPlace) -> StudyDocument | None:
        """The document with the greatest number; None if there is none. Raises Unavailable."""
        rounds = Rounds("The study changes too fast to be read")
        while True:
            await rounds.next()
            versions = await self._versions(place)
            if not versions:
                return None
            number = max(versions)
            try:
                members = orjson.loads(await self._blobs.read(_name(place, number)))
            except BlobNotFound:  # a later one is there
                continue
            return StudyDocument(number, versions[number], members)

    async def add(self, place: StudyPlace, document: StudyDocument) -> bool:
        """Write the document of a number that there is not yet; False if somebody was faster. Raises Unavailable."""
        data = orjson.dumps(document.members)
        try:
            await self._blobs.put(_name(place, document.number), data, {_VERSION: str(document.version)})
        except BlobExists:
            return False
        return True

    async def remove(self, place: StudyPlace, *, version: int) -> None:
        """Remove those of at most that version: the study had no instance since. Raises Unavailable."""
        for number, of_document in (await self._versions(place)).items():
            if of_document <= version:
                await self._blobs.delete(_name(place, number))

    async def remove_before(self, place: StudyPlace, number: int) -> None:
        """Remove those that a later one stands for. Raises Unavailable."""
        for former in await self._versions(place):
            if former < number:
                await self._blobs.delete(_name(place, former))

    async def _versions(self, place: StudyPlace) -> dict[int, int]:
        """The versions of the documents that there are, by their numbers."""
        prefix = study_documents(place.namespace, place.study_instance_uid)
        return {
            name.number: int(blob.metadata.get(_VERSION, "0"))
            async for blob in self._blobs.list(prefix)
            if (name := parse_study_document(blob.name))
        }


def _name(place: StudyPlace, number: int) -> str:
    return study_document(place.namespace, place.study_instance_uid, number)
