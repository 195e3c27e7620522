"""Deliveries that nobody asks for: every night, and soon after an outcome is there."""

import json
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import pytest
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum

from shared.cohorts.feedback.deliveries import Deliveries, Told
from shared.cohorts.feedback.functions import event_functions
from shared.cohorts.feedback.transaction import Feedback, FeedbackSettings
from shared.errors import Misconfigured
from shared.outgoing.failures import Failure, RequestFailed
from tests.builders.cohort_runs import Site
from tests.builders.osteosarcoma import BASE, outcomes_of_rep_1
from tests.unit.cast.test_switch import functions

READER = "Practitioner/tele-1"
HOST = "ws-fhir.fhir.azurehealthcareapis.com"


class Nights:
    """A service that tells readers by itself, some weeks after report 1 was written."""

    def __init__(self, *readers: str) -> None:
        self.site = Site()
        self.site.time.seconds = datetime(2025, 4, 1, tzinfo=UTC).timestamp()
        self.audited: list[str] = []
        settings = FeedbackSettings(180, {}, [], frozenset({BASE}))
        self.feedback = Feedback(self.site.client, self.site.tables, settings, self.site.time)
        told = Told(readers or (READER,), 180)
        self.deliveries = Deliveries(self.feedback, self.site.tables, told, self.audited.extend, self.site.time)

    def outcomes(self) -> None:
        for each in outcomes_of_rep_1():
            self.site.server.put(each)

    @property
    def told(self) -> int:
        return len(self.site.server.all("Communication"))


@pytest.mark.spec("COH-39")
async def test_every_night_a_reader_is_told_of_what_is_new() -> None:
    nights = Nights("Practitioner/nobody", READER)
    assert await nights.deliveries.nightly() == {"delivered": 0, "existing": 0}
    nights.outcomes()
    assert await nights.deliveries.nightly() == {"delivered": 2, "existing": 0}
    assert await nights.deliveries.nightly() == {"delivered": 0, "existing": 2}
    assert nights.told == 2
    assert "Patient/pat-1" in nights.audited


@pytest.mark.spec("COH-39")
async def test_reads_that_can_have_no_new_outcome_are_not_read_again() -> None:
    nights = Nights()
    nights.outcomes()
    nights.site.time.seconds = datetime(2026, 6, 30, tzinfo=UTC).timestamp()

    assert await nights.deliveries.nightly() == {"delivered": 0, "existing": 0}
    assert nights.audited == []


@pytest.mark.spec("COH-39")
async def test_a_reader_who_cannot_be_told_keeps_no_other_from_it() -> None:
    nights = Nights("Practitioner/broken", READER)
    nights.outcomes()
    server = nights.site.server

    def fault(method: str, target: str) -> RequestFailed | None:
        asked = server.sent[-1][3] or b""
        return RequestFailed(Failure.TRANSIENT, "refused", status=500) if b"broken" in asked else None

    server.fault = fault
    with pytest.raises(RequestFailed):
        await nights.deliveries.nightly()
    assert nights.told == 2


@pytest.mark.spec("COH-40")
async def test_readers_of_the_patient_are_told_when_an_event_names_an_outcome() -> None:
    nights = Nights("Practitioner/nobody", READER)
    nights.outcomes()
    for each in (("Procedure", "biopsy-1"), ("Procedure", "biopsy-1"), ("Condition", "gone"), ("Patient", "pat-2")):
        await nights.deliveries.note(*each)

    assert await nights.deliveries.due() == {"delivered": 2, "existing": 0}
    assert await nights.deliveries.due() == {"delivered": 0, "existing": 0}
    assert set(nights.audited) == {"Patient/pat-1"}
    await nights.deliveries.note("DiagnosticReport", "path-1")
    assert await nights.deliveries.due() == {"delivered": 0, "existing": 2}
    assert nights.told == 2


@pytest.mark.spec("COH-40")
async def test_what_could_not_be_told_or_has_changed_meanwhile_stays_due() -> None:
    nights = Nights()
    nights.outcomes()
    await nights.deliveries.note("Procedure", "biopsy-1")
    nights.site.server.fault = lambda _method, _target: RequestFailed(Failure.UNAVAILABLE, "away")
    with pytest.raises(RequestFailed):
        await nights.deliveries.due()
    nights.site.server.fault = None
    deliver_about = nights.feedback.deliver_about

    async def changed_meanwhile(*given: Any) -> dict[str, int]:
        counts = await deliver_about(*given)
        nights.site.time.seconds += 1
        await nights.deliveries.note("Procedure", "biopsy-1")
        return counts

    nights.feedback.deliver_about = changed_meanwhile  # an event comes while it is told
    assert await nights.deliveries.due() == {"delivered": 2, "existing": 0}
    nights.feedback.deliver_about = deliver_about
    assert await nights.deliveries.due() == {"delivered": 0, "existing": 2}
    assert await nights.deliveries.due() == {"delivered": 0, "existing": 0}


async def heard(kind: str, data: Any, schema: str) -> list[tuple[str, str]]:
    """What is noted of an event."""
    noted: list[tuple[str, str]] = []

    async def note(resource_type: str, identifier: str) -> None:
        noted.append((resource_type, identifier))

    app = func.FunctionApp()
    app.register_functions(event_functions(note, frozenset({HOST})))
    (function,) = app.get_functions()
    event: dict[str, Any] = {"id": "1", "subject": "x", "data": data}
    if schema == "cloudevents":
        event |= {"specversion": "1.0", "source": "/ws", "type": kind, "time": "2026-01-31T09:15:00Z"}
    else:
        event |= {"topic": "/ws", "eventType": kind, "eventTime": "2026-01-31T09:15:00Z", "dataVersion": "1"}
    given = EventGridEventInConverter.decode(Datum(json.dumps(event), "json"), trigger_metadata={})
    await function.get_user_function()(given)
    return noted


DATA = {
    "resourceType": "Procedure",
    "resourceFhirAccount": HOST,
    "resourceFhirId": "biopsy-1",
    "resourceVersionId": "1",
}
CHANGED = "Microsoft.HealthcareApis.FhirResourceCreated"


@pytest.mark.spec("COH-40")
@pytest.mark.parametrize("schema", ["cloudevents", "eventgrid"])
@pytest.mark.parametrize("what", ["Created", "Updated"])
async def test_an_event_names_the_resource_that_has_changed(what: str, schema: str) -> None:
    kind = f"Microsoft.HealthcareApis.FhirResource{what}"

    assert await heard(kind, DATA, schema) == [("Procedure", "biopsy-1")]


@pytest.mark.spec("COH-40")
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("Microsoft.HealthcareApis.FhirResourceDeleted", DATA),
        ("Microsoft.HealthcareApis.DicomImageCreated", DATA),
        (CHANGED, {**DATA, "resourceFhirAccount": "elsewhere.fhir.azurehealthcareapis.com"}),
        (CHANGED, {**DATA, "resourceFhirId": "../Patient"}),
        (CHANGED, {**DATA, "resourceType": 4}),
        (CHANGED, {"resourceType": "Procedure"}),
        (CHANGED, None),
    ],
)
async def test_other_events_are_none_of_ours(kind: str, data: Any) -> None:
    assert await heard(kind, data, "cloudevents") == []


@pytest.mark.spec("COH-39", "COH-40")
async def test_nobody_is_told_unless_readers_are_named() -> None:
    fhir = {"Fhir__Endpoint": f"https://{HOST}", "Fhir__Authentication__Enabled": "false"}

    assert functions(**fhir, Feedback__Readers="tele-1, Practitioner/tele-2") - functions(**fhir) == {"feedback_event"}
    with pytest.raises(Misconfigured, match="Feedback:Readers"):
        functions(**fhir, Feedback__Readers="tele 1")
