"""The memory allocator of the C library: what is freed is to go back to the system.

By itself it keeps an arena for each thread, and learns from each large block that is freed to take later ones of that
size, up to 32 MiB, from an arena. Blocks of megabytes that live for a moment then leave holes between small ones that
live long: a worker that has passed some large files on keeps hundreds of megabytes.
"""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""Parameters of `mallopt`, by their numbers in `malloc.h` of the GNU C library."""

_OWN_MAPPING: Final = 1024 * 1024
"""Bytes of a block that comes from the system by itself, and goes back at once. A constant, which ends the learning."""
_UNUSED: Final = 8 * 1024 * 1024
"""Bytes at the top of an arena that stay when they are free: a request needs some of them again."""
_ARENAS: Final = 2
"""Threads that allocate at the same time without waiting: one works in Python, others read and write storage."""


def give_back_freed_memory() -> bool:
    """Make it so for this process; False where there is another C library, which has no such settings."""
    settings = ((_MMAP_THRESHOLD, _OWN_MAPPING), (_TRIM_THRESHOLD, _UNUSED), (_ARENA_MAX, _ARENAS))
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    done = [mallopt(parameter, value) for parameter, value in settings]
    return all(done)
