"""The port to whatever carries event reports to subscribers over WebSocket (PS3.18 §8.10)."""

from hashlib import sha256
from typing import Final, Protocol

TICKET_SECONDS: Final = 60
"""For so long a URL opens a connection: the least that Web PubSub knows."""


class Channel(Protocol):
    """The connections of all subscribers. Every method raises Unavailable, or DependencyRefused."""

    async def url(self, user: str, ticket: str) -> str:
        """The `ws:` or `wss:` URL that opens one connection of a subscriber; good for TICKET_SECONDS, and for no other
        subscriber. `ticket`: what it shows, and what tells the connection that it opens from others.
        """
        ...

    async def is_opened(self, ticket: str) -> bool:
        """Whether there is a connection that was opened with a ticket."""
        ...

    async def is_connected(self, user: str) -> bool:
        """Whether a subscriber has a connection."""
        ...

    async def send(self, user: str, text: str) -> None:
        """Hand over a text message for all connections of a subscriber, behind those that were handed over before. It
        never waits for them: one that does not read loses its connection.
        """
        ...

    async def close(self) -> None:
        """Close the connections to the service behind it."""
        ...


def user_of(namespace: str, aetitle: str, owner: str = "") -> str:
    """A subscriber of a data partition, as the channel knows it: opaque, and of no other partition and no other owner:
    a connection that outlives its subscription hears nothing of who has the AE title next.
    """
    return sha256(f"{namespace}\0{aetitle}\0{owner}".encode()).hexdigest()[:32]
