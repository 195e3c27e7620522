"""Every study that DICOM has: of this service's index, or of a search of another server."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from shared.cast.dirty_studies import StudyKey
from shared.cast.json_stream import read_object
from shared.cast.settings import CastSettings
from shared.cast.values import text
from shared.dicom.media_types import DICOM_JSON, JSON
from shared.dicomweb.partitions import DEFAULT_NAME, PartitionDirectory
from shared.index_schema import keys
from shared.index_schema.postings import ALL, value_range
from shared.outgoing.failures import Failure, answer_failed, request_failed
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


async def remote_studies(server: Server, settings: CastSettings) -> AsyncIterator[StudyKey]:
    """The studies that searches find, page by page. Raises RequestFailed."""
    if not settings.all_partitions:
        async for uid in _found(server, ""):
            yield StudyKey(DEFAULT_NAME, uid)
        return
    for partition in await _list(server, "partitions", JSON):
        name = str(partition.get("partitionName", ""))
        async for uid in _found(server, f"partitions/{quote(name, safe='')}/"):
            yield StudyKey(name, uid)


async def _found(server: Server, base: str) -> AsyncIterator[str]:
    """UIDs of the studies below one base."""
    offset = 0
    while found := await _list(server, f"{base}studies?limit={_PAGE}&offset={offset}", DICOM_JSON):
        for data_set in found:
            yield text(data_set, "0020000D")
        offset += len(found)
        if len(found) < _PAGE:
            return


async def _list(server: Server, target: str, accepted: str) -> list[Mapping[str, Any]]:
    """A JSON list of objects; empty for 204."""
    answer = await server.request("GET", target, headers={"Accept": accepted})
    if answer.status == 204:
        return []
    if answer.status != 200:
        raise answer_failed("DICOMweb", answer.status, answer.headers, answer.body)
    found = read_object(answer.body)
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise request_failed(Failure.UNUSABLE, "The DICOMweb server answered with something else than a list.")
    return found
