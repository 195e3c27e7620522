"""A worklist in memory whose subscribers get event reports."""

import hmac
import json
from collections.abc import Callable
from typing import Any

from shared.subscriptions.channel import user_of
from shared.subscriptions.clearing import Clearing
from shared.subscriptions.dispatch import Dispatch
from shared.subscriptions.prompt import Prompt
from shared.subscriptions.reports import FILTERED_SUBSCRIPTION, GLOBAL_SUBSCRIPTION
from shared.subscriptions.store import Subscriptions
from shared.subscriptions.ticket import Ticket
from shared.workitems.outbox import Outbox
from shared.worklist.subscribe import functions as subscription_functions
from shared.worklist.subscribe.functions import EventSource
from shared.worklist.subscribe.request import is_match
from shared.worklist.subscribe.transaction import Subscribing
from tests.builders.service import Time
from tests.builders.worklist import Reply, Worklist
from tests.fakes.channel import MemoryChannel
from tests.fakes.tables import MemoryTableStore

ALL, PART = GLOBAL_SUBSCRIPTION, FILTERED_SUBSCRIPTION
NAMESPACE = "0"
ORIGIN, KEY = "dicom.webpubsub.example", "an access key"
"""Host and access key of the service whose events are taken."""


def channel_user(aetitle: str = "AE", namespace: str = NAMESPACE) -> str:
    """A subscriber as the channel knows it; who sends the requests of these tests owns its AE title."""
    return user_of(namespace, aetitle, "sub=user-all")


class _Unprompted(Prompt):
    """Tests tell of events themselves."""

    def written(self, partition_key: str) -> None:
        return

    def opening(self, ticket: Ticket) -> None:
        return


class Watched(Worklist):
    """The worklist with subscriptions. Reports are sent by `tell`, and not beside requests."""

    def __init__(
        self, tables: MemoryTableStore | None = None, *, now: Callable[[], float] | None = None, **options: object
    ) -> None:
        tables = tables or MemoryTableStore()
        self.channel = MemoryChannel()
        time = Time()
        self.subscriptions = Subscriptions(tables, now or time)
        self.dispatch = Dispatch(self.subscriptions, Outbox(tables), self.channel, is_match)
        super().__init__(tables, is_reachable=self.subscriptions.hears, now=now or time, **options)
        self.time = time
        subscribing = Subscribing(self.workitems, self.subscriptions, self.channel, _Unprompted(self.dispatch))
        subscription_functions.blueprint(self.boundary, subscribing, EventSource(f"https://{ORIGIN}", KEY))

    async def subscribe(self, uid: str, aetitle: str = "AE", query: str = "", **options: Any) -> Reply:
        """A request for a subscription."""
        return await self.send("POST", f"workitems/{uid}/subscribers/{aetitle}{query and '?'}{query}", **options)

    async def unsubscribe(self, uid: str, aetitle: str = "AE") -> Reply:
        """A request to end one."""
        return await self.send("DELETE", f"workitems/{uid}/subscribers/{aetitle}")

    async def suspend(self, uid: str, aetitle: str = "AE") -> Reply:
        """A request to suspend one."""
        return await self.send("POST", f"workitems/{uid}/subscribers/{aetitle}/suspend")

    async def connect(self, aetitle: str = "AE", after: int | None = None, namespace: str = NAMESPACE) -> None:
        """A connection of a subscriber is opened, and served."""
        query = "" if after is None else f"?after={after}"
        reply = await self.send("GET", f"subscribers/{aetitle}{query}")
        assert reply.status == 307, reply.body
        user, ticket = reply.headers["location"].split("/")[-2:]
        assert user == channel_user(aetitle, namespace)
        assert (await self.let_in(user, ticket)).status == 204
        self.channel.connected[user].add(ticket)
        await self.dispatch.delivery.run(namespace, aetitle)

    async def let_in(self, user: str, ticket: str, body: bytes = b"", **fields: str) -> Reply:
        """What Web PubSub asks before it opens a connection; `body` and `fields` of its header are others."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "WebHook-Request-Origin": ORIGIN,
            "ce-type": "azure.webpubsub.sys.connect",
            "ce-hub": "worklist",
            "ce-userId": user,
            "ce-connectionId": "connection",
            "ce-signature": f"sha256={hmac.digest(KEY.encode(), b'connection', 'sha256').hex()},sha256=00",
            **{name.replace("_", "-"): value for name, value in fields.items()},
        }
        body = (
            body
            or json.dumps({"claims": {}, "query": {"ticket": [ticket]}, "headers": {}, "subprotocols": []}).encode()
        )
        return await self.send("POST", "/worklist/connections", None, *headers.items(), body=body)

    def disconnect(self, aetitle: str = "AE", namespace: str = NAMESPACE) -> None:
        """The connections of a subscriber break, and the channel has noticed it."""
        self.channel.connected[channel_user(aetitle, namespace)].clear()

    async def tell(self, namespace: str = NAMESPACE) -> None:
        """What the sweep does."""
        await self.dispatch.sweep(namespace)

    async def clear(self, namespace: str = NAMESPACE) -> None:
        """What the chore does that removes what is no longer kept."""
        await Clearing(self.subscriptions, self.channel).run(namespace)

    def got(self, aetitle: str = "AE", namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """The reports that a subscriber has got, taken away."""
        found = self.channel.sent[channel_user(aetitle, namespace)]
        taken = list(found)
        found.clear()
        return taken

    async def reported(self, aetitle: str = "AE") -> list[tuple[str, int, str]]:
        """Workitem, event type and state of the reports that a subscriber gets now."""
        await self.tell()
        return [
            (value(each, "00001000"), value(each, "00001002"), value(each, "00741000")) for each in self.got(aetitle)
        ]


def value(report: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute of a report, '' without one."""
    return (report.get(tag, {}).get("Value") or [""])[0]
