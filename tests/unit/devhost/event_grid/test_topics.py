"""Publishing to the local Event Grid, filters, and the pauses between attempts."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from devhost.azurite.storage_account import StorageAccount, emulator_connection
from devhost.event_grid.blob_events import blob_created, blob_of, rest_after, subject_of
from devhost.event_grid.subscriptions import FUNCTION_SUBSCRIPTIONS
from devhost.event_grid.topics import (
    LONGEST_REQUEST,
    Event,
    EventGrid,
    EventSchema,
    Filter,
    Refused,
    RetryPolicy,
    Subscription,
    Topic,
    read_events,
)
from shared.events.dicom_events import CHANGES_PENDING

CLOUD = {"id": "1", "source": "/s", "type": "A", "specversion": "1.0"}
GRID = {
    "id": "1",
    "subject": "/s",
    "eventType": "A",
    "eventTime": "2026-01-01T00:00:00Z",
    "data": {},
    "dataVersion": "",
}
BATCH = "application/cloudevents-batch+json; charset=utf-8"
ACCOUNT = StorageAccount.parse(emulator_connection(1, 2, 3))


@pytest.mark.parametrize(
    ("content_type", "content", "schema"),
    [
        (BATCH, [CLOUD], EventSchema.CLOUD_EVENTS),
        ("application/cloudevents+json", CLOUD, EventSchema.CLOUD_EVENTS),
        ("application/json", [GRID], EventSchema.EVENT_GRID),
    ],
)
def test_events_are_read_as_the_sdks_send_them(content_type: str, content: Any, schema: EventSchema) -> None:
    events = read_events(content_type, json.dumps(content).encode(), schema)
    assert events == (content if isinstance(content, list) else [content])


@pytest.mark.parametrize(
    ("content_type", "content", "schema", "status"),
    [
        (BATCH, [{**CLOUD, "id": ""}], EventSchema.CLOUD_EVENTS, 400),
        (BATCH, [{**CLOUD, "specversion": "0.3"}], EventSchema.CLOUD_EVENTS, 400),
        (BATCH, [{"id": "1"}], EventSchema.CLOUD_EVENTS, 400),
        (BATCH, ["text"], EventSchema.CLOUD_EVENTS, 400),
        (BATCH, CLOUD, EventSchema.CLOUD_EVENTS, 400),
        ("application/cloudevents+json", [CLOUD], EventSchema.CLOUD_EVENTS, 400),
        ("application/json", [CLOUD], EventSchema.CLOUD_EVENTS, 400),
        (BATCH, [GRID], EventSchema.EVENT_GRID, 400),
        ("application/json", [{**GRID, "eventTime": "yesterday"}], EventSchema.EVENT_GRID, 400),
        ("application/json", [{**GRID, "subject": None}], EventSchema.EVENT_GRID, 400),
        (BATCH, [{**CLOUD, "data": "x" * LONGEST_REQUEST}], EventSchema.CLOUD_EVENTS, 413),
    ],
)
def test_a_request_that_is_no_list_of_events_is_refused(
    content_type: str, content: Any, schema: EventSchema, status: int
) -> None:
    with pytest.raises(Refused) as refused:
        read_events(content_type, json.dumps(content).encode(), schema)
    assert refused.value.status == status


def test_a_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(Refused):
        read_events(BATCH, b"{", EventSchema.CLOUD_EVENTS)


class Kept:
    """A subscription that keeps its events."""

    schema = EventSchema.CLOUD_EVENTS

    def __init__(self, topic: str, wanted: Filter) -> None:
        self.subscription = Subscription("s", topic, "https://x", wanted)
        self.events: list[Event] = []

    def add(self, events: Iterable[Event]) -> None:
        self.events += events


def test_a_published_event_goes_to_the_subscriptions_of_its_topic_that_want_it() -> None:
    grid = EventGrid([Topic("one", "key"), Topic("two", "other")])
    wants_a, wants_b = Kept("One", Filter(frozenset({"a"}))), Kept("one", Filter(frozenset({"B"})))
    elsewhere = Kept("two", Filter())
    for kept in (wants_a, wants_b, elsewhere):
        grid.subscribe(kept)
    grid.receive("ONE", {"aeg-sas-key": "key", "content-type": BATCH}, json.dumps([CLOUD]).encode())
    assert (wants_a.events, wants_b.events, elsewhere.events) == ([CLOUD], [], [])


@pytest.mark.parametrize(
    ("topic", "key", "status"), [("one", "wrong", 401), ("one", "", 401), ("none", "key", 404), ("keyless", "", 401)]
)
def test_publishing_needs_a_topic_and_its_key(topic: str, key: str, status: int) -> None:
    grid = EventGrid([Topic("one", "key"), Topic("keyless", "")])
    with pytest.raises(Refused) as refused:
        grid.receive(topic, {"aeg-sas-key": key, "content-type": BATCH}, json.dumps([CLOUD]).encode())
    assert refused.value.status == status


def test_an_event_grid_event_is_given_its_topic() -> None:
    grid = EventGrid([Topic("one", "key", EventSchema.EVENT_GRID)])
    kept = Kept("one", Filter())
    grid.subscribe(kept)
    grid.receive("one", {"aeg-sas-key": "key", "content-type": "application/json"}, json.dumps([GRID]).encode())
    assert kept.events[0]["topic"] == "/topics/one"


def test_pauses_grow_and_the_last_one_repeats() -> None:
    policy = RetryPolicy()
    assert [policy.delay(attempts) for attempts in (1, 2, 3, 10, 29)] == [10, 30, 60, 43_200, 43_200]
    assert policy.scaled(0.1).delay(1) == 1.0


@pytest.mark.parametrize("blob", ["a.dcm", "a/b c/100%.dcm", "ü?#.dcm"])
def test_a_blob_is_found_again_in_its_event(blob: str) -> None:
    event = blob_created(ACCOUNT, "dicom", blob, "0x1", 5)
    assert blob_of(event, ACCOUNT) == ("dicom", blob, "0x1")
    assert Filter(subject_begins_with=subject_of("dicom", "")).passes(event)
    assert not Filter(subject_begins_with=subject_of("dicom2", "")).passes(event)


@pytest.mark.parametrize("url", ["https://elsewhere/dicom/a", "http://127.0.0.1:1/devstoreaccount1/dicom"])
def test_an_event_about_something_else_names_no_blob(url: str) -> None:
    with pytest.raises(ValueError, match="another account"):
        blob_of({"data": {"url": url}}, ACCOUNT)


def test_listing_costs_at_most_a_fiftieth_of_the_time_where_there_are_many_blobs() -> None:
    assert rest_after(0.4, 1000) == 0.5
    assert rest_after(0.1, 5000) == pytest.approx(5.0)
    assert rest_after(0.001, 5000) == 0.5
    assert rest_after(60, 1_000_000) == 300


def test_the_function_behind_the_change_feed_gets_the_wake_up_that_the_service_publishes() -> None:
    (subscription,) = [each for each in FUNCTION_SUBSCRIPTIONS if each.function == "append_changes"]
    assert subscription.event_types == {CHANGES_PENDING}
