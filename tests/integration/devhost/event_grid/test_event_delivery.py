"""Delivery by the local Event Grid: validation, retries, dead letters, batches. The endpoints are the tests' own."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient

from devhost.azurite.emulator import Azurite
from devhost.azurite.storage_account import StorageAccount
from devhost.event_grid.dead_letters import StoredDeadLetters
from devhost.event_grid.subscriptions import DEAD_LETTER_CONTAINER
from devhost.event_grid.topics import Event, EventGrid, EventSchema, Filter, RetryPolicy, Subscription, Topic
from devhost.event_grid.webhook_delivery import Delivery
from devhost.testing import running_service
from tests.integration.devhost.waiting import until

FAST = RetryPolicy(max_attempts=4, delays=(0.01, 0.02, 0.04))


@dataclass
class Letters:
    """Dead letters in memory."""

    letters: list[Event] = field(default_factory=list)

    async def put(self, subscription: Subscription, letter: Event) -> None:
        self.letters.append(letter)


@dataclass
class Endpoint:
    """A webhook: what it was sent, and how it answers notifications."""

    url: str = ""
    notifications: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    validations: list[Any] = field(default_factory=list)
    answer: Callable[[int], Awaitable[int]] | None = None
    validates: bool = True

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if request.method == "OPTIONS":
            self.validations.append(dict(request.headers))
            return web.Response(headers={"WebHook-Allowed-Origin": "*"} if self.validates else {})
        content = json.loads(await request.read())
        if request.headers.get("aeg-event-type") == "SubscriptionValidation":
            self.validations.append(content)
            code = content[0]["data"]["validationCode"]
            return web.json_response({"validationResponse": code if self.validates else "another"})
        self.notifications.append((dict(request.headers), content))
        return web.Response(status=await self.answer(len(self.notifications)) if self.answer else 200)


@dataclass
class Grid:
    """An Event Grid with one subscription to an endpoint of the test."""

    grid: EventGrid
    delivery: Delivery
    endpoint: Endpoint
    letters: Letters
    settled: list[Event]

    def publish(self, *events: Event) -> None:
        self.grid.publish("t", events)


@asynccontextmanager
async def served(endpoint: Endpoint) -> AsyncIterator[None]:
    """Serve an endpoint at its `url`."""
    runner = web.ServerRunner(web.Server(endpoint.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def grid_with(
    endpoint: Endpoint,
    schema: EventSchema = EventSchema.CLOUD_EVENTS,
    policy: RetryPolicy = FAST,
    letters: Any = None,
    answer_seconds: float = 5,
    **subscription: Any,
) -> AsyncIterator[Grid]:
    letters = letters or Letters()
    settled: list[Event] = []
    async with served(endpoint), ClientSession() as session:
        grid = EventGrid([Topic("t", "key", schema)])
        delivery = Delivery(
            Subscription("mine", "t", endpoint.url, **subscription),
            schema,
            session,
            policy=policy,
            dead_letters=letters,
            validation_url=lambda code: f"http://host/validate?code={code}",
            settled=settled.append,
            answer_seconds=answer_seconds,
        )
        grid.subscribe(delivery)
        delivery.start()
        try:
            yield Grid(grid, delivery, endpoint, letters, settled)
        finally:
            await delivery.close()


def cloud_event(number: int, kind: str = "A", subject: str = "") -> Event:
    return {"id": str(number), "source": "/s", "type": kind, "specversion": "1.0", "subject": subject}


def grid_event(number: int) -> Event:
    return {
        "id": str(number),
        "subject": "/s",
        "eventType": "A",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {},
        "dataVersion": "1",
    }


async def test_a_cloud_event_arrives_alone_after_the_endpoint_has_agreed() -> None:
    async with grid_with(Endpoint()) as under_test:
        under_test.publish(cloud_event(1))
        await until(lambda: under_test.endpoint.notifications)
        ((headers, content),) = under_test.endpoint.notifications
        assert content == cloud_event(1)
        assert headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        assert headers["aeg-event-type"] == "Notification"
        assert headers["aeg-delivery-count"] == "0"
        assert under_test.endpoint.validations[0]["WebHook-Request-Origin"] == "eventgrid.azure.net"
        await until(lambda: not under_test.delivery.outstanding)


async def test_an_event_grid_event_arrives_in_an_array_after_the_handshake() -> None:
    async with grid_with(Endpoint(), EventSchema.EVENT_GRID) as under_test:
        under_test.publish(grid_event(1))
        await until(lambda: under_test.endpoint.notifications)
        ((_, content),) = under_test.endpoint.notifications
        assert content == [grid_event(1)]
        (validation,) = under_test.endpoint.validations
        assert validation[0]["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"


@pytest.mark.parametrize("schema", list(EventSchema))
async def test_nothing_is_delivered_before_the_endpoint_is_validated(schema: EventSchema) -> None:
    async with grid_with(Endpoint(validates=False), schema) as under_test:
        under_test.publish(cloud_event(1))
        await until(lambda: len(under_test.endpoint.validations) >= 2)
        assert not under_test.endpoint.notifications
        assert not under_test.delivery.confirm("another code")
        assert not under_test.delivery.validated
        assert under_test.delivery.confirm(under_test.delivery.code)
        await until(lambda: under_test.endpoint.notifications)


async def test_a_failed_delivery_is_tried_again_until_it_succeeds() -> None:
    async def answer(number: int) -> int:
        return 503 if number < 3 else 202

    async with grid_with(Endpoint(answer=answer)) as under_test:
        under_test.publish(cloud_event(1))
        await until(lambda: len(under_test.endpoint.notifications) == 3)
        await until(lambda: not under_test.delivery.outstanding)
        counts = [headers["aeg-delivery-count"] for headers, _ in under_test.endpoint.notifications]
        assert counts == ["0", "1", "2"]
        assert not under_test.letters.letters


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_a_final_refusal_is_a_dead_letter_at_once(status: int) -> None:
    async def answer(number: int) -> int:
        return status

    async with grid_with(Endpoint(answer=answer)) as under_test:
        under_test.publish(cloud_event(1))
        await until(lambda: under_test.letters.letters)
        (letter,) = under_test.letters.letters
        assert letter["id"] == "1"
        assert letter["deliveryAttempts"] == 1
        assert letter["deadLetterReason"] == letter["lastDeliveryOutcome"]
        assert len(under_test.endpoint.notifications) == 1
        await until(lambda: under_test.settled)


async def test_an_event_is_given_up_after_the_last_attempt() -> None:
    async def answer(number: int) -> int:
        return 500

    async with grid_with(Endpoint(answer=answer)) as under_test:
        under_test.publish(cloud_event(1))
        await until(lambda: under_test.letters.letters)
        (letter,) = under_test.letters.letters
        assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
        assert letter["lastDeliveryOutcome"] == "Status500"
        assert letter["deliveryAttempts"] == len(under_test.endpoint.notifications) == FAST.max_attempts


async def test_an_event_is_given_up_when_it_grows_too_old() -> None:
    async def answer(number: int) -> int:
        return 500

    policy = RetryPolicy(max_attempts=1000, time_to_live=0.2, delays=(0.05,))
    async with grid_with(Endpoint(answer=answer), policy=policy) as under_test:
        under_test.publish(cloud_event(1))
        await until(lambda: under_test.letters.letters)
        assert under_test.letters.letters[0]["deadLetterReason"] == "TimeToLiveExceeded"


async def test_an_endpoint_that_does_not_answer_in_time_gets_the_event_again() -> None:
    async def answer(number: int) -> int:
        if number == 1:
            await asyncio.sleep(30)
        return 200

    async with grid_with(Endpoint(answer=answer), answer_seconds=0.2) as under_test:
        under_test.publish(cloud_event(1))
        await until(lambda: len(under_test.endpoint.notifications) == 2)
        await until(lambda: not under_test.delivery.outstanding)


async def test_a_slow_event_does_not_hold_up_the_others() -> None:
    release = asyncio.Event()

    async def answer(number: int) -> int:
        if number == 1:
            await release.wait()
        return 200

    async with grid_with(Endpoint(answer=answer)) as under_test:
        under_test.publish(*(cloud_event(number) for number in range(5)))
        await until(lambda: len(under_test.endpoint.notifications) == 5)
        release.set()
        await until(lambda: not under_test.delivery.outstanding)


async def test_events_are_filtered_by_type_and_subject() -> None:
    wanted = Filter(frozenset({"Wanted"}), "/images/", ".dcm")
    async with grid_with(Endpoint(), filter=wanted) as under_test:
        under_test.publish(
            cloud_event(1, "Other", "/images/a.dcm"),
            cloud_event(2, "Wanted", "/reports/a.dcm"),
            cloud_event(3, "Wanted", "/images/a.txt"),
            cloud_event(4, "wanted", "/Images/a.dcm"),
        )
        await until(lambda: under_test.endpoint.notifications)
        assert [content["id"] for _, content in under_test.endpoint.notifications] == ["4"]
        assert under_test.delivery.outstanding <= 1


async def test_events_are_delivered_in_batches_where_the_subscription_allows() -> None:
    async with grid_with(Endpoint(), max_events_per_batch=10) as under_test:
        under_test.publish(*(cloud_event(number) for number in range(25)))
        await until(lambda: sum(len(content) for _, content in under_test.endpoint.notifications) == 25)
        assert [len(content) for _, content in under_test.endpoint.notifications] == [10, 10, 5]
        assert under_test.endpoint.notifications[0][0]["Content-Type"].startswith("application/cloudevents-batch+json")


async def test_dead_letters_are_blobs_named_by_topic_subscription_and_hour(azurite: Azurite) -> None:
    async def answer(number: int) -> int:
        return 400

    account = StorageAccount.parse(azurite.connection_string)
    await account.create_container(DEAD_LETTER_CONTAINER)
    container = account.container(DEAD_LETTER_CONTAINER)

    async with grid_with(Endpoint(answer=answer), letters=StoredDeadLetters(account)) as under_test:
        under_test.publish(cloud_event(7))
        await until(lambda: under_test.settled)
    (page,) = [page async for page in container.list("t/MINE")]
    (blob,) = page
    assert len(blob["path"].split("/")) == 7
    content = json.loads(bytes(await (await container.get_async(blob["path"])).bytes_async()))
    assert content[0]["id"] == "7"
    assert content[0]["deadLetterReason"] == "BadRequest"


async def test_a_webhook_of_ones_own_gets_the_events_of_the_service(tmp_path: Path) -> None:
    endpoint = Endpoint()
    async with served(endpoint):
        webhooks = tmp_path / "webhooks.json"
        webhooks.write_text(json.dumps([{"name": "mine", "endpoint": endpoint.url, "eventTypes": ["Wanted"]}]))
        app = Path(__file__).parents[1] / "apps/http"
        async with (
            running_service(app, {}, options=["--webhooks", str(webhooks)]) as service,
            ClientSession() as client,
        ):
            async with client.get(f"{service.url}/settings") as response:
                settings = await response.json()
            credential = AzureKeyCredential(settings["DICOM_EVENTS_TOPIC_KEY"])
            async with EventGridPublisherClient(settings["DICOM_EVENTS_TOPIC"], credential) as publisher:
                await publisher.send(
                    [CloudEvent(source="/s", type=kind, data={"n": 1}) for kind in ("Other", "Wanted")]
                )
            await until(lambda: endpoint.notifications)
    ((_, content),) = endpoint.notifications
    assert (content["type"], content["data"]) == ("Wanted", {"n": 1})
