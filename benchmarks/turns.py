"""Two services measured in one run, scenario by scenario and round by round, A B B A: both meet the same machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_PATTERN: Final = (0, 1, 1, 0)
"""The sides of four rounds: a machine that grows slower, or quicker, does so for both."""
ROUNDS: Final = 4
"""Of each side in a scenario."""


class Turns:
    """What the benches of two sides wait at. Side 0 is the service, side 1 its peer."""

    def __init__(self) -> None:
        self._barrier = asyncio.Barrier(2)
        self._changed = asyncio.Condition()
        self._slot = 0

    async def meet(self) -> None:
        """Wait until both sides are ready for the same scenario: what either prepares is measured by neither."""
        if await self._barrier.wait() == 0:
            self._slot = 0
        await self._barrier.wait()

    @asynccontextmanager
    async def turn(self, side: int) -> AsyncIterator[None]:
        """The next round of `side`, while the other waits."""
        async with self._changed:
            await self._changed.wait_for(lambda: _PATTERN[self._slot % len(_PATTERN)] == side)
        try:
            yield
        finally:
            async with self._changed:
                self._slot += 1
                self._changed.notify_all()
