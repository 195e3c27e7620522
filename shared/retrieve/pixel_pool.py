"""A bounded executor for pixel work: beside the event loop, in bounded memory, each result once for all who wait."""

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, cast

from shared import memory_plan
from shared.codec_process.processes import CodecProcesses
from shared.errors import NotAcceptable
from shared.memory_budget import MemoryBudget

_LARGEST_FILE: Final = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Shared[T]:
    """A result that several requests may hold. Its memory counts as taken for as long as one of them does."""

    value: T


class PixelPool:
    """An executor of work that costs memory and processor time, with single flight. One per process.

    `memory` bounds, in bytes, what all work under way and all results that are still held take together;
    `largest_file` is the size of the files that are read whole for it (WADO-12, REND-6).
    """

    def __init__(self, memory: int = memory_plan.PIXELS, largest_file: int = _LARGEST_FILE) -> None:
        self.memory = memory
        self.largest_file = largest_file
        self.codecs = CodecProcesses()
        self._budget = MemoryBudget(memory, "Too many images are being converted; try again later.")
        self._making: dict[Hashable, asyncio.Task[Shared[Any]]] = {}
        self._held: weakref.WeakValueDictionary[Hashable, Shared[Any]] = weakref.WeakValueDictionary()
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pixels")

    @property
    def free(self) -> int:
        """Bytes that nothing under way and no held result takes."""
        return self._budget.free

    async def make[T](self, key: Hashable, needed: int, work: Callable[[], Awaitable[T]]) -> Shared[T]:
        """The result of `work`, for which `needed` bytes are reserved, the result included.

        Concurrent calls with one `key` share one result, also while anybody still holds it.
        Raises NotAcceptable when it needs more memory than there is, Unavailable when others hold it for too long, and
        what `work` raises.
        """
        self.check(needed)
        present = self._held.get(key)
        if present is not None:
            return cast("Shared[T]", present)
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, needed, work))
            self._making[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        try:
            return cast("Shared[T]", await asyncio.shield(task))
        finally:
            del task  # a failure holds this frame, and the task the failure: a ring, with the file that was worked on

    def check(self, needed: int) -> None:
        """Raises NotAcceptable for work that needs more memory than there is (WADO-12)."""
        if needed > self.memory:
            raise NotAcceptable("The pixel data of the instance are too large to be converted.")

    def check_length(self, length: int) -> None:
        """Raises NotAcceptable for a file of `length` bytes that is too large to be converted (WADO-12, REND-6)."""
        if length > self.largest_file:
            raise NotAcceptable("The instance is too large to be converted; transfer-syntax=* retrieves it as stored.")

    async def run[T](self, function: Callable[[], T]) -> T:
        """Run `function` in a thread, as many at a time as there are processors."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def _finished(self, key: Hashable, task: asyncio.Task[Shared[Any]]) -> None:
        self._making.pop(key, None)
        if not task.cancelled():
            task.exception()  # those who waited may all have gone

    async def _make[T](self, key: Hashable, needed: int, work: Callable[[], Awaitable[T]]) -> Shared[T]:
        await self._budget.reserve(needed)
        try:
            made = Shared(await work())
        except BaseException:
            self._budget.release(needed)
            raise
        loop = asyncio.get_running_loop()
        weakref.finalize(made, self._release_from_anywhere, loop, needed).atexit = False
        self._held[key] = made
        return made

    def _release_from_anywhere(self, loop: asyncio.AbstractEventLoop, needed: int) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._budget.release, needed)
