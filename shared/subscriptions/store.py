"""The store of subscribers: each request of one is an entity group transaction against the etag of its row."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.errors import Conflict, Forbidden, NotFound
from shared.index_schema.keys import sort_key_time
from shared.storage.optimistic import Rounds, best_effort_commit, commit_each
from shared.storage.ports import Entity, RowWrite, TableStore
from shared.subscriptions import rows
from shared.subscriptions.channel import TICKET_SECONDS, user_of
from shared.subscriptions.reports import initial_report
from shared.subscriptions.subscriber import Opening, Subscriber, WorkitemSubscription
from shared.subscriptions.ticket import Ticket, new_secret
from shared.workitems.rows import TABLE
from shared.workitems.workitem import Workitem

MOST: Final = 500
"""Subscribers of a data partition: every event looks at all of them."""

type Change = tuple[Subscriber, Sequence[RowWrite]]
"""A subscriber as it becomes, and what is written beside it."""


@dataclass(frozen=True, slots=True)
class StoredSubscriber:
    """A subscriber as it was read."""

    subscriber: Subscriber
    etag: str


class Subscriptions:
    """The subscribers of all data partitions. `now`: seconds since 1970. Everything raises Unavailable."""

    def __init__(self, tables: TableStore, now: Callable[[], float]) -> None:
        self.tables = tables
        self._now = now

    def now_ms(self) -> int:
        """The time, in milliseconds since 1970."""
        return int(self._now() * 1000)

    # ------------------------------------------------------------------------------------------------------ reading

    async def get(self, namespace: str, aetitle: str) -> StoredSubscriber | None:
        """A subscriber."""
        row = await self.tables.get(TABLE, rows.partition_key(namespace), rows.subscriber_key(aetitle))
        return StoredSubscriber(rows.subscriber_of(row), row.etag) if row else None

    async def all(self, namespace: str) -> list[Subscriber]:
        """The subscribers of a data partition."""
        return [each.subscriber for each in await self.stored(namespace)]

    async def stored(self, namespace: str) -> list[StoredSubscriber]:
        """The same, as they were read."""
        found = await self.tables.range(TABLE, rows.partition_key(namespace), *rows.SUBSCRIBERS)
        return [StoredSubscriber(rows.subscriber_of(row), row.etag) for row in found]

    async def to_workitem(self, namespace: str, uid: str) -> dict[str, WorkitemSubscription]:
        """The subscriptions to a workitem, by AE title."""
        found = await self.tables.range(TABLE, rows.partition_key(namespace), *rows.subscriptions_to(uid))
        return {rows.aetitle_of(row): rows.subscription_of(row) for row in found}

    async def hears(self, namespace: str, workitem: Workitem) -> bool:
        """Whether the performer of a workitem is told of its events: whom it was claimed for; where that was not said,
        somebody (PS3.4 §CC.2.2.3).
        """
        created_ms = sort_key_time(workitem.sort_key)
        own = await self.to_workitem(namespace, workitem.uid)
        if workitem.performer:
            stored = await self.get(namespace, workitem.performer)
            found = [stored.subscriber] if stored else []
        else:
            found = await self.all(namespace)
        return any(each.is_subscribed(own.get(each.aetitle), created_ms) for each in found)

    async def is_locked(self, namespace: str, uid: str) -> bool:
        """Whether a subscriber wants the workitem to be kept: it must not be removed (PS3.4 §CC.2.3, WE-4)."""
        own = await self.to_workitem(namespace, uid)
        for aetitle in (name for name, each in own.items() if each.subscribed and each.lock):
            stored = await self.get(namespace, aetitle)
            if stored is not None and stored.subscriber.is_valid(own[aetitle]):
                return True
        return False

    # ----------------------------------------------------------------------------------------------------- requests

    # `caller` is the identity of who asks; empty where nobody signs in. An AE title of somebody else raises Forbidden.

    async def subscribe(self, namespace: str, aetitle: str, caller: str = "", *, matching: str = "") -> None:
        """Subscribe to all workitems, or to those that match a filter.

        Raises Forbidden, and Conflict for one subscriber too many.
        """

        async def decide(subscriber: Subscriber) -> Change:
            return owned(subscriber, caller).subscribed(self.now_ms(), matching), ()

        await self.change(namespace, aetitle, decide, create=True)

    async def subscribe_to(
        self, namespace: str, aetitle: str, caller: str, read: Callable[[], Awaitable[Workitem]], *, lock: bool
    ) -> None:
        """Subscribe to one workitem, whose state is the first report (PS3.4 §CC.2.4.3).

        `read` reads it, behind the subscriber: it is not older than what was told. Raises Forbidden, Conflict, and what
        that does.
        """

        async def decide(subscriber: Subscriber) -> Change:
            workitem = await read()
            now_ms = self.now_ms()
            after = replace(
                owned(subscriber, caller),
                requests=subscriber.requests + 1,
                seen_ms=max(subscriber.seen_ms, now_ms),
            )
            subscription = WorkitemSubscription(after.requests, subscribed=True, lock=lock)
            after, written = appended(namespace, after, [initial_report(workitem)], now_ms)
            own = self._subscription(namespace, workitem.uid, aetitle, subscription)
            return after, [own, rows.mark(namespace, aetitle, workitem.uid, workitem.number, now_ms), *written]

        await self.change(namespace, aetitle, decide, create=True)

    async def unsubscribe(self, namespace: str, aetitle: str, caller: str = "", *, filtered: bool) -> None:
        """Unsubscribe from the worklist, and without `filtered` from every workitem.

        Raises Forbidden, and NotFound if there is no such subscription.
        """

        async def decide(subscriber: Subscriber) -> Change:
            check_owner(subscriber, caller)
            if not (subscriber.filtered.request if filtered else subscriber.has_asked):
                raise _not_subscribed()
            return subscriber.unsubscribed(filtered=filtered), ()

        await self.change(namespace, aetitle, decide)

    async def unsubscribe_from(self, namespace: str, aetitle: str, caller: str, uid: str, created_ms: int) -> None:
        """Unsubscribe from a workitem that was created then. Raises NotFound if there is no such subscription."""

        async def decide(subscriber: Subscriber) -> Change:
            check_owner(subscriber, caller)
            own = (await self.to_workitem(namespace, uid)).get(aetitle)
            if not subscriber.is_subscribed(own, created_ms):
                raise _not_subscribed()
            after = replace(subscriber, requests=subscriber.requests + 1)
            gone = WorkitemSubscription(after.requests, subscribed=False)
            return after, [self._subscription(namespace, uid, aetitle, gone)]

        await self.change(namespace, aetitle, decide)

    async def suspend(self, namespace: str, aetitle: str, caller: str = "", *, filtered: bool) -> None:
        """Let no new workitems join a subscription to the worklist. Raises NotFound if there is none."""

        async def decide(subscriber: Subscriber) -> Change:
            check_owner(subscriber, caller)
            if not (subscriber.filtered if filtered else subscriber.everything).request:
                raise _not_subscribed()
            return subscriber.suspended(self.now_ms(), filtered=filtered), ()

        await self.change(namespace, aetitle, decide)

    async def expect(
        self, namespace: str, aetitle: str, caller: str, after_message_id: int | None = None
    ) -> tuple[Subscriber, str]:
        """The subscriber, and the ticket with which it is about to open one connection.

        `after_message_id`: that of the last report that it has got, None if it does not say. Raises Forbidden,
        Conflict.
        """
        secret = new_secret()

        async def decide(subscriber: Subscriber) -> Change:
            resume = -1 if after_message_id is None else subscriber.resumed(after_message_id)
            # Who names a report that nobody knows of was removed meanwhile: it is told that reports are missing.
            absent = subscriber.absent or (subscriber.last == 0 and bool(after_message_id))
            expecting = owned(subscriber, caller).expecting(Opening(secret, self.now_ms(), resume))
            return replace(expecting, absent=absent), ()

        written = await self.change(namespace, aetitle, decide, create=True)
        return written or Subscriber(aetitle), str(Ticket(namespace, aetitle, secret))

    async def use(self, ticket: Ticket, user: str) -> bool:
        """Use up a ticket, which is shown for a user of the channel; whether it may open a connection: it is used for
        the first time, in its minute, and is that user's own.
        """

        async def decide(subscriber: Subscriber) -> Change | None:
            now_ms = self.now_ms()
            opening = next((each for each in subscriber.openings if each.secret == ticket.secret), None)
            if (
                opening is None
                or opening.used_ms
                or now_ms - opening.time_ms > TICKET_SECONDS * 1000
                or user != user_of(ticket.namespace, ticket.aetitle, subscriber.owner)
            ):
                return None
            used = tuple(replace(each, used_ms=now_ms) if each is opening else each for each in subscriber.openings)
            return replace(subscriber, openings=used, seen_ms=now_ms), ()

        try:
            return await self.change(ticket.namespace, ticket.aetitle, decide) is not None
        except NotFound:
            return False

    async def keep_match(self, namespace: str, aetitle: str, uid: str) -> None:
        """A workitem has matched the filter of a subscriber, who is told of it from now on."""

        async def decide(subscriber: Subscriber) -> Change:
            found = WorkitemSubscription(subscriber.filtered.request, subscribed=True, by_filter=True)
            return subscriber, [self._subscription(namespace, uid, aetitle, found)]

        await self.change(namespace, aetitle, decide)

    @staticmethod
    def _subscription(namespace: str, uid: str, aetitle: str, subscription: WorkitemSubscription) -> RowWrite:
        properties = rows.subscription_properties(subscription, aetitle)
        return RowWrite("upsert", rows.partition_key(namespace), rows.subscription_key(uid, aetitle), properties)

    # ------------------------------------------------------------------------------------------------------ writing

    async def change(
        self,
        namespace: str,
        aetitle: str,
        decide: Callable[[Subscriber], Awaitable[Change | None]],
        *,
        create: bool = False,
    ) -> Subscriber | None:
        """Write what `decide` makes of a subscriber, which may be asked again; the subscriber as written.

        None if there is nothing to write. An answer that gets lost lets it be done twice. `create`: one that is not
        there is made; else that raises NotFound.
        """
        partition, key = rows.partition_key(namespace), rows.subscriber_key(aetitle)
        rounds = Rounds("The subscription cannot be written")
        while True:
            await rounds.next()
            stored = await self.get(namespace, aetitle)
            if stored is None and not create:
                raise _not_subscribed()
            decided = await decide(stored.subscriber if stored else Subscriber(aetitle))
            if decided is None:
                return None
            after, beside = decided
            if stored is None:
                await self._check_room(namespace)
            properties = rows.subscriber_properties(after)
            written = (
                RowWrite("insert", partition, key, properties)
                if stored is None
                else RowWrite("replace", partition, key, properties, stored.etag)
            )
            if await best_effort_commit(self.tables, TABLE, [written, *beside]):
                return after

    async def _check_room(self, namespace: str) -> None:
        if len(await self.all(namespace)) >= MOST:
            raise Conflict(
                f"There are {MOST} subscribers of the worklist.",
                where="path, {aetitle}",
                remedy="Let one that is no longer needed unsubscribe.",
            )

    async def forget(self, namespace: str, uid: str) -> None:
        """Remove the subscriptions to a workitem that is no longer there."""
        found = await self.tables.range(TABLE, rows.partition_key(namespace), *rows.subscriptions_to(uid))
        await self.remove(found)

    async def retire(self, namespace: str, aetitle: str, etag: str) -> None:
        """Remove a subscriber, if it is still as it was read: its AE title is nobody's then (WE-16)."""
        row = RowWrite("delete", rows.partition_key(namespace), rows.subscriber_key(aetitle), etag=etag)
        await best_effort_commit(self.tables, TABLE, [row])  # if not, it has asked for something, or is gone

    async def remove(self, found: Sequence[Entity], *, as_read: bool = False) -> None:
        """Remove rows; those that are gone already do no harm. `as_read`: those that have changed stay."""
        writes = [
            RowWrite("delete", row.partition_key, row.row_key, etag=row.etag if as_read else "*") for row in found
        ]
        await commit_each(self.tables, TABLE, writes)


def appended(
    namespace: str, subscriber: Subscriber, reports: Sequence[bytes], now_ms: int
) -> tuple[Subscriber, list[RowWrite]]:
    """The subscriber with reports behind those that it has, and the rows of these."""
    partition = rows.partition_key(namespace)
    written = [
        RowWrite(
            "insert",
            partition,
            rows.report_key(subscriber.aetitle, subscriber.last + place),
            rows.report_properties(report, now_ms),
        )
        for place, report in enumerate(reports, start=1)
    ]
    return replace(subscriber, last=subscriber.last + len(reports)), written


def check_owner(subscriber: Subscriber, caller: str) -> None:
    """Refuse who is not the owner of an AE title. Raises Forbidden."""
    if subscriber.owner and caller and subscriber.owner != caller:
        raise Forbidden(
            "The AE title belongs to another subscriber.",
            where="path, {aetitle}",
            remedy="Subscribe under an AE title of your own.",
        )


def owned(subscriber: Subscriber, caller: str) -> Subscriber:
    """The subscriber, whose AE title is its caller's from now on, if it was nobody's. Raises Forbidden."""
    check_owner(subscriber, caller)
    return replace(subscriber, owner=subscriber.owner or caller)


def _not_subscribed() -> NotFound:
    return NotFound(
        "There is no such subscription.",
        where="path",
        remedy="POST to the same path subscribes; mind partition, UID and AE title.",
    )
