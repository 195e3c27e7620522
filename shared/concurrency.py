"""Doing several things at once."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import batched
from typing import Any, Final, Literal, overload

SWITCH_SECONDS: Final = 0.0005
"""For `sys.setswitchinterval`: how long the event loop waits for a thread that works in Python. A search needs the
interpreter's lock back dozens of times; at the default of 5 ms each, one file that is being parsed would make it wait
for a quarter of a second (STOW-46). The threads are few and their turns longer than what a switch costs.
"""

_TURN: Final = 512
"""Things that are done at one go where each takes some microseconds: a few milliseconds."""

type _Run[T] = Coroutine[Any, Any, T]


@overload
async def together[A, B](one: _Run[A], two: _Run[B], /) -> tuple[A, B]: ...
@overload
async def together[A, B, C, D](one: _Run[A], two: _Run[B], three: _Run[C], four: _Run[D], /) -> tuple[A, B, C, D]: ...
@overload
async def together[T](*coroutines: _Run[T]) -> tuple[T, ...]: ...
@overload
async def together[T](*coroutines: _Run[T], return_exceptions: Literal[True]) -> tuple[T | BaseException, ...]: ...
async def together(*coroutines: _Run[Any], return_exceptions: bool = False) -> tuple[Any, ...]:
    """The results of coroutines that run side by side, in their order; like `asyncio.gather`.

    The first exception is raised when it comes, while the others go on, or stands in the place of its result. Each
    coroutine is begun at once: one that need not wait, as on the hot path most of them, takes no turn of the event
    loop, and a single one no task.
    """
    if not return_exceptions and len(coroutines) == 1:
        return (await coroutines[0],)
    loop = asyncio.get_running_loop()
    tasks = [asyncio.Task(coroutine, loop=loop, eager_start=True) for coroutine in coroutines]
    if all(task.done() and not task.cancelled() and task.exception() is None for task in tasks):
        return tuple(task.result() for task in tasks)
    return tuple(await asyncio.gather(*tasks, return_exceptions=return_exceptions))


async def in_turns[T, R](function: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """The results of `function` for many things, in turns between which others have theirs (STOW-46)."""
    if len(things) <= _TURN:
        return [function(each) for each in things]
    found: list[R] = []
    for some in batched(things, _TURN, strict=False):
        found += map(function, some)
        await asyncio.sleep(0)
    return found
