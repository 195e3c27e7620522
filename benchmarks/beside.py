"""What clients lose while long-running work goes on beside them.

Searches go on, one after the other, before, during and after the work. Only what is as near to the work in time as it
is long counts as alone, half of it before and half behind: both meet the same machine. Windows of some seconds are
compared by their median, so that a disturbance of a few windows decides nothing.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.measure import Bench

_WINDOW_SECONDS = 2.0
_FEWEST_WINDOWS = 5


@dataclass(frozen=True, slots=True)
class Window:
    """A few seconds of searches."""

    begin: float
    end: float
    samples: tuple[float, ...]
    """Milliseconds of each."""
    cpu_seconds: float
    """Of the workers, long-running work included."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What searches lost beside work. Shares: 0.1 is a tenth."""

    samples: Sequence[float]
    """Milliseconds of the searches beside the work."""
    seconds: float
    fewer: float
    """Searches a second that were missing, as a share: medians of windows."""
    longer: float
    """What a search took longer at the median."""
    search_cpu_ms: float
    """Processor time of a search alone."""
    work_cpu_seconds: float
    """Processor time of the work: what the workers took beyond that of the searches."""

    @property
    def processor(self) -> float:
        """The share of one processor that the work took."""
        return self.work_cpu_seconds / self.seconds

    def __str__(self) -> str:
        return (
            f"searches beside: {-self.fewer:+.1%} a second, {self.longer:+.1%} at the median; "
            f"the work takes {self.processor:.1%} of one processor"
        )


@dataclass(slots=True)
class Searches:
    """Searches that go on until they are stopped, in windows."""

    bench: Bench
    search: Callable[[int], Awaitable[None]]
    windows: list[Window] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Search until `stop`."""
        number = 0
        while not self._stop.is_set():
            samples: list[float] = []
            cpu, begin = self.bench.processes.cpu_seconds(), time.perf_counter()
            while (sent := time.perf_counter()) < begin + _WINDOW_SECONDS:
                await self.search(number)
                number += 1
                samples.append((time.perf_counter() - sent) * 1000)
            used = self.bench.processes.cpu_seconds() - cpu
            self.windows.append(Window(begin, time.perf_counter(), tuple(samples), used))

    async def stop_after(self, seconds: float) -> None:
        """Let them go on for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        self._stop.set()

    def loss(self, begin: float, end: float) -> Loss:
        """What work that lasted from `begin` to `end` (of `time.perf_counter`) cost searches."""
        half = max((end - begin) / 2, _FEWEST_WINDOWS * _WINDOW_SECONDS)
        beside = [each for each in self.windows if each.begin >= begin and each.end <= end]
        alone = [
            each
            for each in self.windows
            if begin - half <= each.begin and each.end <= end + half and (each.end <= begin or each.begin >= end)
        ]
        assert len(beside) >= _FEWEST_WINDOWS, "the work was too short to be measured beside searches"
        search_cpu = statistics.median(each.cpu_seconds / len(each.samples) for each in alone)
        work = sum(each.cpu_seconds - len(each.samples) * search_cpu for each in beside)
        seconds = sum(each.end - each.begin for each in beside)
        samples = [sample for each in beside for sample in each.samples]
        alone_samples = [sample for each in alone for sample in each.samples]
        return Loss(
            samples,
            seconds,
            1 - statistics.median(map(_rate, beside)) / statistics.median(map(_rate, alone)),
            statistics.median(samples) / statistics.median(alone_samples) - 1,
            search_cpu * 1000,
            max(0.0, work),
        )


def _rate(window: Window) -> float:
    return len(window.samples) / (window.end - window.begin)
