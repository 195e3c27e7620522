"""DICOMcast beside a FHIR server: what integration tests of it share."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self, get_args

from aiohttp import ClientSession

from shared.cast.dirty_studies import TABLE
from shared.cast.ports import CastTable
from shared.fhir.client import FhirClient
from shared.outgoing.server import Server
from shared.outgoing.settings import Anonymous, ServerSettings
from shared.outgoing.tokens import NoToken
from shared.storage.azure_tables import AzureTableStore
from shared.storage.connection import StorageConnection
from shared.storage.ports import PreconditionFailed, RowWrite
from tests.builders import osteosarcoma

BASE = osteosarcoma.BASE
TYPES = ("Patient", "Endpoint", "ImagingStudy", "Observation")
DICOM = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}


def settings(fhir: str, **more: str) -> dict[str, str]:
    """Those of the scenario (cohorts §9.2), for a FHIR server."""
    return {
        "DicomCast__Enabled": "true",
        "DicomCast__SettleSeconds": "1",
        "DicomCast__AccessionSystem": osteosarcoma.ACCESSION,
        "DicomCast__ResolveOrders": "true",
        "DicomWeb__Endpoint": BASE,
        "Fhir__Endpoint": fhir,
        "Fhir__Authentication__Enabled": "false",
        "Patient__PatientSystemId": osteosarcoma.MRN,
        **more,
    }


async def eventually[T](
    ask: Callable[[], Awaitable[T]], fits: Callable[[T], bool], seconds: float = 240, pause: float = 0.5
) -> T:
    """What is asked for, once it fits. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not fits(found := await ask()):
            await asyncio.sleep(pause)
    return found


class Fhir:
    """A FHIR server as a test looks into it."""

    def __init__(self, url: str) -> None:
        self.client = FhirClient(Server(ServerSettings("FHIR", url, Anonymous()), NoToken()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.client.close()

    async def load(self, resources: Iterable[dict[str, Any]]) -> None:
        """Store resources under their ids."""
        for resource in resources:
            await self.client.update(resource)

    async def all(self, kind: str) -> list[dict[str, Any]]:
        """Every resource of a type."""
        return [dict(each) for each in await self.client.search(kind, [])]

    async def versions(self) -> dict[str, str]:
        """Version ids of everything that DICOMcast may write."""
        return {f"{kind}/{each['id']}": each["meta"]["versionId"] for kind in TYPES for each in await self.all(kind)}

    async def studies(self) -> dict[int, dict[str, Any]]:
        """The ImagingStudies of the scenario, by number."""
        found = {}
        for each in await self.all("ImagingStudy"):
            uid = next(i["value"] for i in each["identifier"] if i["system"] == "urn:dicom:uid")
            found[int(uid.rpartition(".")[2])] = each
        return found

    async def content(self) -> dict[str, Any]:
        """What it holds, free of everything that a server chooses: ids are replaced by what they stand for."""
        held = {kind: await self.all(kind) for kind in TYPES}
        names = {
            f"{kind}/{each['id']}": f"{kind}/{each['identifier'][0]['value']}" for kind in TYPES for each in held[kind]
        }

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {
                    name: names.get(each, each) if name == "reference" else plain(each)
                    for name, each in value.items()
                    if name not in ("id", "meta")
                }
            return [plain(each) for each in value] if isinstance(value, list) else value

        return {names[f"{kind}/{each['id']}"]: plain(each) for kind in TYPES for each in held[kind]}


class Caster:
    """A service with DICOMcast, as a test asks it."""

    def __init__(self, service: Any, session: ClientSession) -> None:
        self.service = service
        self.session = session

    async def ask(self, path: str, method: str = "GET", body: Any = None, expected: int = 200) -> Any:
        """A JSON answer of `/v2/{path}`."""
        more = {} if body is None else {"json": body}
        async with self.session.request(method, f"{self.service.url}/v2/{path}", **more) as response:
            assert response.status == expected, await response.text()
            return await response.json(content_type=None)

    async def store(self, files: Iterable[bytes], method: str = "POST", expected: tuple[int, ...] = (200,)) -> None:
        """Store files, each by a request of its own."""
        slots = asyncio.Semaphore(4)

        async def one(data: bytes) -> None:
            async with (
                slots,
                self.session.request(method, f"{self.service.url}/v2/studies", data=data, headers=DICOM) as response,
            ):
                assert response.status in expected, await response.text()

        await asyncio.gather(*(one(each) for each in files))

    async def delete(self, path: str) -> None:
        """Delete below `/v2/studies`."""
        async with self.session.delete(f"{self.service.url}/v2/studies/{path}") as response:
            assert response.status == 204

    async def settled(self) -> dict[str, Any]:
        """Wait until every change up to now was seen, and no study waits any more; the status then."""
        return await self.seen(await self.newest())

    async def seen(self, sequence: int, *, timer: bool = False) -> dict[str, Any]:
        """The same, up to a change of the server whose studies are cast; `timer`: what would be a minute is now."""

        def is_seen(told: dict[str, Any]) -> bool:
            return told["newestSequence"] >= sequence and _is_settled(told)

        async def status() -> Any:
            told = await self.ask("cast/status")
            if timer and not is_seen(told):
                await self.let_timer_run()
            return told

        return await eventually(status, is_seen, pause=1.0 if timer else 0.5)

    async def let_timer_run(self) -> None:
        """The timer of the service does its chores."""
        async with self.session.post(f"{self.service.url}/admin/functions/housekeeping", json={}) as response:
            assert response.status == 202

    async def circuit_closed(self) -> None:
        """Wait until the open circuit closes; the minutes until its probes pass at once: its row is put back."""
        connection = StorageConnection.from_connection_string(self.service.connection_string)
        tables = AzureTableStore(connection.table_endpoint, connection.credential, kinds=get_args(CastTable.__value__))

        async def put_back() -> bool:
            row = await tables.get(TABLE, "circuit", "fhir")
            assert row is not None
            if not row.properties["failure"]:
                return True
            passed = {**row.properties, "probeAt": 0.0}
            with contextlib.suppress(PreconditionFailed):  # the service has written it meanwhile: once more
                await tables.commit(TABLE, [RowWrite("replace", "circuit", "fhir", passed, row.etag)])
                await self.let_timer_run()
            return False

        try:
            await eventually(put_back, bool, pause=1.0)
        finally:
            await tables.close()

    async def newest(self) -> int:
        """The sequence of the newest change; reading the feed numbers what is pending."""
        return int((await self.ask("changefeed/latest?includeMetadata=false"))["sequence"])

    async def operation(self, identifier: str) -> dict[str, Any]:
        """The results of an operation that has succeeded."""

        async def state() -> Any:
            # The timer does operations: what would be a minute here is let happen now.
            await self.let_timer_run()
            async with self.session.get(f"{self.service.url}/v2/operations/{identifier}") as response:
                return await response.json()

        ended = await eventually(state, lambda told: told["status"] in ("succeeded", "failed"), pause=2.0)
        assert ended["status"] == "succeeded", ended
        results: dict[str, Any] = ended.get("results") or {}
        return results

    async def differences(self, *, repair: bool = False) -> list[dict[str, Any]]:
        """What a verification finds."""
        started = await self.ask("cast/verify", "POST", {"repair": repair}, expected=202)
        results = await self.operation(started["id"])
        found: list[dict[str, Any]] = (await self.ask(f"cast/verify/{started['id']}"))["differences"]
        assert results["differences"] == len(found)
        return found


def _is_settled(told: dict[str, Any]) -> bool:
    return not told["lagEntries"] and not told["studiesWaiting"] and not told["circuit"]["open"]
