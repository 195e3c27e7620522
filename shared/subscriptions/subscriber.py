"""PS3.4 §CC.2.3 A subscriber: what it is subscribed to, and how far its event reports have come. Pure.

The states of PS3.4 Table CC.2.3-2 are not kept for each workitem. What a subscriber has asked for is numbered, and the
state for a workitem is what the latest request says that applies to it: a subscription to the whole worklist costs one
row, however many workitems there are.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

RETENTION_MS: Final = 3_600_000
"""Milliseconds for which a report is kept for who connects again."""
OVERLAP_MS: Final = 300_000
"""Milliseconds of reports that are repeated to who connects again and does not say what it has got: a broken line is
noticed within that, and what was sent into it is lost."""
EXPECTED_MS: Final = 180_000
"""Milliseconds for which an opening is looked after: its ticket can be used for one minute, and the sweep comes every
minute."""
OPENING_MS: Final = 10_000
"""Milliseconds within which a connection is there whose ticket was shown."""
MOST_OPENINGS: Final = 16
"""Connections that a subscriber may be about to open; of more the oldest tickets are void."""
MOST_REPORTS: Final = 10_000
"""Reports that are kept for a subscriber: fewer than there are Message IDs, so that each names one of them."""
MESSAGE_IDS: Final = 65_535
"""Message ID (0000,0110) is of VR US: after so many reports it begins anew with 1."""


@dataclass(frozen=True, slots=True)
class WorklistSubscription:
    """A subscription to all workitems, or to those that match a filter."""

    request: int = 0
    """The number of the request that has made it; 0: there is none."""
    since_ms: int = 0
    suspended_ms: int = 0
    """When it was suspended: workitems that are created later are not its own. 0: it was not."""
    filter: str = field(default="", repr=False)
    """Matching keys as a query string; empty: all workitems."""

    def takes_in(self, created_ms: int) -> bool:
        """Whether workitems of that time belong to it, if they match."""
        return self.request > 0 and not 0 < self.suspended_ms < created_ms


@dataclass(frozen=True, slots=True)
class WorkitemSubscription:
    """A subscription to one workitem, asked for or found by a filter."""

    request: int
    subscribed: bool
    lock: bool = False
    by_filter: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """A connection that a subscriber is about to open."""

    secret: str = field(repr=False)
    """That of its ticket."""
    time_ms: int
    """When the ticket was given out."""
    resume: int = -1
    """The report after which the connection begins; -1: it was not said."""
    used_ms: int = 0
    """When the ticket was shown, after which it opens no second connection; 0: it was not."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscriber of one data partition."""

    aetitle: str
    owner: str = field(default="", repr=False)
    """The identity that subscribed first, to which the AE title belongs; empty: nobody, or nobody signs in."""
    requests: int = 0
    """How many requests have changed its subscriptions."""
    everything: WorklistSubscription = WorklistSubscription()
    filtered: WorklistSubscription = WorklistSubscription()
    cleared: int = 0
    """Subscriptions to single workitems up to that request are gone."""
    filter_cleared: int = 0
    """The same for those that a filter has made."""
    last: int = 0
    """The number of its latest report."""
    sent: int = 0
    """The number of the report up to which all were sent."""
    seen_ms: int = 0
    """When it was last known to be there."""
    absent: bool = False
    """It has not been there for so long that nothing is kept for it."""
    openings: tuple[Opening, ...] = ()
    """The connections that it is about to open, the oldest first."""
    lease: str = ""
    """The process that sends its reports at present; empty: none."""
    lease_ms: int = 0
    """Until when."""

    def is_subscribed(self, own: WorkitemSubscription | None, created_ms: int) -> bool:
        """Whether it is told of a workitem of which it has asked for `own`, and which was created then."""
        if own is not None and self.is_valid(own):
            if own.subscribed:
                return True
            if own.request > self.everything.request:
                return False
        return self.everything.takes_in(created_ms)

    def is_valid(self, own: WorkitemSubscription) -> bool:
        """Whether no later request has made it void."""
        return own.request > max(self.cleared, self.filter_cleared if own.by_filter else 0)

    def filter_applies(self, own: WorkitemSubscription | None, created_ms: int) -> bool:
        """Whether a workitem of which it has asked for `own` becomes its own when it matches its filter."""
        if not self.filtered.takes_in(created_ms):
            return False
        return own is None or not self.is_valid(own) or self.filtered.request > own.request

    @property
    def has_asked(self) -> bool:
        """Whether it has subscribed to anything since it last ended all."""
        return self.requests > self.cleared

    @property
    def exists(self) -> bool:
        """Whether it has a subscription to the worklist, suspended or not."""
        return self.everything.request > 0 or self.filtered.request > 0

    # ------------------------------------------------------------------------------------------------- its requests

    def subscribed(self, now_ms: int, matching: str = "") -> "Subscriber":
        """The subscriber with a subscription to all workitems, or to those that match a filter."""
        made = WorklistSubscription(self.requests + 1, now_ms, 0, matching)
        after = replace(self, requests=made.request, seen_ms=max(self.seen_ms, now_ms))
        return replace(after, filtered=made) if matching else replace(after, everything=made)

    def unsubscribed(self, *, filtered: bool) -> "Subscriber":
        """The subscriber without its subscription to the worklist, and without those to single workitems: all of them,
        or with `filtered` those that the filter has made. Who ends all gives its AE title back.
        """
        request = self.requests + 1
        gone = WorklistSubscription()
        if filtered:
            return replace(self, requests=request, filtered=gone, filter_cleared=request)
        free = replace(self, owner="", openings=())
        return replace(free, requests=request, everything=gone, filtered=gone, cleared=request)

    def suspended(self, now_ms: int, *, filtered: bool) -> "Subscriber":
        """The subscriber, which gets no new workitems from now on. A second time changes nothing."""
        which = self.filtered if filtered else self.everything
        after = replace(which, suspended_ms=which.suspended_ms or now_ms)
        return replace(self, filtered=after) if filtered else replace(self, everything=after)

    # -------------------------------------------------------------------------------------------------- its reports

    def expected(self, now_ms: int) -> tuple[Opening, ...]:
        """The connections that may have been opened and have not been served."""
        return tuple(each for each in self.openings if now_ms - each.time_ms <= EXPECTED_MS)

    def is_opening(self, now_ms: int, opened: Collection[str] = ()) -> bool:
        """Whether a connection is about to be there that is not among those `opened`, by the secrets of their tickets.

        Nothing is sent then: the connection would get it before the reports that it begins with.
        """
        return any(
            0 < each.used_ms <= now_ms <= each.used_ms + OPENING_MS and each.secret not in opened
            for each in self.openings
        )

    def expecting(self, opening: Opening) -> "Subscriber":
        """The subscriber, which is about to open one more connection."""
        kept = (*self.expected(opening.time_ms), opening)[-MOST_OPENINGS:]
        return replace(self, openings=kept, seen_ms=opening.time_ms)

    def is_away(self, now_ms: int) -> bool:
        """Whether nothing has been known of it for longer than reports are kept."""
        return now_ms - self.seen_ms > RETENTION_MS

    def is_idle(self, now_ms: int) -> bool:
        """Whether it is away and has no subscription to the worklist; it may have some to single workitems."""
        return self.is_away(now_ms) and not self.exists

    def has_ended(self, own: WorkitemSubscription) -> bool:
        """Whether what it has asked for of a workitem says nothing any more, while it has no subscription to the
        worklist. A request that is newer than what is known of the subscriber has not.
        """
        return own.request <= self.requests and not (own.subscribed and self.is_valid(own))

    def resumed(self, message_id: int) -> int:
        """The number of the report that had that Message ID; the latest of those that had."""
        return max(self.last - (self.last - message_id) % MESSAGE_IDS, 0)


def message_id(number: int) -> int:
    """The Message ID of a report: each is one more than that of the report before, and 1 follows the greatest."""
    return (number - 1) % MESSAGE_IDS + 1
