"""PS3.18 §11.10 Subscribe, §11.11 Unsubscribe, §11.12 Suspend Global Subscription (worklist §12)."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.errors import Forbidden, InvalidRequest
from shared.http.caller_shares import identity_of
from shared.http.transaction import Context
from shared.index_schema.keys import sort_key_time
from shared.subscriptions.channel import Channel, user_of
from shared.subscriptions.prompt import Prompt
from shared.subscriptions.reports import FILTERED_SUBSCRIPTION, GLOBAL_SUBSCRIPTION
from shared.subscriptions.store import Subscriptions
from shared.workitems.store import Workitems
from shared.workitems.workitem import Workitem
from shared.worklist.results import present, refused
from shared.worklist.subscribe.connection_events import ConnectionAttempt
from shared.worklist.subscribe.request import SubscriptionRequest

LOCK_REFUSED: Final = "Deletion Lock not granted."
"""PS3.18 §11.10.3.2."""


@dataclass(frozen=True, slots=True)
class Subscribing:
    """The services that the transactions work with."""

    workitems: Workitems
    subscriptions: Subscriptions
    channel: Channel
    prompt: Prompt

    async def subscribe(self, uid: str, asked: SubscriptionRequest, context: Context) -> tuple[str, str]:
        """Subscribe to a workitem, or by a well-known UID to the worklist; the URL of the connection, and what the
        subscriber is warned of, '' for nothing.

        A lock on all workitems is not granted: it would keep them for ever. Raises InvalidRequest, NotFound, Gone,
        Conflict, and Forbidden for the AE title of somebody else.
        """
        namespace, caller = context.partition.namespace, identity_of(context.caller.claims)
        is_filtered = uid == FILTERED_SUBSCRIPTION
        if bool(asked.filter) != is_filtered:
            raise refused(context, _NO_FILTER if is_filtered else _ONLY_FILTERED)
        if is_filtered or uid == GLOBAL_SUBSCRIPTION:
            await self.subscriptions.subscribe(namespace, asked.aetitle, caller, matching=asked.filter)
        else:
            read = partial(self._read, uid, context)
            await read()
            await self.subscriptions.subscribe_to(namespace, asked.aetitle, caller, read, lock=asked.lock)
            await read()  # a lock that came too late is none
        self.prompt.subscribed(namespace)
        warning = LOCK_REFUSED if asked.lock and uid in _WELL_KNOWN else ""
        return await self.open(asked.aetitle, context), warning

    async def unsubscribe(self, uid: str, asked: SubscriptionRequest, context: Context) -> None:
        """Unsubscribe from a workitem, or from the worklist and all of its workitems.

        Who may delete in the partition ends everybody's. Raises NotFound, Gone, Forbidden.
        """
        namespace = context.partition.namespace
        ends_all = context.partition.name in context.caller.permissions.scope("delete")
        caller = "" if ends_all else identity_of(context.caller.claims)
        if uid in _WELL_KNOWN:
            filtered = uid == FILTERED_SUBSCRIPTION
            await self.subscriptions.unsubscribe(namespace, asked.aetitle, caller, filtered=filtered)
            return
        workitem = await self._read(uid, context)
        created_ms = sort_key_time(workitem.sort_key)
        await self.subscriptions.unsubscribe_from(namespace, asked.aetitle, caller, uid, created_ms)

    async def suspend(self, uid: str, asked: SubscriptionRequest, context: Context) -> None:
        """Suspend a subscription to the worklist. Raises InvalidRequest for a workitem, NotFound, Forbidden."""
        if uid not in _WELL_KNOWN:
            raise InvalidRequest(
                "Only a subscription to the worklist can be suspended.",
                where="path, {workitem}",
                remedy=f"Name {GLOBAL_SUBSCRIPTION}, or {FILTERED_SUBSCRIPTION}.",
            )
        filtered, caller = uid == FILTERED_SUBSCRIPTION, identity_of(context.caller.claims)
        await self.subscriptions.suspend(context.partition.namespace, asked.aetitle, caller, filtered=filtered)

    async def open(self, aetitle: str, context: Context, after: int | None = None) -> str:
        """The URL of one connection; `after`: the Message ID of the last report that the subscriber has got.

        Raises Forbidden, Conflict.
        """
        namespace, caller = context.partition.namespace, identity_of(context.caller.claims)
        subscriber, ticket = await self.subscriptions.expect(namespace, aetitle, caller, after)
        return await self.channel.url(user_of(namespace, aetitle, subscriber.owner), ticket)

    async def let_in(self, attempt: ConnectionAttempt) -> None:
        """Let a connection open whose ticket is good and was not used, and use it up. Raises Forbidden."""
        if attempt.ticket is None or not await self.subscriptions.use(attempt.ticket, attempt.user):
            raise Forbidden(
                "The URL has opened a connection already, or its minute is over.",
                remedy="GET /v2/subscribers/{aetitle} has another one.",
            )
        self.prompt.opening(attempt.ticket)
        await self.prompt.settled(attempt.ticket)

    async def _read(self, uid: str, context: Context) -> Workitem:
        return (await present(self.workitems, uid, context)).workitem


_WELL_KNOWN: Final = frozenset({GLOBAL_SUBSCRIPTION, FILTERED_SUBSCRIPTION})
_NO_FILTER: Final = "A subscription to a part of the worklist needs a filter: filter=ProcedureStepState=SCHEDULED."
_ONLY_FILTERED: Final = f"Only a subscription to {FILTERED_SUBSCRIPTION} has a filter."
