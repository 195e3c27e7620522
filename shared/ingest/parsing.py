"""Parsing beside the event loop: whatever takes more than some milliseconds runs in a thread (STOW-46).

One thread reads files as they arrive; another one reads odd files whole, one after the other. More threads would win
nothing: they are bound by the interpreter's lock, and each of them would make the event loop wait longer for it.

What data sets take in memory, from their first large stretch until their documents are made, is bounded for the
process, however many requests send them (docs/decisions/0016).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from shared import collector, memory_plan, telemetry
from shared.dicom.attributes import Attributes, take_apart
from shared.dicom.part10.file_reader import InvalidPart10, Part10, Part10Reader, second_opinion
from shared.dicom.part10.limits import ODD_HEADER_BYTES, ODD_INFLATED_BYTES
from shared.ingest.instance_validation import KEPT_TEXT
from shared.memory_budget import Lease, MemoryBudget

INLINE_BYTES: Final = 16 * 1024
"""Bytes of a data set that are read on the event loop: at 8 bytes an item, its costliest form, some milliseconds."""

_INLINE_MEMORY: Final = 128 * 1024
"""Memory of a data set that is finished and judged on the event loop: some 500 elements, a few milliseconds."""
_OPENING_BYTES: Final = 2048
"""Bytes of a file that hold the file meta information: behind it is known whether the data set is deflated."""
_FIRST_BYTES: Final = INLINE_BYTES - _OPENING_BYTES
"""Bytes behind it in which most files have all that comes before the pixel data."""

LARGE: Final = 4 * 1024**2
"""Memory of a data set that the garbage collector is kept away from: it would walk through all of it again and again,
holding the interpreter's lock. `release` lets it come back.
"""

_STEP: Final = 16 * 1024**2
"""Bytes by which the reservation of a file grows that is read as it arrives."""
_INFLATED_RATIO: Final = 1032
"""Bytes that one byte of a deflated stream can stand for."""
_VALUE_RATIO: Final = 64
"""Memory that one byte of a data set can take, more or less: an element of 8 bytes is a node and a path."""
_BUSY: Final = "Too many large data sets are being stored; try again later."

ARRIVING: Final = MemoryBudget(memory_plan.ARRIVING, _BUSY)
"""For the values of files that are read as they arrive. The one that was first may take what one file is allowed."""
HELD: Final = MemoryBudget(memory_plan.HELD, _BUSY)
"""For the bytes of large files that wait, as far as they have arrived, for a second opinion."""
ODD: Final = MemoryBudget(memory_plan.ODD, _BUSY)
"""For second opinions, from the first byte until their documents are made: the costliest one that is allowed, or many
smaller ones. Nobody who holds something of it waits for more, so it never locks itself up.
"""

DOCUMENTS: Final = MemoryBudget(memory_plan.DOCUMENTS, _BUSY)
"""For data sets that come as JSON or XML, from the first step of their reading until their files are made."""
_DOCUMENT_RATIO: Final = 24
"""Memory that one byte of a document can take, more or less: `"1",` is a text of 50 bytes and a place in a list."""

_READING: Final = ThreadPoolExecutor(1, thread_name_prefix="part10-reader")
_READING_ODD: Final = ThreadPoolExecutor(1, thread_name_prefix="odd-part10-reader")


async def feed(reader: Part10Reader, chunk: bytes, lease: Lease) -> None:
    """Parse the next bytes of a file; `lease` has what its values take of ARRIVING.

    A thread costs more than the header of most files: the beginning of the first chunk is fed apart, as behind it are
    pixel data, which are passed over.
    Raises InvalidPart10, Unavailable.
    """
    if not reader.has_begun:
        reader.begin(chunk[:_OPENING_BYTES])
        chunk = chunk[_OPENING_BYTES:]
        if reader.work(len(chunk)) > INLINE_BYTES >= reader.work(_FIRST_BYTES):
            reader.feed(chunk[:_FIRST_BYTES])
            chunk = chunk[_FIRST_BYTES:]
    if reader.work(len(chunk)) > INLINE_BYTES:
        await _run(_READING, lambda: _feed(reader, chunk))
    else:
        reader.feed(chunk)
    if reader.header_bytes > max(LARGE, lease.size):
        await lease.grow(reader.header_bytes // _STEP * _STEP + _STEP)
        collector.keep_away()  # now that there is somebody who holds a large data set


def _feed(reader: Part10Reader, chunk: bytes) -> None:
    reader.feed(chunk)
    if reader.header_bytes > LARGE:
        collector.keep_away()


async def finish(reader: Part10Reader) -> Part10:
    """The content of a file, all of which has been fed. Raises InvalidPart10."""
    if reader.header_bytes > LARGE:
        collector.keep_away()
    return await parse(reader.finish, reader.header_bytes)


async def parse[T](function: Callable[[], T], header_bytes: int) -> T:
    """The result of `function`, which works on a data set that takes so many bytes of memory without bulk values."""
    return await _run(_READING, function) if header_bytes > _INLINE_MEMORY else function()


async def read_tolerantly(pieces: Sequence[bytes], lease: Lease, *, strict: bool) -> Part10:
    """A second opinion on a whole file that the reader has refused. It takes what `lease` has of ODD, from now on until
    whoever gives the lease ends it. Raises InvalidPart10, Unavailable.
    """
    await lease.grow(_most_needed(sum(map(len, pieces))))
    try:
        part10 = await _run(_READING_ODD, lambda: _read_tolerantly(pieces, strict=strict))
    except InvalidPart10:
        raise
    except Exception as error:
        telemetry.failure("second-opinion-failed", error)
        raise InvalidPart10("The file cannot be read.", final=True) from error
    lease.shrink(part10.header_bytes)
    return part10


def _most_needed(length: int) -> int:
    """Bytes that reading a file takes at most, whatever is in it: for the file, what it is inflated to, its values."""
    inflated = max(length, min(_INFLATED_RATIO * length, ODD_INFLATED_BYTES))
    return length + inflated + min(_VALUE_RATIO * inflated, ODD_HEADER_BYTES)


async def read_document[T](function: Callable[[bytes], T], pieces: Sequence[bytes], lease: Lease) -> T:
    """The result of `function` on a document of these bytes; `lease` has what that takes of DOCUMENTS until whoever
    gives it ends it.

    Raises what `function` does, and Unavailable.
    """
    length = sum(map(len, pieces))
    if length <= INLINE_BYTES:
        return function(b"".join(pieces))
    needed = _DOCUMENT_RATIO * length
    await lease.grow(lease.size + needed)
    return await _run(_READING_ODD, lambda: _uncollected(lambda: function(b"".join(pieces)), lambda _: needed > LARGE))


async def free_document(attributes: Attributes, pieces: Sequence[bytes]) -> None:
    """Frees what was read in a document and is of no more use, little by little as `release`."""
    if _DOCUMENT_RATIO * sum(map(len, pieces)) > LARGE:
        await _run(_READING_ODD, lambda: release(attributes))


async def discard(reader: Part10Reader) -> None:
    """Frees what a reader holds that is of no more use, little by little as `release`."""
    large = reader.header_bytes > LARGE
    attributes = reader.close()
    if large:
        await _run(_READING, lambda: release(attributes))


def _read_tolerantly(pieces: Sequence[bytes], *, strict: bool) -> Part10:
    def read() -> Part10:
        return second_opinion(b"".join(pieces), strict=strict, keep_text=KEPT_TEXT)

    return _uncollected(read, lambda part10: part10.header_bytes > LARGE)


def _uncollected[T](read: Callable[[], T], is_large: Callable[[T], bool]) -> T:
    """The result of a reading with the collector switched off; it leaves what is large alone until the lease ends."""
    with collector.paused():
        found = read()
        if is_large(found):
            collector.keep_away()
        return found


def release(attributes: Attributes) -> None:
    """Frees a large data set, little by little."""
    take_apart(attributes)


async def _run[T](executor: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, function)
