"""Delivery of events to the endpoint of a subscription, as Event Grid does it.

1. A new subscription is validated: with a SubscriptionValidation event whose code the endpoint returns, or which
   somebody confirms at the validation URL (Event Grid events); with an OPTIONS request (CloudEvents).
2. An event is delivered at least once, in no order; the endpoint has 30 seconds to answer.
3. 200 to 204 is success; 400, 401, 403 and 413 are final; everything else is tried again after growing pauses.
4. What cannot be delivered goes to the dead letters.
"""

import asyncio
import itertools
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from devhost.event_grid.topics import Event, EventSchema, RetryPolicy, Subscription, now_text

log = logging.getLogger("devhost.events")

_FINAL: Final = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 413: "PayloadTooLarge"}
_DELIVERED: Final = frozenset({200, 201, 202, 203, 204})
_ANSWER_SECONDS: Final = 30.0
_VALIDATION_ATTEMPTS: Final = 20
_AT_ONCE: Final = 16
"""Deliveries under way to one endpoint."""
_ORIGIN: Final = "eventgrid.azure.net"


class DeadLetters(Protocol):
    """A place for events that cannot be delivered."""

    async def put(self, subscription: Subscription, letter: Event) -> None:
        """Keep one event; `letter` also says why it is here."""
        ...


@dataclass(order=True, slots=True)
class _Pending:
    due: float
    order: int
    event: Event = field(compare=False)
    first_seen: float = field(compare=False)
    published: str = field(compare=False)
    attempts: int = field(default=0, compare=False)
    outcome: str = field(default="", compare=False)
    last_attempt: str = field(default="", compare=False)


class Delivery:
    """The events under way to one subscription."""

    def __init__(
        self,
        subscription: Subscription,
        schema: EventSchema,
        session: ClientSession,
        *,
        policy: RetryPolicy,
        dead_letters: DeadLetters,
        validation_url: Callable[[str], str],
        settled: Callable[[Event], None] = lambda _: None,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        """`validation_url` makes the URL for a code; `settled` hears of events that became dead letters."""
        self.subscription = subscription
        self.schema = schema
        self._session = session
        self._policy = subscription.retry or policy
        self._dead_letters = dead_letters
        self._settled = settled
        self._timeout = ClientTimeout(total=answer_seconds)
        self._queue: asyncio.PriorityQueue[_Pending] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._under_way: set[asyncio.Task[None]] = set()
        self._validated = asyncio.Event()
        self.code = str(uuid.uuid4())
        self._validation_url = validation_url(self.code)
        self._runner: asyncio.Task[None] | None = None

    @property
    def outstanding(self) -> int:
        """Events that are neither delivered nor given up."""
        return self._queue.qsize() + len(self._under_way)

    @property
    def validated(self) -> bool:
        """Whether the endpoint has shown that it wants events."""
        return self._validated.is_set()

    def start(self) -> None:
        """Validate the endpoint, then deliver."""
        self._runner = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop. What is not delivered is lost."""
        tasks = [task for task in (self._runner, *self._under_way) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def confirm(self, code: str) -> bool:
        """The validation URL was opened with `code`; whether it was the right one."""
        if code != self.code:
            return False
        self._validated.set()
        return True

    def add(self, events: Iterable[Event]) -> None:
        """Take events to be delivered."""
        now = time.monotonic()
        published = now_text()
        for event in events:
            self._queue.put_nowait(_Pending(now, next(self._order), event, now, published))

    async def _run(self) -> None:
        await self._validate()
        while True:
            batch = [await self._next()]
            while len(batch) < self.subscription.max_events_per_batch and not self._queue.empty():
                following = self._queue.get_nowait()
                if following.due > time.monotonic():
                    self._queue.put_nowait(following)
                    break
                batch.append(following)
            while len(self._under_way) >= _AT_ONCE:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._deliver(batch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _next(self) -> _Pending:
        """The next event that is due."""
        while True:
            first = await self._queue.get()
            wait = first.due - time.monotonic()
            if wait <= 0:
                return first
            self._queue.put_nowait(first)
            await asyncio.sleep(min(wait, 0.05))

    async def _validate(self) -> None:
        for attempt in range(_VALIDATION_ATTEMPTS):
            try:
                if await (self._handshake() if self.schema is EventSchema.EVENT_GRID else self._ask_permission()):
                    self._validated.set()
                    return
            except (ClientError, OSError, TimeoutError, ValueError) as error:
                log.info("Subscription %s: the endpoint did not answer: %r", self.subscription.name, error)
            if self.validated:
                return
            await asyncio.sleep(min(0.1 * 2**attempt, 5.0))
        log.warning(
            "Subscription %s waits until its endpoint is confirmed at %s", self.subscription.name, self._validation_url
        )
        await self._validated.wait()

    async def _handshake(self) -> bool:
        event = {
            "id": str(uuid.uuid4()),
            "topic": f"/topics/{self.subscription.topic}",
            "subject": "",
            "data": {"validationCode": self.code, "validationUrl": self._validation_url},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": now_text(),
            "metadataVersion": "1",
            "dataVersion": "2",
        }
        status, body = await self._post([event], {"aeg-event-type": "SubscriptionValidation"})
        if status not in _DELIVERED or not body:
            return False
        answer = json.loads(body)
        return isinstance(answer, dict) and answer.get("validationResponse") == self.code

    async def _ask_permission(self) -> bool:
        headers = {"WebHook-Request-Origin": _ORIGIN, "WebHook-Request-Callback": self._validation_url}
        async with self._session.options(self.subscription.endpoint, headers=headers, timeout=self._timeout) as answer:
            allowed = answer.headers.get("WebHook-Allowed-Origin", "").lower()
            return answer.status in _DELIVERED and allowed in {"*", _ORIGIN}

    async def _post(self, events: list[Event], headers: dict[str, str]) -> tuple[int, bytes]:
        body: Any = events
        media_type = "application/json"
        if self.schema is EventSchema.CLOUD_EVENTS:
            alone = len(events) == 1 and self.subscription.max_events_per_batch == 1
            body = events[0] if alone else events
            media_type = "application/cloudevents+json" if alone else "application/cloudevents-batch+json"
        async with self._session.post(
            self.subscription.endpoint,
            data=json.dumps(body).encode(),
            headers={
                "content-type": f"{media_type}; charset=utf-8",
                "aeg-subscription-name": self.subscription.name.upper(),
                **headers,
            },
            timeout=self._timeout,
            allow_redirects=False,
        ) as answer:
            return answer.status, await answer.content.read(1 << 16)

    async def _deliver(self, batch: list[_Pending]) -> None:
        attempt = max(pending.attempts for pending in batch)
        for pending in batch:
            pending.attempts += 1
            pending.last_attempt = now_text()
        headers = {"aeg-event-type": "Notification", "aeg-delivery-count": str(attempt)}
        try:
            status, _ = await self._post([pending.event for pending in batch], headers)
        except TimeoutError:
            status, outcome = 0, "TimedOut"
        except (ClientError, OSError) as error:
            status, outcome = 0, type(error).__name__
        else:
            outcome = _FINAL.get(status, f"Status{status}")
        if status in _DELIVERED:
            return
        for pending in batch:
            pending.outcome = outcome
            await self._failed(pending, final=status in _FINAL)

    async def _failed(self, pending: _Pending, *, final: bool) -> None:
        delay = self._policy.delay(pending.attempts)
        age = time.monotonic() - pending.first_seen
        if final:
            reason = pending.outcome
        elif pending.attempts >= self._policy.max_attempts:
            reason = "MaxDeliveryAttemptsExceeded"
        elif age + delay > self._policy.time_to_live:
            reason = "TimeToLiveExceeded"
        else:
            pending.due = time.monotonic() + delay
            self._queue.put_nowait(pending)
            log.info("Subscription %s: %s; again in %g s", self.subscription.name, pending.outcome, delay)
            return
        log.error("Subscription %s: an event is a dead letter (%s)", self.subscription.name, reason)
        letter = {
            **pending.event,
            "deadLetterReason": reason,
            "deliveryAttempts": pending.attempts,
            "lastDeliveryOutcome": pending.outcome,
            "publishTime": pending.published,
            "lastDeliveryAttemptTime": pending.last_attempt,
        }
        try:
            await self._dead_letters.put(self.subscription, letter)
        finally:
            self._settled(pending.event)


def delivery_session() -> ClientSession:
    """The HTTP client for deliveries."""
    return ClientSession(cookie_jar=DummyCookieJar())
