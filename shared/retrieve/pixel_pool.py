"""A bounded executor for pixel work: beside the event loop, in bounded memory, each result once for all who wait."""

import asyncio
import contextlib
import os
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, cast

from shared.codec_process.processes import CodecProcesses
from shared.errors import NotAcceptable, Unavailable

_PATIENCE_SECONDS: Final = 60.0
"""How long a request waits for memory that other requests hold."""
_MEMORY: Final = 512 * 1024 * 1024
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

    def __init__(self, memory: int = _MEMORY, largest_file: int = _LARGEST_FILE) -> None:
        self.memory = memory
        self.largest_file = largest_file
        self.codecs = CodecProcesses()
        self._free = memory
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._making: dict[Hashable, asyncio.Task[Shared[Any]]] = {}
        self._held: weakref.WeakValueDictionary[Hashable, Shared[Any]] = weakref.WeakValueDictionary()
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pixels")

    async def make[T](self, key: Hashable, needed: int, work: Callable[[], Awaitable[T]]) -> Shared[T]:
        """The result of `work`, for which `needed` bytes are reserved, the result included.

        Concurrent calls with one `key` share one result, also while anybody still holds it.
        Raises NotAcceptable when it needs more memory than there is, Unavailable when others hold it for too long, and
        what `work` raises.
        """
        self.check(needed)
        held = self._held.get(key)
        if held is not None:
            return cast("Shared[T]", held)
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, needed, work))
            self._making[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        return cast("Shared[T]", await asyncio.shield(task))

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
        await self._reserve(needed)
        try:
            made = Shared(await work())
        except BaseException:
            self._release(needed)
            raise
        loop = asyncio.get_running_loop()
        weakref.finalize(made, self._release_from_anywhere, loop, needed).atexit = False
        self._held[key] = made
        return made

    async def _reserve(self, needed: int) -> None:
        """First come, first served: a large piece of work is not overtaken for ever by small ones."""
        if not self._queue and needed <= self._free:
            self._free -= needed
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((needed, turn))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._release(needed)
            else:
                with contextlib.suppress(ValueError):  # gone, if its turn came while it was giving up
                    self._queue.remove((needed, turn))
                self._serve()
            if isinstance(error, TimeoutError):
                raise Unavailable("Too many images are being converted; try again later.") from None
            raise

    def _release_from_anywhere(self, loop: asyncio.AbstractEventLoop, needed: int) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._release, needed)

    def _release(self, needed: int) -> None:
        self._free += needed
        self._serve()

    def _serve(self) -> None:
        while self._queue and self._queue[0][0] <= self._free:
            needed, turn = self._queue.popleft()
            if not turn.done():
                self._free -= needed
                turn.set_result(None)
