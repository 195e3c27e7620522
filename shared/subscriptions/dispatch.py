"""The dispatch of events from the outbox of the worklist to the reports of subscribers (WE-5 to WE-9).

An event leaves the outbox when each subscriber that is to be told of it has its reports. A mark remembers the latest
event of a workitem that a subscriber has got: what is done twice, because a process died or two were at work, changes
nothing. So whatever dies in between, no report is lost, and those of a workitem are in the order of its writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.concurrency import together
from shared.dicom.attributes import Attributes
from shared.errors import DicomServiceError, NotFound
from shared.index_schema import keys
from shared.storage.ports import RowWrite
from shared.subscriptions import rows
from shared.subscriptions.channel import Channel, user_of
from shared.subscriptions.delivery import Delivery
from shared.subscriptions.reports import reports_of
from shared.subscriptions.store import Change, Subscriptions, appended
from shared.subscriptions.subscriber import Subscriber, WorkitemSubscription
from shared.workitems.events import WorkitemEvent
from shared.workitems.outbox import Outbox, PendingEvent
from shared.workitems.rows import TABLE, partition_keys

type Matches = Callable[[str, Attributes], bool]
"""Whether what searches match of a workitem meets a filter, as it stands in a WorklistSubscription."""

_EVENTS: Final = 30
"""Events of one run: with their marks, reports and subscriber they fit one transaction."""
_BYTES: Final = 3_000_000
"""Of the reports of one transaction, which takes 4 MiB."""
_RUNS: Final = 100
"""Of one call; what is left waits for the next."""
_SIDE_BY_SIDE: Final = 8
"""Subscribers that are served side by side."""


class Dispatch:
    """Brings events to subscribers. Everything raises Unavailable."""

    def __init__(self, subscriptions: Subscriptions, outbox: Outbox, channel: Channel, matches: Matches) -> None:
        self._subscriptions = subscriptions
        self._outbox = outbox
        self._channel = channel
        self._matches = matches
        self.delivery = Delivery(subscriptions, channel)

    async def run(self, partition_key: str) -> bool:
        """Tell of the events of one partition of the worklist; whether its data partition has a subscriber.

        What cannot be sent to one subscriber keeps the others waiting no longer than its requests take; the first
        failure is raised in the end.
        """
        namespace = keys.namespace_of(partition_key)
        subscribers: Sequence[Subscriber] = ()
        for _ in range(_RUNS):
            pending = await self._outbox.pending(partition_key, most=_EVENTS)
            if not pending:
                break
            subscribers = await self._subscriptions.all(namespace)
            told = await self._file(namespace, pending, subscribers)
            await self._outbox.remove(pending)
            await self._deliver(namespace, told)
            if len(pending) < _EVENTS:
                break
        return bool(subscribers)

    async def sweep(self, namespace: str) -> None:
        """Tell of all events of a data partition, and send what subscribers have not got: the guarantee."""
        failures: list[DicomServiceError] = []
        for partition_key in partition_keys(namespace):
            try:
                await self.run(partition_key)
            except DicomServiceError as error:
                failures.append(error)
        now_ms = self._subscriptions.now_ms()
        found = await self._subscriptions.all(namespace)
        due = [each for each in found if each.expected(now_ms) or each.sent < each.last]
        await self._deliver(namespace, [each.aetitle for each in due])
        if failures:
            raise failures[0]

    async def _deliver(self, namespace: str, aetitles: Sequence[str]) -> None:
        failures: list[BaseException] = []
        for at in range(0, len(aetitles), _SIDE_BY_SIDE):
            some = aetitles[at : at + _SIDE_BY_SIDE]
            answers = await together(
                *(self.delivery.run(namespace, aetitle) for aetitle in some), return_exceptions=True
            )
            failures += [each for each in answers if isinstance(each, BaseException)]
        if failures:
            raise failures[0]

    # ------------------------------------------------------------------------------------------------------- filing

    async def _file(
        self, namespace: str, pending: Sequence[PendingEvent], subscribers: Sequence[Subscriber]
    ) -> list[str]:
        """Give each subscriber the reports of events; the AE titles of those who have got some."""
        events = [each.event for each in pending]
        if not subscribers:
            return []
        uids = list(dict.fromkeys(event.uid for event in events))
        found = await together(*(self._subscriptions.to_workitem(namespace, uid) for uid in uids))
        own = dict(zip(uids, found, strict=True))
        told: list[str] = []
        for at in range(0, len(subscribers), _SIDE_BY_SIDE):
            some = subscribers[at : at + _SIDE_BY_SIDE]
            got = await together(*(self._file_for(namespace, each, events, own) for each in some))
            told += [each.aetitle for each, has in zip(some, got, strict=True) if has]
        for event in events:
            if event.removed:
                await self._subscriptions.forget(namespace, event.uid)
        return told

    async def _file_for(
        self,
        namespace: str,
        subscriber: Subscriber,
        events: Sequence[WorkitemEvent],
        own: Mapping[str, Mapping[str, WorkitemSubscription]],
    ) -> bool:
        """Give one subscriber its reports; whether it has got some."""
        chosen: list[WorkitemEvent] = []
        kept: set[str] = set()
        for event in events:
            asked = own[event.uid].get(subscriber.aetitle)
            if event.uid in kept or self._is_told(subscriber, asked, event):
                chosen.append(event)
            elif subscriber.filter_applies(asked, event.created_ms) and self._fits(subscriber, event):
                await self._subscriptions.keep_match(namespace, subscriber.aetitle, event.uid)
                kept.add(event.uid)
                chosen.append(event)
        told = [event for event in chosen if event.reports]
        return bool(told) and await self._append(namespace, subscriber.aetitle, told)

    @staticmethod
    def _is_told(subscriber: Subscriber, asked: WorkitemSubscription | None, event: WorkitemEvent) -> bool:
        if not subscriber.is_subscribed(asked, event.created_ms):
            return False
        own = asked is not None and asked.subscribed and subscriber.is_valid(asked)
        return own or event.time_ms >= subscriber.everything.since_ms

    def _fits(self, subscriber: Subscriber, event: WorkitemEvent) -> bool:
        """Whether a workitem matches the filter now, or did before this write, when nobody looked."""
        matching = subscriber.filtered.filter
        if event.time_ms < subscriber.filtered.since_ms:
            return False
        if self._matches(matching, event.searched):
            return True
        return bool(event.replaced) and self._matches(matching, {**event.searched, **event.replaced})

    async def _append(self, namespace: str, aetitle: str, events: Sequence[WorkitemEvent]) -> bool:
        """Write the reports of events that have not been written; whether the subscriber has got some."""
        left, has = events, False
        while left:
            step = _Step(self, namespace, left)
            try:
                has = await self._subscriptions.change(namespace, aetitle, step.decide) is not None or has
            except NotFound:
                break
            left = left[step.taken :]
        return has

    async def marks(self, namespace: str, aetitle: str, uids: Sequence[str]) -> dict[str, int]:
        """The numbers of the latest events of workitems that a subscriber has got."""
        partition = rows.partition_key(namespace)
        found = await together(
            *(self._subscriptions.tables.get(TABLE, partition, rows.mark_key(aetitle, uid)) for uid in uids)
        )
        return {uid: rows.marked(row) for uid, row in zip(uids, found, strict=True)}

    async def filed(self, namespace: str, subscriber: Subscriber, events: Sequence[WorkitemEvent]) -> Change | None:
        """The subscriber with the reports of events; None if there are none, or none are kept for it."""
        if not events:
            return None
        now_ms = self._subscriptions.now_ms()
        seen_ms = subscriber.seen_ms
        if subscriber.is_away(now_ms):
            if not await self._channel.is_connected(user_of(namespace, subscriber.aetitle, subscriber.owner)):
                # Nothing is kept for who has been away that long: one number is left out, so that the gap shows.
                return None if subscriber.absent else (replace(subscriber, absent=True, last=subscriber.last + 1), ())
            seen_ms = now_ms
        marks: dict[str, RowWrite] = {
            event.uid: rows.mark(namespace, subscriber.aetitle, event.uid, event.number, now_ms) for event in events
        }
        reports = [report for event in events for report in reports_of(event)]
        after, written = appended(namespace, replace(subscriber, seen_ms=seen_ms), reports, now_ms)
        return after, [*marks.values(), *written]


class _Step:
    """One transaction of a subscriber: the events that are new to it, as many as fit."""

    def __init__(self, dispatch: Dispatch, namespace: str, events: Sequence[WorkitemEvent]) -> None:
        self.taken = len(events)
        """How many of the events are dealt with."""
        self._dispatch = dispatch
        self._namespace = namespace
        self._events = events

    async def decide(self, subscriber: Subscriber) -> Change | None:
        """The change to the subscriber that is written; None if there is none."""
        uids = list(dict.fromkeys(event.uid for event in self._events))
        seen = await self._dispatch.marks(self._namespace, subscriber.aetitle, uids)
        new, self.taken = _batch(self._events, seen)
        return await self._dispatch.filed(self._namespace, subscriber, new)


def _batch(events: Sequence[WorkitemEvent], seen: Mapping[str, int]) -> tuple[list[WorkitemEvent], int]:
    """The events that are new and fit one transaction, and how many of `events` that deals with."""
    new: list[WorkitemEvent] = []
    size = 0
    for place, event in enumerate(events):
        if event.number <= seen[event.uid]:
            continue
        size += sum(map(len, reports_of(event)))
        if new and size > _BYTES:
            return new, place
        new.append(event)
    return new, len(events)
