"""Measuring: latency at the client, CPU and memory of the workers, storage use as the workers report it."""

import asyncio
import json
import platform
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.turns import ROUNDS, Turns

_ROUNDS = 5
_FEWEST_IN_ROUNDS = 200
_REPORT_SECONDS = 10.0
_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.05, 0.5
"""Between two looks at the log: who waits long looks rarely, since clients that are measured run in this process."""
_QUIET_SECONDS = 3
_QUIET_SHARE = 0.04
"""Of one core: what a worker uses when nothing is left to do."""
_QUIET_DEADLINE = 300
_MIB = 2**20
_SCHEDULER_CLOCK = 2
"""The clock of a process that has all its time, in the number of that clock (CPUCLOCK_SCHED of Linux)."""


type Entry = dict[str, Any]
"""One line of telemetry."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one scenario cost. Times in milliseconds per operation, memory in MiB, bytes per operation.

    None where it could not be measured: the service runs elsewhere.
    """

    name: str
    operations: int
    concurrency: int
    median_ms: float
    p95_ms: float
    per_second: float
    cpu_ms: float | None = None
    storage_requests: float | None = None
    storage_sent_bytes: float | None = None
    storage_read_bytes: float | None = None
    peak_mib: float | None = None
    above_idle_mib: float | None = None
    cpu_rounds_ms: tuple[float, ...] = ()
    """CPU time of each round, in the order of time."""
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        samples: Sequence[float],
        elapsed: float,
        *,
        per: int = 1,
        concurrency: int = 1,
        cpu_rounds_ms: Sequence[float],
        memory: tuple[float, float] | None,
        entries: Sequence[Entry],
        note: str = "",
    ) -> Self:
        """`samples` are milliseconds of requests with `per` operations each; `entries` the telemetry of them all;
        `memory` the peak and what of it is above idle, in bytes.
        """
        count = len(samples) * per
        ordered = sorted(samples)

        def mean(key: str) -> float | None:
            return sum(entry[key] for entry in entries) / count if entries else None

        return cls(
            name=name,
            operations=count,
            concurrency=concurrency,
            median_ms=statistics.median(ordered) / per,
            p95_ms=ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] / per,
            per_second=count / elapsed,
            cpu_ms=statistics.median(cpu_rounds_ms) if cpu_rounds_ms else None,
            cpu_rounds_ms=tuple(cpu_rounds_ms),
            storage_requests=mean("storageRequests"),
            storage_sent_bytes=mean("storageBytesSent"),
            storage_read_bytes=mean("storageBytesReceived"),
            peak_mib=memory[0] / _MIB if memory else None,
            above_idle_mib=memory[1] / _MIB if memory else None,
            note=note,
        )

    def to_json(self) -> dict[str, object]:
        """All of it."""
        return asdict(self)


def _cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process so far, of all its threads."""
    if platform.system() == "Linux":
        # Its own clock (clock_getcpuclockid) counts nanoseconds, the accounts that psutil reads hundredths of a second.
        return time.clock_gettime(~process.pid << 3 | _SCHEDULER_CLOCK)
    return sum(process.cpu_times()[:2])


class Processes:
    """CPU time and resident memory of the processes that are measured (none when the service runs elsewhere)."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.peak = 0
        """Highest resident size seen since the context was entered."""

    def __bool__(self) -> bool:
        return bool(self._processes)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(map(_cpu_seconds, self._processes))

    def resident(self) -> int:
        """Bytes resident now."""
        return sum(process.memory_info().rss for process in self._processes)

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, self.resident())

    def __enter__(self) -> Self:
        self.peak = self.resident()
        self._stop.clear()
        if self._processes:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()


class Telemetry:
    """The worker's telemetry, read from the local host's log: one JSON object per transaction and per trigger."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._offset = 0
        self._entries: defaultdict[str, list[Entry]] = defaultdict(list)

    def __bool__(self) -> bool:
        return self._path is not None

    def skip(self) -> None:
        """Forget what has been written so far."""
        self._entries.clear()
        if self._path:
            self._offset = self._path.stat().st_size

    async def entries(
        self, event: str, *, at_least: int, function: str | None = None, seconds: float = _REPORT_SECONDS
    ) -> list[Entry]:
        """The entries of a kind since `skip`, as soon as there are enough of them. [] without a log.

        Raises TimeoutError.
        """
        begin = time.monotonic()
        while self._path:
            self._read(self._path)
            found = [entry for entry in self._entries[event] if function is None or entry["function"] == function]
            if len(found) >= at_least:
                return found
            waited = time.monotonic() - begin
            if waited > seconds:
                raise TimeoutError(f"{len(found)} of {at_least} lines of telemetry")
            await asyncio.sleep(min(_LOOK_SECONDS + waited / 20, _LONGEST_LOOK_SECONDS))
        return []

    def _read(self, path: Path) -> None:
        with path.open("rb") as log:
            log.seek(self._offset)
            written = log.read()
        complete = written[: written.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            start = line.find(b'{"event":"')
            if start < 0:
                continue
            entry = json.loads(line[start:])
            if entry["event"] == "response-sent":  # what a streamed answer took in all
                entry["event"] = "transaction"
            elif entry["event"] == "transaction" and entry.get("streamed"):
                continue
            self._entries[entry["event"]].append(entry)


@dataclass(slots=True)
class Bench:
    """The service under test and the instruments on it."""

    url: str
    processes: Processes
    telemetry: Telemetry
    quick: bool = False
    idle: int = 0
    """Bytes resident when the service had served its first requests."""
    results: list[Result] = field(default_factory=list)
    turns: Turns | None = None
    """Where a peer is measured in turn."""
    side: int = 0

    def times(self, operations: int) -> int:
        """The number of operations to run: a tenth in a quick run."""
        return max(5, operations // 10) if self.quick else operations

    async def add_operation(self, name: str, count: int, elapsed: float, cpu: float, note: str) -> None:
        """Record what an operation on `count` instances cost: seconds that went by, seconds of the processor."""
        self.results.append(
            Result.of(
                name,
                [elapsed * 1000],
                elapsed,
                per=count,
                cpu_rounds_ms=(cpu * 1000 / count,),
                memory=self.memory(),
                entries=await self.telemetry.entries("trigger", at_least=1, function="run_operations", seconds=120),
                note=note,
            )
        )

    async def run(
        self,
        name: str,
        operation: Callable[[int], Awaitable[None]],
        operations: int,
        *,
        concurrency: int = 1,
        warm: int = 3,
        per: int = 1,
        reported: bool = True,
        note: str = "",
    ) -> Result:
        """Run `operation(n)` for n in 0..operations and record what it cost; `per` instances count as that many.

        `warm` runs go before, with negative n. CPU time is the median of a few rounds. Not `reported`: there is no
        telemetry of it.
        """
        for number in range(warm):
            await operation(-1 - number)
        await asyncio.sleep(0.3)
        self.telemetry.skip()
        samples: list[float] = []
        if self.turns is not None:
            await self.turns.meet()

        async def work(numbers: Sequence[int]) -> None:
            waiting = iter(numbers)

            async def worker() -> None:
                for number in waiting:
                    begin = time.perf_counter()
                    await operation(number)
                    samples.append((time.perf_counter() - begin) * 1000)

            await asyncio.gather(*(worker() for _ in range(concurrency)))

        cpu: list[float] = []
        begin = time.perf_counter()
        with self.processes:
            for numbers in _rounds(operations, ROUNDS if self.turns else 0):
                async with self.turns.turn(self.side) if self.turns else nullcontext():
                    before = self.processes.cpu_seconds()
                    await work(numbers)
                    cpu.append((self.processes.cpu_seconds() - before) * 1000 / (len(numbers) * per))
        elapsed = time.perf_counter() - begin
        entries = await self.telemetry.entries("transaction", at_least=operations) if reported else []
        result = Result.of(
            name,
            samples,
            elapsed,
            per=per,
            concurrency=concurrency,
            cpu_rounds_ms=cpu if self.processes else (),
            memory=self.memory(),
            entries=entries,
            note=note,
        )
        self.results.append(result)
        return result

    def memory(self) -> tuple[float, float] | None:
        """The peak of the latest measurement and what of it is above idle, in bytes; None if nothing is measured."""
        return (self.processes.peak, self.processes.peak - self.idle) if self.processes else None

    async def until_quiet(self) -> None:
        """Wait until the workers have had nothing to do for some seconds. Raises TimeoutError."""
        quiet = 0.0
        deadline = time.monotonic() + _QUIET_DEADLINE
        while quiet < _QUIET_SECONDS:
            if time.monotonic() > deadline:
                raise TimeoutError("the workers do not come to rest")
            before = self.processes.cpu_seconds()
            await asyncio.sleep(1)
            quiet = quiet + 1 if self.processes.cpu_seconds() - before < _QUIET_SHARE else 0.0


def _rounds(operations: int, wanted: int = 0) -> list[range]:
    """The operations in `wanted` rounds, or as many as suit their number."""
    count = wanted or (_ROUNDS if operations >= _FEWEST_IN_ROUNDS else 1)
    cuts = [operations * number // count for number in range(count + 1)]
    return [range(start, end) for start, end in pairwise(cuts)]
