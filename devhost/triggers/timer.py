"""Timer triggers: an NCRONTAB schedule, `runOnStartup`, runs that are past due, and the retry policy of the function.

A schedule that fires less often than once a minute is monitored, unless its binding says `useMonitor: false`: its last
and next run are kept in the storage of the host, and a run that was missed while the host was down is made up for.
"""

import asyncio
import itertools
import json
import logging
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from devhost.azurite.storage_account import HOST_CONTAINER, StorageAccount
from devhost.functions import Function
from devhost.settings import Unusable, resolved
from devhost.triggers.ncrontab import InvalidSchedule, Schedule
from devhost.worker.channel import Value
from devhost.worker.invoker import FunctionFailed, Invoker

log = logging.getLogger("devhost.timers")

_MONITORED_FROM: Final = timedelta(minutes=1)
_LONGEST_SLEEP: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Status:
    """The last run of a timer, and the next one."""

    last: datetime
    next: datetime


def time_zone(settings: Mapping[str, str]) -> tzinfo:
    """The zone in which schedules are read: WEBSITE_TIME_ZONE, else UTC. Raises Unusable."""
    name = settings.get("WEBSITE_TIME_ZONE", "")
    try:
        return zoneinfo.ZoneInfo(name) if name else UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise Unusable(f"WEBSITE_TIME_ZONE {name!r} is not a time zone") from error


def timer_value(status: Status | None, *, past_due: bool) -> Value:
    """The argument of the function."""
    kept = {}
    if status is not None:
        kept = {
            "Last": status.last.isoformat(),
            "Next": status.next.isoformat(),
            "LastUpdated": status.last.isoformat(),
        }
    return "json", json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": kept, "IsPastDue": past_due})


class TimerTrigger:
    """Runs one function on its schedule. A run that takes longer than the schedule's pace delays the next one."""

    def __init__(
        self,
        function: Function,
        settings: Mapping[str, str],
        invoker: Invoker,
        account: StorageAccount | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Without an `account` nothing is monitored. Raises Unusable."""
        self._function = function
        self._invoker = invoker
        self._zone = time_zone(settings)
        self._now = now
        try:
            self._schedule = Schedule.parse(resolved(str(function.trigger["schedule"]), settings))
        except InvalidSchedule as error:
            raise Unusable(f"{function.name}: {error}") from error
        moment = now()
        first = self._schedule.next_after(moment, self._zone)
        pace = self._schedule.next_after(first, self._zone) - first
        wanted = function.trigger.get("useMonitor", True)
        self._account = account if wanted and pace >= _MONITORED_FROM else None
        self._on_start = bool(function.trigger.get("runOnStartup", False))

    async def run(self) -> None:
        """Follow the schedule until cancelled."""
        status = await self._read_status()
        past_due = status is not None and status.next < self._now()
        if past_due or self._on_start:
            status = await self._fire(status, past_due=past_due)
        while True:
            due = self._schedule.next_after(self._now(), self._zone)
            if status is None:
                status = Status(datetime.fromtimestamp(0, UTC), due)
                await self._write_status(status)
            await self._sleep_until(due)
            status = await self._fire(status, past_due=False)

    async def _sleep_until(self, due: datetime) -> None:
        while (wait := (due - self._now()).total_seconds()) > 0:  # noqa: ASYNC110 - it is the wall clock that is awaited
            await asyncio.sleep(min(wait, _LONGEST_SLEEP))

    async def _fire(self, status: Status | None, *, past_due: bool) -> Status:
        value = timer_value(status, past_due=past_due)
        fired = self._now()
        await self.run_once(value)
        status = Status(fired, self._schedule.next_after(max(fired, self._now()), self._zone))
        await self._write_status(status)
        return status

    async def run_once(self, value: Value) -> None:
        """Run the function now, again after failures as its retry policy says. A failure never ends the schedule."""
        policy = self._function.description
        shortest, longest = policy.retry_delays
        for attempt in itertools.count():
            try:
                await self._invoker.run(
                    self._function, {self._function.trigger["name"]: value}, reason="Timer fired", retry=attempt
                )
            except FunctionFailed:
                if attempt == policy.max_retry_count:
                    return
                await asyncio.sleep(min(shortest * 2 ** min(attempt, 30), longest))
            else:
                return

    @property
    def _status_blob(self) -> str:
        return f"timers/devhost/Host.Functions.{self._function.name}/status"

    async def _read_status(self) -> Status | None:
        if self._account is None:
            return None
        try:
            result = await self._account.container(HOST_CONTAINER).get_async(self._status_blob)
            kept = json.loads(bytes(await result.bytes_async()))
            return Status(datetime.fromisoformat(kept["Last"]), datetime.fromisoformat(kept["Next"]))
        except Exception:  # noqa: BLE001 - without a status the timer starts afresh, as on its first day
            return None

    async def _write_status(self, status: Status) -> None:
        if self._account is None:
            return
        content = {
            "Last": status.last.isoformat(),
            "Next": status.next.isoformat(),
            "LastUpdated": self._now().isoformat(),
        }
        try:
            await self._account.container(HOST_CONTAINER).put_async(self._status_blob, json.dumps(content).encode())
        except Exception as error:  # noqa: BLE001 - the schedule goes on
            log.warning("The status of %s could not be kept: %r", self._function.name, error)
