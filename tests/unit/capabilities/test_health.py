import asyncio

import pytest

from shared.capabilities.health import Health
from shared.errors import DependencyRefused, Unavailable
from shared.health_status import CheckResult, Status


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ping:
    """A check that counts its runs and can be told what to find."""

    def __init__(self, result: CheckResult | Exception | None = None) -> None:
        self.result = result
        self.runs = 0

    async def __call__(self) -> CheckResult | None:
        self.runs += 1
        await asyncio.sleep(0)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.spec("HC-1", "HC-4", "URL-9")
@pytest.mark.parametrize(
    ("found", "status"),
    [
        (None, Status.HEALTHY),
        (CheckResult(Status.DEGRADED, "The change feed is 10 minutes behind."), Status.DEGRADED),
        (DependencyRefused("key vault"), Status.DEGRADED),
        (Unavailable("account xyz"), Status.UNHEALTHY),
        (RuntimeError("secret"), Status.UNHEALTHY),
        (TimeoutError(), Status.UNHEALTHY),
    ],
)
async def test_what_a_check_finds_decides(found, status):
    report = await Health({"tables": Ping(found), "blobs": Ping()}).report()

    assert report.overall is status
    assert report.results["tables"].status is status
    assert report.results["blobs"].status is Status.HEALTHY
    for secret in ("xyz", "secret", "key vault"):
        assert secret not in report.results["tables"].description


@pytest.mark.spec("HC-2")
async def test_many_requests_are_one_run_of_the_checks():
    ping, clock = Ping(), Clock()
    health = Health({"tables": ping}, clock=clock)

    await asyncio.gather(*(health.report() for _ in range(5)))
    clock.now += 14
    await health.report()
    await settle()

    assert ping.runs == 1


@pytest.mark.spec("HC-2")
async def test_an_older_result_is_served_while_the_next_is_found_out():
    ping, clock = Ping(), Clock()
    health = Health({"tables": ping}, clock=clock)
    await health.report()

    ping.result = Unavailable("down")
    clock.now += 20
    assert (await health.report()).overall is Status.HEALTHY
    await settle()
    assert (await health.report()).overall is Status.UNHEALTHY
    assert ping.runs == 2


@pytest.mark.spec("HC-1")
async def test_a_result_older_than_a_minute_is_never_served():
    ping, clock = Ping(), Clock()
    health = Health({"tables": ping}, clock=clock)
    await health.report()

    ping.result = Unavailable("down")
    clock.now += 61

    assert (await health.report()).overall is Status.UNHEALTHY


@pytest.mark.spec("HC-3")
async def test_a_check_can_be_excluded_by_name():
    ping = Ping(Unavailable("down"))

    report = await Health({"events": ping, "tables": Ping()}, excluded=("events",)).report()

    assert (report.overall, set(report.results), ping.runs) == (Status.HEALTHY, {"tables"}, 0)


async def test_a_client_that_goes_away_does_not_stop_the_checks():
    ping = Ping()
    health = Health({"tables": ping})

    asking = asyncio.create_task(health.report())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert (await health.report()).overall is Status.HEALTHY
    assert ping.runs == 1
