"""Processes that crash and networks that lose requests and answers, over tables in memory."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.errors import Unavailable
from shared.storage.ports import Ambiguous, Entity, Kind, Page, RowWrite, StorageError
from tests.unit.index.virtual_time import now, sleep


class Crashed(BaseException):
    """The process has died: nothing after this line runs in it."""


@dataclass
class Weather:
    """How likely what is, per request."""

    crash: float = 0.0
    lose: float = 0.0
    """The request, or only its answer, is lost."""
    ghost: float = 0.0
    """The answer is lost, and the write is applied only later."""
    slow: float = 0.0
    """The request takes seconds."""
    calm: bool = False
    """Requests take no time and nothing goes wrong."""

    def clear_up(self) -> None:
        """The end of all trouble."""
        self.crash = self.lose = self.ghost = self.slow = 0.0
        self.calm = True


class Process:
    """A process of the service: its clock, and whether it lives."""

    def __init__(self, weather: Weather, skew: float = 0.0) -> None:
        self.weather = weather
        self.skew = skew
        self.alive = True

    def time(self) -> float:
        return now() + self.skew


class UnreliableTables:
    """A TableStore as one process sees it."""

    def __init__(self, store, process: Process, applied: Callable[[Kind, Sequence[RowWrite]], None]) -> None:
        self._store = store
        self._process = process
        self._applied = applied

    async def get(self, kind: Kind, partition_key: str, row_key: str) -> Entity | None:
        return await self._read(lambda: self._store.get(kind, partition_key, row_key))

    async def page(self, kind: Kind, partition_key: str, low: str, high: str, *, top: int = 1000, select=None) -> Page:
        return await self._read(lambda: self._store.page(kind, partition_key, low, high, top=top, select=select))

    async def range(self, kind: Kind, partition_key: str, low: str, high: str, *, select=None) -> list[Entity]:
        entities: list[Entity] = []
        start: str | None = low
        while start is not None:
            page = await self.page(kind, partition_key, start, high, select=select)
            entities += page.entities
            start = page.next_row_key
        return entities

    async def commit(self, kind: Kind, operations: Sequence[RowWrite]) -> str:
        weather = self._process.weather
        await self._travel()
        fate = random.random()
        if fate < weather.lose / 2:
            raise Ambiguous("lost")
        if fate < weather.lose / 2 + weather.ghost:
            asyncio.get_running_loop().create_task(self._later(kind, operations))
            raise Ambiguous("late")
        etag = await self._apply(kind, operations)
        await self._travel()
        if random.random() < weather.lose / 2:
            raise Ambiguous("answer lost")
        return etag

    async def _read[T](self, request: Callable[[], Awaitable[T]]) -> T:
        await self._travel()
        if random.random() < self._process.weather.lose / 4:
            raise Unavailable("no answer")
        result = await request()
        await self._travel()
        return result

    async def _travel(self) -> None:
        """One way through the network; the process may have died meanwhile."""
        self._live()
        weather = self._process.weather
        if weather.calm:
            return
        slow = random.random() < weather.slow
        await sleep(random.uniform(0.5, 8) if slow else random.random() * 0.02)
        if random.random() < weather.crash / 2:
            self._process.alive = False
        self._live()

    def _live(self) -> None:
        if not self._process.alive:
            raise Crashed

    async def _apply(self, kind: Kind, operations: Sequence[RowWrite]) -> str:
        etag = await self._store.commit(kind, operations)
        self._applied(kind, operations)
        return etag

    async def _later(self, kind: Kind, operations: Sequence[RowWrite]) -> None:
        await sleep(random.uniform(0.01, 5))
        with suppress(StorageError):
            await self._apply(kind, operations)
