"""The files of a folder, and what may become of one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

_MAGIC_AT: Final = 128
_MAGIC: Final = b"DICM"
_DIRECTORIES: Final = frozenset({"dicomdir"})
"""DICOMDIR files: tables of contents of media, which nobody stores."""

type State = Literal["stored", "duplicate", "refused"]


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that is to be sent, as it was when the folder was read."""

    path: Path
    name: str
    """Below the folder, with slashes."""
    length: int
    modified: int
    """Nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a file."""

    state: State
    reason: str = ""


class Fatal(Exception):
    """There is no use in going on; the text says why."""


def files_of(folder: Path, *, everything: bool = False) -> Iterator[tuple[LocalFile, bool]]:
    """The regular files below `folder`, by name, and whether each is to be sent: it looks like DICOM, or `everything`
    is.
    """
    for directory, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(directory, name)
            if not path.is_file():
                continue
            status = path.stat()
            relative = path.relative_to(folder).as_posix()
            yield (
                LocalFile(path, relative, status.st_size, status.st_mtime_ns),
                everything or (name.lower() not in _DIRECTORIES and _looks_like_dicom(path)),
            )


def _looks_like_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
    except OSError:
        return True  # not passed over in silence: reading it again will say what is wrong
