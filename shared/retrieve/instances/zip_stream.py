"""A zip archive that is written while it is sent: entries stored, not compressed, sizes up to those of zip64."""

import asyncio
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_JOINED: Final = 64 * 1024
"""Heads and small pieces go out together, up to so many bytes."""
_MANY: Final = 2000
"""Entries of which the central directory is written off the event loop: a hundred take about a millisecond."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive."""

    name: str
    length: int
    """Bytes of the content: those that the archive says, so a content of another length is an error."""
    content: bytes | AsyncIterator[bytes]


async def zipped(entries: AsyncGenerator[Entry], now: datetime) -> AsyncGenerator[bytes]:
    """The archive, in pieces. Whatever goes wrong on the way is raised: what has been sent is no archive then."""
    sink = _Sink()
    archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED)
    count = 0
    async with aclosing(entries):
        async for entry in entries:
            count += 1
            with archive.open(_info(entry.name, entry.length, now), "w") as member:
                if isinstance(entry.content, bytes):
                    member.write(entry.content)
                else:
                    async for piece in entry.content:
                        member.write(piece)
                        for ready in sink.taken(_JOINED):
                            yield ready
            for ready in sink.taken(_JOINED):
                yield ready
    if count > _MANY:
        await asyncio.to_thread(archive.close)
    else:
        archive.close()
    for ready in sink.taken(0):
        yield ready


def zipped_length(entries: Iterable[tuple[str, int]]) -> int:
    """The length of the archive of these names and lengths."""
    offset = directory = count = 0
    for name, length in entries:
        count += 1
        encoded = len(name.encode())
        large = _is_large(length)
        extra = (16 if length > zipfile.ZIP64_LIMIT else 0) + (8 if offset > zipfile.ZIP64_LIMIT else 0)
        directory += 46 + encoded + (4 + extra if extra else 0)
        offset += 30 + encoded + (20 if large else 0) + length + (24 if large else 16)
    beyond = count > zipfile.ZIP_FILECOUNT_LIMIT or max(offset, directory) > zipfile.ZIP64_LIMIT
    return offset + directory + 22 + (56 + 20 if beyond else 0)


def _is_large(length: int) -> bool:
    """Whether the head of an entry of that length has the form of zip64, by `zipfile`'s own rule."""
    return length * 1.05 > zipfile.ZIP64_LIMIT


def _info(name: str, length: int, now: datetime) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, now.timetuple()[:6])
    info.compress_type = zipfile.ZIP_STORED
    info.file_size = length
    info.external_attr = 0o644 << 16
    return info


class _Sink:
    """A file that can only be written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = 0

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        self._held += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """End the writing; bytes that were written are still to be taken."""

    def taken(self, least: int) -> list[bytes]:
        """The bytes that were written, once they are more than `least`."""
        if self._held <= least:
            return []
        pieces, self._pieces, self._held = self._pieces, [], 0
        large = any(len(piece) > _JOINED for piece in pieces)
        return pieces if large else [b"".join(pieces)]
