"""Waiting for what a host does in its own time."""

import asyncio
from collections.abc import Awaitable, Callable


async def until[T](condition: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true answer of `condition`. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (answer := condition()):
            await asyncio.sleep(0.01)
    return answer


async def eventually[T](condition: Callable[[], Awaitable[T]], seconds: float = 20.0) -> T:
    """The first true answer of an asynchronous `condition`. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (answer := await condition()):
            await asyncio.sleep(0.02)
    return answer
