"""Samples of what the main thread of a process does, taken by its own processor time.

`install` is called when the process starts. SIGUSR1 begins, SIGUSR2 ends and writes the stacks into `stacks-PID` of a
folder: a line each, outermost function first, and how often it was met. What waits, for storage or for a processor, is
not sampled; a thread of a library is none of Python's and is not either.
"""

import ctypes
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Final

_THREAD_CPU_CLOCK: Final = 3
_TO_THREAD: Final = 4
"""CLOCK_THREAD_CPUTIME_ID and SIGEV_THREAD_ID, by their numbers in the headers of Linux."""
_INTERVAL_NANOSECONDS: Final = 500_000


class _Event(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("rest", ctypes.c_int * 11),
    )


class _Interval(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("seconds", "nanoseconds", "first_seconds", "first_nanoseconds"))


class Sampler:
    """The samples of this process."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._stacks: Counter[str] = Counter()
        self._library = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()

    def begin(self) -> None:
        """Make the timer of the main thread, which has to be the caller."""
        event = _Event(None, signal.SIGPROF, _TO_THREAD, threading.get_native_id())
        if self._library.timer_create(_THREAD_CPU_CLOCK, ctypes.byref(event), ctypes.byref(self._timer)):
            raise OSError(ctypes.get_errno(), "timer_create")
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._start)
        signal.signal(signal.SIGUSR2, self._stop)

    def _every(self, nanoseconds: int) -> None:
        interval = _Interval(0, nanoseconds, 0, nanoseconds)
        self._library.timer_settime(self._timer, 0, ctypes.byref(interval), None)

    def _start(self, *_: Any) -> None:
        self._stacks.clear()
        self._every(_INTERVAL_NANOSECONDS)

    def _stop(self, *_: Any) -> None:
        self._every(0)
        lines = "".join(f"{stack} {count}\n" for stack, count in self._stacks.items())
        part = self._folder / f"part-{os.getpid()}"
        part.write_text(lines)
        part.rename(self._folder / f"stacks-{os.getpid()}")

    def _sample(self, _: int, frame: FrameType | None) -> None:
        stack: list[str] = []
        while frame is not None:
            code = frame.f_code
            stack.append(f"{code.co_filename}:{code.co_qualname}")
            frame = frame.f_back
        self._stacks[";".join(reversed(stack)).replace(" ", "_")] += 1


def install(folder: str) -> None:
    """Let this process be sampled."""
    Sampler(folder).begin()
