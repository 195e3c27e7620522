"""Version and commit of the running code."""

import re
from functools import cache
from pathlib import Path
from typing import Final

VERSION: Final = "0.1.0"
"""The version of pyproject.toml, which is not deployed."""
COMMIT_FILE: Final = "commit.txt"
"""Beside function_app.py: written when the app is packaged, for there is no repository where it runs."""
_ROOT: Final = Path(__file__).resolve().parent.parent
_HASH: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
UNKNOWN: Final = "unknown"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _git_directories(root: Path) -> tuple[Path, Path]:
    """The repository's directory for this working tree, and the one that all its working trees share."""
    directory = root / ".git"
    pointer = _text(directory).removeprefix("gitdir: ")
    if pointer:
        directory = root / pointer
    common = _text(directory / "commondir")
    return directory, directory / common if common else directory


def _checked_out(root: Path) -> str:
    """The commit of a working tree, read as git keeps it: not every machine that runs the code has git."""
    directory, common = _git_directories(root)
    head = _text(directory / "HEAD")
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    packed = (line.partition(" ") for line in _text(common / "packed-refs").splitlines())
    return _text(common / name) or next((commit for commit, _, ref in packed if ref == name), "")


def commit_of(root: Path) -> str:
    """The commit of the code in `root`: as packaged, else as checked out, else "unknown"."""
    found = _text(root / COMMIT_FILE) or _checked_out(root)
    return found if _HASH.fullmatch(found) else UNKNOWN


@cache
def running_version() -> dict[str, str]:
    """`version` and `commit` of the running code, as the health check and the conformance document tell them."""
    return {"version": VERSION, "commit": commit_of(_ROOT)}
