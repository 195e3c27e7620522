"""Events through an Event Grid custom topic, in the schema that the topic takes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import orjson
from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from shared.errors import DependencyRefused, Unavailable
from shared.events.publisher import CloudEventData
from shared.storage.connection import QUICK_OPTIONS, quiet_sdk_logs

if TYPE_CHECKING:
    from azure.eventgrid.aio import EventGridPublisherClient

type EventSchema = Literal["cloudevents", "eventgrid"]

_BATCH_BYTES = 512 * 1024  # the service takes 1 MB
_BATCH_EVENTS = 1000  # and 5,000 events


class EventGridPublisher:
    """An EventPublisher over one topic. The client is imported and made with the first event."""

    def __init__(
        self, endpoint: str, credential: str | AsyncTokenCredential, *, schema: EventSchema = "cloudevents"
    ) -> None:
        """`credential`: the topic's access key (development) or what hands out tokens."""
        self.requests = 0
        self._endpoint = endpoint
        self._credential = AzureKeyCredential(credential) if isinstance(credential, str) else credential
        self._json = CloudEventData.json if schema == "cloudevents" else CloudEventData.event_grid_json
        self._client: EventGridPublisherClient | None = None

    async def publish(self, events: Sequence[CloudEventData]) -> None:
        """Hand over `events` in as few requests as the limits allow. Raises Unavailable or DependencyRefused."""
        for batch in _batches(map(self._json, events)):
            self.requests += 1
            try:
                await self._topic().send(batch)
            except AzureError as error:
                status = getattr(error, "status_code", None)
                if status in (401, 403):
                    raise DependencyRefused(f"Event Grid refused the events ({status})") from None
                reason = status or type(error).__name__
                raise Unavailable(f"Event Grid did not take the events ({reason})") from None

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client:
            await client.close()

    def _topic(self) -> "EventGridPublisherClient":
        if self._client is None:
            from azure.eventgrid.aio import EventGridPublisherClient

            quiet_sdk_logs()
            self._client = EventGridPublisherClient(self._endpoint, self._credential, **QUICK_OPTIONS)
        return self._client


def _batches(documents: Iterable[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    batch: list[dict[str, object]] = []
    size = 0
    for document in documents:
        length = len(orjson.dumps(document)) + 1
        if batch and (size + length > _BATCH_BYTES or len(batch) == _BATCH_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += length
    if batch:
        yield batch
