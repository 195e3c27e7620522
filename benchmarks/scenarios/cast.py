"""DICOMcast beside a FHIR server of another project (`scripts/setup-fhir`): studies a second, requests, lag.

Requests for FHIR are counted in a proxy before that server, in this process: what it costs is in the times. The lag of
a study is from the answer to its store until the FHIR server says that it was written, on one clock.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench, Processes, Result, Telemetry
from benchmarks.service import LocalService
from devhost.fhir_server import running_fhir_server
from devhost.testing import running_azurite, running_service
from tests.builders.fhir_proxy import FhirProxy

_APP = Path(__file__).resolve().parents[2]
_FIRST = 7_000_000
_STUDIES = 200
_CLIENTS = 4
_LONE = 20
_LONE_SECONDS = 8.0
"""Between two lone studies: longer than changes are gathered."""
_LARGE = 1000
"""Instances of the large study."""
_LONGEST_SECONDS = 1800
_CAST = ("", "Endpoint", "Patient", "ImagingStudy", "Observation", "ServiceRequest")
"""What DICOMcast asks for; the dictionary of cohorts is collected beside it. '' is a transaction."""
_LOOK_SECONDS = 0.5


async def run(bench: Bench, _client: Client, _service: LocalService | None) -> None:
    """Starts a service of its own with a FHIR server; the one that it is given stays idle."""
    async with AsyncExitStack() as stack:
        fhir = await stack.enter_async_context(running_fhir_server())
        proxy = await stack.enter_async_context(FhirProxy(fhir.url).running())
        azurite = await stack.enter_async_context(running_azurite())
        settings = {
            "TELEMETRY_LEVEL": "INFO",
            "AUTHENTICATION_MODE": "off",
            "AzureWebJobsStorage": azurite.connection_string,
            "DicomStorage": azurite.connection_string,
            **fhir.settings("https://imaging.example.org/v2"),
            "Fhir__Endpoint": proxy.url,
            "Patient__PatientSystemId": "urn:oid:2.25.100.1",
        }
        casting = await stack.enter_async_context(running_service(_APP, settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        processes, telemetry = Processes(await casting.worker_pids()), Telemetry(casting.log_path)
        scene = _Scene(Client(f"{casting.url}/v2", session), session, f"{casting.url}/v2", proxy, fhir.url)
        await scene.store(_FIRST, 1)
        await scene.settle()  # what the first study loads and creates is not what a study costs

        async def measure(name: str, count: int, stored: Callable[[], Awaitable[None]], clients: int) -> None:
            scene.begin()
            telemetry.skip()
            cpu = processes.cpu_seconds()
            with processes:
                await stored()
                await scene.settle()
            ended, lags = await scene.lags()
            entries = await telemetry.entries("trigger", at_least=1, function="cast_message")
            note = f"{scene.requests / count:.1f} FHIR requests a study, {scene.transactions} transactions"
            bench.results.append(
                Result.of(
                    f"{name}: lag",
                    [lag * 1000 for lag in lags],
                    ended - scene.began,
                    concurrency=clients,
                    cpu_rounds_ms=((processes.cpu_seconds() - cpu) * 1000 / count,),
                    memory=(processes.peak, processes.peak - bench.idle),
                    entries=entries,
                    note=note,
                )
            )

        count, lone, many = bench.times(_STUDIES), bench.times(_LONE), bench.times(_LARGE)

        async def burst() -> None:
            numbers = iter(range(_FIRST + 1, _FIRST + 1 + count))

            async def store() -> None:
                for number in numbers:
                    await scene.store(number, 1)

            await asyncio.gather(*(store() for _ in range(_CLIENTS)))

        async def one_by_one() -> None:
            for number in range(lone):
                await scene.store(_FIRST + 10_000 + number, 1)
                await asyncio.sleep(_LONE_SECONDS)

        await measure(f"{count} new studies of one CT", count, burst, _CLIENTS)
        await measure("a lone study", lone, one_by_one, 1)
        await measure(f"a study of {many} instances", 1, lambda: scene.store(_FIRST + 20_000, many), 1)


class _Scene:
    """Stores, and looks at what became of them."""

    def __init__(self, client: Client, session: aiohttp.ClientSession, dicom: str, proxy: FhirProxy, fhir: str) -> None:
        self._client, self._session, self._dicom, self._proxy, self._fhir = client, session, dicom, proxy, fhir
        self._stored: dict[str, float] = {}
        self._seen: Counter[str] = Counter()
        self.began = 0.0

    def begin(self) -> None:
        """Forget what was stored before."""
        self._stored.clear()
        self._seen = Counter(self._proxy.requests)
        self.began = time.time()

    @property
    def requests(self) -> int:
        """For FHIR since then."""
        return sum(self._proxy.requests[kind] - self._seen[kind] for kind in _CAST)

    @property
    def transactions(self) -> int:
        """Of them."""
        return self._proxy.requests[""] - self._seen[""]

    async def store(self, study: int, count: int) -> None:
        """A study of so many small instances."""
        small = instances.small()
        await self._client.store([small.instance(study, 0, number) for number in range(count)])
        self._stored[f"urn:oid:{instances.uid(study, 0)}"] = time.time()

    async def settle(self) -> None:
        """Wait until everything is in FHIR."""
        newest = (await self._get(f"{self._dicom}/changefeed/latest?includeMetadata=false"))["sequence"]
        async with asyncio.timeout(_LONGEST_SECONDS):
            while True:
                told = await self._get(f"{self._dicom}/cast/status")
                if told["checkpoint"] >= newest and not told["studiesWaiting"]:
                    assert not told["studiesParked"]
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def lags(self) -> tuple[float, list[float]]:
        """When the last study was written, and seconds from store to FHIR of each."""
        written: dict[str, float] = {}
        target = f"{self._fhir}/ImagingStudy?_count=100"
        while target:
            page = await self._get(target)
            for entry in page.get("entry", []):
                resource = entry["resource"]
                at = datetime.fromisoformat(resource["meta"]["lastUpdated"]).timestamp()
                written[resource["identifier"][0]["value"]] = at
            target = next((each["url"] for each in page.get("link", []) if each["relation"] == "next"), "")
        found = {study: written[study] - at for study, at in self._stored.items()}
        return max(written[study] for study in found), [max(lag, 0.0) for lag in found.values()]

    async def _get(self, url: str) -> Any:
        async with self._session.get(url) as response:
            assert response.status == 200, response.status
            return await response.json(content_type=None)
