"""Long-running work beside requests: it leaves the process and the data stores time, and most of it while clients are
served.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

RECENT_SECONDS: Final = 2.0
"""Clients send requests in bursts: for so long after one, more are expected."""
_SHARE_BESIDE_CLIENTS: Final = 15
"""A request takes at most a tenth longer beside work that has one part of the processor in sixteen."""


class Foreground:
    """The load that clients put on a process. `now`: seconds of a clock that never goes back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._served = -RECENT_SECONDS

    def note(self) -> None:
        """A client is being served."""
        self._served = self._now()

    @property
    def busy(self) -> bool:
        """Whether a client has been served lately."""
        return self._now() - self._served < RECENT_SECONDS

    def at_once(self, most: int) -> int:
        """How many tasks of long-running work may go on side by side: `most`, one beside clients."""
        return 1 if self.busy else most


class Pace:
    """The steps of one piece of work, with a rest after each: some times as long as the step, because the data stores
    serve others as well; beside clients also at least fifteen times the processor time that passed meanwhile. One for
    each task that works at the same time.
    """

    def __init__(
        self,
        longest: float,
        foreground: Foreground,
        *,
        alone: float,
        beside: float,
        processor: Callable[[], float] = time.thread_time,
    ) -> None:
        """`longest`: the longest rest in seconds; `alone`, `beside`: how many times as long as a step a rest is,
        without clients and beside them; `processor`: seconds of processor time, with other threads `time.process_time`.
        """
        self._longest = longest
        self._foreground = foreground
        self._alone = alone
        self._beside = beside
        self._processor = processor
        self._begin()

    async def rest(self) -> None:
        """A step has ended; the next one begins when this returns."""
        seconds = asyncio.get_running_loop().time() - self._begun
        if self._foreground.busy:
            seconds = max(self._beside * seconds, _SHARE_BESIDE_CLIENTS * (self._processor() - self._used))
        else:
            seconds *= self._alone
        await asyncio.sleep(min(seconds, self._longest))
        self._begin()

    def _begin(self) -> None:
        self._begun = asyncio.get_running_loop().time()
        self._used = self._processor()
