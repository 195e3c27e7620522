import pytest
from azure.core.pipeline.transport import HttpRequest

from shared.storage.retry import Backoff, is_read, was_turned_away
from shared.storage.transport import StorageResponse


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


def test_only_get_and_head_are_reads() -> None:
    methods = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "MERGE")
    assert [method for method in methods if is_read(HttpRequest(method, "http://x/"))] == ["GET", "HEAD"]
