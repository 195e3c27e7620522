"""A service behind the proxy, and the same storage with a service that is left to finish its work."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devhost.testing import RunningService, running_azurite, running_service
from tests.integration.crashes.archive import Archive
from tests.integration.crashes.proxy import FaultPoint, StorageProxy, storage_proxy
from tests.integration.crashes.stored import Stored
from tests.integration.crashes.transactions import Attempt

ROOT: Final = Path(__file__).parents[3]
_REQUESTS_ALONE: Final = ("--http-only", "--no-blob-events")
"""No event and no timer disturbs the count of requests."""
_CHECKS: Final = 4


@dataclass(frozen=True, slots=True)
class Watched:
    """A service whose requests to storage pass the proxy."""

    service: RunningService
    proxy: StorageProxy
    archive: Archive
    storage: str
    """The connection string of the storage itself."""

    async def workers(self) -> list[int]:
        """The process ids of the workers that are up, when there is one."""
        while not (pids := await self.service.worker_pids()):
            await asyncio.sleep(0.1)
        return pids

    async def forget(self, point: FaultPoint) -> None:
        """Wait until the host knows that the worker is gone which died there: it may have died behind its answer, and
        a request that is sent to it meanwhile fails.
        """
        while point.hit and (not point.killed or point.killed in await self.service.worker_pids()):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def watched(*, workers: int = 1, settings: Mapping[str, str] | None = None) -> AsyncIterator[Watched]:
    """A service in which only requests start functions, behind a proxy, on an emulator in memory."""
    async with running_azurite() as azurite, storage_proxy(azurite) as proxy:
        own = {"AzureWebJobsStorage": azurite.connection_string, "DicomStorage": proxy.connection_string}
        async with (
            running_service(ROOT, own | dict(settings or {}), workers, _REQUESTS_ALONE) as service,
            Archive(service.url) as archive,
        ):
            yield Watched(service, proxy, archive, azurite.connection_string)


@asynccontextmanager
async def with_everything(storage: str, *, workers: int = 1) -> AsyncIterator[tuple[RunningService, Archive, Stored]]:
    """A service with events and timers, that erases what is deleted at once, on some storage."""
    settings = {
        "AzureWebJobsStorage": storage,
        "DicomStorage": storage,
        "DELETED_RETENTION_HOURS": "0",
        "AzureFunctionsJobHost__extensions__blobs__maxDegreeOfParallelism": "32",
    }
    async with (
        running_service(ROOT, settings, workers) as service,
        Archive(service.url) as archive,
        Stored.at(storage) as stored,
    ):
        yield service, archive, stored


async def check_after_restart(storage: str, attempts: Sequence[Attempt]) -> None:
    """Start the service on what is stored, let it finish, and compare."""
    async with with_everything(storage) as (_, archive, stored):
        faults = await stored.when_settled(archive, {attempt.study for attempt in attempts})
        assert not faults, faults
        changes = await stored.changes()
        slots = asyncio.Semaphore(_CHECKS)

        async def check(attempt: Attempt) -> None:
            async with slots:
                attempt.check(await archive.look(attempt.study, attempt.files), changes)

        await asyncio.gather(*map(check, attempts))
