"""A FHIR server that this project did not write."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devhost.fhir_server import FhirServer, running_fhir_server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def fhir_installed() -> None:
    subprocess.run([ROOT / "scripts/setup-fhir"], check=True, timeout=240)


@pytest.fixture
async def fhir_server(fhir_installed: None) -> AsyncIterator[FhirServer]:
    """One of the test's own: empty."""
    async with running_fhir_server() as running:
        yield running


@pytest.fixture(scope="session")
def fhir_checks_installed() -> None:
    subprocess.run([ROOT / "scripts/setup-fhir-checks"], check=True, timeout=240)


@pytest.fixture
async def second_fhir_server(fhir_checks_installed: None) -> AsyncIterator[str]:
    """The base of a server of yet another project, in memory: without rollback of transactions."""
    installed = ROOT / ".cache/fhir-checks"
    shutil.copy(ROOT / "tests/fhir_server/second/server.mjs", installed)
    process = await asyncio.create_subprocess_exec(
        "node", str(installed / "server.mjs"), "0", stdout=asyncio.subprocess.PIPE, cwd=installed
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        process.kill()
        await process.wait()
