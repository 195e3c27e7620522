"""Fixtures for every test: the storage emulator, the service on it, and no sockets where tests are pure."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from pytest_socket import disable_socket, enable_socket

from devhost.azurite.emulator import Azurite
from devhost.testing import RunningService, running_azurite, running_service

pytest_plugins = ["pytester", "tests.log_scan"]
ROOT = Path(__file__).resolve().parent.parent
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")  # machines are shared: no test fails because of the time it took

_PURE = (ROOT / "tests/unit", ROOT / "tests/architecture")


@dataclass(frozen=True)
class OutsideService:
    """A service that runs elsewhere: DICOMWEB_URL names it. Its storage is out of reach."""

    url: str
    connection_string: str = ""


type FreshService = Callable[..., Awaitable[RunningService]]
"""`await fresh_service(settings={}, workers=1, app=ROOT, options=())` starts a service of the test's own."""


@pytest.fixture(autouse=True)
def _no_sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Unit and architecture tests open no sockets; the event loop's own pair is a UNIX one."""
    if not any(request.path.is_relative_to(pure) for pure in _PURE):
        yield
        return
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="session")
async def azurite() -> AsyncIterator[Azurite]:
    """An emulator in memory, on free ports; one for each process that runs tests."""
    async with running_azurite() as running:
        yield running


@pytest.fixture(scope="session")
async def own_service(azurite: Azurite) -> AsyncIterator[RunningService]:
    """The service on the emulator of `azurite`, run once for each process that runs tests."""
    connection = azurite.connection_string
    async with running_service(ROOT, {"AzureWebJobsStorage": connection, "DicomStorage": connection}) as running:
        yield running


@pytest.fixture(scope="session")
def service(request: pytest.FixtureRequest) -> RunningService | OutsideService:
    """The service under test: the one at DICOMWEB_URL, else `own_service`."""
    outside = os.environ.get("DICOMWEB_URL")
    if outside:
        return OutsideService(outside.rstrip("/"))
    running: RunningService = request.getfixturevalue("own_service")
    return running


@pytest.fixture
async def fresh_service() -> AsyncIterator[FreshService]:
    """Starts services that a test may kill. Where `settings` name no storage, each has an emulator of its own.

    That emulator is not the host's child, so the data survives `RunningService.kill`.
    """
    async with AsyncExitStack() as stack:

        async def start(
            settings: Mapping[str, str] | None = None,
            workers: int = 1,
            app: Path = ROOT,
            options: Sequence[str] = (),
        ) -> RunningService:
            settings = dict(settings or {})
            if "AzureWebJobsStorage" not in settings:
                connection = (await stack.enter_async_context(running_azurite())).connection_string
                settings |= {"AzureWebJobsStorage": connection}
            settings.setdefault("DicomStorage", settings["AzureWebJobsStorage"])
            return await stack.enter_async_context(running_service(app, settings, workers, options))

        yield start
