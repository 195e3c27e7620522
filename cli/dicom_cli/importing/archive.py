"""Members of zip archives. Whatever is wrong with one is an OSError, as with any file that cannot be read; an archive
is read through one handle, its directory once, however many members it has.
"""

import errno
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

_OPEN: Final = 8
"""Archives whose directories are held."""
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError),
    *(EOFError, KeyError, NotImplementedError, OverflowError, RuntimeError, ValueError),
)
"""Raised by `zipfile` for what is damaged, encrypted or compressed in an unknown way; some of it while it is read."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    """Of members of one name the second and later ones have a number behind it."""
    number: int
    """Its place in the directory."""
    length: int
    """Bytes, as the directory says."""


def members(path: Path, modified: int) -> Iterator[Member]:
    """The files in an archive, in the order of its directory. Raises OSError."""
    seen: dict[str, int] = {}
    for number, entry in enumerate(_guarded(lambda: _archive(path, modified).infolist())):
        if not entry.is_dir():
            times = seen[entry.filename] = seen.get(entry.filename, 0) + 1
            yield Member(entry.filename if times == 1 else f"{entry.filename} ({times})", number, entry.file_size)


def opened(path: Path, modified: int, number: int) -> IO[bytes]:
    """The bytes of a member, as many as its directory says. Raises OSError, also from its `read`."""

    def source() -> io.RawIOBase:
        archive = _archive(path, modified)
        entry = archive.infolist()[number]
        return _Guarded(archive.open(entry), entry.filename, entry.file_size)

    return io.BufferedReader(_guarded(source))


@lru_cache(_OPEN)
def _archive(path: Path, modified: int) -> zipfile.ZipFile:  # noqa: ARG001 - another time is another archive
    return zipfile.ZipFile(path)


def _guarded[T](read: Callable[[], T]) -> T:
    try:
        return read()
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:
            raise  # of the file, not of a place in it that is none
        raise OSError(0, f"the archive cannot be read ({type(error).__name__})") from None


class _Guarded(io.RawIOBase):
    """A member of a length in bytes, whose faults are OSErrors."""

    def __init__(self, source: IO[bytes], name: str, length: int) -> None:
        super().__init__()
        self.name = name
        """As every file has one."""
        self._source = source
        self._length = length

    def readable(self) -> bool:
        """As every file that is read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes. Raises OSError."""
        data = _guarded(lambda: self._source.read(len(buffer)))
        if not data and self._source.tell() < self._length:
            raise OSError(0, "the archive cannot be read: a member is shorter than its directory says")
        buffer[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        """As every file, though going back begins anew."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place. Raises OSError."""
        return _guarded(lambda: self._source.seek(offset, whence))

    def tell(self) -> int:
        """The place of the next byte."""
        return self._source.tell()

    def close(self) -> None:
        """Let go of the member."""
        self._source.close()
        super().close()
