"""Who may import whom: the contracts of pyproject.toml, where SDKs may stand, and what a cold start must not load."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "shared"
MODULES = sorted(SHARED.rglob("*.py"))

# An SDK, and the files of shared/ that may import it.
PLACES = {
    "azure.functions": (
        "*/functions.py",
        "worklist/subscribe/functions.py",
        "cohorts/feedback/functions.py",
        "http/azure_functions.py",
        "wiring/*.py",
    ),
    "azurefunctions": ("*/functions.py", "web_extension/extension.py", "http/fastapi_extension.py"),
    "starlette": ("http/fastapi_extension.py",),
    "fastapi": ("http/fastapi_extension.py",),
    "uvicorn": (),
    "azure.storage": ("storage/azure_*.py",),
    "azure.data": ("administration/tables.py",),
    "obstore": ("storage/azure_*.py",),
    "azure.eventgrid": ("events/event_grid.py",),
    "azure.messaging": ("subscriptions/web_pub_sub.py",),
    "azure.keyvault": ("storage/secret_stores.py",),
    "azure.identity": ("storage/identity.py", "telemetry_export.py"),
    "jwt": ("http/openid.py", "outgoing/client_assertion.py"),
    "opentelemetry": ("telemetry_export.py",),
    "azure.monitor": ("telemetry_export.py",),
}
PURE = ("deidentification", "dicom", "dicomweb")
IMPURE_MODULES = ("azure", "azurefunctions", "obstore", "aiohttp", "asyncio", "socket", "threading", "time")

LATE = {
    "fastapi",
    "starlette",
    "uvicorn",
    "pydicom",
    "numpy",
    "imagecodecs",
    "PIL",
    "rle",
    "jwt",
    "azure.identity",
    "azure.keyvault",
    "azure.eventgrid",
    "azure.data",
    "azure.monitor",
    "opentelemetry",
}
"""What is imported on first use."""


@cache
def imported(path: Path) -> frozenset[str]:
    """The dotted names that a module imports, wherever in it."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def belongs_to(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_imports_point_downwards():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]

    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("package", PLACES)
def test_an_sdk_is_imported_only_where_it_belongs(package):
    users = [path.relative_to(SHARED) for path in MODULES if any(belongs_to(name, package) for name in imported(path))]

    assert [str(path) for path in users if not any(path.full_match(place) for place in PLACES[package])] == []


def test_the_placement_rules_speak_of_files_that_exist():
    places = {place for files in PLACES.values() for place in files}

    assert [place for place in places if not any(path.relative_to(SHARED).full_match(place) for path in MODULES)] == []


@pytest.mark.parametrize("package", PURE)
def test_the_pure_packages_have_no_clock_no_sockets_and_no_azure(package):
    found = {
        f"{path.relative_to(SHARED)}: {name}"
        for path in (SHARED / package).rglob("*.py")
        for name in imported(path)
        if any(belongs_to(name, forbidden) for forbidden in IMPURE_MODULES)
    }

    assert found == set()


def test_administration_is_reached_from_the_wiring_alone_and_when_it_is_needed():
    """Its package is in the deployment for rare work: no request passes it, and no start pays for it."""
    users = {path for path in MODULES if any(belongs_to(name, "shared.administration") for name in imported(path))}
    at_import = {
        node.module
        for path in users
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and node.module
    }

    assert {str(path.relative_to(SHARED)) for path in users} == {"wiring/stores.py"}
    assert not any(belongs_to(name, "shared.administration") for name in at_import)


def test_a_cold_start_loads_no_library_that_only_some_requests_need():
    packages = ", ".join(
        f"shared.{package}.functions"
        for package in ("store", "search", "retrieve", "delete", "capabilities", "partitions")
    )
    program = f"import sys, {packages}; print(sorted({LATE!r} & set(sys.modules)))"

    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert loaded.stdout.strip() == "[]", loaded.stderr
