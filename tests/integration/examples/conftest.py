"""What the programs and notebooks in `examples/` need, as somebody installs it who has cloned the project."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def python_of_examples():
    """The interpreter that they run in."""
    subprocess.run([ROOT / "scripts/setup-examples"], check=True, timeout=280)
    return ROOT / ".cache/examples/bin/python"
