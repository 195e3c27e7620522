"""Memory that all work of one kind in a process shares, first come first served."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final

from shared import collector
from shared.errors import Unavailable

_WAIT_SECONDS: Final = 60.0
"""The longest wait of a request for memory that other requests hold."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Somebody who waits for a turn."""

    needed: int
    lease: "Lease | None"
    turn: asyncio.Future[None]


class MemoryBudget:
    """So many bytes, which work reserves before it needs them. For one event loop. While a lease has some of them, the
    garbage collector stays away where it has been told to (`collector.keep_away`).
    """

    def __init__(self, size: int, busy: str) -> None:
        """`busy` is what a request is told that has waited too long."""
        self.size = size
        self.free = size
        """Bytes that nobody has reserved."""
        self._busy = busy
        self._queue: deque[_Waiting] = deque()
        self._leases: dict[Lease, None] = {}
        """Those that have something, the oldest first."""

    async def reserve(self, needed: int, lease: "Lease | None" = None) -> None:
        """Takes `needed` bytes, at most all there are; for `lease`, if it is one that grows. First come, first served:
        a large piece of work is not overtaken for ever by small ones.

        The oldest lease never waits, whatever is left: if leases that have something waited for one another, none of
        them would ever end.

        Raises Unavailable when others hold them for too long.
        """
        if (not self._queue and needed <= self.free) or self._is_oldest(lease):
            self._take(needed, lease)
            return
        turn = asyncio.get_running_loop().create_future()
        waiting = _Waiting(needed, lease, turn)
        self._queue.append(waiting)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.release(needed, lease)
            else:
                with contextlib.suppress(ValueError):  # gone, if its turn came while it was giving up
                    self._queue.remove(waiting)
                self._serve()
            if isinstance(error, TimeoutError):
                raise Unavailable(self._busy) from None
            raise

    def reserve_at_once(self, size: int) -> bool:
        """Takes `size` bytes if they are there and nobody waits; whether they were."""
        if self._queue or size > self.free:
            return False
        self._take(size, None)
        return True

    def release(self, size: int, lease: "Lease | None" = None) -> None:
        """Gives `size` reserved bytes back; those of `lease`, if it is one."""
        self.free += size
        if lease is not None:
            lease.size -= size
            if not lease.size and self._leases.pop(lease, lease) is None and not self._leases:
                collector.leave()
        self._serve()

    def _is_oldest(self, lease: "Lease | None") -> bool:
        return lease is not None and next(iter(self._leases), None) is lease

    def _take(self, needed: int, lease: "Lease | None") -> None:
        self.free -= needed
        if lease is not None:
            lease.size += needed
            if not self._leases:
                collector.enter()
            self._leases[lease] = None

    def _serve(self) -> None:
        while self._queue:
            waiting = next((each for each in self._queue if self._is_oldest(each.lease)), self._queue[0])
            if waiting.needed > self.free and not self._is_oldest(waiting.lease):
                return
            self._queue.remove(waiting)
            if not waiting.turn.done():
                self._take(waiting.needed, waiting.lease)
                waiting.turn.set_result(None)


class Lease:
    """The share of a budget that one piece of work has. Its maker ends it."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.size = 0
        """Bytes."""
        self._budget = budget

    async def grow(self, size: int) -> None:
        """Has at least `size` bytes, or all there are. Raises Unavailable as `MemoryBudget.reserve`."""
        size = min(size, self._budget.size)
        if size > self.size:
            await self._budget.reserve(size - self.size, self)

    def shrink(self, size: int = 0) -> None:
        """Has at most `size` bytes. Safe to call twice."""
        if size < self.size:
            self._budget.release(self.size - size, self)
