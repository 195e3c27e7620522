"""Version and commit of the running code."""

import tomllib
from pathlib import Path

import pytest

from shared.version import COMMIT_FILE, UNKNOWN, VERSION, commit_of, running_version

ROOT = Path(__file__).parents[2]
A, B = "a" * 40, "b" * 40


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_version_is_that_of_the_project():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert running_version()["version"] == VERSION


def test_a_package_carries_its_commit(tmp_path):
    _write(tmp_path / ".git/HEAD", B)
    _write(tmp_path / COMMIT_FILE, f"{A}\n")

    assert commit_of(tmp_path) == A


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({".git/HEAD": B}, B),
        ({".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": f"{A}\n"}, A),
        (
            {".git/HEAD": "ref: refs/heads/main", ".git/packed-refs": f"# pack\n{B} refs/heads/x\n{A} refs/heads/main"},
            A,
        ),
        (
            {
                ".git": "gitdir: repository/worktrees/w\n",
                "repository/worktrees/w/HEAD": "ref: refs/heads/w",
                "repository/worktrees/w/commondir": "../..\n",
                "repository/refs/heads/w": A,
            },
            A,
        ),
        ({}, UNKNOWN),
        ({".git/HEAD": "ref: refs/heads/unborn"}, UNKNOWN),
        ({".git/HEAD": "<script>"}, UNKNOWN),
        ({COMMIT_FILE: "not a commit"}, UNKNOWN),
    ],
)
def test_the_commit_is_the_one_that_is_checked_out(tmp_path, files, commit):
    for name, text in files.items():
        _write(tmp_path / name, text)

    assert commit_of(tmp_path) == commit
