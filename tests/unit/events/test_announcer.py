import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from shared.errors import Unavailable
from shared.events.dicom_events import changes_pending
from shared.events.publisher import Announcer, CloudEventData
from tests.fakes.events import MemoryEventPublisher
from tests.unit.index.virtual_time import now, run


def event(places: Sequence[str]) -> CloudEventData:
    return changes_pending("/topic", places, event_id="e", time=datetime(2026, 1, 1, tzinfo=UTC))


def places(publisher: MemoryEventPublisher) -> list[list[str]]:
    return [published.data["places"] for published in publisher.published]


@pytest.mark.spec("S-6")
async def test_what_is_announced_is_published_beside_the_caller() -> None:
    publisher = MemoryEventPublisher()
    announcer = Announcer(publisher, event)
    announcer.announce(["h2", "h1", "h2"])
    assert publisher.published == []
    await announcer.close()
    assert places(publisher) == [["h1", "h2"]]


async def test_announcements_during_a_publication_are_gathered_into_the_next() -> None:
    go = asyncio.Event()

    class Slow(MemoryEventPublisher):
        async def publish(self, events: Sequence[CloudEventData]) -> None:
            await go.wait()
            await super().publish(events)

    publisher = Slow()
    announcer = Announcer(publisher, event)
    announcer.announce(["h1"])
    await asyncio.sleep(0)
    for place in ("h3", "h2", "h3", "h1"):
        announcer.announce([place])
    go.set()
    await announcer.close()
    assert places(publisher) == [["h1"], ["h1", "h2", "h3"]]
    announcer.announce(["h4"])
    await announcer.close()
    assert places(publisher)[2:] == [["h4"]]


@pytest.mark.spec("S-6")
def test_there_is_at_most_one_announcement_a_second() -> None:
    sent: list[tuple[float, list[str]]] = []

    class Clocked(MemoryEventPublisher):
        async def publish(self, events: Sequence[CloudEventData]) -> None:
            sent.append((now(), [*events[0].data["places"]]))

    async def stores() -> None:
        announcer = Announcer(Clocked(), event)
        for number in range(10):
            announcer.announce([f"h{number}"])
            await asyncio.sleep(0.3)
        await asyncio.sleep(5)
        announcer.announce(["lone"])
        await announcer.close()

    run(stores())
    begin = sent[0][0]
    assert [(round(at - begin, 1), len(names)) for at, names in sent] == [(0, 1), (1, 3), (2, 3), (3, 3), (8, 1)]


async def test_a_failure_to_announce_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    publisher = MemoryEventPublisher()
    publisher.failure = Unavailable("SECRET")
    announcer = Announcer(publisher, event)
    with caplog.at_level(logging.WARNING):
        announcer.announce(["h1"])
        await announcer.close()
    assert [record.getMessage() for record in caplog.records] == ["Pending changes were not announced: Unavailable"]
    publisher.failure = None
    announcer.announce(["h2"])
    await announcer.close()
    assert places(publisher) == [["h2"]]


async def test_without_a_topic_nothing_is_announced() -> None:
    announcer = Announcer(None, event)
    announcer.announce(["h1"])
    await announcer.close()
