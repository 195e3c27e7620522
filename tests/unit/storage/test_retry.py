import json

import pytest

from shared.storage.http_answer import StorageResponse
from shared.storage.http_connection import NoAnswer, NotSent
from shared.storage.retry import Backoff, send_with_retries, was_turned_away
from shared.storage.transport import StorageRequest


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    backoff = Backoff(attempts=9, first=0.1, longest=1.0)
    for attempt, middle in enumerate([0.1, 0.2, 0.4, 0.8, 1.0, 1.0]):
        pauses = {backoff.pause(attempt) for _ in range(50)}
        assert len(pauses) > 10
        assert middle * 0.5 <= min(pauses) <= max(pauses) <= middle * 1.5


@pytest.mark.parametrize(
    ("status", "body", "turned_away"),
    [
        (429, b"", True),
        (503, b'{"odata.error":{"code":"ServerBusy"}}', True),
        (503, b"", False),
        (500, b'{"odata.error":{"code":"ServerBusy"}}', False),
        (200, b"ServerBusy", False),
    ],
)
def test_only_a_busy_service_has_certainly_not_looked(status: int, body: bytes, turned_away: bool) -> None:
    assert was_turned_away(StorageResponse(status, {}, body)) is turned_away


def test_only_get_is_a_read() -> None:
    methods = ("GET", "PUT", "POST", "PATCH", "DELETE", "MERGE")
    assert [method for method in methods if StorageRequest(method, "/", {}).is_read] == ["GET"]


def answer(status: int, body: bytes = b"", **headers: str) -> StorageResponse:
    return StorageResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


BUSY = answer(503, b"ServerBusy", retry_after="0")
RETRIES = Backoff(3, 0.0, 0.0)


async def attempts(outcome: StorageResponse | Exception, *, is_read: bool, backoff: Backoff = RETRIES) -> int:
    made = 0

    async def send() -> StorageResponse:
        nonlocal made
        made += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    if isinstance(outcome, Exception):
        with pytest.raises(type(outcome)):
            await send_with_retries(send, backoff, is_read=is_read)
    else:
        assert await send_with_retries(send, backoff, is_read=is_read) is outcome
    return made


async def test_a_read_is_tried_more_often_than_a_write() -> None:
    backoff = Backoff(3, 0.0, 0.0, more_for_reads=2)
    assert [await attempts(BUSY, is_read=is_read, backoff=backoff) for is_read in (True, False)] == [5, 3]


@pytest.mark.parametrize("outcome", [NotSent("x"), BUSY, answer(429)])
@pytest.mark.parametrize("is_read", [True, False])
async def test_what_was_certainly_not_served_is_sent_again(outcome, is_read: bool) -> None:
    assert await attempts(outcome, is_read=is_read) == 3


@pytest.mark.parametrize("outcome", [NoAnswer("x"), answer(500), answer(502), answer(503), answer(504), answer(408)])
async def test_what_may_have_been_served_is_sent_again_only_if_it_reads(outcome) -> None:
    assert await attempts(outcome, is_read=True) == 3
    assert await attempts(outcome, is_read=False) == 1


async def test_every_attempt_that_was_not_served_is_reported_without_what_was_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes = iter([NotSent("TooManyRequests"), NoAnswer("TimeoutError"), answer(200)])

    async def send() -> StorageResponse:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    await send_with_retries(send, RETRIES, is_read=True)
    events = [json.loads(record.getMessage()) for record in caplog.records]
    assert [event["reason"] for event in events] == ["TooManyRequests", "TimeoutError"]
    assert {frozenset(event) for event in events} == {frozenset({"event", "read", "reason", "milliseconds"})}


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 409, 412, 501])
async def test_an_answer_that_will_not_change_is_not_asked_for_again(status: int) -> None:
    assert await attempts(answer(status), is_read=True) == 1
