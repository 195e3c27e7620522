"""Leaving out any one rule of the storage design fails a test (storage §10)."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.index.rules import OMISSIONS, Omission, leave_out, marked

ROOT = Path(__file__).resolve().parents[3]
_TESTS = (
    *(f"index/test_{name}" for name in ("commit", "fold", "deletion", "expiry", "lookup", "histories")),
    *(f"change_log/test_{name}" for name in ("sequencer", "reader", "passing_over", "own_changes", "follower")),
    "search/test_covered",
    "extended_query_tags/test_errors",
    "study_updates/test_update",
    *(f"upkeep/test_{name}" for name in ("erasure", "reindex", "reindex_rules", "scrubber")),
)
_FAILED = 1
"""The exit code of pytest when tests ran and some failed; others mean that they could not run."""


def by_rule(omission: Omission) -> str:
    return omission.rule


def nearest_first(path: Path) -> list[str]:
    """The files of tests, those first that are likely to notice what happens to a module."""
    package, own = path.parent.name, f"{path.parent.name}/test_{path.stem}"
    module = ".".join(path.with_suffix("").parts[path.parts.index("shared") :])

    def distance(name: str) -> int:
        imports = f"from {module} import" in (ROOT / f"tests/unit/{name}.py").read_text()
        return 0 if name == own else 1 if imports else 2 if name.startswith(f"{package}/") else 3

    return [f"tests/unit/{name}.py" for name in sorted(_TESTS, key=distance)]


def test_every_mark_in_the_source_is_a_rule_that_is_left_out_here() -> None:
    marks = marked(ROOT / "shared")
    assert {rule: len(places) for rule, places in marks.items()} == dict.fromkeys(map(by_rule, OMISSIONS), 1)


@pytest.mark.parametrize("omission", OMISSIONS, ids=by_rule)
def test_the_code_without_the_rule_is_code(omission: Omission) -> None:
    [(path, number)] = marked(ROOT / "shared")[omission.rule]
    source = path.read_text()
    changed = leave_out(source, number, omission.instead)
    compile(changed, path.name, "exec")
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


def test_the_code_without_a_rule_fails_for_want_of_the_rule_and_of_no_name(tmp_path: Path) -> None:
    marks = marked(ROOT / "shared")
    for number, omission in enumerate(OMISSIONS):
        [(path, line)] = marks[omission.rule]
        (tmp_path / f"{number}.py").write_text(leave_out(path.read_text(), line, omission.instead))
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", "--isolated", "--no-cache", "-q", "--target-version", "py313"]
    command += ["--select", "F821,F823", "--output-format", "concise"]
    found = subprocess.run([*command, tmp_path], capture_output=True, text=True, timeout=60, check=False)
    assert found.stdout == ""


@pytest.mark.nightly
@pytest.mark.parametrize("omission", OMISSIONS, ids=by_rule)
def test_leaving_it_out_fails_a_test(omission: Omission, tmp_path: Path) -> None:
    for name in ("shared", "tests", "devhost"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    [(path, number)] = marked(tmp_path / "shared")[omission.rule]
    path.write_text(leave_out(path.read_text(), number, omission.instead))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not nightly", "--timeout", "60"]
    command += nearest_first(path)
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == _FAILED, run.stdout[-2000:]
