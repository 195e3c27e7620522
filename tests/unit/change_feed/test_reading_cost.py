"""Reading a page costs the same wherever in the feed it is (storage §7)."""

from itertools import pairwise

import pytest

from shared.change_log.log import FeedPage, _page_properties
from shared.dicom.identifiers import InstanceIdentifier
from shared.storage.ports import RowWrite
from tests.builders.feed import READER, FeedService, logged

_BEGIN = 1_600_000_000
_PAGE = 1000


async def feed_of(pages: int, entries: int) -> FeedService:
    """A feed of many pages, one per second, written as the log writes them; the changes are those of one instance."""
    service = FeedService()
    one = InstanceIdentifier("1.2", "1.2.3", "1.2.3.4")
    changes = [logged(one, ((_BEGIN * 1000) << 16) + number) for number in range(entries)]
    properties = _page_properties(FeedPage(1, 1, 1, changes))
    key = "F000000"
    for number in range(pages):
        first, time = 1 + number * entries, (_BEGIN + number) * 1_000_000
        row = {**properties, "first": first, "ts": time, "min": time}
        await service.tables.commit(
            "feed",
            [
                RowWrite("insert", key, f"p{first + entries - 1:016}", row),
                RowWrite("insert", key, f"t{time:020}", {"first": first}),
            ],
        )
    time = (_BEGIN + pages - 1) * 1_000_000
    last = pages * entries
    head = {"first": 1, "next": last + 1, "ts": time, "min": 0, "sealed": False}
    await service.tables.commit("feed", [RowWrite("insert", key, "h", head)])
    await service.tables.commit("feed", [RowWrite("insert", key, "k", {"acked": last})])
    return service


async def cost(service: FeedService, target: str, expected: list[int]) -> int:
    function = service.function("change_feed")
    before = service.tables.requests
    response = await function.get(target, READER)
    requests = service.tables.requests - before
    assert response.status == 200
    assert [entry["sequence"] for entry in await service.feed(target)] == expected
    return requests


@pytest.mark.spec("CF-10", "CF-11")
async def test_a_page_costs_the_same_at_a_thousand_as_at_a_million():
    service = await feed_of(999, _PAGE)
    await service.feed("/v2/changefeed")  # what a process reads once, and the fence at the present

    by_sequence = [
        await cost(service, f"/v1/changefeed?offset={at}&limit=100", list(range(at + 1, at + 101)))
        for at in (1_000, 500_250, 997_800)
    ]
    by_time = [
        await cost(
            service,
            f"/v2/changefeed?startTime={_time(at // _PAGE)}&endTime={_time(at // _PAGE + 1)}&offset={at % _PAGE}",
            list(range(at + 1, at + 101)),
        )
        for at in (1_000, 500_250, 997_800)
    ]
    by_offset = [
        await cost(service, f"/v2/changefeed?offset={at}&limit=100", list(range(at + 1, at + 101)))
        for at in (1_000, 500_250, 997_800)
    ]

    for costs in (by_sequence, by_time, by_offset):
        assert costs[0] == costs[1] >= costs[2], costs  # the last pages are known
    assert by_sequence[0] <= 10
    assert by_time[0] <= 16


async def test_small_pages_cost_few_requests_more():
    service = await feed_of(3000, 1)
    await service.feed("/v2/changefeed")

    costs = [
        await cost(service, f"/v2/changefeed?offset={at}&limit=200", list(range(at + 1, at + 201))) for at in (0, 2500)
    ]

    assert max(costs) <= 13


async def test_the_newest_entries_cost_three_requests_beside_their_states():
    """The head twice, and the hints: the pages that a process has appended or read do not change."""
    service = await feed_of(3, 100)
    await service.feed("/v1/changefeed?offset=200&limit=100")
    assert await cost(service, "/v1/changefeed?offset=290&limit=20", list(range(291, 301))) <= 4


async def test_the_latest_entry_costs_the_same_with_a_long_feed_as_with_a_short_one():
    costs = []
    for pages in (1, 900):
        service = await feed_of(pages, _PAGE)
        function = service.function("change_feed_latest")
        await function.get("/v2/changefeed/latest", READER)
        before = service.tables.requests
        await function.get("/v2/changefeed/latest", READER)
        costs.append(service.tables.requests - before)
    assert costs[0] == costs[1] <= 8


async def test_many_entries_of_one_instance_look_it_up_once():
    service = await feed_of(1, 100)
    await service.feed("/v2/changefeed")
    costs = []
    for limit in (1, 32):
        before = service.tables.requests
        await service.feed(f"/v1/changefeed?limit={limit}")
        costs.append(service.tables.requests - before)
    assert all(after == before for before, after in pairwise(costs))


def _time(second: int) -> str:
    from datetime import UTC, datetime
    from urllib.parse import quote

    return quote(datetime.fromtimestamp(_BEGIN + second, UTC).isoformat())
