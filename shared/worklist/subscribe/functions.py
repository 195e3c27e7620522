"""The functions of subscriptions to the worklist (PS3.18 §8.10.4, §11.10 to §11.12).

A function answers one request and keeps no connection: the URL of a subscription is that of the service that does, and
which asks here before it lets a client in.
"""

from dataclasses import dataclass, field

import azure.functions as func

from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, nothing
from shared.worklist.subscribe.connection_events import (
    Delivery,
    attempt_of,
    check_origin,
    check_signature,
    parse_delivery,
)
from shared.worklist.subscribe.request import (
    SubscriptionRequest,
    parse_opening,
    parse_subscriber,
    parse_subscription,
)
from shared.worklist.subscribe.transaction import Subscribing

_NOT_KEPT = ("Cache-Control", "no-store")
"""The URL of a connection opens one, within a minute."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """The service whose events about connections are taken."""

    endpoint: str
    key: str = field(default="", repr=False)
    """The key that signs them; empty: none."""


def blueprint(boundary: Boundary, subscribing: Subscribing, source: EventSource) -> func.Blueprint:
    """The functions of subscriptions."""

    async def subscribe(asked: SubscriptionRequest, _accepted: None, context: Context) -> Response:
        url, warning = await subscribing.subscribe(context.uids["workitem"], asked, context)
        warned = (context.warning(warning),) if warning else ()
        return Response(201, (("Location", url), ("Content-Location", url), _NOT_KEPT, *warned))

    async def unsubscribe(asked: SubscriptionRequest, _accepted: None, context: Context) -> Response:
        await subscribing.unsubscribe(context.uids["workitem"], asked, context)
        return Response(200)

    async def suspend(asked: SubscriptionRequest, _accepted: None, context: Context) -> Response:
        await subscribing.suspend(context.uids["workitem"], asked, context)
        return Response(200)

    async def open_connection(asked: tuple[str, int | None], _accepted: None, context: Context) -> Response:
        aetitle, after = asked
        url = await subscribing.open(aetitle, context, after)
        return Response(307, (("Location", url), _NOT_KEPT))

    async def let_in(delivery: Delivery, _accepted: None, _context: Context) -> Response:
        check_origin(delivery, source.endpoint)
        if delivery.asks:
            return Response(200, (("WebHook-Allowed-Origin", delivery.origin),))
        check_signature(delivery, source.key)
        await subscribing.let_in(attempt_of(delivery, await delivery.body.read()))
        return Response(204)

    functions = func.Blueprint()
    mount(functions, boundary, "subscribe_to_workitem", Transaction(parse_subscription, nothing, subscribe))
    mount(functions, boundary, "unsubscribe_from_workitem", Transaction(parse_subscriber, nothing, unsubscribe))
    mount(functions, boundary, "suspend_subscription", Transaction(parse_subscriber, nothing, suspend))
    mount(functions, boundary, "open_notification_connection", Transaction(parse_opening, nothing, open_connection))
    mount(functions, boundary, "let_in_notification_connection", Transaction(parse_delivery, nothing, let_in))
    return functions
