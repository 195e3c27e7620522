"""CloudEvents of Web PubSub about connections: what it asks before it lets a client in. Pure.

Web PubSub first asks whether it may deliver (OPTIONS, CloudEvents HTTP 1.1 Web Hooks for Event Delivery §4), and then
sends an event `connect` for each client, in binary mode: what it is about is in header fields, and its body tells of
the client. A success lets the client in; any 4xx becomes its answer.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from shared.dicomweb.versions import ApiVersion
from shared.errors import Forbidden, InvalidRequest
from shared.http.json_body import JsonBody, json_body
from shared.http.messages import Request
from shared.subscriptions.ticket import Ticket, ticket_of
from shared.subscriptions.web_pub_sub import HUB, TICKET_PARAMETER

_CONNECT: Final = "azure.webpubsub.sys.connect"
_LARGEST: Final = 64 * 1024
"""Bytes: claims, query and header fields of a client's request."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request of Web PubSub."""

    origin: str
    """The host that wants to deliver."""
    asks: bool
    """Whether it asks for leave to do so; else it delivers."""
    body: JsonBody
    type: str
    hub: str
    user: str
    connection: str
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionAttempt:
    """A client that wants to open a connection."""

    user: str
    """As the channel knows the subscriber."""
    ticket: Ticket | None
    """The ticket in its URL; None: no ticket."""


def parse_delivery(request: Request, _version: ApiVersion) -> Delivery:
    """A request of Web PubSub. Raises UnsupportedMedia for a body that is no JSON."""
    headers = request.headers

    def field_of(name: str) -> str:
        return headers.get(name) or ""

    return Delivery(
        field_of("webhook-request-origin"),
        request.method == "OPTIONS",
        json_body(request, most=_LARGEST),
        field_of("ce-type"),
        field_of("ce-hub"),
        field_of("ce-userid"),
        field_of("ce-connectionid"),
        field_of("ce-signature"),
    )


def check_origin(delivery: Delivery, endpoint: str) -> None:
    """Refuse deliveries of another service than that of the settings. Raises Forbidden."""
    if delivery.origin.lower() not in {urlsplit(endpoint).netloc.lower(), (urlsplit(endpoint).hostname or "").lower()}:
        raise Forbidden("Events of another service are not taken.", where="header WebHook-Request-Origin")


def check_signature(delivery: Delivery, key: str) -> None:
    """Refuse what no holder of the access key has signed. Raises Forbidden.

    `key`: of the service; empty where it has none because identities are used, and the ticket is all that counts: it
    is a secret, and whoever shows it learns only that it is used up.
    """
    if not key:
        return
    signed = f"sha256={hmac.digest(key.encode(), delivery.connection.encode(), 'sha256').hex()}"
    if not any(hmac.compare_digest(signed.encode(), each.strip().encode()) for each in delivery.signature.split(",")):
        raise Forbidden("The signature of the event is wrong.", where="header ce-signature")


def attempt_of(delivery: Delivery, document: Any) -> ConnectionAttempt:
    """The attempt that an event tells of. Raises InvalidRequest for another event."""
    if delivery.type != _CONNECT or delivery.hub != HUB:
        raise InvalidRequest(
            "Only connections to the worklist are asked about here.",
            where="headers ce-type and ce-hub",
            remedy=f"Configure the event 'connect' of the hub '{HUB}' alone.",
        )
    query = document.get("query") if isinstance(document, Mapping) else None
    shown = query.get(TICKET_PARAMETER) if isinstance(query, Mapping) else None
    texts = [each for each in shown if isinstance(each, str)] if isinstance(shown, Sequence) else []
    return ConnectionAttempt(delivery.user, ticket_of(texts[0]) if len(texts) == 1 else None)
