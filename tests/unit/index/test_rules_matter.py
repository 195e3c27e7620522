"""Leaving out any one rule of the storage design fails a test (storage §10)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.index.rules import OMISSIONS, Omission

ROOT = Path(__file__).resolve().parents[3]
_TESTS = (
    *(f"index/test_{name}" for name in ("commit", "fold", "deletion", "expiry", "lookup", "histories")),
    *(f"change_log/test_{name}" for name in ("sequencer", "reader")),
    *(f"upkeep/test_{name}" for name in ("erasure", "scrubber")),
)
_FAILED = 1
"""The exit code of pytest when tests ran and some failed; others mean that they could not run."""


def by_rule(omission: Omission) -> str:
    return omission.rule


@pytest.mark.parametrize("omission", OMISSIONS, ids=by_rule)
def test_the_rule_is_where_it_is_said_to_be(omission: Omission) -> None:
    source = (ROOT / "shared" / f"{omission.module}.py").read_text()
    assert source.count(omission.keeps) == 1
    compile(source.replace(omission.keeps, omission.breaks), omission.module, "exec")


@pytest.mark.nightly
@pytest.mark.parametrize("omission", OMISSIONS, ids=by_rule)
def test_leaving_it_out_fails_a_test(omission: Omission, tmp_path: Path) -> None:
    for name in ("shared", "tests", "devhost"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module = tmp_path / "shared" / f"{omission.module}.py"
    module.write_text(module.read_text().replace(omission.keeps, omission.breaks))
    tests = [f"tests/unit/{name}.py" for name in _TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not nightly", "--timeout", "60", *tests]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == _FAILED, run.stdout[-2000:]
