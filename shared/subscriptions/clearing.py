"""The removal of old reports, and of subscribers who have nothing left (WE-6, WE-8, WE-16)."""

from collections.abc import Mapping, Sequence

from shared.subscriptions import rows
from shared.subscriptions.channel import Channel, user_of
from shared.subscriptions.store import StoredSubscriber, Subscriptions
from shared.subscriptions.subscriber import MOST_REPORTS, RETENTION_MS, Subscriber
from shared.workitems.rows import TABLE


class Clearing:
    """Removes what is no longer kept. Everything raises Unavailable."""

    def __init__(self, subscriptions: Subscriptions, channel: Channel) -> None:
        self._subscriptions = subscriptions
        self._channel = channel

    async def run(self, namespace: str) -> None:
        """Remove what is no longer kept of the subscribers of a data partition."""
        found = await self._subscriptions.stored(namespace)
        await self._clear_reports(namespace, found)
        await self._remove_subscribers(namespace, found)

    async def _clear_reports(self, namespace: str, found: Sequence[StoredSubscriber]) -> None:
        """Remove reports and marks that are older than they are kept, and reports that are too many."""
        before_ms = self._subscriptions.now_ms() - RETENTION_MS
        first = {
            rows.report_key(each.subscriber.aetitle, 0)[:-12]: each.subscriber.last - MOST_REPORTS for each in found
        }
        for bounds in (rows.REPORTS, rows.MARKS):
            low: str | None = bounds[0]
            while low is not None:
                page = await self._subscriptions.tables.page(
                    TABLE, rows.partition_key(namespace), low, bounds[1], select=("time",)
                )
                await self._subscriptions.remove(
                    [
                        row
                        for row in page.entities
                        if rows.time_of(row) < before_ms
                        or (bounds is rows.REPORTS and rows.report_number(row) <= first.get(row.row_key[:-12], 0))
                    ]
                )
                low = page.next_row_key

    # -------------------------------------------------------------------------------------------------- subscribers

    async def _remove_subscribers(self, namespace: str, found: Sequence[StoredSubscriber]) -> None:
        """Remove subscribers that have no subscription, no connection and no report, and have not been there for as
        long as reports are kept.

        Each goes as it was read: whatever it asks for meanwhile keeps it. It goes when nothing is left of its
        subscriptions to workitems, because requests of the next one of that AE title are numbered from 1 again.
        """
        now_ms = self._subscriptions.now_ms()
        idle = {each.subscriber.aetitle: each for each in found if each.subscriber.is_idle(now_ms)}
        if any(each.subscriber.requests for each in idle.values()):
            for aetitle in await self._clear_subscriptions(namespace, idle):
                del idle[aetitle]
        for aetitle, stored in idle.items():
            if not await self._is_in_use(namespace, stored.subscriber):
                await self._subscriptions.retire(namespace, aetitle, stored.etag)

    async def _clear_subscriptions(self, namespace: str, idle: Mapping[str, StoredSubscriber]) -> set[str]:
        """Remove what is left of ended subscriptions to workitems; the AE titles of which there was anything."""
        found: set[str] = set()
        low: str | None = rows.SUBSCRIPTIONS[0]
        while low is not None:
            page = await self._subscriptions.tables.page(
                TABLE, rows.partition_key(namespace), low, rows.SUBSCRIPTIONS[1]
            )
            of_idle = [row for row in page.entities if rows.aetitle_of(row) in idle]
            found |= {rows.aetitle_of(row) for row in of_idle}
            await self._subscriptions.remove(
                [row for row in of_idle if idle[rows.aetitle_of(row)].subscriber.has_ended(rows.subscription_of(row))],
                as_read=True,
            )
            low = page.next_row_key
        return found

    async def _is_in_use(self, namespace: str, subscriber: Subscriber) -> bool:
        """Whether a report is kept for a subscriber, or it has a connection."""
        low, high = rows.reports_from(subscriber.aetitle, 0)
        page = await self._subscriptions.tables.page(
            TABLE, rows.partition_key(namespace), low, high, top=1, select=("time",)
        )
        if page.entities or page.next_row_key is not None:
            return True
        return await self._channel.is_connected(user_of(namespace, subscriber.aetitle, subscriber.owner))
