"""Rows of live instances whose file is not there, and whose file is marked as obsolete (DAT-55).

Nothing is changed: which of both is right, an operator decides.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.dicomweb.partitions import PartitionDirectory
from shared.index.instance_rows import BLOB_COLUMNS, original_blob_in
from shared.index_schema import blob_names, keys
from shared.index_schema.keys import StudyPlace
from shared.index_schema.postings import ALL
from shared.storage.ports import BlobNotFound, BlobStore, TableStore

_STUDIES = (f"{ALL}!", f'{ALL}"')
"""The list of all studies."""


@dataclass(slots=True)
class RowsChecked:
    """The findings of a look at the rows of one study."""

    instances: int = 0
    without_file: tuple[str, ...] = ()
    """The names of the files that are not there; they hold UIDs."""
    marked: tuple[str, ...] = ()
    """Files of live instances that are marked as obsolete: a rebuild would leave them out."""


class RowsWithoutFile:
    """Looks for rows without a file, study by study."""

    def __init__(self, tables: TableStore, blobs: BlobStore, partitions: PartitionDirectory, *, shards: int) -> None:
        self._tables = tables
        self._blobs = blobs
        self._partitions = partitions
        self._shards = shards

    async def run(self) -> AsyncIterator[RowsChecked]:
        """All studies of the index. Raises Unavailable."""
        for partition in await self._partitions.partitions():
            for shard in range(self._shards):
                async for place in self._studies(partition.namespace, shard):
                    yield await self._check(place)

    async def _studies(self, namespace: str, shard: int) -> AsyncIterator[StudyPlace]:
        low, last = _STUDIES[0], ""
        while True:
            page = await self._tables.page("idx", keys.posting_partition(shard, namespace), low, _STUDIES[1])
            for posting in page.entities:
                study = str(posting.properties["study"])
                if study != last:  # while its attributes change, a study has two rows, side by side
                    yield keys.study_place(namespace, study, self._shards)
                last = study
            if page.next_row_key is None:
                return
            low = page.next_row_key

    async def _check(self, place: StudyPlace) -> RowsChecked:
        rows = await self._tables.range("dicom", place.partition_key, *keys.INSTANCES, select=BLOB_COLUMNS)
        live = [row for row in rows if row.properties["live"]]
        files = [file for row in live for file in (str(row.properties["blob"]), original_blob_in(row)) if file]
        prefix = blob_names.blob_prefix(place.namespace, place.study_instance_uid)
        names = {blob.name async for blob in self._blobs.list(prefix)}
        return RowsChecked(
            len(live),
            tuple([name for name in files if name not in names and not await self._exists(name)]),
            tuple(name for name in files if blob_names.obsolete_mark(name) in names),
        )

    async def _exists(self, blob: str) -> bool:
        try:
            await self._blobs.properties(blob)
        except BlobNotFound:
            return False
        return True
