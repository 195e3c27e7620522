"""A FHIR server of another project beside the service, on this machine: `scripts/setup-fhir` installs it."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession

from devhost.settings import Unusable

_ROOT: Final = Path(__file__).resolve().parent.parent
_PROGRAM: Final = _ROOT / ".cache/fhir/bin/sekmet"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0


class FhirServer:
    """A running server."""

    def __init__(self, folder: Path, port: int) -> None:
        """`folder`: where it keeps its data; `port`: where it listens, and nowhere but on this machine."""
        self._folder = folder
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Its base."""
        return f"http://127.0.0.1:{self._port}/fhir"

    def settings(self, service: str) -> dict[str, str]:
        """Settings of an app that writes into it; `service`: the address of that app."""
        return {
            "DicomCast__Enabled": "true",
            "DicomWeb__Endpoint": service,
            "Fhir__Endpoint": self.url,
            "Fhir__Authentication__Enabled": "false",
        }

    async def start(self) -> None:
        """Start it, with the data that are there; returns when it answers. Raises Unusable."""
        if not _PROGRAM.exists():
            raise Unusable("The FHIR server is not installed: scripts/setup-fhir does it")
        settings = self._folder / "settings.yaml"
        settings.write_text(
            f"base_url: {self.url}\nhost: 127.0.0.1\nport: {self._port}\ndb_path: {self._folder / 'fhir.db'}\n"
            "server_auth: {types: [none]}\nsimulator: {enabled: false}\nvalidation: {inbound: strict}\n"
            "log_inbound: false\n"
        )
        with (self._folder / "fhir.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(_PROGRAM), "serve", "-c", str(settings), stdout=log, stderr=log, cwd=self._folder
            )
        try:
            async with asyncio.timeout(_START_SECONDS), ClientSession() as session:
                while not await self._answers(session):
                    if self._process.returncode is not None:
                        raise Unusable("The FHIR server ended before it had begun")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unusable("The FHIR server does not answer") from None

    async def _answers(self, session: ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/metadata") as response:
                return response.status == 200
        except ClientError:
            return False

    async def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
            await self.kill()


@asynccontextmanager
async def running_fhir_server(port: int = 0) -> AsyncIterator[FhirServer]:
    """A server with a folder of its own, which ends with it; on any free port for 0. Raises Unusable."""
    with tempfile.TemporaryDirectory(prefix="fhir-") as folder:
        server = FhirServer(Path(folder), port or _free_port())
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
