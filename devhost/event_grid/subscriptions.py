"""Which events go where: the topics of the local Event Grid, the functions behind them, and webhooks of one's own."""

from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from devhost.event_grid.topics import Filter, Subscription
from devhost.settings import Unusable

EVENTS_TOPIC: Final = "dicom-events"
"""The custom topic of the service; DICOM_EVENTS_TOPIC points at it."""
STORAGE_TOPIC: Final = "storage"
"""The system topic that announces new blobs."""
DEAD_LETTER_CONTAINER: Final = "event-dead-letters"
WEBHOOKS_FILE: Final = "devhost.webhooks.json"
BLOBS_PER_DELIVERY: Final = 100
"""The webhook of blob triggers only takes note of a blob, so that many go in one request."""


class FunctionSubscription(NamedTuple):
    """Events of the service's topic that an Event Grid function gets. Without such a function it does not exist."""

    name: str
    function: str
    event_types: frozenset[str]


FUNCTION_SUBSCRIPTIONS: Final = (
    FunctionSubscription("append-changes", "append_changes", frozenset({"ServerlessDicom.ChangesPending"})),
)


class QueueSubscription(NamedTuple):
    """New blobs of a container, which become messages in the queue of a function. Without that function it does not
    exist.
    """

    name: str
    function: str
    setting: str
    """The app setting with the name of the container."""
    default: str
    """Its name when the setting is not there."""


QUEUE_SUBSCRIPTIONS: Final = (QueueSubscription("import", "import_instance", "IMPORT_CONTAINER", "import-container"),)


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    endpoint: str = Field(pattern=r"^https?://")
    topic: str = EVENTS_TOPIC
    event_types: list[str] = Field(default=[], alias="eventTypes")
    subject_begins_with: str = Field(default="", alias="subjectBeginsWith")
    subject_ends_with: str = Field(default="", alias="subjectEndsWith")
    max_events_per_batch: int = Field(default=1, ge=1, le=5000, alias="maxEventsPerBatch")


def read_webhooks(path: Path) -> list[Subscription]:
    """The subscriptions of a webhooks file: a JSON array of objects with `name`, `endpoint` and optional filters.

    Raises Unusable.
    """
    try:
        webhooks = TypeAdapter(list[_Webhook]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise Unusable(f"{path.name}: {error}") from error
    return [
        Subscription(
            name=webhook.name,
            topic=webhook.topic,
            endpoint=webhook.endpoint,
            filter=Filter(frozenset(webhook.event_types), webhook.subject_begins_with, webhook.subject_ends_with),
            max_events_per_batch=webhook.max_events_per_batch,
        )
        for webhook in webhooks
    ]
