"""A worklist in memory whose subscribers get event reports."""

from collections.abc import Callable
from typing import Any

from shared.subscriptions.channel import user_of
from shared.subscriptions.dispatch import Dispatch
from shared.subscriptions.prompt import Prompt
from shared.subscriptions.reports import FILTERED_SUBSCRIPTION, GLOBAL_SUBSCRIPTION
from shared.subscriptions.store import Subscriptions
from shared.workitems.outbox import Outbox
from shared.worklist.subscribe import functions as subscription_functions
from shared.worklist.subscribe.request import is_match
from shared.worklist.subscribe.transaction import Subscribing
from tests.builders.service import Time
from tests.builders.worklist import Reply, Worklist
from tests.fakes.channel import MemoryChannel
from tests.fakes.tables import MemoryTableStore

ALL, PART = GLOBAL_SUBSCRIPTION, FILTERED_SUBSCRIPTION
NAMESPACE = "0"


class _Unprompted(Prompt):
    """Tests tell of events themselves."""

    def written(self, partition_key: str) -> None:
        return

    def opening(self, namespace: str, aetitle: str, ticket: str) -> None:
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
        subscription_functions.blueprint(self.boundary, subscribing)

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
        assert user == user_of(namespace, aetitle)
        self.channel.connected[user].add(ticket)
        await self.dispatch.delivery.run(namespace, aetitle)

    def disconnect(self, aetitle: str = "AE", namespace: str = NAMESPACE) -> None:
        """The connections of a subscriber break, and the channel has noticed it."""
        self.channel.connected[user_of(namespace, aetitle)].clear()

    async def tell(self, namespace: str = NAMESPACE) -> None:
        """What the sweep does."""
        await self.dispatch.sweep(namespace)

    def got(self, aetitle: str = "AE", namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """The reports that a subscriber has got, taken away."""
        found = self.channel.sent[user_of(namespace, aetitle)]
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
