"""A FHIR server that this project did not write."""

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
