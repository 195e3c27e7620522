"""DICOMcast is off by default, and then there is nothing of it."""

import subprocess
import sys
from pathlib import Path

import azure.functions as func
import pytest

from shared.errors import Misconfigured
from shared.settings import Settings
from shared.wiring import app as wiring

ROOT = Path(__file__).parents[3]
LEAST = {"DicomStorage": "UseDevelopmentStorage=true", "AUTHENTICATION_MODE": "off"}
ON = {
    "DicomCast__Enabled": "true",
    "DicomWeb__Endpoint": "https://imaging.test/v2",
    "Fhir__Endpoint": "https://fhir.test",
    "Fhir__Authentication__Enabled": "false",
}
_PROGRAM = """
import sys
from shared.wiring import app as wiring
from shared.settings import Settings
least = {"DicomStorage": "UseDevelopmentStorage=true", "AUTHENTICATION_MODE": "off"}
wiring.blueprints(Settings.from_environment(least))
print(sorted(name for name in sys.modules if name.startswith(("shared.cast.", "shared.fhir", "shared.wiring.cast"))))
"""


def functions(**environment: str) -> set[str]:
    app = func.FunctionApp()
    for blueprint in wiring.blueprints(Settings.from_environment({**LEAST, **environment})):
        app.register_functions(blueprint)
    return {function.get_function_name() for function in app.get_functions()}


def test_switched_off_nothing_of_it_is_loaded() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout.strip() == "[]"


async def test_switched_on_there_are_its_messages() -> None:
    assert functions(**ON) - functions(**{**ON, "DicomCast__Enabled": "false"}) == {
        "cast_message",
        "cast_message_given_up",
    }


@pytest.mark.spec("CAST-EV-1")
async def test_events_are_heard_where_the_studies_are_of_another_server() -> None:
    elsewhere = {
        **ON,
        "DicomWeb__Source": "http",
        "DicomWeb__Endpoint": "https://dicom.test/v2",
        "DicomWeb__Authentication__Enabled": "false",
    }
    assert functions(**elsewhere) - functions(**ON) == {"cast_event"}


async def test_what_is_missing_keeps_the_service_from_starting() -> None:
    with pytest.raises(Misconfigured, match="Fhir:Endpoint"):
        functions(**{**ON, "Fhir__Endpoint": ""})
