"""Sending the reports of a subscriber: in the order of their numbers, at least once, by one process at a time.

Who sends holds a lease in the row of the subscriber. Reports move on only while the subscriber has a connection; what
is written meanwhile is seen, because giving the lease back names the row that was read. A connection that opens begins
behind the report that its client has named, else with the last minutes (OVERLAP_MS): what was on its way when the
connection before it broke is not lost. A message goes to all connections of a subscriber, so that nothing is sent while
one is opening: whoever sends stops, and goes on with what the new one begins with.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.concurrency import together
from shared.errors import NotFound, Unavailable
from shared.storage.ports import Entity
from shared.subscriptions import rows
from shared.subscriptions.channel import Channel, user_of
from shared.subscriptions.reports import numbered, status_change
from shared.subscriptions.store import Change, Subscriptions, appended
from shared.subscriptions.subscriber import OVERLAP_MS, RETENTION_MS, Subscriber
from shared.subscriptions.ticket import Ticket
from shared.workitems.rows import TABLE

LEASE_MS: Final = 30_000
"""Milliseconds after which another process may send what one has left."""
_BATCH: Final = 50
"""Reports that are read at a time."""
_BATCH_SECONDS: Final = 0.5
"""Sending of a batch ends after that: a connection that opens waits for it."""
_PAUSE_SECONDS: Final = 3.0
"""Longest wait for the end of a batch."""
_PAUSE_LOOK: Final = 0.05
"""Seconds between looks for it."""


class Delivery:
    """Sends what subscribers have not got."""

    def __init__(self, subscriptions: Subscriptions, channel: Channel) -> None:
        self._subscriptions = subscriptions
        self._channel = channel

    async def run(self, namespace: str, aetitle: str) -> None:
        """Send what a subscriber has not got, if it has a connection and no other process is at it.

        Raises Unavailable, DependencyRefused.
        """
        lease = uuid.uuid4().hex
        stored = await self._subscriptions.get(namespace, aetitle)
        if stored is None or self._is_taken(stored.subscriber):
            return
        user = user_of(namespace, aetitle, stored.subscriber.owner)
        try:
            held = await self._begin(namespace, stored.subscriber, user, lease)
            while held is not None:
                held = await self._send(namespace, held, user)
        except NotFound:
            return  # it was removed meanwhile
        except BaseException:
            await asyncio.shield(self._give_back(namespace, aetitle, lease))
            raise

    async def is_served(self, ticket: Ticket) -> bool:
        """Whether the connection of a ticket, if it was opened, has begun to get reports."""
        stored = await self._subscriptions.get(ticket.namespace, ticket.aetitle)
        return stored is None or all(each.secret != ticket.secret for each in stored.subscriber.openings)

    async def pause(self, ticket: Ticket) -> None:
        """Wait, for a moment at most, until nothing is being sent to the subscriber of a ticket that was shown.

        Raises Unavailable.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + _PAUSE_SECONDS
        while loop.time() < end:
            stored = await self._subscriptions.get(ticket.namespace, ticket.aetitle)
            if stored is None or not self._is_taken(stored.subscriber):
                return
            await asyncio.sleep(_PAUSE_LOOK)

    async def _begin(self, namespace: str, found: Subscriber, user: str, lease: str) -> Subscriber | None:
        """The subscriber, of which this process holds the lease; None if there is nothing to be sent now."""
        expected = found.expected(self._subscriptions.now_ms())
        answers = await together(
            *(self._channel.is_opened(str(Ticket(namespace, found.aetitle, each.secret))) for each in expected)
        )
        opened = {each.secret for each, is_opened in zip(expected, answers, strict=True) if is_opened}
        if not opened and (found.sent >= found.last or not await self._channel.is_connected(user)):
            return None

        async def decide(subscriber: Subscriber) -> Change | None:
            now_ms = self._subscriptions.now_ms()
            if self._is_taken(subscriber) or subscriber.owner != found.owner or subscriber.is_opening(now_ms, opened):
                return None
            after = replace(subscriber, lease=lease, lease_ms=now_ms + LEASE_MS, seen_ms=now_ms)
            missed = subscriber.absent
            served = [each for each in subscriber.openings if each.secret in opened]
            begins = [await self._beginning(namespace, subscriber, each.resume, now_ms) for each in served]
            if begins:
                missed = missed or any(lacks for _, lacks in begins)
                left = tuple(each for each in subscriber.openings if each not in served)
                after = replace(after, openings=left, sent=min(begin for begin, _ in begins))
            return appended(namespace, replace(after, absent=False), [status_change()] if missed else [], now_ms)

        return await self._subscriptions.change(namespace, found.aetitle, decide)

    def _is_taken(self, subscriber: Subscriber) -> bool:
        return bool(subscriber.lease) and subscriber.lease_ms > self._subscriptions.now_ms()

    async def _beginning(self, namespace: str, subscriber: Subscriber, resume: int, now_ms: int) -> tuple[int, bool]:
        """The report after which a new connection begins, and whether reports behind it are no longer there."""
        last = subscriber.last
        if resume >= 0:
            begin = min(resume, last)
        else:
            begin = min(subscriber.sent, await self._first_since(namespace, subscriber, now_ms - OVERLAP_MS) - 1)
        first = await self._first_since(namespace, subscriber, now_ms - RETENTION_MS)
        return max(begin, 0), begin + 1 < first

    async def _first_since(self, namespace: str, subscriber: Subscriber, time_ms: int) -> int:
        """The number of the first report since a time that is kept; one more than the last if there is none."""
        low: str | None
        low, high = rows.reports_from(subscriber.aetitle, 0)
        tables, partition = self._subscriptions.tables, rows.partition_key(namespace)
        while low is not None:
            page = await tables.page(TABLE, partition, low, high, select=("time",))
            for row in page.entities:
                if rows.time_of(row) >= time_ms:
                    return rows.report_number(row)
            low = page.next_row_key
        return subscriber.last + 1

    async def _send(self, namespace: str, subscriber: Subscriber, user: str) -> Subscriber | None:
        """Send the next reports; the subscriber, if there is more to be sent and the lease is still held."""
        low, high = rows.reports_from(subscriber.aetitle, subscriber.sent + 1)
        page = await self._subscriptions.tables.page(TABLE, rows.partition_key(namespace), low, high, top=_BATCH)
        sent = await self._hand_over(page.entities, user, subscriber.sent)
        if not page.entities and page.next_row_key is None:
            sent = subscriber.last  # what is missing is no longer kept
        goes_on = sent >= subscriber.last or await self._channel.is_connected(user)

        async def decide(present: Subscriber) -> Change | None:
            now_ms = self._subscriptions.now_ms()
            if present.lease != subscriber.lease:
                return None
            more = sent < present.last and goes_on and not present.is_opening(now_ms)
            after = replace(present, sent=max(sent, present.sent), seen_ms=now_ms)
            if not more:
                return replace(after, lease="", lease_ms=0), ()
            return replace(after, lease_ms=now_ms + LEASE_MS), ()

        after = await self._subscriptions.change(namespace, subscriber.aetitle, decide)
        return after if after is not None and after.lease else None

    async def _hand_over(self, found: Sequence[Entity], user: str, sent: int) -> int:
        """Hand over reports in their order; the number of the last one that was."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _BATCH_SECONDS
        for row in found:
            if loop.time() > end:
                break
            number = rows.report_number(row)
            await self._channel.send(user, numbered(rows.report_of(row), number))
            sent = number
        return sent

    async def _give_back(self, namespace: str, aetitle: str, lease: str) -> None:
        async def decide(present: Subscriber) -> Change | None:
            return (replace(present, lease="", lease_ms=0), ()) if present.lease == lease else None

        try:
            await self._subscriptions.change(namespace, aetitle, decide)
        except (NotFound, Unavailable):
            return  # it ends by itself
