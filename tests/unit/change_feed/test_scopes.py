"""The change feed of a caller who may see some data partitions only (AUTH-22)."""

import json

import pytest

from shared.change_feed import newest, transaction
from tests.builders.feed import FeedService, logged
from tests.builders.images import image


@pytest.fixture
async def service():
    """Entries 1 to 9: of partition a those that 3 divides, of b the others."""
    service = FeedService(data_partitions=True)
    spaces = {name: (await service.partitions.resolve(name, create=True)).namespace for name in ("a", "b")}
    for number in range(1, 10):
        service.time.seconds += 1
        space = spaces["a" if number % 3 == 0 else "b"]
        await service.append(logged(image().identifier, number, namespace=space))
    service.time.seconds += 60
    return service


async def ask(service, target, token, name="change_feed"):
    response = await service.function(name).get(target, (("Authorization", f"Bearer {token}"),))
    return response.status, json.loads(response.body) if response.status == 200 else response.body.decode()


async def sequences(service, query, token, version="v2"):
    status, entries = await ask(service, f"/{version}/changefeed?includemetadata=false&{query}", token)
    assert status == 200, entries
    return [entry["sequence"] for entry in entries]


@pytest.mark.spec("AUTH-22", "CF-10")
async def test_a_window_of_sequences_shows_what_may_be_seen_of_it(service):
    assert await sequences(service, "limit=9", "read", "v1") == list(range(1, 10))
    assert await sequences(service, "limit=9", "read@a", "v1") == [3, 6, 9]
    assert await sequences(service, "offset=3&limit=3", "read@a", "v1") == [6]
    assert await sequences(service, "limit=2", "read@a", "v1") == []


@pytest.mark.spec("AUTH-22", "CF-11")
@pytest.mark.parametrize("scanned", [1, 2, 1000])
async def test_offset_and_limit_count_what_may_be_seen(service, monkeypatch, scanned):
    monkeypatch.setattr(transaction, "_SCANNED", scanned)
    assert await sequences(service, "", "read@b*") == [1, 2, 4, 5, 7, 8]
    assert await sequences(service, "offset=2&limit=3", "read@b*") == [4, 5, 7]
    assert await sequences(service, "offset=1&limit=1", "read@A") == [6]
    assert await sequences(service, "offset=3", "read@a") == []
    assert await sequences(service, "", "read@c") == []


@pytest.mark.spec("AUTH-22")
async def test_a_reading_that_would_look_through_too_much_asks_for_less(service, monkeypatch):
    monkeypatch.setattr(transaction, "_SCANNED", 2)
    monkeypatch.setattr(transaction, "_MOST_SCANNED", 4)
    assert await sequences(service, "limit=1", "read@a") == [3]
    status, text = await ask(service, "/v2/changefeed?limit=2", "read@a")
    assert status == 400
    assert "ask for a shorter time" in text


@pytest.mark.spec("AUTH-22", "CF-17", "CF-18")
@pytest.mark.parametrize("step", [1, 2, 1000])
async def test_the_latest_entry_is_the_latest_that_may_be_seen(service, monkeypatch, step):
    monkeypatch.setattr(newest, "_STEP", step)
    target = "/v2/changefeed/latest?includemetadata=false"
    function = service.function("change_feed_latest")

    async def latest(token):
        response = await function.get(target, (("Authorization", f"Bearer {token}"),))
        return json.loads(response.body)["sequence"] if response.status == 200 else response.status

    assert [await latest(token) for token in ("read", "read@a", "read@b", "read@c")] == [9, 9, 8, 204]
    space = (await service.partitions.resolve("b", create=False)).namespace
    await service.append(*(logged(image().identifier, number, namespace=space) for number in range(10, 14)))
    service.time.seconds += 60
    assert [await latest(token) for token in ("read", "read@a", "read@b")] == [13, 9, 13]


@pytest.mark.spec("AUTH-22")
async def test_a_latest_entry_far_back_is_found_by_a_later_request(service, monkeypatch):
    monkeypatch.setattr(newest, "_STEP", 1)
    monkeypatch.setattr(newest, "_MOST_STEPS", 2)
    function = service.function("change_feed_latest")
    statuses = []
    for _ in range(6):
        response = await function.get("/v2/changefeed/latest", (("Authorization", "Bearer read@c"),))
        statuses.append(response.status)
    assert statuses[0] == 503
    assert statuses[-1] == 204
