"""Memory that all work of one kind in a process shares, first come first served."""

import asyncio
import contextlib
from collections import deque
from typing import Final

from shared.errors import Unavailable

_PATIENCE_SECONDS: Final = 60.0
"""How long a request waits for memory that other requests hold."""


class MemoryBudget:
    """So many bytes, which work reserves before it needs them. For one event loop."""

    def __init__(self, size: int, busy: str) -> None:
        """`busy` is what a request is told that has waited too long."""
        self.size = size
        self.free = size
        """Bytes that nobody has reserved."""
        self._busy = busy
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def reserve(self, needed: int) -> None:
        """Takes `needed` bytes, at most all there are. First come, first served: a large piece of work is not overtaken
        for ever by small ones.

        Raises Unavailable when others hold them for too long.
        """
        if not self._queue and needed <= self.free:
            self.free -= needed
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((needed, turn))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.release(needed)
            else:
                with contextlib.suppress(ValueError):  # gone, if its turn came while it was giving up
                    self._queue.remove((needed, turn))
                self._serve()
            if isinstance(error, TimeoutError):
                raise Unavailable(self._busy) from None
            raise

    def release(self, size: int) -> None:
        """Gives `size` reserved bytes back."""
        self.free += size
        self._serve()

    def _serve(self) -> None:
        while self._queue and self._queue[0][0] <= self.free:
            needed, turn = self._queue.popleft()
            if not turn.done():
                self.free -= needed
                turn.set_result(None)


class Lease:
    """What one piece of work has of a budget. Whoever makes it ends it."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.size = 0
        """Bytes."""
        self._budget = budget

    async def grow(self, size: int) -> None:
        """Has at least `size` bytes, or all there are. Raises Unavailable as `MemoryBudget.reserve`."""
        size = min(size, self._budget.size)
        if size > self.size:
            await self._budget.reserve(size - self.size)
            self.size = size

    def shrink(self, size: int = 0) -> None:
        """Has at most `size` bytes. Safe to call twice."""
        if size < self.size:
            self._budget.release(self.size - size)
            self.size = size
