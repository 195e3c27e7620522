"""azure-apis §7.3 The bytes of one file that names nobody, piece by piece (DEID-2, DEID-6)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.deidentification.file import Piece, SourceRange
from shared.deidentification.fragments import Fragments
from shared.deidentification.instance import Deidentified, Refused
from shared.deidentification.report import Finding, Report
from shared.dicom.part10.byte_order import swapped
from shared.export.copying import Files

WORKING: Final = ThreadPoolExecutor(1, thread_name_prefix="deidentification")
"""One thread: more would win nothing, and the thread that reads what is being stored is not held up."""
_WINDOW: Final = 1024**2


class Unreadable(Exception):
    """Nothing can be said of the file."""


class Unexamined(Exception):
    """There may be something else in the pixel data than pictures."""


class Source(Protocol):
    """The bytes that the values of a file are found in."""

    def chunks(self, piece: SourceRange) -> AsyncIterator[bytes]:
        """A range of them."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A file, or the data set that was deflated in it, in memory."""

    data: bytes

    async def chunks(self, piece: SourceRange) -> AsyncIterator[bytes]:
        """A range of it."""
        end = piece.offset + piece.length
        for start in range(piece.offset, end, _WINDOW):
            yield self.data[start : min(start + _WINDOW, end)]


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored file, read by ranges."""

    files: Files
    blob: str

    async def chunks(self, piece: SourceRange) -> AsyncIterator[bytes]:
        """A range of it."""
        if not piece.length:
            return
        reader = await self.files.blobs.open(self.blob, piece.offset, piece.length)
        async for chunk in reader.chunks():
            yield chunk


@dataclass(frozen=True, slots=True)
class MadeFile:
    """The copy of a file, or why there is none."""

    result: Deidentified | Refused
    pieces: Sequence[Piece] = ()
    source: Source = field(default_factory=lambda: Held(b""))
    words: Mapping[int, int] = field(default_factory=dict)
    """Bytes of the words of the ranges whose byte order the file has reversed, by their offsets."""


async def written(made: MadeFile, *, refuses: bool) -> AsyncIterator[bytes]:
    """The bytes of a file, a piece at a time. `refuses`: what cannot be looked through is no copy.

    Raises Unexamined, and Unreadable when it ends before its elements say it does: what was given so far is no file.
    """
    report = made.result.report
    _check(report, refuses=refuses)
    for piece in made.pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        left, word, held = piece.length, made.words.get(piece.offset, 1), b""
        fragments = Fragments(piece.fragments) if piece.fragments else None
        async for chunk in made.source.chunks(piece):
            left -= len(chunk)
            cleaned = chunk
            if fragments:  # in the thread: there may be very many of them, or of their comments
                cleaned = await asyncio.get_running_loop().run_in_executor(WORKING, fragments.clean, chunk)
            whole = held + cleaned
            held = whole[len(whole) - len(whole) % word :]
            yield swapped(whole[: len(whole) - len(held)], word) if word > 1 else whole
        if left or held:
            raise Unreadable
        if fragments and fragments.blanked:
            report.findings[Finding.COMMENTS] = 1
        if fragments and fragments.unexamined:
            report.findings[Finding.UNEXAMINED] = 1
        _check(report, refuses=refuses)


def _check(report: Report, *, refuses: bool) -> None:
    if refuses and report.findings[Finding.UNEXAMINED]:
        raise Unexamined
