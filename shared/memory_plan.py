"""The memory of one instance: what each kind of work may take of it, and what must fit (decision 0055). Bytes.

Every budget of a process has its size from here; `tests/unit/test_memory_plan.py` finds those that have not.
"""

from collections.abc import Mapping
from typing import Final

MIB: Final = 1024**2

IDLE: Final = 512 * MIB
"""The Functions host, a worker and its codec processes when they have nothing to do."""
BODY_COST: Final = 4
"""Memory that the host takes for a body with Content-Length, in sizes of the body, before the app sees it."""
BESIDE_BODIES: Final = 896 * MIB
"""The least that bodies may leave: a start is refused where they leave less (P-4), for they need no token."""
REQUEST: Final = 32 * MIB
"""Memory of a request in the worker beside its body and the budgets below: 16 MiB of a file that nobody can read yet,
blocks of files that are being staged; of reads, pages of rows or records of an archive's directory.
"""

# --------------------------------------------------------------------------------------------------- for what is stored

FIRST_ARRIVING: Final = 288 * MIB
"""The values of the file that was the first of those that arrive: as much as one file may have."""
ARRIVING: Final = 112 * MIB
"""The values of all other files that are read as they arrive, together."""
HELD: Final = 48 * MIB
"""The bytes of large files that wait, as far as they have arrived, for a second opinion."""
ODD: Final = 260 * MIB
"""Second opinions, from the first byte until their documents are made: the costliest one that is allowed."""
DOCUMENTS: Final = 192 * MIB
"""Data sets that come as JSON or XML, from the first step of their reading until their files are made. Two million
numbers take 181 MiB.
"""
STAGED: Final = 64 * MIB
"""Files and documents of store requests that wait in memory until all of their request is there; more wait in storage.
"""
STORING: Final[Mapping[str, int]] = {
    "FIRST_ARRIVING": FIRST_ARRIVING,
    "ARRIVING": ARRIVING,
    "HELD": HELD,
    "ODD": ODD,
    "DOCUMENTS": DOCUMENTS,
    "STAGED": STAGED,
}
"""All of a process's for what is stored, however many requests store."""
LARGEST_STORE: Final = HELD + ODD
"""The most that one request takes of them."""

# ----------------------------------------------------------------------------------------------------- for what is read

PIXELS: Final = 400 * MIB
"""Conversions of pixels, in the worker and in its codec processes (TRANSCODE_MEMORY_BYTES): a photograph of 12
megapixels in JPEG 2000 takes 390 MiB.
"""
CONVERTED: Final = 400 * MIB
"""Large metadata documents while they are finished, until they are sent."""
WHOLE_FILES: Final = 200 * MIB
"""Files that are read whole because nothing in them can be located otherwise: two of them."""
READING: Final[Mapping[str, int]] = {"PIXELS": PIXELS, "CONVERTED": CONVERTED, "WHOLE_FILES": WHOLE_FILES}
"""All of a process's for what is read. One request takes of one of them only, and has no body."""


def needed(requests: int, largest_body: int, pixels: int = PIXELS) -> int:
    """The most that an instance takes that is given so many `requests` at a time, with bodies of at most
    `largest_body`, whichever of them store and whichever read. `pixels`: what conversions may take.
    """
    stores, largest_read = sum(STORING.values()), max(pixels, CONVERTED, WHOLE_FILES)
    reads = sum(READING.values()) - PIXELS + pixels
    return (
        IDLE
        + requests * REQUEST
        + max(
            storing * BODY_COST * largest_body
            + min(storing * LARGEST_STORE, stores)
            + min((requests - storing) * largest_read, reads)
            for storing in range(requests + 1)
        )
    )
