"""An event loop whose time passes only while nobody has anything to do, so that days take milliseconds."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass

_START = 1_800_000_000.0


class _NoSockets:
    """Stands where an event loop waits for sockets: it moves the clock instead."""

    def __init__(self, loop: "VirtualTimeLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list:
        if timeout is None:
            raise RuntimeError("Everybody waits for something that will never happen")
        self._loop.now += timeout
        return []


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """Deterministic: the order of callbacks depends on nothing outside the process."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _START
        self._selector = _NoSockets(self)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self.now

    def _process_events(self, event_list: list) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody wakes this loop from outside."""


def run[T](main: Coroutine[None, None, T]) -> T:
    """Run `main` on a loop of its own."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@dataclass
class _RealTime:
    """How time passes on a loop whose time is real."""

    skipped: float = 0.0
    skipping: bool = False


_REAL = _RealTime()


def now() -> float:
    """Seconds since 1970 on the running loop; on a loop of real time, since some time ago, hours skipped included."""
    return asyncio.get_running_loop().time() + _REAL.skipped


async def sleep(seconds: float) -> None:
    """Let time pass. On a loop of real time it is cut short, or skipped once nobody else acts (`skip_hours`)."""
    if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
        await asyncio.sleep(seconds)
    elif _REAL.skipping:
        _REAL.skipped += seconds
    else:
        await asyncio.sleep(min(seconds, 1) * 0.02)


def skip_hours(skip: bool) -> None:
    """Whether `sleep` skips its time on a loop of real time."""
    _REAL.skipping = skip
