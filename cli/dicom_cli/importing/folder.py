"""The files of a folder: which are to be sent, and why the others are not."""

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from dicom_cli.importing import archive
from dicom_cli.outcomes import ExitCode
from shared.dicom.part10.bare_data_set import OPENING_BYTES, Completion, completion

_MAGIC_AT: Final = 128
_MAGIC: Final = b"DICM"
_DIRECTORIES: Final = frozenset({"dicomdir"})
"""DICOMDIR files: tables of contents of media, which nobody stores."""
_KINDS: Final = (
    (b"PK\x03\x04", "zip archive (--zip sends what is in it)"),
    (b"\x89PNG", "picture or document"),
    (b"\xff\xd8\xff", "picture or document"),
    (b"%PDF", "picture or document"),
)

type State = Literal["stored", "duplicate", "refused"]


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that is to be sent, as it was when the folder was read."""

    path: Path
    name: str
    """Below the folder, with slashes; of a member of an archive `archive.zip!/member`."""
    length: int
    modified: int
    """Nanoseconds since 1970; of a member, of its archive."""
    member: int | None = None
    """Its place in the directory of the archive `path`; None: the file itself."""
    lacks: Completion | None = None
    """The completion that belongs before it."""

    def open(self) -> IO[bytes]:
        """The bytes, as they are. Raises OSError."""
        if self.member is None:
            return self.path.open("rb")
        return archive.opened(self.path, self.modified, self.member)

    @property
    def prefix(self) -> bytes:
        """The bytes that belong before those of the file."""
        return b"" if self.lacks is None else self.lacks.prefix


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that is not sent."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a file."""

    state: State
    reason: str = ""
    added: str = ""
    """The part that the file lacked and was stored with."""


class Fatal(Exception):
    """There is no use in going on; the text says why, and the code is that of the program."""

    def __init__(self, text: str, code: ExitCode = ExitCode.WRONG_USE) -> None:
        super().__init__(text)
        self.code = code


def files_of(folder: Path, *, everything: bool = False, archives: bool = False) -> Iterator[LocalFile | PassedOver]:
    """The regular files below `folder`, by name: those that look like DICOM, or `everything`; and those in zip
    `archives`. Hidden folders are left out. Or the one file that `folder` is.
    """
    if folder.is_file():
        yield from _files_in(folder, folder.name, everything=everything, archives=archives)
        return
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(directory, name)
            if not path.is_file():
                continue
            relative = path.relative_to(folder).as_posix()
            yield from _files_in(path, relative, everything=everything, archives=archives)


def _files_in(path: Path, relative: str, *, everything: bool, archives: bool) -> Iterator[LocalFile | PassedOver]:
    """A file, or those in it."""
    if archives and zipfile.is_zipfile(path):
        yield from _members(path, relative, everything=everything)
        return
    status = path.stat()
    yield _judged(LocalFile(path, relative, status.st_size, status.st_mtime_ns), everything=everything)


def _members(path: Path, relative: str, *, everything: bool) -> Iterator[LocalFile | PassedOver]:
    modified = path.stat().st_mtime_ns
    try:
        for each in archive.members(path, modified):
            file = LocalFile(path, f"{relative}!/{each.name}", each.length, modified, member=each.number)
            yield _judged(file, everything=everything)
    except OSError:
        yield PassedOver(relative, "damaged zip archive")


def _judged(file: LocalFile, *, everything: bool) -> LocalFile | PassedOver:
    try:
        with file.open() as stream:
            opening = stream.read(OPENING_BYTES)
    except OSError:
        return file  # not passed over in silence: reading it again will say what is wrong
    lacks = completion(opening)
    if everything and lacks is None:
        return file
    if file.name.rpartition("/")[2].lower() in _DIRECTORIES:
        return PassedOver(file.name, "DICOMDIR")
    if opening[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC:
        return file
    if lacks is not None:
        return LocalFile(file.path, file.name, file.length, file.modified, file.member, lacks)
    if not opening:
        return PassedOver(file.name, "empty")
    return PassedOver(file.name, next((kind for start, kind in _KINDS if opening.startswith(start)), "no DICOM file"))
