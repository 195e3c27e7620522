"""The seeds of the fuzzers: small inputs of every kind that is read, in `tests/unit/fuzzing/corpus/KIND`, and what
hunts have found beyond them.

What reaches lines that nothing has reached goes to `.cache/fuzzing/KIND` of this machine, and is begun with next time.
What makes a reader fail goes to the corpus itself: every run of the tests tries it from then on.
"""

import hashlib
from pathlib import Path

from tests.conftest import ROOT

KEPT = ROOT / "tests/unit/fuzzing/corpus"
FOUND = ROOT / ".cache/fuzzing"


def kept(kind: str) -> dict[str, bytes]:
    """The seeds of a kind, by name."""
    return {path.name: path.read_bytes() for path in sorted((KEPT / kind).iterdir())}


def found(kind: str) -> list[bytes]:
    """What hunts have found on this machine."""
    folder = FOUND / kind
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def remember(kind: str, data: bytes, *, fails: bool) -> Path:
    """Keep an input: in the corpus if something `fails` with it."""
    folder = (KEPT if fails else FOUND) / kind
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"found-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return path
