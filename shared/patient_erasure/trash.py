"""Files of a patient that were deleted or replaced before, and wait for the end of their retention (PHI-1)."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from shared.index_schema import blob_names
from shared.index_schema.changes import ObsoleteBlob
from shared.ingest.file_patient import beginning_of
from shared.patient_erasure.traces import Subject
from shared.storage.ports import BlobNotFound, BlobStore
from shared.upkeep.erasure import Erasure

_FILES_AT_ONCE: Final = 8


class PatientTrash:
    """The trash, looked through file by file: no index says whose the files in it are."""

    def __init__(self, trash: Erasure, blobs: BlobStore) -> None:
        self._trash = trash
        self._blobs = blobs

    async def erase(self, subject: Subject) -> Mapping[str, Any]:
        """Erase the files of the subject at once. Raises Unavailable."""
        erased = 0
        slots = asyncio.Semaphore(_FILES_AT_ONCE)

        async def look(obsolete: ObsoleteBlob) -> bool:
            async with slots:
                return await self._erase(obsolete.blob, subject)

        async for waiting in self._trash.waiting(subject.partition.namespace):
            erased += sum(await asyncio.gather(*map(look, waiting)))
        return {"deletedFilesErased": erased}

    async def _erase(self, blob: str, subject: Subject) -> bool:
        try:
            source = await self._blobs.open(blob)
            attributes = await beginning_of(source.chunks())
        except BlobNotFound:  # it has been erased
            return False
        if attributes is None or not subject.patient.fits(attributes):
            return False
        # A file loses its mark last, as in every erasure.
        marks = (blob_names.committed_mark(blob), blob_names.obsolete_mark(blob))
        for name in (blob_names.metadata_blob(blob), blob_names.frames_blob(blob), blob, *marks):
            await self._blobs.delete(name)
        return True
