"""DICOM events: each entry of the feed has its event, whatever fails."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise

import pytest

from shared.change_feed.health import events_in_time
from shared.change_log.look import look_at
from shared.errors import DependencyRefused, Unavailable
from shared.events.publisher import CloudEventData
from shared.health_status import CheckResult, Status
from shared.storage.ports import Ambiguous
from shared.telemetry import TELEMETRY_LOGGER
from tests.builders.feed import FeedService, logged
from tests.builders.files import file
from tests.builders.images import new_uid
from tests.fakes.events import MemoryEventPublisher


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def topic() -> MemoryEventPublisher:
    return MemoryEventPublisher()


@pytest.fixture
async def service(topic: MemoryEventPublisher) -> FeedService:
    service = FeedService(topic=topic)
    await service.publication.prepare()
    return service


async def store(service: FeedService, count: int = 1) -> None:
    study = new_uid()
    await service.store(*(file(study=study).data for _ in range(count)))


async def turn(service: FeedService) -> int:
    """What the timer does."""
    await service.sequencer.catch_up()
    return await service.publication.run()


def sequences(topic: MemoryEventPublisher) -> list[int]:
    return [event.data["sequenceNumber"] for event in topic.published]


def all_of(count: int) -> list[int]:
    return list(range(1, count + 1))


# ------------------------------------------------------------------------------------------------------- one of each


@pytest.mark.spec("EVT-1", "A-2")
async def test_each_change_has_its_event_with_what_the_feed_says(service, topic):
    one = file()
    await service.store(one.data)
    assert topic.published == []
    await turn(service)
    await service.delete(one.identifier)
    await turn(service)

    entries = await service.feed("/v2/changefeed?includeMetadata=false")
    host, uids = "dicom.example", one.identifier
    for event, entry in zip(topic.published, entries, strict=True):
        assert event.time.isoformat(timespec="microseconds") == entry["timestamp"]
        assert event.source == "/topics/dicom"
        assert event.subject == (
            f"{host}/v1/partitions/Microsoft.Default/studies/{uids.study_instance_uid}"
            f"/series/{uids.series_instance_uid}/instances/{uids.sop_instance_uid}"
        )
        assert event.data["sequenceNumber"] == entry["sequence"]
        assert event.data["serviceHostName"] == host
    assert [event.type.rpartition(".")[2] for event in topic.published] == ["DicomImageCreated", "DicomImageDeleted"]


@pytest.mark.spec("CF-25")
async def test_an_update_is_told_as_one(service, topic):
    one = file().identifier
    await service.append(logged(one, 1 << 16), logged(one, 2 << 16, "update"))
    await turn(service)

    assert topic.published[1].type == "Microsoft.HealthcareApis.DicomImageUpdated"


async def test_the_partition_is_named_as_clients_know_it(topic):
    service = FeedService(topic=topic, data_partitions=True)
    await service.publication.prepare()
    ward = await service.partitions.resolve("Ward-7", create=True)
    await service.append(logged(file().identifier, 1 << 16, namespace=ward.namespace))
    await turn(service)

    assert topic.published[0].data["partitionName"] == "Ward-7"


async def test_no_event_holds_an_attribute_of_a_patient(service, topic):
    await service.store(file({0x00100010: "Secret^Name", 0x00100020: "SECRET-ID"}).data)
    await turn(service)

    assert "ecret" not in json.dumps([event.json() for event in topic.published]).lower()


async def test_what_has_been_published_is_not_published_again(service, topic):
    await store(service, 5)
    assert await turn(service) == 5
    assert await turn(service) == 0
    assert await service.again().publication.run() == 0
    await store(service)
    assert await turn(service) == 1
    assert sequences(topic) == all_of(6)


@pytest.mark.spec("EVT-5")
async def test_thousands_of_changes_are_few_requests(service, topic):
    calls = 0

    async def publish(events: Sequence[CloudEventData]) -> None:
        nonlocal calls
        calls += 1
        topic.published += events

    topic.publish = publish
    one = file().identifier
    for page in range(5):
        await service.append(*(logged(one, (page * 1000 + number) << 16) for number in range(1000)))
    await service.sequencer.catch_up()
    before = service.tables.requests
    assert await service.publication.run() == 5000

    assert sequences(topic) == all_of(5000)
    assert calls <= 5
    assert service.tables.requests - before < 60


# ---------------------------------------------------------------------------------------------------- off and then on


@pytest.mark.spec("EVT-3")
async def test_what_changed_before_events_were_switched_on_has_none(topic):
    off = FeedService()
    await store(off, 3)
    await turn(off)
    await store(off, 2)  # not even numbered yet
    on = off.again(topic=topic)
    await on.publication.prepare()
    await store(on)
    await turn(on)

    assert sequences(topic) == [6]


@pytest.mark.spec("EVT-3")
async def test_what_changed_while_events_were_off_has_none(service, topic):
    await store(service)
    await turn(service)
    off = service.again(topic=None)
    await off.publication.prepare()
    await store(off, 2)
    service.time.seconds += 3600
    await turn(off)
    on = off.again(topic=topic)
    await on.publication.prepare()
    await store(on)
    await turn(on)

    assert sequences(topic) == [1, 4]


async def test_a_process_without_events_does_not_disturb_one_that_has_just_begun_to_publish(service, topic):
    await store(service)
    await turn(service.again(topic=None))
    await turn(service)

    assert sequences(topic) == [1]


@pytest.mark.spec("EVT-3", "EVT-4")
async def test_a_process_that_could_not_prepare_begins_with_its_first_run(topic):
    service = FeedService(topic=topic)
    await turn(service)
    await store(service)
    await turn(service)

    assert sequences(topic) == [1]


# -------------------------------------------------------------------------------------------------- what can go wrong


@pytest.mark.spec("EVT-4")
@pytest.mark.parametrize("failure", [Unavailable("no"), DependencyRefused("no"), TimeoutError()])
async def test_while_the_topic_is_down_stores_succeed_and_their_events_come_later(service, topic, failure):
    topic.failure = failure
    for _ in range(20):
        await store(service)
        assert await turn(service) == 0
        service.time.seconds += 1
    topic.failure = None
    service.time.seconds += 60
    await turn(service.again())

    assert sequences(topic) == all_of(20)


@pytest.mark.spec("EVT-4")
async def test_a_topic_that_is_down_is_asked_less_and_less_often(service, topic):
    asked: list[float] = []

    async def publish(_events: Sequence[CloudEventData]) -> None:
        asked.append(service.time())
        raise Unavailable("no")

    topic.publish = publish
    await store(service)
    others = [service, service.again(), service.again()]
    for _ in range(300):
        service.time.seconds += 1
        for each in others:
            await turn(each)

    pauses = [after - before for before, after in pairwise(asked)]
    assert len(asked) < 20
    assert pauses[0] < pauses[-1] <= 40


@pytest.mark.spec("EVT-1", "EVT-2", "EVT-4")
@pytest.mark.parametrize("answered", [True, False])
async def test_whatever_request_the_process_dies_at_no_event_is_lost(answered):
    finished, at = False, 0
    while not finished:
        topic = MemoryEventPublisher()
        service = FeedService(topic=topic)
        await service.publication.prepare()
        await store(service, 3)
        requests = 0

        async def strike(*_, limit=at):
            nonlocal requests
            requests += 1
            if requests > limit:
                raise Crash

        if answered:
            service.tables.before = strike
        else:
            service.tables.after = strike
        try:
            await turn(service)
            finished = True
        except Crash:
            pass
        service.tables.before = service.tables.after = None
        service.time.seconds += 60
        await store(service.again(), 1)
        await turn(service.again())

        assert set(sequences(topic)) == {1, 2, 3, 4}
        assert len({event.id for event in topic.published}) == 4
        at += 1
    assert at > 10


@pytest.mark.spec("EVT-2", "A-2")
@pytest.mark.parametrize("seed", range(8))
async def test_any_number_of_publishers_on_bad_days_lose_nothing(seed):
    import random

    noise = random.Random(seed)
    topic = MemoryEventPublisher()
    service = FeedService(topic=topic)
    await service.publication.prepare()

    async def publish(events: Sequence[CloudEventData]) -> None:
        await asyncio.sleep(0)
        if noise.random() < 0.2:
            topic.published += events[: len(events) // 2]
            raise Unavailable("half of them")
        topic.published += events
        if noise.random() < 0.1:
            raise TimeoutError

    async def lose(kind, operation):
        await asyncio.sleep(0)
        if operation == "commit" and kind in ("conf", "feed") and noise.random() < 0.15:
            raise Ambiguous("lost")

    topic.publish = publish
    service.tables.before = service.tables.after = lose
    crowd = [service, service.again(), service.again()]

    async def work(each: FeedService) -> None:
        for _ in range(12):
            await store(each)
            await turn(each)
            service.time.seconds += noise.random() * 20

    await asyncio.gather(*map(work, crowd))
    service.tables.before = service.tables.after = None
    for _ in range(20):
        service.time.seconds += 60
        await turn(crowd[0])

    assert set(sequences(topic)) == set(all_of(36))


async def test_two_publishers_do_not_publish_the_same_side_by_side(service, topic):
    go = asyncio.Event()

    async def publish(events: Sequence[CloudEventData]) -> None:
        await go.wait()
        topic.published += events

    topic.publish = publish
    await store(service)
    await service.sequencer.catch_up()
    first = asyncio.create_task(service.publication.run())
    await asyncio.sleep(0.01)
    other = service.again()
    await store(other)
    assert await turn(other) == 0  # the first one will look again
    go.set()

    assert await first == 2
    assert sequences(topic) == [1, 2]


async def test_a_publisher_that_hangs_is_overtaken_and_does_no_harm(service, topic):
    go = asyncio.Event()
    original = topic.publish

    async def hang(events: Sequence[CloudEventData]) -> None:
        await go.wait()
        await original(events)

    topic.publish = hang
    await store(service)
    await service.sequencer.catch_up()
    hanging = asyncio.create_task(service.publication.run())
    await asyncio.sleep(0.01)
    topic.publish = original
    service.time.seconds += 60
    other = service.again()
    await store(other)
    assert await turn(other) == 2
    go.set()
    await hanging

    assert sorted(sequences(topic)) == [1, 1, 2]
    assert await turn(service) == 0


async def test_calls_that_come_while_one_runs_are_one_more_run(service, topic):
    await store(service, 3)
    await service.sequencer.catch_up()

    published = await asyncio.gather(*(service.publication.run() for _ in range(10)))

    assert sum(published) == 3
    assert sequences(topic) == [1, 2, 3]


async def test_a_page_that_may_not_be_in_every_search_yet_waits(service, topic):
    await store(service)
    head = await service.log.head()
    [hint] = await service.index.hints.all()
    look = await look_at(service.tables, hint.place)
    await service.log.append(head, look.changes, int(service.time() * 1_000_000))

    assert await service.publication.run() == 0
    assert await turn(service) == 1


# ------------------------------------------------------------------------------------------------------------- lag


async def test_the_lag_is_the_age_of_the_oldest_change_without_event(service, topic, caplog):
    assert await service.publication.lag() == 0
    await store(service)
    await turn(service)
    assert await service.publication.lag() == 0
    topic.failure = Unavailable("no")
    await store(service)
    service.time.seconds += 100
    await store(service)
    await turn(service)
    service.time.seconds += 100

    assert 199 < await service.publication.lag() < 201
    lines = [json.loads(each.getMessage()) for each in caplog.records if each.name == TELEMETRY_LOGGER]
    [late] = [line for line in lines if line["event"] == "events-not-published"]
    assert 99 < late["lagSeconds"] < 101
    shown = await events_in_time(service.publication)()
    assert shown == CheckResult(Status.DEGRADED, "The event of the oldest change is 200 seconds late.")
    topic.failure = None
    await turn(service)
    assert await service.publication.lag() == 0
    assert await events_in_time(service.publication)() is None
    assert await service.again(topic=None).publication.lag() == 0
