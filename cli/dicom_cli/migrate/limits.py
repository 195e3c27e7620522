"""The limits of a migration, which may be changed while it runs (MIG-6)."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

MOST_WORKERS: Final = 64
"""Instances on their way at a time: each has a thread, a connection to either end and a temporary file."""
_LOOK_SECONDS: Final = 2.0
"""The file with the limits is read as often."""
_CLOSED_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a migration may take; 0: any amount."""

    concurrency: int = 4
    bytes_per_second: float = 0.0
    requests_per_second: float = 0.0
    hours: str = ""
    """`22-6`: between these hours of the day, by the clock of this machine; empty: always."""

    def changed(self, document: Any) -> "Limits":
        """These limits with the members of a JSON object; what is none stays. Raises ValueError."""
        known = {name: value for name, value in dict(document).items() if name in self.__dataclass_fields__}
        limits = replace(self, **known)
        limits.is_open(datetime.now().astimezone())
        return limits

    def is_open(self, now: datetime) -> bool:
        """Whether the time of day is one of the hours. Raises ValueError for hours that are none."""
        if not self.hours:
            return True
        begin, _, end = (int(part) if part.isdecimal() else part for part in self.hours.partition("-"))
        if not isinstance(begin, int) or not isinstance(end, int) or begin > 24 or end > 24:
            raise ValueError("--hours is as 22-6")
        return begin <= now.hour < end if begin <= end else now.hour >= begin or now.hour < end


class Throttle:
    """Lets through what the limits allow. `path`: a JSON file whose members change them; it need not be there."""

    def __init__(
        self,
        limits: Limits,
        path: Path | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: seconds; only differences count."""
        self._limits = limits
        self._path = path
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._read = float("-inf")
        self._free = {"bytes": 0.0, "requests": 0.0}
        """When the next one may begin."""

    @property
    def limits(self) -> Limits:
        """Those of now."""
        with self._lock:
            if self._path is not None and self._clock() - self._read > _LOOK_SECONDS:
                self._read = self._clock()
                with suppress(OSError, ValueError, TypeError):  # half written: it is read again
                    self._limits = self._limits.changed(json.loads(self._path.read_text(encoding="utf-8")))
            return self._limits

    def request(self) -> None:
        """Wait until one more request is allowed."""
        while not self.limits.is_open(datetime.now().astimezone()):
            self._sleep(_CLOSED_SECONDS)
        if rate := self.limits.requests_per_second:
            self._take("requests", 1 / rate)

    def bytes(self, count: int) -> None:
        """So many bytes were moved: wait until the rate is kept."""
        if rate := self.limits.bytes_per_second:
            self._take("bytes", count / rate)

    def _take(self, name: str, seconds: float) -> None:
        with self._lock:
            now = self._clock()
            begin = max(now, self._free[name])
            self._free[name] = begin + seconds
        if begin > now:
            self._sleep(begin - now)
