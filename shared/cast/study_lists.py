"""Every study that DICOM has: of this service's index, or of a search of another server."""

from collections.abc import AsyncIterator
from typing import Any

from shared.cast.dirty_studies import StudyKey
from shared.cast.json_stream import read_object
from shared.cast.settings import CastSettings
from shared.cast.values import text
from shared.dicom.media_types import DICOM_JSON
from shared.dicomweb.partitions import DEFAULT_NAME, PartitionDirectory
from shared.index_schema import keys
from shared.index_schema.postings import ALL, value_range
from shared.outgoing.failures import answer_failed
from shared.outgoing.server import Server
from shared.storage.ports import TableStore

_PAGE = 200


async def own_studies(
    tables: TableStore, partitions: PartitionDirectory, settings: CastSettings, shards: int
) -> AsyncIterator[StudyKey]:
    """The studies of the index. One that changes meanwhile may come twice."""
    for partition in await partitions.partitions():
        if not settings.all_partitions and partition.name != DEFAULT_NAME:
            continue
        for shard in range(shards):
            low, high = value_range(ALL, "")
            while low:
                place = keys.posting_partition(shard, partition.namespace)
                page = await tables.page("idx", place, low, high, select=("study",))
                for study in dict.fromkeys(str(each.properties["study"]) for each in page.entities):
                    yield StudyKey(partition.name, study)
                low = page.next_row_key or ""


async def remote_studies(server: Server) -> AsyncIterator[StudyKey]:
    """The studies that a search finds, page by page. Raises RequestFailed."""
    offset = 0
    while True:
        target = f"studies?limit={_PAGE}&offset={offset}"
        answer = await server.request("GET", target, headers={"Accept": DICOM_JSON})
        if answer.status == 204:
            return
        if answer.status != 200:
            raise answer_failed("DICOMweb", answer.status, answer.headers, answer.body)
        found: Any = read_object(answer.body)
        if not isinstance(found, list) or not found:
            return
        for data_set in found:
            yield StudyKey(DEFAULT_NAME, text(data_set, "0020000D"))
        offset += len(found)
        if len(found) < _PAGE:
            return
