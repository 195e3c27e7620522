"""A local Event Grid: custom topics with a publishing endpoint, and subscriptions with filters.

Publishing takes what the Event Grid SDKs send: CloudEvents 1.0 or Event Grid events, one or many, with `aeg-sas-key`.
An accepted event goes to every subscription whose filter it passes; `webhook_delivery.py` or `queue_delivery.py`
delivers it.
"""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

type Event = dict[str, Any]

LONGEST_REQUEST: Final = 1_048_576
"""Bytes of one publishing request, and of one event."""


class EventSchema(StrEnum):
    """The two shapes of an event."""

    CLOUD_EVENTS = "CloudEventSchemaV1_0"
    EVENT_GRID = "EventGridSchema"


_REQUIRED: Final = {
    EventSchema.CLOUD_EVENTS: ("id", "source", "type", "specversion"),
    EventSchema.EVENT_GRID: ("id", "subject", "eventType", "eventTime", "dataVersion"),
}
_MEDIA_TYPES: Final = {
    EventSchema.CLOUD_EVENTS: ("application/cloudevents+json", "application/cloudevents-batch+json"),
    EventSchema.EVENT_GRID: ("application/json",),
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limits and pauses of delivery. Times are seconds."""

    max_attempts: int = 30
    time_to_live: float = 86_400.0
    delays: tuple[float, ...] = (10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200)
    """The pause after the first attempt, the second, and so on; the last one repeats."""

    def delay(self, attempts: int) -> float:
        """The pause after so many attempts."""
        return self.delays[min(attempts, len(self.delays)) - 1]

    def scaled(self, factor: float) -> "RetryPolicy":
        """The same policy with pauses multiplied by `factor`."""
        return RetryPolicy(self.max_attempts, self.time_to_live, tuple(delay * factor for delay in self.delays))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events of a topic a subscription gets. Empty: all."""

    event_types: frozenset[str] = frozenset()
    subject_begins_with: str = ""
    subject_ends_with: str = ""

    def passes(self, event: Event) -> bool:
        """Whether the subscription wants `event`; cases are ignored, as on Azure by default."""
        kind = str(event.get("type", event.get("eventType", "")))
        subject = str(event.get("subject", "")).lower()
        return (
            (not self.event_types or kind.lower() in {wanted.lower() for wanted in self.event_types})
            and subject.startswith(self.subject_begins_with.lower())
            and subject.endswith(self.subject_ends_with.lower())
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription: the receiver of certain events of a topic, and the way to it."""

    name: str
    topic: str
    endpoint: str
    filter: Filter = field(default_factory=Filter)
    max_events_per_batch: int = 1
    retry: RetryPolicy | None = None
    """None: the policy of the service."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: the name in its URL, its access key (empty: nobody publishes over HTTP) and the shape of its events."""

    name: str
    key: str
    schema: EventSchema = EventSchema.CLOUD_EVENTS


class Deliveries(Protocol):
    """Delivers to one subscription."""

    subscription: Subscription
    schema: EventSchema

    def add(self, events: Iterable[Event]) -> None:
        """Take events to be delivered."""
        ...


class Refused(Exception):
    """A publishing request that is not accepted; it has a status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _problem(event: object, schema: EventSchema) -> str:
    if not isinstance(event, dict):
        return "an event is not an object"
    for name in _REQUIRED[schema]:
        if not isinstance(event.get(name), str) or (name != "dataVersion" and not event[name]):
            return f"an event has no {name}"
    if schema is EventSchema.CLOUD_EVENTS and event["specversion"] != "1.0":
        return "specversion is not 1.0"
    if schema is EventSchema.EVENT_GRID:
        try:
            datetime.fromisoformat(event["eventTime"])
        except ValueError:
            return "eventTime is not a time"
    return ""


def read_events(content_type: str, body: bytes, schema: EventSchema) -> list[Event]:
    """The events of a publishing request. Raises Refused."""
    if len(body) > LONGEST_REQUEST:
        raise Refused(413, "the request is larger than 1 MB")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES[schema]:
        raise Refused(400, f"the topic takes {schema}, sent as {' or '.join(_MEDIA_TYPES[schema])}")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from error
    single = media_type == "application/cloudevents+json"
    if isinstance(content, list) is single:
        raise Refused(400, "the body is one event where an array is due, or the reverse")
    events = [content] if single else content
    for event in events:
        problem = _problem(event, schema)
        if problem:
            raise Refused(400, problem)
    return events


class EventGrid:
    """The topics and their subscriptions."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self.topics: Mapping[str, Topic] = {topic.name.lower(): topic for topic in topics}
        self._deliveries: dict[str, list[Deliveries]] = {name: [] for name in self.topics}

    def subscribe(self, deliveries: Deliveries) -> None:
        """Deliver events of the subscription's topic from now on. Raises KeyError for an unknown topic."""
        self._deliveries[deliveries.subscription.topic.lower()].append(deliveries)

    def publish(self, topic: str, events: Iterable[Event]) -> None:
        """Hand events to the subscriptions of `topic`. Raises KeyError for an unknown topic."""
        events = list(events)
        for deliveries in self._deliveries[topic.lower()]:
            deliveries.add(event for event in events if deliveries.subscription.filter.passes(event))

    def receive(self, topic_name: str, headers: Mapping[str, str], body: bytes) -> None:
        """Accept a publishing request. Raises Refused."""
        topic = self.topics.get(topic_name.lower())
        if topic is None:
            raise Refused(404, "no such topic")
        key = headers.get("aeg-sas-key", "")
        if not topic.key or not hmac.compare_digest(key.encode(), topic.key.encode()):
            raise Refused(401, "the aeg-sas-key header is not the key of the topic")
        events = read_events(headers.get("content-type", ""), body, topic.schema)
        if topic.schema is EventSchema.EVENT_GRID:
            events = [{**event, "topic": f"/topics/{topic.name}", "metadataVersion": "1"} for event in events]
        self.publish(topic.name, events)


def now_text() -> str:
    """The time as events have it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
