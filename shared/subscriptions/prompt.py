"""Event reports soon: what a request has caused is told beside it, while nobody waits.

It never fails a request, and delays none but that of a connection which opens. What a process does not come to, because
it ends or because a service does not answer, is made good by the sweep, which is a chore of `housekeeping`.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Final

from shared import telemetry
from shared.errors import DicomServiceError
from shared.index_schema import keys
from shared.subscriptions.channel import TICKET_SECONDS
from shared.subscriptions.dispatch import Dispatch
from shared.subscriptions.ticket import Ticket

_IDLE_SECONDS: Final = 2.0
"""Without a subscriber nothing is looked at again for that time: a worklist that nobody watches costs nothing more."""
_FIRST_LOOK: Final = 0.1
_LAST_LOOK: Final = 2.0
"""Seconds between looks for a connection whose ticket was shown, at first and in the end."""
_MOST_LOOKS: Final = 200
"""Connections that are waited for at a time; others are found by the sweep."""


class Prompt:
    """Starts the dispatch of events, and waits for connections."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._again: dict[str, bool] = {}
        """Partitions whose events are being told; whether there have been others since."""
        self._idle: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looks: set[Ticket] = set()
        """Those whose connections are waited for."""

    def written(self, partition_key: str) -> None:
        """There is an event in a partition of the worklist."""
        now = asyncio.get_running_loop().time()
        if now < self._idle.get(keys.namespace_of(partition_key), 0.0):
            return
        if partition_key in self._again:
            self._again[partition_key] = True
            return
        self._again[partition_key] = False
        self._start(self._tell(partition_key))

    def subscribed(self, namespace: str) -> None:
        """There is a subscriber in a data partition."""
        self._idle.pop(namespace, None)

    def opening(self, ticket: Ticket) -> None:
        """A connection is about to be there: its ticket was shown."""
        if len(self._looks) < _MOST_LOOKS:
            self._looks.add(ticket)
            self._start(self._look(ticket))

    async def settled(self, ticket: Ticket) -> None:
        """Wait until nothing is sent that the connection of a ticket would get before what it begins with."""
        try:
            await self._dispatch.delivery.pause(ticket)
        except DicomServiceError as error:
            telemetry.failure("connection-not-awaited", error)

    async def close(self) -> None:
        """Wait for what has been started."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # It outlives the request that happens to start it, and is not done in its name.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, partition_key: str) -> None:
        namespace = keys.namespace_of(partition_key)
        try:
            while True:
                if not await self._dispatch.run(partition_key):
                    self._idle[namespace] = asyncio.get_running_loop().time() + _IDLE_SECONDS
                    break
                if not self._again[partition_key]:
                    break
                self._again[partition_key] = False
        except DicomServiceError as error:
            telemetry.failure("events-not-told", error)
        finally:
            self._again.pop(partition_key, None)

    async def _look(self, ticket: Ticket) -> None:
        """Serve a connection as soon as it is there. Another process that is sending at that moment may have begun
        before it opened: then it is looked at again.
        """
        pause = _FIRST_LOOK
        delivery, loop = self._dispatch.delivery, asyncio.get_running_loop()
        end = loop.time() + TICKET_SECONDS
        try:
            while loop.time() < end:
                await asyncio.sleep(pause)
                pause = min(pause * 1.3, _LAST_LOOK)
                await delivery.run(ticket.namespace, ticket.aetitle)
                if await delivery.is_served(ticket):
                    break
        except DicomServiceError as error:
            telemetry.failure("connection-not-served", error)
        finally:
            self._looks.discard(ticket)
