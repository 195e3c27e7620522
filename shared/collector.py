"""The garbage collector, kept away from large data sets: it would walk through all of them again and again, holding the
interpreter's lock. It comes back when nobody has one.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_holders = 0


def enter() -> None:
    """Somebody begins to hold large data sets; `leave` ends it."""
    global _holders  # noqa: PLW0603 - there is one collector in a process
    with _lock:
        _holders += 1


def keep_away() -> None:
    """Leave objects that exist by now alone, until all holders have left."""
    with _lock:
        if _holders:
            gc.freeze()


@contextmanager
def paused() -> Iterator[None]:
    """No collection while many objects are made; `keep_away` at its end spares those that are kept."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leave() -> None:
    """The counterpart of `enter`."""
    global _holders  # noqa: PLW0603 - as above
    with _lock:
        _holders -= 1
        if not _holders:
            gc.unfreeze()
