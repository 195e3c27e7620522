"""Bulk import: CT slices that are dropped into the import container, until each of them is stored."""

import asyncio
import time

from azure.storage.blob.aio import ContainerClient

from benchmarks import instances
from benchmarks.client import Client
from benchmarks.measure import Bench, Result
from benchmarks.service import LocalService

_UPLOADS = 8
_SECONDS = 600


async def run(bench: Bench, _: Client, service: LocalService | None) -> None:
    """Needs a service of its own with everything on. The one sample is the time of a whole batch, uploads included."""
    assert service is not None, "only of a service that is started here"
    for name, per_study in (("of one study", 1000), ("of many studies", 10)):
        await _measure(bench, service, f"import CT files {name}", bench.times(300), per_study)


async def _measure(bench: Bench, service: LocalService, name: str, files: int, per_study: int) -> None:
    template = instances.ct()
    base = 8_000_000 + 1000 * len(bench.results)
    await bench.until_quiet()
    bench.telemetry.skip()
    slots = asyncio.Semaphore(_UPLOADS)
    cpu = bench.processes.cpu_seconds()
    begin = time.perf_counter()
    async with ContainerClient.from_connection_string(service.connection_string, "import-container") as container:

        async def upload(number: int) -> None:
            async with slots:
                content = template.instance(base + number // per_study, 0, number % per_study)
                await container.upload_blob(f"{base}/{number}.dcm", content)

        with bench.processes:
            await asyncio.gather(*map(upload, range(files)))
            imports = await bench.telemetry.entries("import", at_least=files, seconds=_SECONDS)
            elapsed = time.perf_counter() - begin
            await bench.until_quiet()
    assert {entry["result"] for entry in imports} == {"stored"}
    used = bench.processes.cpu_seconds() - cpu
    bench.results.append(
        Result.of(
            name,
            [elapsed * 1000],
            elapsed,
            per=files,
            cpu_rounds_ms=(used * 1000 / files,),
            memory=bench.memory(),
            entries=await bench.telemetry.entries("trigger", at_least=0),
        )
    )
