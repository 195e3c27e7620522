"""Connections of subscribers in memory."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.errors import Unavailable


@dataclass
class MemoryChannel:
    """A Channel: what each user has been sent, and which connections there are."""

    connected: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The tickets with which each user has connections."""
    sent: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """By user."""
    requests: int = 0
    broken: set[str] = field(default_factory=set)
    """Users to whom nothing can be sent; '' for all requests."""

    async def url(self, user: str, ticket: str) -> str:
        self._ask()
        return f"wss://channel/{user}/{ticket}"

    async def is_opened(self, ticket: str) -> bool:
        self._ask()
        return any(ticket in tickets for tickets in self.connected.values())

    async def is_connected(self, user: str) -> bool:
        self._ask()
        return bool(self.connected[user])

    async def send(self, user: str, text: str) -> None:
        self._ask()
        if user in self.broken:
            raise Unavailable("The channel is busy.")
        if self.connected[user]:
            self.sent[user].append(orjson.loads(text))

    async def close(self) -> None:
        return

    def _ask(self) -> None:
        self.requests += 1
        if "" in self.broken:
            raise Unavailable("The channel does not answer.")
