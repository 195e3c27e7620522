"""Settings → workitems, and the channel to those who are told of them (PS3.18 §11)."""

from dataclasses import dataclass

from shared.subscriptions.clearing import Clearing
from shared.subscriptions.dispatch import Dispatch
from shared.subscriptions.prompt import Prompt
from shared.subscriptions.store import Subscriptions
from shared.subscriptions.web_pub_sub import WebPubSubChannel
from shared.wiring.core import Core
from shared.workitems.outbox import Outbox
from shared.workitems.store import Workitems
from shared.worklist.subscribe.request import is_match
from shared.worklist.subscribe.transaction import Subscribing


@dataclass(frozen=True, slots=True)
class Reporting:
    """The senders of event reports."""

    dispatch: Dispatch
    clearing: Clearing
    subscribing: Subscribing


@dataclass(frozen=True, slots=True)
class WorkitemStores:
    """One per process: whoever writes a workitem lets its subscribers know."""

    workitems: Workitems
    subscriptions: Subscriptions
    outbox: Outbox
    reporting: Reporting | None
    """None where the settings name no channel: there are no subscriptions then."""


def workitem_stores(core: Core) -> WorkitemStores:
    """The workitems of the app."""
    tables, now = core.base.tables, core.base.clock.now
    outbox, subscriptions = Outbox(tables), Subscriptions(tables, now)
    if not core.settings.notifications_endpoint:
        return WorkitemStores(Workitems(tables, now), subscriptions, outbox, None)
    credential = core.settings.notifications_key or core.identity.credential()
    channel = WebPubSubChannel(core.settings.notifications_endpoint, credential)
    dispatch = Dispatch(subscriptions, outbox, channel, is_match)
    prompt = Prompt(dispatch)
    workitems = Workitems(tables, now, prompt.written)
    reporting = Reporting(
        dispatch, Clearing(subscriptions, channel), Subscribing(workitems, subscriptions, channel, prompt)
    )
    return WorkitemStores(workitems, subscriptions, outbox, reporting)
