"""CAST-RD-1 Studies of any DICOMweb server: its metadata, and what searches tell of study and series."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.cast.collecting import StudyCollector
from shared.cast.json_stream import ObjectStream, read_answer, read_object
from shared.cast.model import Study, Summary
from shared.cast.settings import CastSettings
from shared.cast.values import text
from shared.dicom.media_types import DICOM_JSON
from shared.outgoing.failures import Failure, answer_failed, request_failed
from shared.outgoing.server import Server

_ACCEPT = {"Accept": DICOM_JSON}
_PAGE = 200
_MOST_SERIES = 10_000
_MOST_INSTANCES = 1_000_000
"""Of one study: a server that has more does not end."""
_NOT_THERE = (204, 404, 410)


@dataclass(frozen=True, slots=True)
class RemoteStudies:
    """The StudySource that asks a server."""

    server: Server
    settings: CastSettings

    async def read(self, partition: str, study: str, etag: str) -> tuple[Study, str] | None:
        """As `StudySource.read` says. Raises RequestFailed, Unreadable."""
        base = self._base(partition)
        collector, stream = StudyCollector(study, self.settings), ObjectStream()
        headers = {**_ACCEPT, **({"If-None-Match": etag} if etag else {})}
        target = f"{base}studies/{quote(study, safe='')}/metadata"
        async with self.server.stream(target, headers=headers) as (answer, pieces):
            if answer.status == 304:
                return None
            if answer.status in _NOT_THERE:
                return collector.study(Summary()), ""
            if answer.status != 200:
                raise answer_failed("DICOMweb", answer.status, answer.headers, b"")
            instances = 0
            async for piece in pieces:
                for document in stream.feed(piece):
                    instances += 1
                    if instances > _MOST_INSTANCES:
                        raise request_failed(Failure.UNUSABLE, "The DICOMweb server sends too many instances.")
                    data_set = read_object(document)
                    if data_set is None:
                        collector.add_unreadable()
                    else:
                        collector.add(data_set)
            stream.end()
        return collector.study(await self._summary(base, study)), answer.headers.get("etag", "")

    def _base(self, partition: str) -> str:
        return f"partitions/{quote(partition, safe='')}/" if self.settings.all_partitions else ""

    async def _summary(self, base: str, study: str) -> Summary:
        uid = quote(study, safe="")
        studies = await self._search(f"{base}studies?StudyInstanceUID={uid}&includefield=all")
        series: dict[str, Any] = {}
        while found := await self._search(
            f"{base}studies/{uid}/series?includefield=all&limit={_PAGE}&offset={len(series)}"
        ):
            before = len(series)
            series |= {text(each, "0020000E"): each for each in found}
            if len(series) > _MOST_SERIES:
                raise request_failed(Failure.UNUSABLE, "The DICOMweb server finds too many series.")
            if len(found) < _PAGE or len(series) == before:
                break
        return Summary(studies[0] if studies else {}, series)

    async def _search(self, target: str) -> list[Any]:
        answer = await self.server.request("GET", target, headers=_ACCEPT)
        if answer.status in _NOT_THERE:
            return []
        if answer.status != 200:
            raise answer_failed("DICOMweb", answer.status, answer.headers, answer.body)
        found = await read_answer(answer.body)
        if not isinstance(found, list):
            raise request_failed(Failure.UNUSABLE, "The DICOMweb server answered a search with something else.")
        return [each for each in found if isinstance(each, dict)]
