"""What the linter, the type checker and the formatter are told to overlook is told with its reason."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FOLDERS = ("shared", "devhost", "benchmarks", "scripts", "cli", "examples", "tests")
_KEPT_AS_IT_IS = "fmt" + ": skip"
_MARK = re.compile(
    r"#\s*(?:ruff: noqa: (?P<file>[A-Z0-9, ]+)|noqa(?P<line>: [A-Z0-9, ]+)?"
    r"|type: ignore(?P<types>\[[\w, -]+\])?|fmt: (?:skip|off)|pragma: no \w+)(?P<reason>.*)"
)
_WORDS = re.compile("noqa|type: ignore|fmt: |pragma")
_REASON = re.compile(r" *(?:- |# |\()\w.*[a-z]{3}")


def marks(text: str) -> list[tuple[str, re.Match[str]]]:
    """The lines of a source with a mark, and the mark."""
    if not _WORDS.search(text):
        return []
    return [(line, found) for line in text.splitlines() for found in [_MARK.search(line)] if found]


@cache
def overlooked() -> list[tuple[str, str, re.Match[str]]]:
    """Every mark: file, line, mark."""
    files = [ROOT / "function_app.py", *(path for name in _FOLDERS for path in sorted((ROOT / name).rglob("*.py")))]
    return [
        (path.relative_to(ROOT).as_posix(), line.strip(), found)
        for path in files
        if path != Path(__file__)
        for line, found in marks(path.read_text())
    ]


def test_every_suppression_has_its_reason_beside_it() -> None:
    found = overlooked()
    assert [f"{path}: {line}" for path, line, mark in found if not _REASON.match(mark["reason"])] == []


def test_every_suppression_names_what_it_suppresses() -> None:
    bare = [f"{path}: {line}" for path, line, _ in overlooked() if re.search(r"# noqa(?!:)|type: ignore(?!\[)", line)]
    assert bare == []


def test_tests_are_not_checked_for_types_and_suppress_nothing_of_it() -> None:
    assert [f"{path}: {line}" for path, line, mark in overlooked() if path.startswith("tests/") and mark["types"]] == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("x = 1  # noqa: S101", False),
        ("x = 1  # noqa: S101 - ", False),
        ("x = 1  # noqa: S101 - our own", True),
        ("x = f()  # type: ignore[misc]", False),
        ("x = f()  # type: ignore[misc]  # it has no types", True),
        (f")  # {_KEPT_AS_IT_IS}", False),
        (f")  # {_KEPT_AS_IT_IS} - a table", True),
        ("# ruff: noqa: D101, D106 - the messages of the protocol", True),
    ],
)
def test_a_reason_is_recognized(line: str, told: bool) -> None:
    [(_, mark)] = marks(line)
    assert bool(_REASON.match(mark["reason"])) is told
