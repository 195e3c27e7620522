"""Export: small instances copied into a container of the emulator, as stored and de-identified, until all are there;
and what searches lose beside it.
"""

import asyncio
import json
import time
from typing import Any

from azure.storage.blob.aio import BlobServiceClient

from benchmarks import instances
from benchmarks.beside import Searches
from benchmarks.client import Client
from benchmarks.measure import Bench
from benchmarks.service import EXPORTED, LocalService

_STUDY = 8_700_000
_IN_A_STUDY = 20
_CLIENTS = 4
_SECONDS = 3600
_AROUND_SECONDS = 60.0
"""For so long searches go on before and after an export, at least."""


async def run(bench: Bench, client: Client, service: LocalService | None) -> None:
    """Needs a service of its own with everything on. CPU time is that of the worker, less what searches take when they
    are alone; the one sample is a whole export, the wait for the timer left out.
    """
    assert service is not None, "only of a service that is started here"
    studies = bench.times(250)
    await client.store_studies(_STUDY, studies, _IN_A_STUDY, clients=_CLIENTS)
    async with BlobServiceClient.from_connection_string(service.connection_string) as account:
        await account.create_container(EXPORTED)
    values = [instances.path(_STUDY + number, 0, 0).split("/")[1] for number in range(studies)]
    body: dict[str, Any] = {
        "source": {"type": "identifiers", "settings": {"values": values}},
        "destination": {
            "type": "azureBlob",
            "settings": {"connectionString": service.connection_string, "blobContainerName": EXPORTED},
        },
    }
    count = studies * _IN_A_STUDY
    await _measure(bench, client, f"export of {count} instances, as stored", count, body)

    async def search(number: int) -> None:
        assert await client.search(f"PatientID=PAT-{_STUDY + number % studies:08d}") == 1

    name = f"export of {count} instances, as stored"
    await _measure_beside(Searches(bench, search), client, name, count, body)
    body["deidentify"] = {"profile": "basic"}
    await _measure(bench, client, f"export of {count} instances, de-identified", count, body)


async def _measure(bench: Bench, client: Client, name: str, count: int, body: dict[str, Any]) -> None:
    await bench.until_quiet()
    with bench.processes:
        await _begin(bench, client, body)
        cpu, begin = bench.processes.cpu_seconds(), time.perf_counter()
        await _end(bench, count)
    elapsed, cpu = time.perf_counter() - begin, bench.processes.cpu_seconds() - cpu
    await bench.add_operation(name, count, elapsed, cpu, "nothing beside")


async def _measure_beside(searches: Searches, client: Client, name: str, count: int, body: dict[str, Any]) -> None:
    bench = searches.bench
    await bench.until_quiet()
    with bench.processes:
        searching = asyncio.create_task(searches.run())
        await asyncio.sleep(_AROUND_SECONDS)
        await _begin(bench, client, body)
        begin = time.perf_counter()
        await _end(bench, count)
        end = time.perf_counter()
        await searches.stop_after(max(_AROUND_SECONDS, (end - begin) / 2))
        await searching
    loss = searches.loss(begin, end)
    await bench.add_operation(name, count, end - begin, loss.work_cpu_seconds, str(loss))


async def _begin(bench: Bench, client: Client, body: dict[str, Any]) -> None:
    bench.telemetry.skip()
    await client.post_json("export", body, expect=202)
    await bench.telemetry.entries("exporting", at_least=1, seconds=_SECONDS)


async def _end(bench: Bench, count: int) -> None:
    [done] = await bench.telemetry.entries("exported", at_least=1, seconds=_SECONDS)
    assert done["exported"] == count, json.dumps(done)
