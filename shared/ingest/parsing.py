"""Parsing beside the event loop: whatever takes more than some milliseconds runs in a thread (STOW-46).

One thread reads files as they arrive; another one reads odd files whole, one after the other, so that what they need in
memory is bounded for the process, however many requests send them. More threads would win nothing: they are bound by
the interpreter's lock, and each of them would make the event loop wait longer for it.
"""

import asyncio
import gc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from shared import telemetry
from shared.dicom.attributes import Attributes
from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, second_opinion
from shared.ingest.instance_validation import KEPT_TEXT

INLINE_BYTES: Final = 16 * 1024
"""Bytes of a data set that are read on the event loop: at 8 bytes an item, its costliest form, some milliseconds."""

LARGE: Final = 4 * 1024**2
"""Memory of a data set that the garbage collector is kept away from: it would walk through all of it again and again,
holding the interpreter's lock. `release` lets it come back.
"""

_READING: Final = ThreadPoolExecutor(1, thread_name_prefix="part10-reader")
_READING_ODD: Final = ThreadPoolExecutor(1, thread_name_prefix="odd-part10-reader")


async def feed(reader: Part10Reader, chunk: bytes) -> None:
    """Parse the next bytes of a file. Raises InvalidPart10."""
    if reader.work(len(chunk)) > INLINE_BYTES:
        await _run(_READING, lambda: _feed(reader, chunk))
    else:
        reader.feed(chunk)


def _feed(reader: Part10Reader, chunk: bytes) -> None:
    reader.feed(chunk)
    if reader.header_bytes > LARGE:
        gc.freeze()


async def finish(reader: Part10Reader) -> Part10:
    """What a file holds, all of which has been fed. Raises InvalidPart10."""
    return await parse(reader.finish, reader.header_bytes)


async def parse[T](function: Callable[[], T], header_bytes: int) -> T:
    """What `function` makes of a data set, or of what was read of it, that has so many bytes without bulk values."""
    return await _run(_READING, function) if header_bytes > INLINE_BYTES else function()


async def read_tolerantly(pieces: Sequence[bytes], *, strict: bool) -> Part10:
    """A second opinion on a whole file that the reader has refused. Raises InvalidPart10."""
    try:
        return await _run(_READING_ODD, lambda: _read_tolerantly(pieces, strict=strict))
    except InvalidPart10:
        raise
    except Exception as error:
        telemetry.failure("second-opinion-failed", error)
        raise InvalidPart10("The file cannot be read.", final=True) from error


def _read_tolerantly(pieces: Sequence[bytes], *, strict: bool) -> Part10:
    gc.disable()
    try:
        part10 = second_opinion(b"".join(pieces), strict=strict, keep_text=KEPT_TEXT)
        if part10.header_bytes > LARGE:
            gc.freeze()
        return part10
    finally:
        gc.enable()


def release(attributes: Attributes) -> None:
    """Takes a large data set apart, little by little: freed at once, it would hold the interpreter's lock for long."""
    _take_apart(attributes)
    gc.unfreeze()


def _take_apart(attributes: Attributes) -> None:
    while attributes:
        _, element = attributes.popitem()
        items = element.get("Value")
        if element["vr"] == "SQ":
            while items:
                _take_apart(items.pop() or {})


async def _run[T](executor: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, function)
