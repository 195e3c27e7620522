"""Requirement files: locked by hash, each the beginning of the next."""

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = json.loads((ROOT / "devhost/azurite/npm/package-lock.json").read_text())


def entries(name: str) -> dict[str, str]:
    """What each line of a file that names a package says."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)(==.*(?:\n    --hash=.*)+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_locked_by_version_and_hash(name):
    lines = [line for line in (ROOT / name).read_text().splitlines() if re.match(r"[a-zA-Z0-9]", line)]

    assert len(lines) == len(entries(name)) > 40
    assert "://" not in (ROOT / name).read_text()


def test_developers_have_what_is_deployed():
    deployed, dev = map(entries, ("requirements.txt", "requirements-dev.txt"))

    assert {name: dev[name] for name in deployed} == deployed


def test_the_worker_runtime_that_is_tested_is_the_one_that_is_deployed():
    locked = re.match(r"==(\S+)", entries("requirements.txt")["azure-functions-runtime"])

    assert locked is not None
    assert locked[1] == importlib.metadata.version("azure-functions-runtime")


def test_the_interpreter_is_the_one_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["requires-python"] == ">=3.13"


def test_every_package_of_azurite_is_locked_by_hash_and_none_runs_a_script_to_be_installed():
    installed = {name: package for name, package in LOCK["packages"].items() if name.startswith("node_modules/")}
    fetched = {name: package for name, package in installed.items() if not package.get("link")}

    assert len(fetched) > 100
    assert [name for name, package in fetched.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in fetched.items() if "resolved" in package] == []
    assert [name for name, package in fetched.items() if package.get("hasInstallScript")] == []


def test_what_azurite_does_not_need_here_is_replaced():
    replaced = {name for name, package in LOCK["packages"].items() if package.get("link")}

    assert replaced == {f"node_modules/{name}" for name in ("applicationinsights", "mysql2", "tedious")}
