"""The targets of the Makefile that run tests leave out what takes minutes, if tests of theirs do."""

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_NIGHTLY = re.compile(r"^(?:@pytest\.mark\.nightly|pytestmark = .*\bnightly\b)", re.MULTILINE)


def _commands() -> list[str]:
    text = (_ROOT / "Makefile").read_text() + (_ROOT / "scripts" / "test").read_text()
    return [line for line in text.splitlines() if "-m pytest tests" in line and "-m nightly" not in line]


def _has_nightly_tests(folder: str) -> bool:
    return any(_NIGHTLY.search(path.read_text()) for path in (_ROOT / folder).rglob("test_*.py"))


def test_only_the_nightly_target_runs_nightly_tests() -> None:
    commands = {
        command: re.findall(r"tests(?:/\w+)*(?= |$)", command.partition("pytest ")[2]) for command in _commands()
    }
    slow = [command for command, folders in commands.items() if any(map(_has_nightly_tests, folders))]

    assert len(slow) >= 3
    assert [command for command in slow if '-m "not nightly' not in command] == []
