"""The service under test, started for a group of scenarios: the local host, one worker process, no data kept."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import aiohttp

from benchmarks.measure import Telemetry
from devhost.testing import running_azurite, running_service
from shared.storage.connection import StorageConnection

EXPORTED = "exported"
"""The container that exports may be sent to."""
_SETTLE_SECONDS = 600
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class LocalService:
    """A running service: its URL, its storage, its worker processes and the log with their telemetry."""

    url: str
    connection_string: str
    worker_pids: list[int]
    log: Path

    async def settle(self, telemetry: Telemetry) -> None:
        """Have all changes numbered and folded, as the timer or an announcement would have it; none is under way
        without `background`.
        """
        telemetry.skip()
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/admin/functions/housekeeping", json={}) as response,
        ):
            assert response.status == 202, response.status
        [entry] = await telemetry.entries("trigger", at_least=1, function="sweep_changes", seconds=_SETTLE_SECONDS)
        assert "failed" not in entry


@asynccontextmanager
async def local_service(
    *, background: bool, settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[LocalService]:
    """Start the service on free ports, with further `settings`; it ends with the context.

    Without `background`, requests alone start functions: the CPU time of the worker is that of the transactions. With
    it, blob events, announcements of changes and timers have their part as they have on Azure.
    """
    options = () if background else ("--http-only",)
    async with running_azurite() as azurite:
        blobs = StorageConnection.from_connection_string(azurite.connection_string).blob_endpoint
        own = {
            "TELEMETRY_LEVEL": "INFO",
            "AUTHENTICATION_MODE": "off",
            "AzureWebJobsStorage": azurite.connection_string,
            "DicomStorage": azurite.connection_string,
            "EXPORT_DESTINATIONS": f"{blobs}/{EXPORTED}",
        }
        with tempfile.TemporaryDirectory() as secrets:
            own["SECRET_STORE"] = Path(secrets).as_uri()
            async with running_service(_ROOT, {**own, **settings}, options=options) as service:
                yield LocalService(
                    service.url, service.connection_string, await service.worker_pids(), service.log_path
                )
