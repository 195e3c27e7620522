"""The health of the service (URL-9, HC-1 to HC-4)."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from shared import telemetry
from shared.errors import DependencyRefused
from shared.health_status import CheckResult, HealthCheck, Status

_REFRESH_SECONDS = 15.0
_FRESH_SECONDS = 60.0
_CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The results of all checks, by name."""

    results: Mapping[str, CheckResult]

    @property
    def overall(self) -> Status:
        """The worst of the results."""
        order = list(Status)
        return max((result.status for result in self.results.values()), key=order.index, default=Status.HEALTHY)


class Health:
    """Runs the checks at most every 15 seconds, in the background, and serves what they found (HC-2).

    A function app has no process of its own to run a timer in, so a request that finds the results old starts the next
    run; it waits for it only if what there is is older than a minute.
    """

    def __init__(
        self,
        checks: Mapping[str, HealthCheck],
        *,
        excluded: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = {name: check for name, check in checks.items() if name not in excluded}
        self._clock = clock
        self._report: HealthReport | None = None
        self._finished = 0.0
        self._running: asyncio.Task[None] | None = None

    async def report(self) -> HealthReport:
        """The latest results, at most a minute old."""
        age = self._clock() - self._finished
        if self._report is None or age >= _REFRESH_SECONDS:
            if self._running is None or self._running.done():
                self._running = asyncio.create_task(self._run())
            if self._report is None or age >= _FRESH_SECONDS:
                await asyncio.shield(self._running)
        return self._report or HealthReport({"health": CheckResult(Status.UNHEALTHY, "No fresh result.")})

    async def _run(self) -> None:
        results = await asyncio.gather(*(self._result(name, check) for name, check in self._checks.items()))
        self._report = HealthReport(dict(zip(self._checks, results, strict=True)))
        self._finished = self._clock()

    async def _result(self, name: str, check: HealthCheck) -> CheckResult:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await check() or CheckResult(Status.HEALTHY)
        except DependencyRefused as error:
            telemetry.failure("health-check", error, check=name)
            return CheckResult(Status.DEGRADED, "Access has been withdrawn.")
        except TimeoutError:
            return CheckResult(Status.UNHEALTHY, "No answer in time.")
        except Exception as error:  # noqa: BLE001 - a check that fails in any way is a result
            telemetry.failure("health-check", error, check=name)
            return CheckResult(Status.UNHEALTHY, "The check failed.")
