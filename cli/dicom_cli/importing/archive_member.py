"""Members of zip archives as files: what is wrong with an archive is an OSError, as with a disk."""

import io
import zipfile
import zlib
from collections.abc import Buffer, Callable
from pathlib import Path
from typing import IO, Final

_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OverflowError),
    *(NotImplementedError, RuntimeError),  # a compression that is not known, a password
)


def entries(path: Path) -> list[zipfile.ZipInfo]:
    """The members of an archive but its folders. Raises OSError."""

    def read() -> list[zipfile.ZipInfo]:
        with zipfile.ZipFile(path) as archive:
            return [entry for entry in archive.infolist() if not entry.is_dir()]

    return _readable(read)


def opened(path: Path, name: str) -> IO[bytes]:
    """A member. Raises OSError, as reading it does."""

    def open_member() -> IO[bytes]:
        archive = zipfile.ZipFile(path)
        try:
            return archive.open(name)
        finally:
            archive.close()  # the member keeps the file open for as long as it is read

    return io.BufferedReader(_Member(_readable(open_member)))


def _readable[T](read: Callable[[], T]) -> T:
    try:
        return read()
    except _DAMAGED as error:
        raise OSError(0, f"the archive cannot be read ({type(error).__name__})") from None


class _Member(io.RawIOBase):
    """The bytes of a member."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self.name = inner.name
        """Which readers of files look at."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._inner.seekable()

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = _readable(lambda: self._inner.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return _readable(lambda: self._inner.seek(offset, whence))

    def tell(self) -> int:
        return self._inner.tell()

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()
