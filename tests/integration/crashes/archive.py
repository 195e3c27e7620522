"""A client that stores, deletes and then looks at a study from every side, which must all show the same."""

import asyncio
import io
import random
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from shared.dicom.identifiers import InstanceIdentifier
from tests.builders.files import PATIENT_ID, File, file
from tests.builders.images import multipart, new_uid
from tests.conformance.exchange import parts

DICOM = "application/dicom"
JSON = "application/dicom+json"

_PAGE = 200
_ASKED_FOR = 250
"""Instances of a study, picked at random, that are asked for one by one in every other way than for their files."""
STUDY, SERIES, SOP_INSTANCE = "0020000D", "0020000E", "00080018"
FAILED, STORED, REASON = "00081198", "00081199", "00081197"
STUDY_SERIES, STUDY_INSTANCES, SERIES_INSTANCES = "00201206", "00201208", "00201209"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Status 0: the connection broke before or in the answer."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self):
        """The body, [] for 204."""
        return orjson.loads(self.content) if self.content else []

    @property
    def reasons(self) -> list[int]:
        """The failure reasons of a store."""
        return [item[REASON]["Value"][0] for item in self.json().get(FAILED, {}).get("Value", [])]

    @property
    def stored(self) -> set[str]:
        """The SOP Instance UIDs that a store has acknowledged."""
        if self.status not in {200, 202}:
            return set()
        return {item["00081155"]["Value"][0] for item in self.json().get(STORED, {}).get("Value", [])}


class Archive:
    """The service as one of its clients sees it."""

    def __init__(self, url: str, version: str = "v2") -> None:
        self.url = url
        self._base = f"{url}/{version}"
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        # A fresh connection for each request: one that is kept may have ended with the worker or host before.
        self._session = ClientSession(connector=TCPConnector(force_close=True, limit=0), timeout=ClientTimeout(120))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request; `_` in the name of a header stands for `-`."""
        assert self._session is not None
        data = io.BytesIO(body) if body else None
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            async with self._session.request(method, f"{self._base}/{path}", data=data, headers=fields) as reply:
                return Reply(reply.status, dict(reply.headers), await reply.read())
        except (ClientError, OSError, TimeoutError):
            return Reply(0, {}, b"")

    async def store(self, files: Sequence[File], method: str = "POST") -> Reply:
        """Store in one request."""
        body, content_type = multipart([one.data for one in files])
        return await self.send(method, "studies", body, Content_Type=content_type, Accept=JSON)

    async def delete(self, path: str) -> Reply:
        """Delete."""
        return await self.send("DELETE", path)

    async def search(self, path: str) -> list[dict]:
        """The results, all pages of them."""
        found: list[dict] = []
        paged = f"{path}{'&' if '?' in path else '?'}limit={_PAGE}"
        while True:
            reply = await self.send("GET", f"{paged}&offset={len(found)}", Accept=JSON)
            assert reply.status in {200, 204}, (path, reply)
            page = reply.json()
            found += page
            if len(page) < _PAGE:
                return found

    async def run(self, function: str) -> None:
        """Start a function by hand, as the portal does. It runs after this returns."""
        assert self._session is not None
        async with self._session.post(f"{self.url}/admin/functions/{function}", json={"input": ""}) as reply:
            assert reply.status == 202

    async def file_of(self, path: str) -> bytes | None:
        """An instance's file, None for 404."""
        reply = await self.send("GET", path, Accept=f"{DICOM}; transfer-syntax=*")
        assert reply.status in {200, 404}, (path, reply)
        return reply.content if reply.status == 200 else None

    async def look(self, study: str, versions: Sequence[File]) -> dict[str, File]:
        """What is there of a study: SOP Instance UID to the version that is stored. `versions` are all that could be.

        Fails unless retrieve, metadata and search agree at every level, and the counts.
        """
        identifiers = sorted({one.identifier for one in versions})
        files = await _some_at_a_time(self.file_of(_path(one)) for one in identifiers)
        one_by_one = list(zip(identifiers, files, strict=True))
        found = {}
        for identifier, content in one_by_one:
            if content is not None:
                matching = [each for each in versions if each.identifier == identifier and each.data == content]
                assert matching, "the file is none of those that were sent"
                found[identifier.sop_instance_uid] = matching[0]
        await asyncio.gather(self._compare_files(study, found), self._compare_searches(study, versions, found))
        asked_for = random.sample(one_by_one, min(_ASKED_FOR, len(one_by_one)))
        await _some_at_a_time(self._compare_one(identifier, content) for identifier, content in asked_for)
        return found

    async def _compare_one(self, identifier: InstanceIdentifier, content: bytes | None) -> None:
        reply = await self.send("GET", f"{_path(identifier)}/metadata", Accept=JSON)
        assert reply.status == (404 if content is None else 200)
        by_uid = await self.search(f"instances?SOPInstanceUID={identifier.sop_instance_uid}")
        assert _uids(by_uid) == ([] if content is None else [identifier.sop_instance_uid])

    async def _compare_files(self, study: str, found: dict[str, File]) -> None:
        scopes = {f"studies/{study}": list(found.values())}
        for one in found.values():
            series = one.identifier.series_instance_uid
            scopes.setdefault(f"studies/{study}/series/{series}", []).append(one)
        for scope, files in scopes.items():
            accept = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
            whole, metadata = await asyncio.gather(
                self.send("GET", scope, Accept=accept), self.send("GET", f"{scope}/metadata", Accept=JSON)
            )
            assert whole.status == metadata.status == (200 if files else 404), (whole.status, metadata.status, files)
            if files:
                assert sorted(part.body for part in parts(whole)) == sorted(one.data for one in files)
                assert sorted(_uids(metadata.json())) == sorted(one.identifier.sop_instance_uid for one in files)

    async def _compare_searches(self, study: str, versions: Sequence[File], found: dict[str, File]) -> None:
        present = sorted(found)
        by_series: dict[str, list[str]] = {}
        for one in found.values():
            by_series.setdefault(one.identifier.series_instance_uid, []).append(one.identifier.sop_instance_uid)
        counts = f"includefield={STUDY_SERIES},{STUDY_INSTANCES}"
        patient = patient_of(study)
        dated = f"PatientID={patient}&StudyDate=20240101-20241231"
        for query in (f"StudyInstanceUID={study}", f"PatientID={patient}", dated):
            results = await self.search(f"studies?{query}&{counts}")
            assert [result[STUDY]["Value"][0] for result in results] == ([study] if found else []), query
            for result in results:
                assert result[STUDY_INSTANCES]["Value"] == [len(found)]
                assert result[STUDY_SERIES]["Value"] == [len(by_series)]
        for path in (f"studies/{study}/series?", f"series?PatientID={patient}&", f"series?StudyInstanceUID={study}&"):
            results = await self.search(f"{path}includefield={SERIES_INSTANCES}")
            shown = {result[SERIES]["Value"][0]: result[SERIES_INSTANCES]["Value"][0] for result in results}
            assert shown == {uid: len(instances) for uid, instances in by_series.items()}, path
        for path in (f"studies/{study}/instances", f"instances?PatientID={patient}"):
            assert sorted(_uids(await self.search(path))) == present, path
        for series in {one.identifier.series_instance_uid for one in versions}:
            expected = sorted(by_series.get(series, []))
            assert sorted(_uids(await self.search(f"studies/{study}/series/{series}/instances"))) == expected
            results = await self.search(f"series?SeriesInstanceUID={series}")
            assert [result[SERIES]["Value"][0] for result in results] == ([series] if expected else [])


async def _some_at_a_time[T](coroutines: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Their results, in order; eight run at a time."""
    slots = asyncio.Semaphore(8)

    async def run(coroutine: Coroutine[object, object, T]) -> T:
        async with slots:
            return await coroutine

    return await asyncio.gather(*map(run, coroutines))


def patient_of(study: str) -> str:
    """Each study has a patient of its own."""
    return f"C{study[-20:]}"


def new_file(study: str, series: str | None = None, sop_instance: str | None = None, **options) -> File:
    """A file of that patient. `description`: the StudyDescription."""
    changes = {PATIENT_ID: patient_of(study)}
    if "description" in options:
        changes[0x00081030] = options["description"]
    return file(changes, study=study, series=series, sop_instance=sop_instance)


def new_files(count: int, *, series: int = 1, study: str | None = None) -> list[File]:
    """Files of one study, spread over some series."""
    study = study or new_uid()
    uids = [new_uid() for _ in range(series)]
    return [new_file(study, uids[number % series]) for number in range(count)]


def sops(files: Iterable[File]) -> set[str]:
    """Their SOP Instance UIDs."""
    return {one.identifier.sop_instance_uid for one in files}


def _path(one) -> str:
    uids = getattr(one, "identifier", one)
    return f"studies/{uids.study_instance_uid}/series/{uids.series_instance_uid}/instances/{uids.sop_instance_uid}"


def _uids(results: list[dict]) -> list[str]:
    return [result[SOP_INSTANCE]["Value"][0] for result in results]
