"""Dead letters: events that could not be delivered, kept as blobs."""

import json
import logging
import uuid
from datetime import UTC, datetime

from devhost.azurite.storage_account import StorageAccount
from devhost.event_grid.subscriptions import DEAD_LETTER_CONTAINER
from devhost.event_grid.topics import Event, Subscription

log = logging.getLogger("devhost")


class StoredDeadLetters:
    """Dead letters as blobs, named as on Azure: topic, subscription, date and hour."""

    def __init__(self, account: StorageAccount | None) -> None:
        self._account = account

    async def put(self, subscription: Subscription, letter: Event) -> None:
        """Keep one event."""
        if self._account is None:
            return
        now = datetime.now(UTC)
        place = f"{subscription.topic}/{subscription.name.upper()}"
        name = f"{place}/{now.year}/{now.month}/{now.day}/{now.hour}/{uuid.uuid4()}.json"
        try:
            await self._account.container(DEAD_LETTER_CONTAINER).put_async(name, json.dumps([letter]).encode())
        except Exception as error:  # noqa: BLE001 - delivery of other events goes on
            log.error("A dead letter could not be kept: %r", error)  # noqa: TRY400 - the error says it all
