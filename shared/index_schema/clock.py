"""The hybrid clock that versions instances (storage §2, CON-2, W-4)."""

import random
from collections.abc import Callable


class HybridClock:
    """Versions: milliseconds << 16 | random bits, strictly increasing within a process.

    `now` is the time in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._last = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.now() * 1000)

    def next(self, after: int = 0) -> int:
        """A version greater than every one before it, and than `after`; hardly ever one that another process makes."""
        random_bits = random.getrandbits(16)
        self._last = max(self._last + 1, after + 1 + random_bits, self.now_ms() << 16 | random_bits)
        return self._last

    def bound(self) -> int:
        """A version greater than every one that was made before: here, and by the same time in other processes."""
        return max(self._last + 1, self.now_ms() + 1 << 16)


def milliseconds(version: int) -> int:
    """The time at which a version was made, in milliseconds since 1970."""
    return version >> 16
