"""Files of a patient in the import container and among those that were refused (PHI-1)."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from shared.bulk_import.completion import CompletedFile
from shared.bulk_import.request import partition_of
from shared.bulk_import.transaction import Inbox
from shared.dicom.attributes import Attributes
from shared.errors import InvalidRequest
from shared.ingest.file_patient import beginning_of
from shared.storage.ports import BlobNotFound, BlobProperties, BlobStore

type IsOfPatient = Callable[[Attributes], bool]


class ImportLeftovers:
    """The files that wait to be imported, and those that were refused."""

    def __init__(self, inbox: Inbox, refused: BlobStore, *, data_partitions: bool) -> None:
        """`refused`: the container of files that were refused (IMP-6)."""
        self._containers = (inbox.files, refused)
        self._data_partitions = data_partitions

    async def erase(self, partition: str, is_of_patient: IsOfPatient) -> Mapping[str, Any]:
        """Erase those of a data partition, by name, that are of a patient; how many, and how many there are that cannot
        be read: they may be anybody's. Raises Unavailable.
        """
        erased = unreadable = 0
        for container in self._containers:
            async for file in container.list():
                if self._partition(file.name) != partition.casefold():
                    continue
                with suppress(BlobNotFound):  # imported, or removed, meanwhile
                    attributes = await self._attributes(container, file)
                    unreadable += attributes is None
                    if attributes is not None and is_of_patient(attributes):
                        erased += await container.delete(file.name, etag=file.etag)
        return {"importFilesErased": erased, "importFilesNotReadable": unreadable}

    async def _attributes(self, container: BlobStore, file: BlobProperties) -> Attributes | None:
        return await beginning_of((await CompletedFile.of(await container.open(file.name))).chunks())

    def _partition(self, name: str) -> str:
        try:
            return partition_of(name, data_partitions=self._data_partitions).casefold()
        except InvalidRequest:
            return ""
