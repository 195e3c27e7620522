"""Events of another service: they ask for a sweep, and nothing else of them counts."""

import json
from typing import Any

import azure.functions as func
import pytest
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum

from shared.cast.functions import add_events
from shared.cast.image_events import host_of

DATA = {
    "partitionName": "Microsoft.Default",
    "imageStudyInstanceUid": "2.25.1",
    "imageSeriesInstanceUid": "2.25.1.1",
    "imageSopInstanceUid": "2.25.1.1.1",
    "serviceHostName": "ws-dicom.dicom.azurehealthcareapis.com",
    "sequenceNumber": 1,
}
HOSTS = frozenset({"ws-dicom.dicom.azurehealthcareapis.com"})
CREATED = "Microsoft.HealthcareApis.DicomImageCreated"


def cloud_event(kind: str, data: Any = DATA) -> Any:
    event = {"specversion": "1.0", "id": "1", "source": "/workspaces/ws", "type": kind, "subject": "x", "data": data}
    return {**event, "time": "2026-01-31T09:15:00.1234567Z"}


def event_grid_event(kind: str, data: Any = DATA) -> Any:
    event = {"id": "1", "topic": "/workspaces/ws", "subject": "x", "eventType": kind, "data": data}
    return {**event, "dataVersion": "1", "eventTime": "2026-01-31T09:15:00.1234567Z"}


async def heard(event: Any) -> int:
    """How many sweeps were asked for."""
    asked: list[None] = []

    async def changed() -> None:
        asked.append(None)

    functions = func.Blueprint()
    add_events(functions, changed, HOSTS)
    app = func.FunctionApp()
    app.register_functions(functions)
    (function,) = app.get_functions()
    given = EventGridEventInConverter.decode(Datum(json.dumps(event), "json"), trigger_metadata={})
    await function.get_user_function()(given)
    return len(asked)


@pytest.mark.spec("CAST-EV-1")
@pytest.mark.parametrize("schema", [cloud_event, event_grid_event])
@pytest.mark.parametrize("what", ["Created", "Updated", "Deleted"])
async def test_a_change_in_either_schema_asks_for_a_sweep(schema: Any, what: str) -> None:
    assert await heard(schema(f"Microsoft.HealthcareApis.DicomImage{what}")) == 1


@pytest.mark.spec("CAST-EV-1")
@pytest.mark.parametrize("schema", [cloud_event, event_grid_event])
@pytest.mark.parametrize("kind", ["Microsoft.HealthcareApis.FhirResourceCreated", "", "dicomimagecreated"])
async def test_events_of_other_types_are_passed_over(schema: Any, kind: str, collected: Any) -> None:
    assert await heard(schema(kind)) == 0
    assert collected.found == []


@pytest.mark.spec("CAST-EV-2")
@pytest.mark.parametrize("schema", [cloud_event, event_grid_event])
@pytest.mark.parametrize(
    "data",
    [
        {**DATA, "serviceHostName": "other.dicom.azurehealthcareapis.com"},
        {**DATA, "serviceHostName": ""},
        {**DATA, "serviceHostName": 1},
        {**DATA, "serviceHostName": None},
        {**DATA, "serviceHostName": "ws-dicom.dicom.azurehealthcareapis.com." + "x" * 300},
        None,
        [],
        "ws-dicom.dicom.azurehealthcareapis.com",
    ],
)
async def test_events_of_other_services_are_passed_over_and_counted(schema: Any, data: Any, collected: Any) -> None:
    assert await heard(schema(CREATED, data)) == 0
    assert collected.values("dicom.cast.foreign_events") == [1]


@pytest.mark.spec("CAST-EV-2")
def test_names_of_services_are_compared_without_case() -> None:
    assert host_of({"serviceHostName": " WS-Dicom.dicom.azurehealthcareapis.com"}) in HOSTS
