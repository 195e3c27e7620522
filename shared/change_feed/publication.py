"""azure-apis §9 DICOM events: one for each entry of the change feed, at least once (A-2, EVT-1 to EVT-4)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared import telemetry
from shared.change_log.follower import FollowedChange, Following
from shared.dicomweb.partitions import PartitionDirectory
from shared.events.dicom_events import ImageEvent, image_event
from shared.events.publisher import CloudEventData, EventPublisher

PUBLICATION = Following("events", failed="events-not-published", seconds=15)
"""Changes that are committed while events are off are never published (EVT-3)."""

_KINDS = {"create": ImageEvent.CREATED, "update": ImageEvent.UPDATED, "delete": ImageEvent.DELETED}


@dataclass(frozen=True, slots=True)
class EventOrigin:
    """The facts about the service that events carry."""

    host: str
    """Its host name without scheme."""
    source: str
    """The resource that publishes."""


class Publication:
    """Publishes the events of changes: the handler of a follower. `now`: seconds since 1970."""

    def __init__(
        self,
        publisher: EventPublisher,
        partitions: PartitionDirectory,
        origin: EventOrigin,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._publisher = publisher
        self._partitions = partitions
        self._origin = origin
        self._now = now

    async def publish(self, changes: Sequence[FollowedChange]) -> None:
        """Return when the topic has taken the events of all changes. Raises Unavailable, DependencyRefused."""
        events = [await self._event(each) for each in changes]
        await self._publisher.publish(events)
        lag = max(0.0, self._now() - events[0].time.timestamp())
        telemetry.event("events-published", events=len(events), lagSeconds=round(lag, 3))

    async def _event(self, each: FollowedChange) -> CloudEventData:
        change = each.change
        partition = await self._partitions.by_namespace(change.namespace)
        return image_event(
            _KINDS[change.operation],
            change.identifier,
            partition=partition.name if partition else change.namespace,
            sequence=each.sequence,
            change=change.id,
            time=datetime.fromtimestamp(each.timestamp / 1_000_000, UTC),
            host=self._origin.host,
            source=self._origin.source,
        )
