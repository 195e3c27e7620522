"""Timers: what the function is told, retries, schedules."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from devhost.functions import Function, FunctionDescription
from devhost.settings import Unusable
from devhost.triggers.timer import Status, TimerTrigger, time_zone, timer_value
from devhost.worker.channel import Value
from devhost.worker.invoker import FunctionFailed


def test_a_timer_is_told_its_last_and_next_run() -> None:
    status = Status(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    kind, text = timer_value(status, past_due=True)
    content = json.loads(text)
    assert kind == "json"
    assert content["IsPastDue"] is True
    assert content["ScheduleStatus"]["Next"] == "2026-01-02T00:00:00+00:00"


def test_the_time_zone_is_a_setting() -> None:
    assert time_zone({}) is UTC
    assert str(time_zone({"WEBSITE_TIME_ZONE": "Europe/Berlin"})) == "Europe/Berlin"
    with pytest.raises(Unusable):
        time_zone({"WEBSITE_TIME_ZONE": "Nowhere/Else"})


class Failing:
    """Runs nothing and fails so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.retries: list[int] = []

    async def run(
        self, function: Function, inputs: dict[str, Value], metadata: Any = None, *, reason: str, retry: int = 0
    ) -> None:
        self.retries.append(retry)
        if len(self.retries) <= self.failures:
            raise FunctionFailed("no")


def _timer(invoker: Any, schedule: str = "0 0 3 * * *", **policy: Any) -> TimerTrigger:
    description = FunctionDescription("id", "f", [], **policy)
    function = Function("id", "f", "timertrigger", {"name": "timer", "schedule": schedule}, description)
    return TimerTrigger(function, {"AT": "0 0 4 * * *"}, invoker, None)


@pytest.mark.parametrize(
    ("failures", "policy", "retries"),
    [
        (0, {}, [0]),
        (9, {}, [0]),
        (9, {"max_retry_count": 2}, [0, 1, 2]),
        (1, {"max_retry_count": 2}, [0, 1]),
        (7, {"max_retry_count": -1}, list(range(8))),
    ],
)
async def test_a_timer_is_tried_again_as_its_policy_says(failures: int, policy: Any, retries: list[int]) -> None:
    invoker = Failing(failures)
    await _timer(invoker, **policy).run_once(timer_value(None, past_due=False))
    assert invoker.retries == retries


@pytest.mark.parametrize("schedule", ["%AT%", "0 */5 * * * *"])
def test_a_schedule_may_be_a_setting(schedule: str) -> None:
    assert _timer(Failing(0), schedule)


@pytest.mark.parametrize("schedule", ["%NONE%", "soon", "0 0 0 31 2 *"])
def test_a_timer_without_a_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(Unusable):
        _timer(Failing(0), schedule)
