"""Messages of DICOMcast: hints that something is to be done (CAST-EV-10). Losing one delays, doubling one is idle."""

from dataclasses import dataclass
from typing import Protocol

import orjson

from shared.cast.dirty_studies import StudyKey

_MOST_DELAY = 7 * 24 * 3600 - 60


class MessageQueue(Protocol):
    """A queue, as `shared.storage.ports.QueueStore` has it."""

    async def send(
        self, queue: str, message: str, *, delay_seconds: int = 0, seconds_to_live: int | None = None
    ) -> None:
        """Append one message."""
        ...

    async def length(self, queue: str) -> int:
        """About how many messages there are."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """The request in a message: a study, a probe of the circuit, or a sweep of the change log."""

    kind: str
    key: StudyKey | None = None
    sequence: int = 0


def read_message(body: bytes) -> Message | None:
    """A message; None if it is none of ours."""
    try:
        document = orjson.loads(body)
        kind = document["kind"]
        if kind == "study":
            return Message(
                kind, StudyKey(str(document["partition"]), str(document["study"])), int(document["sequence"])
            )
    except (ValueError, KeyError, TypeError):
        return None
    return Message(kind) if kind in ("sweep", "probe") else None


@dataclass(frozen=True, slots=True)
class Hints:
    """Sends messages. Raises Unavailable, QueueNotFound."""

    queue: MessageQueue
    name: str
    seconds_to_live: int

    async def study(self, key: StudyKey, sequence: int, *, delay: float = 0.0) -> None:
        """Reconcile a study."""
        await self._send({"kind": "study", "partition": key.partition, "study": key.study, "sequence": sequence}, delay)

    async def probe(self, delay: float) -> None:
        """Try one study while the circuit is open."""
        await self._send({"kind": "probe"}, delay)

    async def sweep(self, delay: float) -> None:
        """Read the change log."""
        await self._send({"kind": "sweep"}, delay)

    async def _send(self, document: dict[str, object], delay: float) -> None:
        seconds = min(round(delay), _MOST_DELAY, max(self.seconds_to_live - 1, 0))
        text = orjson.dumps(document).decode()
        await self.queue.send(self.name, text, delay_seconds=seconds, seconds_to_live=self.seconds_to_live)
