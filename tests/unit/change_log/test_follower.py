"""Followers of the change log: several side by side, slow ones, from the beginning and again (storage §7)."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.change_log import follower
from shared.change_log.follower import FollowedChange, Follower, Following, Handler, Start
from shared.errors import Unavailable
from tests.unit.index.service import IndexService

CAST = Following("cast", failed="cast-failed", start=Start.BEGINNING, changes_at_once=2, seconds=3600)
LATER = Following("later", failed="later-failed")


class Sink:
    """What a handler got, call by call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.failure: Exception | None = None

    async def take(self, changes: Sequence[FollowedChange]) -> None:
        if self.failure:
            raise self.failure
        self.calls.append([each.sequence for each in changes])


def following(service: IndexService, handle: Handler | None, how: Following = CAST) -> Follower:
    return Follower(
        how, handle, tables=service.tables, log=service.log, sequencer=service.sequencer, now=service.stores.time
    )


async def fill(service: IndexService, changes: int, series: str = "1.2") -> None:
    await service.store(*(service.entry("1.1", series, f"{series}.{number}") for number in range(changes)))
    await service.sequencer.catch_up()


async def test_each_follower_goes_its_own_way() -> None:
    service, slow, quick = IndexService(), Sink(), Sink()
    await fill(service, 3)
    cast, later = following(service, slow.take), following(service, quick.take, LATER)
    await later.prepare()
    await fill(service, 2, "1.3")
    assert await cast.run() == 5
    assert await later.run() == 2
    assert slow.calls == [[1, 2], [3, 4], [5]]
    assert quick.calls == [[4, 5]]


async def test_what_is_numbered_is_followed_when_it_is_acknowledged() -> None:
    """Before that a search may not find it."""
    service, sink = IndexService(), Sink()
    await service.put()
    await service.feed.latest()
    cast = following(service, sink.take)
    assert await cast.run() == 0
    await service.sequencer.catch_up()
    assert await cast.run() == 1


async def test_a_run_of_limited_time_leaves_the_rest_to_the_next() -> None:
    service, sink = IndexService(), Sink()
    await fill(service, 5)
    cast = following(service, sink.take)
    assert await cast.run(seconds=0) == 2
    assert await following(service, sink.take).run(seconds=0) == 2  # another process need not wait for the lease
    assert await cast.run() == 1
    assert sink.calls == [[1, 2], [3, 4], [5]]


async def test_a_failure_keeps_the_place_and_another_follower_goes_on() -> None:
    service, down, up = IndexService(), Sink(), Sink()
    await fill(service, 3)
    down.failure = Unavailable("no")
    cast = following(service, down.take)
    other = following(service, up.take, Following("other", "other-failed", Start.BEGINNING))
    service.stores.time.seconds += 100
    assert await cast.run() == 0
    assert await other.run() == 3
    assert 99 < await cast.lag() < 101
    assert await other.lag() == 0
    down.failure = None
    assert await cast.run() == 0  # the pause is not over
    service.stores.time.seconds += 3
    assert await cast.run() == 3
    assert await cast.lag() == 0


async def test_a_fault_of_the_handler_is_raised_and_does_not_make_it_spin() -> None:
    service, sink = IndexService(), Sink()
    await fill(service, 1)
    sink.failure = KeyError("a fault")
    cast = following(service, sink.take)
    with pytest.raises(KeyError):
        await cast.run()
    assert await cast.run() == 0
    sink.failure = None
    service.stores.time.seconds += 3
    assert await cast.run() == 1


async def test_a_handler_that_takes_long_keeps_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_RENEW_SECONDS", 0.001)
    service, go, calls = IndexService(), asyncio.Event(), []

    async def crawl(changes: Sequence[FollowedChange]) -> None:
        calls.append(len(changes))
        await go.wait()

    await fill(service, 1)
    first = asyncio.create_task(following(service, crawl).run())
    other = following(IndexService(service.stores), crawl)
    for _ in range(3):
        before = service.tables.requests
        while service.tables.requests < before + 6:
            await asyncio.sleep(0.001)
        service.stores.time.seconds += 25
        before = service.tables.requests
        while service.tables.requests < before + 6:
            await asyncio.sleep(0.001)
        assert await other.run() == 0
    go.set()
    assert await first == 1
    assert calls == [1]
    assert await other.lag() == 0


async def test_a_handler_whose_cursor_is_taken_away_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_RENEW_SECONDS", 0.001)
    service, begun, sink = IndexService(), asyncio.Event(), Sink()
    ended: list[bool] = []

    async def hang(_changes: Sequence[FollowedChange]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    await fill(service, 3)
    hanging = asyncio.create_task(following(service, hang).run())
    await begun.wait()
    other = following(IndexService(service.stores), sink.take)
    await other.reset(Start.BEGINNING)
    assert await hanging == 0
    assert ended == [True]
    assert await other.run() == 3


async def test_a_handler_that_never_ends_is_ended_and_tried_again_later() -> None:
    service = IndexService()

    async def hang(_changes: Sequence[FollowedChange]) -> None:
        await asyncio.Event().wait()

    await fill(service, 1)
    how = Following("cast", failed="cast-failed", start=Start.BEGINNING, seconds=0.01)
    assert await following(service, hang, how).run() == 0
    sink = Sink()
    service.stores.time.seconds += 3
    assert await following(service, sink.take, how).run() == 1


@pytest.mark.parametrize(("start", "again"), [(Start.BEGINNING, [[1, 2], [3]]), (Start.NOW, [])])
async def test_a_follower_can_begin_anew(start: Start, again: list[list[int]]) -> None:
    service, sink = IndexService(), Sink()
    await fill(service, 3)
    cast = following(service, sink.take)
    await cast.run()
    sink.calls.clear()
    await cast.reset(start)
    await cast.run()
    assert sink.calls == again


async def test_where_it_is_switched_off_its_cursor_goes() -> None:
    service, sink = IndexService(), Sink()
    await fill(service, 1)
    await following(service, sink.take).run()
    off = following(service, None)
    assert await off.run() == 0
    service.stores.time.seconds += 3600
    assert await off.run() == 0
    assert service.tables.peek("conf", "feed", "cast") is None
