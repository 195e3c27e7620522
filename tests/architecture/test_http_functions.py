"""Every HTTP function goes through the boundary, and every row of the resource table has its function."""

import ast
import inspect
import sys
from pathlib import Path

import azure.functions as func
import pytest

from shared.concurrency import SWITCH_SECONDS
from shared.dicomweb.resources import RESOURCES
from shared.http.boundary import Boundary
from shared.sections import Sections
from shared.settings import Settings
from tests.builders.http import settings

ROOT = Path(__file__).parents[2]
APP_FILES = [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]
DECLARATIONS = {"route", "http_type", "generic_trigger", "AsgiFunctionApp", "WsgiFunctionApp"}
ADAPTER = ROOT / "shared" / "http" / "azure_functions.py"


def test_only_the_adapter_declares_http_functions():
    declaring = {
        path
        for path in APP_FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DECLARATIONS
    }

    assert declaring == {ADAPTER}


def with_fhir(chosen: Settings) -> Settings:
    """The settings of a service that has a FHIR server: some functions are there only then."""
    chosen._sections = Sections.of(
        {"Fhir__Endpoint": "http://localhost:1/fhir", "Fhir__Authentication__Enabled": "false"}
    )
    return chosen


def http_functions(data_partitions: bool) -> dict[str, tuple[object, object]]:
    """Name to the trigger and the code of the HTTP functions of the whole app."""
    from shared.wiring import app as wiring

    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    chosen = settings(
        data_partitions=data_partitions, notifications_endpoint="http://localhost:1", notifications_key="k"
    )
    for blueprint in wiring.blueprints(with_fhir(chosen)):
        app.register_functions(blueprint)
    return {
        function.get_function_name(): (function.get_trigger(), function.get_user_function())
        for function in app.get_functions()
        if function.get_trigger().get_binding_name() == "httpTrigger"
    }


@pytest.mark.parametrize("data_partitions", [False, True])
async def test_the_app_has_the_function_of_every_row_and_no_other(data_partitions):
    functions = http_functions(data_partitions)

    assert sorted(functions) == sorted(RESOURCES)
    for name, (trigger, code) in functions.items():
        row = RESOURCES[name]
        assert trigger.route == row.path(data_partitions=data_partitions)
        assert tuple(method.value for method in trigger.methods or ()) == row.methods
        assert code.resource is row


async def test_every_function_runs_the_boundary():
    for name, (_, code) in http_functions(data_partitions=False).items():
        inside = inspect.getclosurevars(code).nonlocals

        assert isinstance(inside["boundary"], Boundary), name
        assert inspect.iscoroutinefunction(code), name


@pytest.mark.spec("STOW-46")
def test_a_thread_that_works_in_python_hands_the_interpreter_over_soon():
    before = sys.getswitchinterval()
    try:
        http_functions(data_partitions=False)
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    finally:
        sys.setswitchinterval(before)
