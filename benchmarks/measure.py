"""Measuring: latency at the client, CPU and memory of the workers, storage requests as the workers report them."""

import asyncio
import json
import statistics
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


@dataclass(slots=True)
class Result:
    """What one scenario cost. Times in milliseconds per operation, memory in MiB, bytes per operation."""

    name: str
    operations: int
    concurrency: int
    median_ms: float
    p95_ms: float
    per_second: float
    cpu_ms: float | None = None
    storage_requests: float | None = None
    storage_read_bytes: float | None = None
    peak_mib: float | None = None
    above_idle_mib: float | None = None
    note: str = ""
    samples_ms: list[float] = field(default_factory=list, repr=False)

    def to_json(self) -> dict[str, object]:
        """Everything but the single samples."""
        return {key: value for key, value in asdict(self).items() if key != "samples_ms"}


class Processes:
    """CPU time and resident memory of the processes that are measured (none when the service runs elsewhere)."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._peak = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)

    def resident(self) -> int:
        """Bytes resident now."""
        return sum(process.memory_info().rss for process in self._processes)

    def __bool__(self) -> bool:
        return bool(self._processes)

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self._peak = max(self._peak, self.resident())

    def __enter__(self) -> Self:
        self._peak = self.resident()
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    @property
    def peak(self) -> int:
        """Highest resident size seen since the context was entered."""
        return self._peak


class TransactionLog:
    """The worker's telemetry, read from the local host's log: one JSON object per transaction."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._offset = 0

    async def settle(self) -> None:
        """Skip what has been written so far."""
        await asyncio.sleep(0.3)
        if self._path:
            self._offset = self._path.stat().st_size

    async def totals(self) -> tuple[int, int, int] | None:
        """(transactions, storage requests, bytes read from storage) since `settle`; None without a log."""
        if not self._path:
            return None
        await asyncio.sleep(0.3)
        transactions = requests = received = 0
        with self._path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                start = line.find(b'{"event":"transaction"')
                if start < 0:
                    continue
                entry = json.loads(line[start:])
                transactions += 1
                requests += entry["storage_requests"]
                received += entry["storage_bytes_received"]
        return transactions, requests, received


@dataclass(slots=True)
class Bench:
    """The service under test and the instruments on it."""

    url: str
    processes: Processes
    log: TransactionLog
    quick: bool = False
    results: list[Result] = field(default_factory=list)

    def times(self, operations: int) -> int:
        """The number of operations to run: a tenth in a quick run."""
        return max(5, operations // 10) if self.quick else operations

    async def run(
        self,
        name: str,
        operation: Callable[[int], Awaitable[None]],
        operations: int,
        *,
        concurrency: int = 1,
        warm: int = 3,
        per: int = 1,
        note: str = "",
    ) -> Result:
        """Run `operation(n)` for n in 0..operations and record what it cost; `per` instances count as that many."""
        for number in range(warm):
            await operation(-1 - number)
        await self.log.settle()
        samples: list[float] = []
        numbers = iter(range(operations))

        async def worker() -> None:
            for number in numbers:
                begin = time.perf_counter()
                await operation(number)
                samples.append((time.perf_counter() - begin) * 1000)

        idle = self.processes.resident() if self.processes else 0
        cpu = self.processes.cpu_seconds() if self.processes else 0.0
        begin = time.perf_counter()
        async with self._watched():
            await asyncio.gather(*(worker() for _ in range(concurrency)))
        elapsed = time.perf_counter() - begin
        used = self.processes.cpu_seconds() - cpu if self.processes else 0.0
        totals = await self.log.totals()
        count = operations * per
        samples.sort()
        result = Result(
            name=name,
            operations=count,
            concurrency=concurrency,
            median_ms=statistics.median(samples) / per,
            p95_ms=samples[min(len(samples) - 1, int(len(samples) * 0.95))] / per,
            per_second=count / elapsed,
            note=note,
            samples_ms=samples,
        )
        if self.processes:
            result.cpu_ms = used * 1000 / count
            result.peak_mib = self.processes.peak / 2**20
            result.above_idle_mib = (self.processes.peak - idle) / 2**20
        if totals and totals[0]:
            result.storage_requests = totals[1] / count
            result.storage_read_bytes = totals[2] / count
        self.results.append(result)
        return result

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        if self.processes:
            with self.processes:
                yield
        else:
            yield
