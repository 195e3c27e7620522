"""Errors that have been dealt with, and what they hold: each frame that they came through, with all its variables."""

from collections.abc import Iterable


def forget_frames(error: BaseException) -> None:
    """Let go of the frames of an error and of those that led to it: it has been answered or described.

    A frame in which an awaited task is a variable is held by the error that the task keeps, and holds it. Such a ring,
    and the file that some frame was working on, would stay until the garbage collector comes by.
    """
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            waiting += _led_to(each)


def _led_to(error: BaseException) -> Iterable[BaseException]:
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return (*filter(None, (error.__cause__, error.__context__)), *members)
