"""Builds what the functions of an app listen to: triggers, watchers of containers, and subscriptions."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from aiohttp import ClientSession

from devhost.azurite.storage_account import HOST_CONTAINER, StorageAccount
from devhost.event_grid.blob_events import BLOB_CREATED, BlobWatcher, blob_of, subject_of
from devhost.event_grid.dead_letters import StoredDeadLetters
from devhost.event_grid.queue_delivery import QueueDelivery
from devhost.event_grid.subscriptions import (
    BLOBS_PER_DELIVERY,
    DEAD_LETTER_CONTAINER,
    EVENTS_TOPIC,
    FUNCTION_SUBSCRIPTIONS,
    QUEUE_SUBSCRIPTIONS,
    STORAGE_TOPIC,
    QueueSubscription,
)
from devhost.event_grid.topics import Event, EventGrid, EventSchema, Filter, RetryPolicy, Subscription, Topic
from devhost.event_grid.webhook_delivery import Delivery, delivery_session
from devhost.functions import Function
from devhost.settings import HostOptions, Unusable, connection_of, resolved
from devhost.triggers.blob import BlobTrigger
from devhost.triggers.event_grid import EventGridTrigger
from devhost.triggers.queue import QueueTrigger
from devhost.triggers.timer import TimerTrigger, timer_value
from devhost.worker.invoker import Invoker

log = logging.getLogger("devhost")


type _Settled = Callable[[str, str, str], None]
"""Told the name of a handler, and the name and ETag of the blob with which it is done."""


class Listeners:
    """Everything that starts functions without an HTTP client."""

    def __init__(
        self,
        functions: Iterable[Function],
        settings: Mapping[str, str],
        options: HostOptions,
        invoker: Invoker,
        *,
        topic_key: str,
        base_url: str,
        policy: RetryPolicy,
        watch_blobs: bool = True,
        run_timers: bool = True,
    ) -> None:
        """`base_url` is where this host listens. Raises Unusable."""
        self._functions = list(functions)
        self._settings = settings
        self._options = options
        self._invoker = invoker
        self._base_url = base_url
        self._policy = policy
        self._watch_blobs = watch_blobs
        self._run_timers = run_timers
        self._session: ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.deliveries: list[Delivery | QueueDelivery] = []
        self._settled: dict[tuple[StorageAccount, str], _Settled] = {}
        schemas = {"eventgrid": EventSchema.EVENT_GRID}
        schema = schemas.get(settings.get("DICOM_EVENTS_SCHEMA", "").lower(), EventSchema.CLOUD_EVENTS)
        self.event_grid = EventGrid(
            [Topic(EVENTS_TOPIC, topic_key, schema), Topic(STORAGE_TOPIC, "", EventSchema.EVENT_GRID)]
        )
        self.event_grid_trigger = EventGridTrigger(self._of("eventgridtrigger"), invoker)
        self.blobs = {function.name.lower(): self._blob(function) for function in self._of("blobtrigger")}
        self.timers = {
            function.name.lower(): TimerTrigger(function, settings, invoker, self._host_account())
            for function in self._of("timertrigger")
        }
        self._queues = [self._queue(function) for function in self._of("queuetrigger")]

    def _of(self, kind: str) -> list[Function]:
        return [function for function in self._functions if function.kind == kind]

    def _host_account(self) -> StorageAccount | None:
        text = self._settings.get("AzureWebJobsStorage", "")
        return StorageAccount.parse(text) if text else None

    def _account(self, function: Function) -> StorageAccount:
        return StorageAccount.parse(connection_of(str(function.trigger.get("connection", "")), self._settings))

    def _blob(self, function: Function) -> BlobTrigger:
        if str(function.trigger.get("source", "")).lower() != "eventgrid":
            raise Unusable(
                f"{function.name}: a blob trigger must have the source Event Grid; "
                "the Flex Consumption plan does not poll containers"
            )
        return BlobTrigger(
            function,
            self._account(function),
            resolved(str(function.trigger["path"]), self._settings),
            self._invoker,
            parallelism=self._options.blob_parallelism,
            tries=self._options.blob_tries,
        )

    def _queue(self, function: Function) -> QueueTrigger:
        queue = resolved(str(function.trigger["queueName"]), self._settings)
        return QueueTrigger(function, self._account(function), queue, self._invoker, self._options.queues)

    async def start(self, webhooks: Iterable[Subscription]) -> None:
        """Listen. The host already serves HTTP, or the endpoints could not be validated. Raises Unusable."""
        self._session = delivery_session()
        others = [function for function in self._functions if function.kind != "httptrigger"]
        account = self._host_account()
        if others and account is None:
            raise Unusable("AzureWebJobsStorage is not set, which every trigger but HTTP needs")
        if account is not None and others:
            await asyncio.gather(*map(account.create_container, (HOST_CONTAINER, DEAD_LETTER_CONTAINER)))
        letters = StoredDeadLetters(account)
        for webhook in webhooks:
            if webhook.topic.lower() not in self.event_grid.topics:
                raise Unusable(f"the webhook {webhook.name} names the topic {webhook.topic}, which does not exist")
            self._subscribe(webhook, letters)
        for declared in FUNCTION_SUBSCRIPTIONS:
            function = self.event_grid_trigger.function(declared.function)
            if function is not None:
                endpoint = f"{self._base_url}/runtime/webhooks/EventGrid?functionName={function.name}"
                wanted = Filter(declared.event_types)
                self._subscribe(Subscription(declared.name, EVENTS_TOPIC, endpoint, wanted), letters)
        for trigger in self.blobs.values():
            self._run(trigger.run())
            self._subscribe(self._blob_subscription(trigger), letters)
        queued: dict[tuple[StorageAccount, str], str] = {}
        for to_queue in QUEUE_SUBSCRIPTIONS:
            for function in self._of("queuetrigger"):
                if function.name == to_queue.function:
                    queued[self._subscribe_queue(to_queue, function)] = to_queue.name
        if self._watch_blobs:
            self._watch(queued)
        for queue in self._queues:
            self._run(queue.run())
        for timer in self.timers.values() if self._run_timers else ():
            self._run(timer.run())

    def _blob_subscription(self, trigger: BlobTrigger) -> Subscription:
        name = trigger.function.name
        return Subscription(
            name=name.replace("_", "-"),
            topic=STORAGE_TOPIC,
            endpoint=f"{self._base_url}/runtime/webhooks/blobs?functionName=Host.Functions.{name}",
            filter=Filter(frozenset({BLOB_CREATED}), subject_of(trigger.container, "")),
            max_events_per_batch=BLOBS_PER_DELIVERY,
        )

    def _subscribe_queue(self, declared: QueueSubscription, function: Function) -> tuple[StorageAccount, str]:
        """Deliver new blobs of a container to the queue of a function. Returns the container."""
        account = self._account(function)
        container = self._settings.get(declared.setting) or declared.default
        wanted = Filter(frozenset({BLOB_CREATED}), subject_of(container, ""))

        def settled(event: Event) -> None:
            _, blob, etag = blob_of(event, account)
            self._settle(account, container, declared.name, blob, etag)

        delivery = QueueDelivery(
            Subscription(declared.name, STORAGE_TOPIC, "", wanted),
            EventSchema.EVENT_GRID,
            account,
            resolved(str(function.trigger["queueName"]), self._settings),
            policy=self._policy,
            settled=settled,
        )
        self.event_grid.subscribe(delivery)
        self.deliveries.append(delivery)
        delivery.start()
        return account, container

    def _watch(self, queued: Mapping[tuple[StorageAccount, str], str]) -> None:
        """Watch the containers of blob triggers, and those whose events go to a queue: their subscriptions' names."""
        watched: dict[tuple[StorageAccount, str], list[str]] = {place: [name] for place, name in queued.items()}
        for trigger in self.blobs.values():
            watched.setdefault((trigger.account, trigger.container), []).append(trigger.function.name)
        for (account, container), handlers in watched.items():
            watcher = BlobWatcher(
                account, container, handlers, lambda events: self.event_grid.publish(STORAGE_TOPIC, events)
            )
            self._settled[account, container] = watcher.settled
            self._run(watcher.run())
        for trigger in self.blobs.values():
            trigger.settled = self._settled[trigger.account, trigger.container]

    def _settle(self, account: StorageAccount, container: str, handler: str, blob: str, etag: str) -> None:
        settled = self._settled.get((account, container))
        if settled is not None:
            settled(handler, blob, etag)

    def _subscribe(self, subscription: Subscription, letters: StoredDeadLetters) -> None:
        assert self._session is not None
        schema = self.event_grid.topics[subscription.topic.lower()].schema
        delivery = Delivery(
            subscription,
            schema,
            self._session,
            policy=self._policy,
            dead_letters=letters,
            validation_url=lambda code: f"{self._base_url}/runtime/devhost/validate?code={code}",
            settled=self._given_up,
        )
        self.event_grid.subscribe(delivery)
        self.deliveries.append(delivery)
        delivery.start()

    def _given_up(self, event: Event) -> None:
        """A blob's event is a dead letter, so its functions will not hear of it."""
        for trigger in self.blobs.values():
            try:
                container, blob, etag = blob_of(event, trigger.account)
            except (KeyError, ValueError):
                continue
            if container == trigger.container:
                trigger.settled(trigger.function.name, blob, etag)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(_report)

    async def start_by_hand(self, function: Function, text: str) -> None:
        """Run a function that is not HTTP as the portal's button does, with `text` as its input."""
        name = function.trigger["name"]
        if function.kind == "timertrigger":
            await self.timers[function.name.lower()].run_once(timer_value(None, past_due=False))
        elif function.kind == "eventgridtrigger":
            await self._invoker.run(function, {name: ("json", text)}, reason="By hand")
        else:
            metadata = {"Id": ("string", "by-hand"), "DequeueCount": ("json", "1"), "BlobTrigger": ("string", "")}
            content: Any = text.encode() if function.kind == "blobtrigger" else text
            kind = "bytes" if function.kind == "blobtrigger" else "string"
            await self._invoker.run(function, {name: (kind, content)}, metadata, reason="By hand")

    async def stop(self) -> None:
        """Stop listening. Invocations under way are not waited for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(delivery.close() for delivery in self.deliveries))
        if self._session is not None:
            await self._session.close()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("A listener failed", exc_info=error)
