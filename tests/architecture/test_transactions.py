"""A transaction is a row of one table, a package, and its wiring: nothing else in the product knows it by name."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from shared.dicomweb.documentation import Documentation
from shared.dicomweb.path_parameters import PATH_PARAMETERS, path_parameters
from shared.dicomweb.resources import RESOURCES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "develop" / "add-a-transaction.md").read_text()
FILES = {"shared/dicomweb/<area>_resources.py", "shared/wiring/<area>.py", "pyproject.toml"}
"""What changes besides the package of a new transaction."""
ROWS = {str(path.relative_to(ROOT)) for path in (ROOT / "shared" / "dicomweb").glob("*_resources.py")}
"""The parts of the table."""
MODULES = {"functions.py", "request.py", "transaction.py", "response.py"}
PRODUCT = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text())
    for path in [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]
}
STRINGS = {
    path: {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for path, tree in PRODUCT.items()
}
IMPORTED = {
    path: {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    for path, tree in PRODUCT.items()
}


def naming(row: str) -> set[str]:
    """The modules that name a row, but for the table."""
    return {path for path, strings in STRINGS.items() if row in strings} - ROWS


@cache
def packages_of_transactions() -> set[str]:
    """The packages that mount HTTP functions."""
    return {path.rpartition("/")[0] for path, strings in STRINGS.items() if strings & set(RESOURCES)} - {
        "shared/dicomweb"
    }


def test_the_page_names_the_files_that_a_new_transaction_touches():
    table = PAGE.partition("\n## ")[0]

    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == FILES
    assert "three files" in table
    assert set(re.findall(r"^\| `(\w+\.py)` \|", PAGE, re.MULTILINE)) == MODULES


@pytest.mark.parametrize("row", RESOURCES)
def test_a_row_is_named_by_the_table_and_its_package_alone(row):
    packages = {path.rpartition("/")[0] for path in naming(row)}

    assert len(packages) <= 1, packages
    assert packages <= packages_of_transactions()


WORK_OF_OPERATIONS = {f"shared.operations.{module}" for module in ("store", "model", "start", "request")}
"""What starts an operation, and what it does against the lease that it works under, is written elsewhere."""
_SOURCES = (
    *("copying", "deidentified", "destinations", "model", "records", "request", "sources", "transaction", "work"),
)
EXPORTS = {f"shared.export.{module}" for module in _SOURCES}
"""What starts the export of a source of one's own, and makes its files."""
WIRING = {path for path in PRODUCT if path.startswith("shared/wiring/")}


def test_a_package_of_a_transaction_is_imported_by_the_wiring_alone():
    assert len(packages_of_transactions()) >= 8
    for package in packages_of_transactions():
        module = package.replace("/", ".")
        importing = {
            path
            for path, names in IMPORTED.items()
            for name in names - WORK_OF_OPERATIONS - EXPORTS
            if f"{name}.".startswith(f"{module}.")
        }
        outside = {path for path in importing if not path.startswith(f"{package}/")}
        assert outside, package
        assert outside <= WIRING, package
        assert f"{package.rpartition('/')[2]}" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", RESOURCES)
def test_a_row_says_all_that_documents_tell(name):
    row = RESOURCES[name]

    assert set(path_parameters(row.template)) <= set(PATH_PARAMETERS)
    assert row.uids == {part: PATH_PARAMETERS[part].uid for part in row.uids}
    assert set(row.uids) == {part for part in path_parameters(row.template) if PATH_PARAMETERS[part].uid}
    if row.documentation is None:
        assert name in {"zz_fallback", "health_check", "browser_pages", "let_in_notification_connection"}
        return
    assert isinstance(row.documentation, Documentation)
    assert row.documentation.successes
    assert (401 in row.documentation.failures) == (row.action is not None)
